/**
 * Where the certificate of a TLS channel comes from: made here, again and again, or provided by the user and renewed
 * through the parent. tls-identity.ts decides when to ask; what is asked is here.
 */
import type { TlsConfiguration } from "../configuration.js";
import type { OpenPrivateKey, ProvidedTlsConfiguration } from "./provided-certificate.js";
import { ProvidedCertificates, parseOffer } from "./provided-certificate.js";
import { generateCertificate } from "./self-signed-certificate.js";
import type { ServedCertificate } from "./served-certificate.js";

export interface CertificateSource {
  readonly kind: TlsConfiguration["certificate"];
  /** How long after one answer of `next` it is asked again. */
  readonly renewAfterMs: number;
  /** The certificate to begin with. */
  first(): Promise<ServedCertificate>;
  /** The one to serve after `current`, which may be undefined; `undefined`, or `current` itself, when there is no other. */
  next(current: ServedCertificate | undefined): Promise<ServedCertificate | undefined>;
}

/** A time that the parent does not set. @throws ServiceError when there is none. */
export type TrustedTime = () => Promise<Date>;

/** What the parent offers, as its JSON; undefined when it offers nothing. @throws ServiceError when it cannot be asked. */
export type FetchRenewal = () => Promise<string | undefined>;

export interface SourceContext {
  readonly trustedTime: TrustedTime;
  readonly openPrivateKey: OpenPrivateKey;
  readonly fetchRenewal: FetchRenewal;
}

/** Certificates outlive their use as keys for new connections, for connections that were made with them. */
const MARGIN_MS = 3_600_000;

/** The source that a configuration asks for. @throws ServiceError ERR_CERTIFICATE (a provided certificate that cannot be served). */
export function createCertificateSource(configuration: TlsConfiguration, context: SourceContext): CertificateSource {
  return configuration.certificate === "generated"
    ? generatedSource(configuration.maxAgeSeconds * 1_000, context.trustedTime)
    : providedSource(configuration, context);
}

function generatedSource(maxAgeMs: number, trustedTime: TrustedTime): CertificateSource {
  const generate = async () => generateCertificate(await trustedTime(), maxAgeMs + MARGIN_MS);
  return { kind: "generated", renewAfterMs: maxAgeMs, first: generate, next: generate };
}

function providedSource(
  configuration: ProvidedTlsConfiguration,
  { trustedTime, openPrivateKey, fetchRenewal }: SourceContext,
): CertificateSource {
  const certificates = new ProvidedCertificates(configuration, openPrivateKey);
  return {
    kind: "provided",
    renewAfterMs: configuration.renewalCheckSeconds * 1_000,
    first: async () => certificates.open(await trustedTime()),
    next: async (current) => {
      const text = await fetchRenewal();
      if (text === undefined) return undefined;
      return certificates.acceptRenewal(current, parseOffer(text), await trustedTime());
    },
  };
}

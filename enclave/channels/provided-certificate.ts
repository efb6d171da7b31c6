/**
 * The user's own certificate for TLS, whose private key only this enclave can open: AWS KMS releases it by attested Decrypt.
 * Both are in the measured configuration; both must be renewed while the enclave runs, and the parent brings what is new.
 *
 * The parent is not trusted with that: it offers bytes, and an offer is taken only if
 *   - the certificate chains to an issuer that the configuration pins, and is valid at the trusted time;
 *   - it is for exactly the names of the configured one;
 *   - it does not begin before the one in use: an older certificate, whose key may have leaked since, does not come back;
 *   - KMS opens its private key under the configured KMS key and encryption context, and the two belong together.
 * So the key changes only by the hand of who may both call Encrypt under that KMS key with that context and get a
 * certificate for these names from a pinned issuer. A parent that can do one of the two changes nothing; one that offers
 * nothing keeps the old certificate in use until it ends, which is a denial of service and no more. After a restart the
 * configured certificate is the oldest that is taken: a parent may then offer any that began since.
 *
 * Not checked: revocation. Every refusal is ERR_CERTIFICATE; what KMS refuses keeps its own code.
 */
import type { KeyObject } from "node:crypto";
import { createPrivateKey } from "node:crypto";
import { z } from "zod";
import { fromBase64, wipe } from "../../shared/bytes.js";
import { parseJson } from "../../shared/wire.js";
import type { TlsConfiguration } from "../configuration.js";
import type { CertificatePath } from "./certificate-path.js";
import { assertValidAt, endOf, verifyPath } from "./certificate-path.js";
import type { ServedCertificate } from "./served-certificate.js";
import { encodeCertificatePem } from "./served-certificate.js";
import type { TlsCertificate } from "./tls-certificate.js";
import { certificateRefused, parseTlsCertificate } from "./tls-certificate.js";

export type ProvidedTlsConfiguration = Extract<TlsConfiguration, { certificate: "provided" }>;

/** Opens a private key (PKCS #8 DER) by attested Decrypt, under this key and encryption context alone. The bytes are the receiver's to wipe. */
export type OpenPrivateKey = (
  ciphertext: Uint8Array,
  keyId: string,
  encryptionContext: Readonly<Record<string, string>>,
) => Promise<Uint8Array>;

/** What the parent offers: `GET /tls-certificate` of its services. */
export interface CertificateOffer {
  readonly chain: readonly string[];
  readonly privateKeyCiphertext: string;
}

const MAX_OFFER_LENGTH = 128 * 1024;
/** KMS takes no more (API_Decrypt). */
const MAX_CIPHERTEXT_BYTES = 6_144;

const offerSchema = z.strictObject({
  chain: z.array(z.string()).min(1).max(8),
  privateKeyCiphertext: z.string().max(2 * MAX_CIPHERTEXT_BYTES),
});

/** Parses an offer's JSON. It says nothing about what is in it. @throws ServiceError ERR_CERTIFICATE. */
export function parseOffer(text: string): CertificateOffer {
  if (text.length > MAX_OFFER_LENGTH) throw certificateRefused(`expected at most ${MAX_OFFER_LENGTH} characters`);
  return parseJson(offerSchema, text, "ERR_CERTIFICATE");
}

export class ProvidedCertificates {
  readonly #configuration: ProvidedTlsConfiguration;
  readonly #issuers: readonly TlsCertificate[];
  readonly #configured: CertificatePath;
  readonly #openPrivateKey: OpenPrivateKey;

  /**
   * The configured certificate is checked here but for its dates: an enclave that restarts after they have passed waits
   * for a renewal. @throws ServiceError ERR_CERTIFICATE.
   */
  constructor(configuration: ProvidedTlsConfiguration, openPrivateKey: OpenPrivateKey) {
    this.#configuration = configuration;
    this.#openPrivateKey = openPrivateKey;
    this.#issuers = configuration.issuers.map(parseTlsCertificate);
    this.#configured = verifyPath(configuration.chain, this.#issuers);
    parseCiphertext(configuration.privateKey.ciphertext);
  }

  /**
   * The configured certificate with its private key.
   * @throws ServiceError ERR_CERTIFICATE (not valid at `now`, or the private key is not its own); what KMS refuses with.
   */
  async open(now: Date): Promise<ServedCertificate> {
    assertValidAt(this.#configured, now);
    return this.#serve(this.#configured, this.#configuration.privateKey.ciphertext);
  }

  /**
   * The offered certificate with its private key; `current` itself when it is that one. `current` is the one in use, if any.
   * @throws ServiceError ERR_CERTIFICATE (the offer is not one to take, see above); what KMS refuses with.
   */
  async acceptRenewal(
    current: ServedCertificate | undefined,
    offer: CertificateOffer,
    now: Date,
  ): Promise<ServedCertificate> {
    const path = verifyPath(offer.chain, this.#issuers);
    assertValidAt(path, now);
    this.#assertSuccessor(path, current);
    if (current !== undefined && encodeChain(path) === current.certificateChainPem) return current;
    return this.#serve(path, offer.privateKeyCiphertext);
  }

  #assertSuccessor({ endEntity }: CertificatePath, current: ServedCertificate | undefined): void {
    const { names, notBefore } = this.#configured.endEntity;
    if (endEntity.names.join("\n") !== names.join("\n")) {
      throw certificateRefused("expected a renewal for exactly the names of the configured certificate");
    }
    if (endEntity.notBefore < (current?.notBefore ?? notBefore)) {
      throw certificateRefused("expected a renewal that begins no earlier than the certificate in use");
    }
  }

  /** Asks KMS last: an offer that is refused for what it says costs no call. */
  async #serve(path: CertificatePath, ciphertext: string): Promise<ServedCertificate> {
    const { keyId, encryptionContext } = this.#configuration.privateKey;
    const pkcs8 = await this.#openPrivateKey(parseCiphertext(ciphertext), keyId, encryptionContext);
    const { endEntity } = path;
    return {
      certificateChainPem: encodeChain(path),
      privateKey: importPrivateKey(pkcs8, endEntity),
      spki: endEntity.spki,
      notBefore: endEntity.notBefore,
      notAfter: endOf(path),
    };
  }
}

const encodeChain = ({ chain }: CertificatePath): string => chain.map(({ der }) => encodeCertificatePem(der)).join("");

function parseCiphertext(text: string): Uint8Array {
  const bytes = fromBase64(text);
  if (bytes === undefined || bytes.length < 1 || bytes.length > MAX_CIPHERTEXT_BYTES) {
    throw certificateRefused(`expected the private key as canonical base64 of 1 to ${MAX_CIPHERTEXT_BYTES} bytes`);
  }
  return bytes;
}

/** The private key of `certificate`. Wipes `pkcs8`. One refusal for all that can be wrong with it, and no cause: it depends on a secret. */
function importPrivateKey(pkcs8: Uint8Array, { x509 }: TlsCertificate): KeyObject {
  try {
    const key = Buffer.from(pkcs8.buffer, pkcs8.byteOffset, pkcs8.byteLength);
    const privateKey = createPrivateKey({ key, format: "der", type: "pkcs8" });
    if (x509.checkPrivateKey(privateKey)) return privateKey;
  } catch {
    // not a private key at all: refused below, as one of another certificate is
  } finally {
    wipe(pkcs8);
  }
  throw certificateRefused("expected the private key of the certificate, as PKCS #8 DER");
}

/**
 * The path of a TLS server's certificate (RFC 5280 §6.1, RFC 9525): from the end entity through the intermediates that are
 * given, in order, to one of the pinned issuers. No path is searched for: what is given is the path, or it is refused.
 *
 * Checked: every signature and name link (node:crypto's `verify` and `checkIssued`), CA flag, keyUsage, extKeyUsage and
 * path length of every issuer, the end entity's own purposes and names; dates apart, in `assertValidAt`, because they
 * change their answer with time. Not checked: revocation.
 */
import type { TlsCertificate } from "./tls-certificate.js";
import { certificateRefused, hasServerName, parseTlsCertificate } from "./tls-certificate.js";

const MAX_CHAIN = 8;

/** A path that holds, but for its dates. */
export interface CertificatePath {
  /** The certificates that were given, the end entity first: what a TLS server sends. */
  readonly chain: readonly TlsCertificate[];
  readonly endEntity: TlsCertificate;
  /** `chain`, and the pinned issuer where it is not the last of it. */
  readonly leafToIssuer: readonly TlsCertificate[];
}

/**
 * Verifies `chain` (PEM, one certificate in each text) up to one of `issuers`. Says nothing about its dates.
 * @throws ServiceError ERR_CERTIFICATE.
 */
export function verifyPath(chain: readonly string[], issuers: readonly TlsCertificate[]): CertificatePath {
  if (chain.length < 1 || chain.length > MAX_CHAIN) {
    throw certificateRefused(`expected a chain of 1 to ${MAX_CHAIN} certificates`);
  }
  const certificates = chain.map(parseTlsCertificate);
  const [endEntity] = certificates;
  const last = certificates.at(-1);
  if (endEntity === undefined || last === undefined) throw new TypeError("unreachable: the chain is not empty");
  assertEndEntity(endEntity);
  const anchor = issuers.find((issuer) => issuer.x509.fingerprint512 === last.x509.fingerprint512);
  const issuer = anchor ?? issuers.find((candidate) => isIssuedBy(last, candidate));
  if (issuer === undefined) throw certificateRefused("expected a chain to one of the pinned issuers");
  const leafToIssuer = anchor === undefined ? [...certificates, issuer] : certificates;
  for (const [below, ca] of leafToIssuer.slice(1).entries()) assertIssues(ca, leafToIssuer[below], below);
  return { chain: certificates, endEntity, leafToIssuer };
}

function assertEndEntity({ ca, mayServe, names }: TlsCertificate): void {
  if (ca) throw certificateRefused("expected an end-entity certificate, got one of a CA");
  if (!mayServe) throw certificateRefused("expected a certificate whose key may serve TLS");
  // RFC 9525 §2: names are in subjectAltName and nowhere else
  if (!hasServerName(names)) throw certificateRefused("expected a DNS name or an IP address in subjectAltName");
}

/** Whether `certificate` has the issuer's name and signature. */
function isIssuedBy(certificate: TlsCertificate, issuer: TlsCertificate): boolean {
  return certificate.x509.checkIssued(issuer.x509) && certificate.x509.verify(issuer.x509.publicKey);
}

/** `below` counts the CAs between `ca` and the end entity; those that issued themselves count too, unlike in RFC 5280. */
function assertIssues(ca: TlsCertificate, certificate: TlsCertificate | undefined, below: number): void {
  if (!ca.ca || !ca.mayIssue) throw certificateRefused("expected issuers that are CAs, and may issue to TLS servers");
  if (below > (ca.pathLength ?? MAX_CHAIN)) throw certificateRefused("expected no path longer than its CAs allow");
  if (certificate === undefined || !isIssuedBy(certificate, ca)) {
    throw certificateRefused("expected each certificate to be issued by the next");
  }
}

/** Asserts that every certificate of the path is valid at `now`. @throws ServiceError ERR_CERTIFICATE. */
export function assertValidAt({ leafToIssuer }: CertificatePath, now: Date): void {
  for (const { notBefore, notAfter } of leafToIssuer) {
    // Asked in this way round, what is no date at all is refused.
    if (!(now >= notBefore)) throw certificateRefused("expected certificates that are valid now, one is not yet");
    if (!(now <= notAfter)) throw certificateRefused("expected certificates that are valid now, one no longer is");
  }
}

/** When the first certificate of the path ends. */
export const endOf = ({ leafToIssuer }: CertificatePath): Date =>
  new Date(Math.min(...leafToIssuer.map(({ notAfter }) => notAfter.getTime())));

/**
 * The rules of RFC 5280 §6.1 that need no cryptography, for the paths of Nitro attestation documents (AV-09). cert-path.ts
 * says which rules those are and where they are narrower than the RFC.
 */
import { equalBytes } from "./bytes.js";
import { ServiceError } from "./errors.js";
import type { BasicConstraints, Certificate, KeyUsage } from "./x509.js";

const pathError = (message: string): ServiceError => new ServiceError("ERR_CERT_PATH", message);

/**
 * Asserts names, dates, constraints and key usage of a path, certificate by certificate from the root.
 * @throws ServiceError ERR_CERT_PATH or ERR_CERT_TIME for the first certificate that breaks a rule.
 */
export function assertPathRules(rootToLeaf: readonly Certificate[], now: Date): void {
  const leafIndex = rootToLeaf.length - 1;
  for (const [i, certificate] of rootToLeaf.entries()) {
    // AV-09 RFC 5280 §6.1: a certificate must not appear more than once
    if (rootToLeaf.slice(0, i).some(({ der }) => equalBytes(der, certificate.der))) {
      throw pathError(`${label(certificate)} is in the path twice`);
    }
    assertIssuedBy(certificate, rootToLeaf[i - 1] ?? certificate);
    assertValidAt(certificate, now);
    if (i < leafIndex) assertAuthority(certificate, leafIndex - 1 - i);
    else assertEndEntity(certificate);
  }
}

function assertIssuedBy(certificate: Certificate, issuer: Certificate): void {
  // AV-09 RFC 5280 §6.1.3(a)(4): the issuer's subject is the certificate's issuer; the root's is itself
  if (!equalBytes(certificate.issuer, issuer.subject)) {
    throw pathError(`issuer name of ${label(certificate)} is not the subject of the certificate before it`);
  }
}

function assertValidAt(certificate: Certificate, now: Date): void {
  // AV-09 RFC 5280 §6.1.3(a)(2) and §4.1.2.5: valid from notBefore to notAfter, both inclusive
  if (now < certificate.notBefore) {
    throw new ServiceError("ERR_CERT_TIME", `${label(certificate)} is not valid before ${iso(certificate.notBefore)}`);
  }
  if (now > certificate.notAfter) {
    throw new ServiceError("ERR_CERT_TIME", `${label(certificate)} is not valid after ${iso(certificate.notAfter)}`);
  }
}

function assertAuthority(certificate: Certificate, intermediatesBelow: number): void {
  const { ca, pathLength } = constraintsOf(certificate);
  // AV-09 RFC 5280 §6.1.4(k): cA is asserted
  if (!ca) throw pathError(`${label(certificate)} issues a certificate and is no certification authority`);
  // AV-09 RFC 5280 §6.1.4(l), (m): no more intermediates follow than pathLenConstraint allows
  if (pathLength !== undefined && intermediatesBelow > pathLength) {
    throw pathError(`${intermediatesBelow} intermediates follow ${label(certificate)}, which allows ${pathLength}`);
  }
  // AV-09 RFC 5280 §6.1.4(n): keyUsage asserts keyCertSign
  if (!usageOf(certificate).keyCertSign) throw pathError(`${label(certificate)} may not sign certificates`);
}

function assertEndEntity(certificate: Certificate): void {
  const { ca, pathLength } = constraintsOf(certificate);
  // AV-09 AWS attestation_process.md §3.2.3.3: the end-entity certificate is no CA and has no pathLenConstraint
  if (ca || pathLength !== undefined) throw pathError("end-entity certificate is a certification authority");
  const { digitalSignature, keyCertSign } = usageOf(certificate);
  // AV-09 AWS attestation_process.md §3.2.3.3: keyUsage asserts digitalSignature
  if (!digitalSignature) throw pathError("end-entity certificate may not sign data");
  // AV-09 RFC 5280 §4.2.1.9: keyCertSign is not asserted where cA is not
  if (keyCertSign) throw pathError("end-entity certificate may sign certificates");
}

function constraintsOf(certificate: Certificate): BasicConstraints {
  // AV-09 AWS attestation_process.md §3.2.3.2: basicConstraints is there, and critical, in every certificate
  if (!certificate.basicConstraints?.critical)
    throw pathError(`${label(certificate)} has no critical basicConstraints`);
  return certificate.basicConstraints;
}

function usageOf(certificate: Certificate): KeyUsage {
  // AV-09 AWS attestation_process.md §3.2.3.3: keyUsage is there; AWS's end-entity certificates have it not critical
  if (!certificate.keyUsage) throw pathError(`${label(certificate)} has no keyUsage`);
  return certificate.keyUsage;
}

/** The common name, quoted, since it is the certificate's own word. */
const label = (certificate: Certificate): string => JSON.stringify(certificate.subjectCommonName);

const iso = (time: Date): string => time.toISOString();

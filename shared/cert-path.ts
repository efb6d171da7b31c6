/**
 * Certification path validation, RFC 5280 §6.1, restricted to the paths of Nitro attestation documents.
 *
 * The path is given, never searched for: root, intermediates and end-entity certificate in that order, which is `cabundle`
 * followed by `certificate`. Every certificate has the profile of x509.ts (AV-08). What is checked:
 *   AV-07  the first certificate is the pinned trust anchor, by SHA-256 of its DER
 *   AV-09  names chain octet by octet; every certificate, the root too, is valid at `now`; the CAs have critical
 *          basicConstraints with cA, keyUsage with keyCertSign, and no more CAs below them than pathLenConstraint says; the
 *          end-entity certificate is no CA and has digitalSignature; each signature covers the original TBSCertificate
 * Narrower than RFC 5280: both extensions must be in every certificate, self-issued intermediates count against
 * pathLenConstraint, names are not normalised. Left out: policies and name constraints (x509.ts refuses them where they are
 * critical) and revocation (AWS says that CRLs must not be checked).
 *
 * There are two steps, so that attestation/verify.ts can check the document's own signature at the same time as the
 * path's: `UnverifiedPath.parse` and `VerifiedPath.verify`. `verifyCertificatePath` is both in one. Which refusal is
 * reported does not depend on timing.
 */
import type { TrustAnchor } from "./attestation/trust-anchor.js";
import { digest, toHex } from "./bytes.js";
import { assertPathRules } from "./cert-path-rules.js";
import type { CertificateCache, LinkIdentity } from "./certificate-cache.js";
import { ServiceError } from "./errors.js";
import { allInOrder } from "./settle.js";
import type { Certificate } from "./x509.js";
import { parseCertificate } from "./x509.js";

export interface CertificatePathOptions {
  /** DER certificates, root first, end-entity last. */
  readonly rootToLeaf: readonly Uint8Array[];
  readonly trustAnchor: TrustAnchor;
  /** The instant at which every certificate must be valid. */
  readonly now: Date;
}

/** An intermediate whose signature by its issuer has been verified. */
export interface VerifiedIntermediate extends LinkIdentity {
  readonly publicKey: CryptoKey;
}

/** A root or intermediate certificate with the SHA-256 of its DER, in hexadecimal. */
interface Authority {
  readonly certificate: Certificate;
  readonly sha256: string;
}

interface EndEntity {
  readonly certificate: Certificate;
  readonly publicKey: CryptoKey;
}

/** Documents of AWS carry five certificates. */
const MAX_PATH_CERTIFICATES = 8;

/**
 * Verifies a path. On return the end-entity key is vouched for by the owner of the pinned root, at `now`. Says nothing
 * about what that key has signed, nor about revocation.
 * @throws ServiceError ERR_CERT_PATH when there are fewer than 2 or more than 8 certificates; then, by certificate from the
 *   root, ERR_DER_MALFORMED or ERR_CERT_MALFORMED; then ERR_TRUST_ANCHOR; then, by certificate, ERR_CERT_TIME or
 *   ERR_CERT_PATH; then, by certificate, ERR_CERT_PATH for a signature, and ERR_CERT_MALFORMED for an issuer's key that is
 *   not on the curve. TypeError when `trustAnchor` or `now` is not one.
 */
export async function verifyCertificatePath({
  cache,
  ...path
}: CertificatePathOptions & {
  /** Spares the signatures of intermediates that were verified before, and nothing else. */
  readonly cache?: CertificateCache | undefined;
}): Promise<VerifiedPath> {
  return VerifiedPath.verify(await UnverifiedPath.parse(path), cache);
}

/** A path that starts at the pinned root and obeys every rule, except that no signature has been checked. */
export class UnverifiedPath {
  readonly rootToLeaf: readonly Certificate[];
  /** The end-entity key: for starting a check at once whose result counts only if the path verifies too. */
  readonly unverifiedLeafKey: CryptoKey;
  readonly #root: Authority;
  readonly #intermediates: readonly Authority[];
  readonly #leaf: Certificate;

  private constructor(root: Authority, intermediates: readonly Authority[], leaf: EndEntity) {
    this.rootToLeaf = [root, ...intermediates, leaf].map(({ certificate }) => certificate);
    this.unverifiedLeafKey = leaf.publicKey;
    this.#root = root;
    this.#intermediates = intermediates;
    this.#leaf = leaf.certificate;
  }

  /**
   * Everything but the signatures: a path that cannot hold costs no signature check.
   * @throws as `verifyCertificatePath`.
   */
  static async parse({ rootToLeaf, trustAnchor, now }: CertificatePathOptions): Promise<UnverifiedPath> {
    assertArguments(trustAnchor, now);
    const [root, intermediates, leaf] = await parseCertificates(rootToLeaf);
    // AV-07: the document's root is believed only where it is the one that the caller pinned
    if (root.sha256 !== trustAnchor.sha256) {
      throw new ServiceError("ERR_TRUST_ANCHOR", `first certificate is not the pinned root, ${trustAnchor.name}`);
    }
    const path = new UnverifiedPath(root, intermediates, leaf);
    assertPathRules(path.rootToLeaf, now);
    return path;
  }

  /**
   * Checks all signatures at once, except those of links that the cache remembers. The root's own signature is not looked
   * at: the pin says more.
   * @returns the intermediates, the one that the root issued first.
   * @throws ServiceError ERR_CERT_PATH or ERR_CERT_MALFORMED, as `verifyCertificatePath`.
   */
  async verifySignatures(cache: CertificateCache | undefined): Promise<readonly VerifiedIntermediate[]> {
    const checks: Promise<unknown>[] = [];
    const verified: Promise<VerifiedIntermediate>[] = [];
    let issuer = this.#root;
    let issuerKey: Promise<CryptoKey> | undefined;
    for (const { certificate, sha256 } of this.#intermediates) {
      const link = { sha256, issuerSha256: issuer.sha256 };
      const remembered = cache?.recall(link);
      if (!remembered) checks.push(verifySignature(certificate, issuerKey ?? importPublicKey(issuer.certificate)));
      issuer = { certificate, sha256 };
      issuerKey = remembered ? Promise.resolve(remembered) : importPublicKey(certificate);
      verified.push(issuerKey.then((publicKey) => ({ ...link, publicKey })));
    }
    checks.push(...verified, verifySignature(this.#leaf, issuerKey ?? importPublicKey(issuer.certificate)));
    await allInOrder(checks);
    return Promise.all(verified);
  }
}

/** A path whose every signature has been verified. Only `verify` can make one. */
export class VerifiedPath {
  readonly rootToLeaf: readonly Certificate[];
  readonly leafKey: CryptoKey;
  readonly #intermediates: readonly VerifiedIntermediate[];

  private constructor(path: UnverifiedPath, intermediates: readonly VerifiedIntermediate[]) {
    this.rootToLeaf = path.rootToLeaf;
    this.leafKey = path.unverifiedLeafKey;
    this.#intermediates = intermediates;
  }

  /** The intermediates with their proven keys, for the cache. */
  get intermediates(): readonly VerifiedIntermediate[] {
    return this.#intermediates;
  }

  /**
   * Verifies the signatures of a path, and has the cache remember the intermediates once all of them hold.
   * @throws ServiceError ERR_CERT_PATH or ERR_CERT_MALFORMED, as `verifyCertificatePath`.
   */
  static async verify(path: UnverifiedPath, cache?: CertificateCache): Promise<VerifiedPath> {
    const verified = new VerifiedPath(path, await path.verifySignatures(cache));
    cache?.remember(verified);
    return verified;
  }
}

function assertArguments(trustAnchor: TrustAnchor, now: Date): void {
  if (!/^[0-9a-f]{64}$/.test(trustAnchor?.sha256))
    throw new TypeError("trustAnchor is required: pin a root by SHA-256");
  if (!(now instanceof Date) || Number.isNaN(now.getTime())) throw new TypeError("now is required: a valid Date");
}

async function parseCertificates(rootToLeaf: readonly Uint8Array[]) {
  const [root, ...others] = rootToLeaf;
  const leaf = others.pop();
  if (!root || !leaf || rootToLeaf.length > MAX_PATH_CERTIFICATES) {
    throw new ServiceError("ERR_CERT_PATH", `path does not have 2 to ${MAX_PATH_CERTIFICATES} certificates`);
  }
  return allInOrder([parseAuthority(root), allInOrder(others.map(parseAuthority)), parseEndEntity(leaf)]);
}

async function parseAuthority(der: Uint8Array): Promise<Authority> {
  const hashing = digest("SHA-256", der); // runs while the certificates are read
  return { certificate: parseCertificate(der), sha256: toHex(await hashing) };
}

async function parseEndEntity(der: Uint8Array): Promise<EndEntity> {
  const certificate = parseCertificate(der);
  return { certificate, publicKey: await importPublicKey(certificate) };
}

const P384 = { name: "ECDSA", namedCurve: "P-384" } as const;
const ECDSA_SHA384 = { name: "ECDSA", hash: "SHA-384" } as const;

async function importPublicKey({ publicKeyPoint, subjectCommonName }: Certificate): Promise<CryptoKey> {
  try {
    // The bare point imports five times as fast as the SubjectPublicKeyInfo, which x509.ts has read in full already
    return await crypto.subtle.importKey("raw", publicKeyPoint, P384, false, ["verify"]);
  } catch (cause) {
    // AV-08 SEC 1 §3.2.2.1: the point is on the curve
    const message = `public key of ${JSON.stringify(subjectCommonName)} is not a point of P-384`;
    throw new ServiceError("ERR_CERT_MALFORMED", message, { cause });
  }
}

async function verifySignature(certificate: Certificate, issuerKey: Promise<CryptoKey>): Promise<void> {
  const { rawSignature, tbsBytes } = certificate;
  // AV-09 RFC 5280 §6.1.3(a)(1): signed by the issuer's key, over the octets as they came
  if (!(await crypto.subtle.verify(ECDSA_SHA384, await issuerKey, rawSignature, tbsBytes))) {
    const name = JSON.stringify(certificate.subjectCommonName);
    throw new ServiceError("ERR_CERT_PATH", `signature of ${name} does not verify under the key of its issuer`);
  }
}

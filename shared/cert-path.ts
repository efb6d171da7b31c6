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
 * There are two steps, `UnverifiedPath.parse` and `VerifiedPath.verify`, so that attestation/verify.ts can check the
 * document's own signature at the same time as the path; `verifyCertificatePath` is both in one. Whatever can run at the
 * same time does, and which refusal is reported does not depend on timing.
 */
import type { TrustAnchor } from "./attestation/trust-anchor.js";
import { toHex } from "./bytes.js";
import { assertPathRules } from "./cert-path-rules.js";
import type { CertificateCache, LinkIdentity } from "./certificate-cache.js";
import { ServiceError } from "./errors.js";
import { allInOrder } from "./settle.js";
import type { Certificate } from "./x509.js";
import { parseCertificate } from "./x509.js";

export interface PathOptions {
  readonly trustAnchor: TrustAnchor;
  /** The instant at which every certificate must be valid. */
  readonly now: Date;
  /** Spares the signatures of intermediates that were verified before, and nothing else. */
  readonly cache?: CertificateCache | undefined;
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

/** Documents of AWS carry five certificates. */
const MAX_PATH_CERTIFICATES = 8;

const pathError = (message: string): ServiceError => new ServiceError("ERR_CERT_PATH", message);

/**
 * Verifies a path, given as DER certificates from the root to the end entity. On return the end-entity key is vouched for
 * by the owner of the pinned root, at `now`. Says nothing about what that key has signed, nor about revocation.
 * @throws ServiceError ERR_CERT_PATH when there are fewer than 2 or more than 8 certificates; then, by certificate from the
 *   root, ERR_DER_MALFORMED or ERR_CERT_MALFORMED; then ERR_TRUST_ANCHOR; then, by certificate, ERR_CERT_TIME or
 *   ERR_CERT_PATH; then, by certificate, ERR_CERT_PATH for a signature, and ERR_CERT_MALFORMED for an issuer's key that is
 *   not on the curve. TypeError when `trustAnchor` or `now` is not one.
 */
export async function verifyCertificatePath({
  rootToLeaf,
  ...options
}: PathOptions & { readonly rootToLeaf: readonly Uint8Array[] }): Promise<VerifiedPath> {
  return VerifiedPath.verify(UnverifiedPath.parse(rootToLeaf), options);
}

/** Certificates that have the profile's form, in the order given. Nothing about them has been verified. */
export class UnverifiedPath {
  readonly root: Certificate;
  readonly intermediates: readonly Certificate[];
  readonly leaf: Certificate;
  readonly #publicKeys = new Map<Certificate, Promise<CryptoKey>>();

  private constructor(root: Certificate, intermediates: readonly Certificate[], leaf: Certificate) {
    this.root = root;
    this.intermediates = intermediates;
    this.leaf = leaf;
  }

  /**
   * Parses all certificates.
   * @throws ServiceError ERR_CERT_PATH, ERR_DER_MALFORMED, ERR_CERT_MALFORMED, as `verifyCertificatePath`.
   */
  static parse(rootToLeaf: readonly Uint8Array[]): UnverifiedPath {
    if (rootToLeaf.length > MAX_PATH_CERTIFICATES) throw pathError(`more than ${MAX_PATH_CERTIFICATES} certificates`);
    const [root, ...intermediates] = rootToLeaf.map(parseCertificate);
    const leaf = intermediates.pop();
    if (!root || !leaf) throw pathError("fewer than 2 certificates");
    return new UnverifiedPath(root, intermediates, leaf);
  }

  get rootToLeaf(): readonly Certificate[] {
    return [this.root, ...this.intermediates, this.leaf];
  }

  /**
   * The public key of one of the certificates, imported once: for starting a check whose result counts only if the path
   * verifies too.
   * @throws ServiceError ERR_CERT_MALFORMED when it is not on the curve.
   */
  async unverifiedKeyOf(certificate: Certificate): Promise<CryptoKey> {
    const known = this.#publicKeys.get(certificate);
    if (known) return known;
    const importing = importPublicKey(certificate);
    this.#publicKeys.set(certificate, importing);
    return importing;
  }

  /** Spares the import of a key that is known from another path with the same certificate. */
  adoptKey(certificate: Certificate, publicKey: CryptoKey): void {
    this.#publicKeys.set(certificate, Promise.resolve(publicKey));
  }
}

/** A path that holds. Only `verify` can make one. */
export class VerifiedPath {
  readonly rootToLeaf: readonly Certificate[];
  readonly leafKey: CryptoKey;
  readonly #intermediates: readonly VerifiedIntermediate[];

  private constructor(path: UnverifiedPath, leafKey: CryptoKey, intermediates: readonly VerifiedIntermediate[]) {
    this.rootToLeaf = path.rootToLeaf;
    this.leafKey = leafKey;
    this.#intermediates = intermediates;
  }

  /** The intermediates with their proven keys, for the cache. */
  get intermediates(): readonly VerifiedIntermediate[] {
    return this.#intermediates;
  }

  /**
   * Verifies a path, and has the cache remember its intermediates if all of it holds.
   * @throws ServiceError ERR_TRUST_ANCHOR, ERR_CERT_TIME, ERR_CERT_PATH, ERR_CERT_MALFORMED, as `verifyCertificatePath`.
   */
  static async verify(path: UnverifiedPath, { trustAnchor, now, cache }: PathOptions): Promise<VerifiedPath> {
    assertArguments(trustAnchor, now);
    const [root, ...intermediates] = await Promise.all([identify(path.root), ...path.intermediates.map(identify)]);
    // AV-07: the document's root is believed only where it is the one that the caller pinned
    if (root.sha256 !== trustAnchor.sha256) {
      throw new ServiceError("ERR_TRUST_ANCHOR", `first certificate is not the pinned root, ${trustAnchor.name}`);
    }
    assertPathRules(path.rootToLeaf, now);
    const verified = await verifySignatures(path, root, intermediates, cache);
    const result = new VerifiedPath(path, await path.unverifiedKeyOf(path.leaf), verified);
    cache?.remember(result);
    return result;
  }
}

function assertArguments(trustAnchor: TrustAnchor, now: Date): void {
  if (!/^[0-9a-f]{64}$/.test(trustAnchor?.sha256))
    throw new TypeError("trustAnchor is required: pin a root by SHA-256");
  if (!(now instanceof Date) || Number.isNaN(now.getTime())) throw new TypeError("now is required: a valid Date");
}
const identify = async (certificate: Certificate): Promise<Authority> => ({
  certificate,
  sha256: toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", certificate.der))),
});

/**
 * Checks all signatures at once, except those of links that the cache remembers. The root's own is not looked at: the pin
 * says more.
 */
async function verifySignatures(
  path: UnverifiedPath,
  root: Authority,
  intermediates: readonly Authority[],
  cache: CertificateCache | undefined,
): Promise<readonly VerifiedIntermediate[]> {
  const signatures: Promise<void>[] = [];
  const links: (LinkIdentity & { readonly certificate: Certificate })[] = [];
  let issuer = root;
  for (const subject of intermediates) {
    const link = { sha256: subject.sha256, issuerSha256: issuer.sha256, certificate: subject.certificate };
    const remembered = cache?.recall(link);
    if (remembered) path.adoptKey(subject.certificate, remembered);
    else signatures.push(verifySignature(subject.certificate, path.unverifiedKeyOf(issuer.certificate)));
    links.push(link);
    issuer = subject;
  }
  await allInOrder([...signatures, verifySignature(path.leaf, path.unverifiedKeyOf(issuer.certificate))]);
  return Promise.all(
    links.map(async ({ certificate, ...link }) => ({ ...link, publicKey: await path.unverifiedKeyOf(certificate) })),
  );
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
    throw pathError(`signature of ${name} does not verify under the key of its issuer`);
  }
}

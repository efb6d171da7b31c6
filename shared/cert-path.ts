/**
 * Certification path validation, RFC 5280 §6.1, restricted to the paths of Nitro attestation documents.
 *
 * The path is given, never searched for: root, intermediates and end-entity certificate in that order, which is `cabundle`
 * followed by `certificate`. Every certificate has the profile of x509.ts (AV-08). What is checked:
 *   AV-07  the first certificate is the pinned trust anchor, by SHA-256 of its DER
 *   AV-09  no certificate occurs twice; names chain octet by octet; every certificate, the root too, is valid at `now`; the
 *          CAs have critical basicConstraints with cA, keyUsage with keyCertSign, and no more CAs below them than
 *          pathLenConstraint says; the end-entity certificate is no CA and has digitalSignature; each signature covers the
 *          original TBSCertificate
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
import type { CertificateCache } from "./certificate-cache.js";
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
export interface VerifiedIntermediate {
  /** SHA-256 of its DER and of its issuer's, in hexadecimal. */
  readonly sha256: string;
  readonly issuerSha256: string;
  /** Its public key: the point in hexadecimal, and imported. */
  readonly point: string;
  readonly publicKey: CryptoKey;
}

/** Documents of AWS carry five certificates. */
const MAX_PATH_CERTIFICATES = 8;

const pathError = (message: string): ServiceError => new ServiceError("ERR_CERT_PATH", message);

/**
 * Verifies a path, given as DER certificates from the root to the end entity. On return the end-entity key is vouched for
 * by the owner of the pinned root, at `now`. Says nothing about what that key has signed, nor about revocation.
 * @throws ServiceError ERR_CERT_PATH when there are fewer than 2 or more than 8 certificates; then, by certificate from the
 *   root, ERR_DER_MALFORMED or ERR_CERT_MALFORMED; then ERR_TRUST_ANCHOR; then, by certificate, ERR_CERT_TIME or
 *   ERR_CERT_PATH; then, by certificate, ERR_CERT_PATH for a signature. A public key that is not on the curve is found when
 *   it is imported, after the rules: ERR_CERT_MALFORMED. TypeError when `trustAnchor` or `now` is not one.
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
  readonly #keys = new Map<Certificate, Promise<CryptoKey>>();
  readonly #hashes = new Map<Certificate, Promise<string>>();

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
    return once(this.#keys, certificate, importPublicKey);
  }

  /** Spares the import of the key of one of the certificates. */
  adoptKey(certificate: Certificate, publicKey: CryptoKey): void {
    this.#keys.set(certificate, Promise.resolve(publicKey));
  }

  /** SHA-256 of the DER of one of the certificates, in hexadecimal. */
  async sha256Of(certificate: Certificate): Promise<string> {
    return once(this.#hashes, certificate, sha256Hex);
  }
}

function once<V>(known: Map<Certificate, V>, certificate: Certificate, make: (certificate: Certificate) => V): V {
  const value = known.get(certificate) ?? make(certificate);
  known.set(certificate, value);
  return value;
}

/** Known to this module alone, so that `new VerifiedPath` fails in JavaScript too. */
const MINT = Symbol("cert-path.ts");

/** A path that holds. Only `verify` can make one. */
export class VerifiedPath {
  readonly rootToLeaf: readonly Certificate[];
  readonly leafKey: CryptoKey;
  readonly #intermediates: readonly VerifiedIntermediate[];

  private constructor(
    mint: symbol,
    path: UnverifiedPath,
    leafKey: CryptoKey,
    intermediates: readonly VerifiedIntermediate[],
  ) {
    if (mint !== MINT) throw new TypeError("a VerifiedPath comes from verifyCertificatePath");
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
    try {
      assertPathRules(path.rootToLeaf, now);
    } catch (error) {
      await assertAnchor(path, trustAnchor); // a path under another root is refused for that before all else
      throw error;
    }
    const links = linksOf(path, cache);
    // The end-entity certificate is never remembered: its signature is due whatever the hashes say, and starts before them
    const [leafKey, issuerKey] = await allInOrder([
      path.unverifiedKeyOf(path.leaf),
      path.unverifiedKeyOf(path.intermediates.at(-1) ?? path.root),
    ]);
    const leafSigned = verifySignature(path.leaf, issuerKey);
    const [, intermediates] = await allInOrder([
      assertAnchor(path, trustAnchor),
      allInOrder(links.map((link) => verifyLink(path, link))),
      leafSigned,
    ]);
    const verified = new VerifiedPath(MINT, path, leafKey, intermediates);
    cache?.remember(verified);
    return verified;
  }
}

function assertArguments(trustAnchor: TrustAnchor, now: Date): void {
  if (!/^[0-9a-f]{64}$/.test(trustAnchor?.sha256))
    throw new TypeError("trustAnchor is required: pin a root by SHA-256");
  if (!(now instanceof Date) || Number.isNaN(now.getTime())) throw new TypeError("now is required: a valid Date");
}

async function assertAnchor(path: UnverifiedPath, trustAnchor: TrustAnchor): Promise<void> {
  // AV-07: the document's root is believed only where it is the one that the caller pinned. Its own signature would say less.
  if ((await path.sha256Of(path.root)) !== trustAnchor.sha256) {
    throw new ServiceError("ERR_TRUST_ANCHOR", `first certificate is not the pinned root, ${trustAnchor.name}`);
  }
}

/** An intermediate, who issued it, and what the cache remembers of an intermediate with the same public key. */
interface Link {
  readonly certificate: Certificate;
  readonly issuer: Certificate;
  readonly point: string;
  readonly recalled: VerifiedIntermediate | undefined;
}

function linksOf(path: UnverifiedPath, cache: CertificateCache | undefined): readonly Link[] {
  let issuer = path.root;
  return path.intermediates.map((certificate) => {
    const point = toHex(certificate.publicKeyPoint);
    const link = { certificate, issuer, point, recalled: cache?.recall(point) };
    if (link.recalled) path.adoptKey(certificate, link.recalled.publicKey);
    issuer = certificate;
    return link;
  });
}

/** Checks the signature of an intermediate, unless exactly this certificate of exactly this issuer is remembered. */
async function verifyLink(path: UnverifiedPath, link: Link): Promise<VerifiedIntermediate> {
  if (link.recalled && (await isSameLink(path, link, link.recalled))) return link.recalled;
  const { certificate, issuer, point } = link;
  await verifySignature(certificate, await path.unverifiedKeyOf(issuer));
  return {
    sha256: await path.sha256Of(certificate),
    issuerSha256: await path.sha256Of(issuer),
    point,
    publicKey: await path.unverifiedKeyOf(certificate),
  };
}

async function isSameLink(path: UnverifiedPath, link: Link, recalled: VerifiedIntermediate): Promise<boolean> {
  const [sha256, issuerSha256] = await Promise.all([path.sha256Of(link.certificate), path.sha256Of(link.issuer)]);
  return sha256 === recalled.sha256 && issuerSha256 === recalled.issuerSha256;
}

const sha256Hex = async ({ der }: Certificate): Promise<string> =>
  toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", der)));

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

async function verifySignature(certificate: Certificate, issuerKey: CryptoKey): Promise<void> {
  const { rawSignature, tbsBytes } = certificate;
  // AV-09 RFC 5280 §6.1.3(a)(1): signed by the issuer's key, over the octets as they came
  if (!(await crypto.subtle.verify(ECDSA_SHA384, issuerKey, rawSignature, tbsBytes))) {
    const name = JSON.stringify(certificate.subjectCommonName);
    throw pathError(`signature of ${name} does not verify under the key of its issuer`);
  }
}

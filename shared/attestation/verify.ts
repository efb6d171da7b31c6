/**
 * Verification of an attestation document: is it genuine? (AWS attestation_process.md §3.2, docs/verification.md.)
 *
 * Bytes → `UnverifiedAttestation` (document.ts) → `VerifiedAttestation` (here, and nowhere else) → `AppraisedAttestation`
 * (appraise.ts). What is verified here holds for every enclave of every AWS customer: who runs in it is appraisal's
 * question.
 *
 * The signature checks run at the same time. The error is the same whatever finishes first: form, then path, then the
 * document's own signature, then what its fields say of one another.
 */
import { equalBytes, isAllZero } from "../bytes.js";
import { UnverifiedPath, VerifiedPath } from "../cert-path.js";
import { CertificateCache } from "../certificate-cache.js";
import { verifyCoseSign1 } from "../cose.js";
import { ServiceError } from "../errors.js";
import { allInOrder } from "../settle.js";
import type { Certificate } from "../x509.js";
import type { UnverifiedAttestation } from "./document.js";
import { parseAttestationDocument } from "./document.js";
import { pcr4OfInstance } from "./pcr.js";
import type { TrustAnchor } from "./trust-anchor.js";

export interface VerifyOptions {
  /** The root that the chain must start at: AWS_NITRO_ENCLAVES_ROOT_G1, or a simulation's. */
  readonly trustAnchor: TrustAnchor;
  /** The instant at which all certificates must be valid: the caller's trusted clock, or the past for an archived document. */
  readonly now: Date;
  /** Spares the signatures of intermediates that were verified before. */
  readonly cache?: CertificateCache;
}

/** One certificate of the verified path, for people. */
export interface CertificateSummary {
  /** Common name of the subject. */
  readonly subject: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** Known to this module alone, so that `new VerifiedAttestation` fails in JavaScript too. */
const MINT = Symbol("verify.ts");

/**
 * What a genuine document says. Only `verifyAttestation` makes one. It is true that the Nitro Security Module signed
 * this; not yet that it is the enclave you want, that it is fresh, or that it is not in debug mode.
 */
export class VerifiedAttestation {
  readonly #verified = true;
  readonly moduleId: string;
  readonly instanceId: string;
  /** AWS Region, from the end-entity certificate. */
  readonly region: string;
  readonly digest: "SHA384";
  /** When the NSM made the document, milliseconds since 1970. */
  readonly timestampMs: number;
  /** Locked registers by index, 48 bytes each. */
  readonly pcrs: ReadonlyMap<number, Bytes>;
  readonly publicKey: Bytes | null;
  readonly userData: Bytes | null;
  readonly nonce: Bytes | null;
  readonly rootToLeaf: readonly CertificateSummary[];
  /** The end of the end-entity certificate: no use of the document should outlive it. */
  readonly leafNotAfter: Date;
  /** The `now` of the verification; freshness is appraised against it. */
  readonly verifiedAt: Date;
  /** Whether the enclave runs in debug mode: its PCR0 is zero, and its operator can read its console. */
  readonly debug: boolean;

  private constructor(mint: symbol, document: UnverifiedAttestation, path: UnverifiedPath, region: string, now: Date) {
    if (mint !== MINT) throw new TypeError("a VerifiedAttestation comes from verifyAttestation");
    this.moduleId = document.moduleId;
    this.instanceId = document.instanceId;
    this.region = region;
    this.digest = document.digest;
    this.timestampMs = document.timestampMs;
    this.pcrs = document.pcrs;
    this.publicKey = document.publicKey;
    this.userData = document.userData;
    this.nonce = document.nonce;
    this.rootToLeaf = path.rootToLeaf.map(summarise);
    this.leafNotAfter = path.leaf.notAfter;
    this.verifiedAt = now;
    this.debug = isAllZero(pcrOf(document, 0));
    Object.freeze(this);
  }

  /** As `verifyAttestation`. */
  static async verify(document: Uint8Array, options: VerifyOptions): Promise<VerifiedAttestation> {
    assertArguments(document, options);
    const { trustAnchor, cache } = options;
    const now = new Date(options.now); // both are the caller's to change while we wait
    const unverified = parseAttestationDocument(document);
    const pcr4 = pcr4OfInstance(unverified.instanceId);
    const path = UnverifiedPath.parse([...unverified.caBundle, unverified.certificate]);
    // Started first, because nothing needs to be known for it but the key
    const signed = path.unverifiedKeyOf(path.leaf).then((leafKey) => verifyCoseSign1(unverified.cose, leafKey));
    await allInOrder([VerifiedPath.verify(path, { trustAnchor, now, cache }), signed]);
    const region = regionOf(path.leaf, unverified.moduleId);
    assertPcr4(unverified, await pcr4);
    return new VerifiedAttestation(MINT, unverified, path, region, now);
  }

  /** Throws a TypeError unless `value` was made by `verifyAttestation`: for callers without a compiler. */
  static assert(value: VerifiedAttestation): void {
    if (typeof value !== "object" || value === null || !(#verified in value)) {
      throw new TypeError("expected what verifyAttestation returned");
    }
  }
}

/**
 * Verifies that `document` was made by the Nitro Security Module of an enclave, under `trustAnchor`, with a certificate
 * path that is valid at `now`. On return every field is as the module signed it, and PCR4 and the certificate agree with
 * the module id.
 *
 * It does not check which enclave it is, whether it is in debug mode, or whether the document is recent or meant for you:
 * `appraise` does. Nor revocation, which AWS says not to check, nor that `now` is right.
 *
 * @throws ServiceError, the first of: ERR_CBOR_MALFORMED, ERR_COSE_MALFORMED, ERR_COSE_ALGORITHM, ERR_NOT_ENCLAVE,
 *   ERR_ATTESTATION_MALFORMED; ERR_DER_MALFORMED, ERR_CERT_MALFORMED, ERR_TRUST_ANCHOR, ERR_CERT_TIME, ERR_CERT_PATH;
 *   ERR_COSE_SIGNATURE; ERR_ATTESTATION_MALFORMED for a module id that is not the certificate's; ERR_PCR_MISMATCH for PCR4.
 * @throws TypeError when an argument is missing or of the wrong type.
 */
export async function verifyAttestation(document: Uint8Array, options: VerifyOptions): Promise<VerifiedAttestation> {
  return VerifiedAttestation.verify(document, options);
}

function assertArguments(document: Uint8Array, options: VerifyOptions): void {
  if (!(document instanceof Uint8Array)) throw new TypeError("document is a Uint8Array");
  if (typeof options !== "object" || options === null) throw new TypeError("trustAnchor and now are required");
  const { now, trustAnchor, cache } = options;
  if (!(now instanceof Date) || Number.isNaN(now.getTime())) throw new TypeError("now is a valid Date");
  const sha256: unknown = trustAnchor?.sha256;
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) throw new TypeError("trustAnchor is a TrustAnchor");
  if (cache !== undefined && !(cache instanceof CertificateCache)) throw new TypeError("cache is a CertificateCache");
}

/** The Region that the end-entity certificate names along with the module. */
function regionOf(leaf: Certificate, moduleId: string): string {
  // AV-04 module_id is what the certificate was issued to: `<module_id>.<region>.aws`
  const match = /^([^.]+)\.([a-z]+(?:-[a-z]+)+-\d+)\.aws$/.exec(leaf.subjectCommonName);
  const region = match?.[2];
  if (match?.[1] !== moduleId || region === undefined) {
    throw new ServiceError("ERR_ATTESTATION_MALFORMED", "module_id is not the one that the certificate names");
  }
  return region;
}

const summarise = ({ subjectCommonName, notBefore, notAfter }: Certificate): CertificateSummary =>
  Object.freeze({ subject: subjectCommonName, notBefore, notAfter });

/** AV-12 PCR4 is a hash of the instance id in module_id, in debug mode too: the two come from different places. */
function assertPcr4(document: UnverifiedAttestation, pcr4: Bytes): void {
  if (!equalBytes(pcrOf(document, 4), pcr4)) {
    throw new ServiceError("ERR_PCR_MISMATCH", "PCR4 does not belong to the instance in module_id");
  }
}

function pcrOf({ pcrs }: UnverifiedAttestation, index: 0 | 4): Bytes {
  const value = pcrs.get(index);
  if (value === undefined) throw new TypeError("unreachable: the parser requires PCR0 and PCR4");
  return value;
}

/**
 * A Nitro PKI under a simulated root: issues the chain root, regional, zonal, instance and leaf that an attestation
 * document carries, with real keys and signatures, and renews each issuer in time as AWS does.
 *
 * With `overrides` it issues wrong chains: one field of one certificate differs, all the rest stays consistent with it.
 */
import { createHash } from "node:crypto";
import type { TrustAnchor } from "../../shared/attestation/trust-anchor.js";
import { trustAnchorFromSha256 } from "../../shared/attestation/trust-anchor.js";
import { toHex } from "../../shared/bytes.js";
import type { Clock } from "../clock.js";
import type { CertificateOverrides, CertificateSpec, DistinguishedName } from "./certificate.js";
import { applyOverrides, generateKeyPair, signCertificate } from "./certificate.js";
import type { CertificateRole, SubjectContext } from "./profile.js";
import { instanceSpec, LIFETIME_MS, leafSpec, regionalSpec, rootSpec, zonalSpec } from "./profile.js";

/** A root certificate with its private key; what several processes share to be under one root. */
export interface SimulatedRoot {
  readonly certificateDer: Uint8Array<ArrayBuffer>;
  readonly subject: DistinguishedName;
  readonly keyIdentifier: Uint8Array;
  readonly privateKey: CryptoKey;
}

export type PkiOverrides = Readonly<Partial<Record<CertificateRole, CertificateOverrides>>>;

export interface NitroPkiOptions {
  readonly clock: Clock;
  /** AWS Region in the subjects; us-east-1 if left out. */
  readonly region?: string;
  /** The root to issue under; a fresh one if left out. Overrides of the root apply to a fresh one only. */
  readonly root?: SimulatedRoot;
  readonly overrides?: PkiOverrides;
  /** Changes the bundle [root, regional, zonal, instance] of the documents: order, omissions, additions. */
  readonly editCaBundle?: (rootToInstance: readonly Uint8Array[]) => readonly Uint8Array[];
}

/** An end-entity certificate with its key, and the bundle that leads to it. */
export interface Leaf {
  readonly certificateDer: Uint8Array<ArrayBuffer>;
  /** [root, regional, zonal, instance], as in a document. */
  readonly caBundle: readonly Uint8Array[];
  readonly privateKey: CryptoKey;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** The instance CA of one parent instance. */
export interface InstanceAuthority {
  readonly instanceId: string;
  /** A leaf for the enclave `moduleId` (`i-<17 hex>-enc<16 hex>`), issued now. */
  issueLeaf(moduleId: string): Promise<Leaf>;
}

export interface NitroPki {
  readonly region: string;
  /** The clock that dates certificates, and the documents signed with them. */
  readonly clock: Clock;
  readonly root: SimulatedRoot;
  /** What a verifier must be given to accept documents of this PKI. */
  readonly trustAnchor: TrustAnchor;
  issueInstance(instanceId: string): InstanceAuthority;
}

/** A CA certificate that can issue. `outlives` is the profile's notAfter, whatever an override made of it. */
interface Authority {
  readonly certificateDer: Uint8Array<ArrayBuffer>;
  readonly subject: DistinguishedName;
  readonly keyIdentifier: Uint8Array;
  readonly privateKey: CryptoKey;
  readonly issuer: Authority | undefined;
  readonly outlives: Date;
}

type SpecOf = (context: SubjectContext) => CertificateSpec;

/** A new self-signed root that says in its subject that it is simulated. */
export async function createSimulatedRoot(overrides: CertificateOverrides = {}): Promise<SimulatedRoot> {
  const keys = await generateKeyPair(overrides.curve);
  const keyIdentifier = await keyIdentifierOf(keys.publicKey);
  const spec = applyOverrides(rootSpec(keyIdentifier), overrides);
  // A root whose subject is changed stays self-issued, unless its issuer is what the test changes.
  const selfIssued = { ...spec, issuer: overrides.issuer ?? spec.subject };
  const certificateDer = await signCertificate(selfIssued, keys.publicKey, keys.privateKey, overrides);
  return { certificateDer, subject: spec.subject, keyIdentifier, privateKey: keys.privateKey };
}

/** A Nitro PKI under `options.root` or a fresh simulated root. */
export async function createNitroPki(options: NitroPkiOptions): Promise<NitroPki> {
  const { clock, region = "us-east-1", overrides = {}, editCaBundle = (bundle) => bundle } = options;
  const root = options.root ?? (await createSimulatedRoot(overrides.root));
  const anchor: Authority = { ...root, issuer: undefined, outlives: new Date(8.64e15) };
  const issuing = { clock, region, overrides };
  const regional = renewed(issuing, "regional", LIFETIME_MS.zonal, async () => anchor, regionalSpec);
  const zonal = renewed(issuing, "zonal", LIFETIME_MS.instance, regional, zonalSpec);
  return {
    region,
    clock,
    root,
    trustAnchor: trustAnchorFromSha256(
      "simulated Nitro root",
      toHex(createHash("sha256").update(root.certificateDer).digest()),
    ),
    issueInstance(instanceId) {
      if (!/^i-[0-9a-f]{17}$/.test(instanceId)) throw new TypeError("an instance id has the form i-<17 hex>");
      const instance = renewed(issuing, "instance", LIFETIME_MS.leaf, zonal, (context) =>
        instanceSpec(context, instanceId),
      );
      return {
        instanceId,
        issueLeaf: async (moduleId) => issueLeaf(issuing, await instance(), moduleId, editCaBundle),
      };
    },
  };
}

interface Issuing {
  readonly clock: Clock;
  readonly region: string;
  readonly overrides: PkiOverrides;
}

/**
 * The current CA certificate of a role: issued when first needed, and again when it would end before what it is to issue
 * (`issuesForMs`) or when its own issuer has changed.
 */
function renewed(
  issuing: Issuing,
  role: "regional" | "zonal" | "instance",
  issuesForMs: number,
  currentIssuer: () => Promise<Authority>,
  specOf: SpecOf,
): () => Promise<Authority> {
  let current: Promise<Authority> | undefined;
  return () => {
    const previous = current;
    current = (async () => {
      const issuer = await currentIssuer();
      const authority = await previous;
      const needed = issuing.clock().getTime() + issuesForMs;
      if (authority?.issuer === issuer && authority.outlives.getTime() >= needed) return authority;
      return issueAuthority(issuing, role, issuer, specOf);
    })();
    return current;
  };
}

async function issueAuthority(
  { clock, region, overrides }: Issuing,
  role: "regional" | "zonal" | "instance",
  issuer: Authority,
  specOf: SpecOf,
): Promise<Authority> {
  const override = overrides[role] ?? {};
  const keys = await generateKeyPair(override.curve);
  const keyIdentifier = await keyIdentifierOf(keys.publicKey);
  const standard = specOf({ region, issuedAt: clock(), keyIdentifier, ...issuerFields(issuer) });
  const spec = applyOverrides(standard, override);
  return {
    certificateDer: await signCertificate(spec, keys.publicKey, issuer.privateKey, override),
    subject: spec.subject,
    keyIdentifier,
    privateKey: keys.privateKey,
    issuer,
    outlives: standard.notAfter,
  };
}

async function issueLeaf(
  { clock, region, overrides }: Issuing,
  issuer: Authority,
  moduleId: string,
  editCaBundle: NonNullable<NitroPkiOptions["editCaBundle"]>,
): Promise<Leaf> {
  const override = overrides.leaf ?? {};
  const keys = await generateKeyPair(override.curve);
  const keyIdentifier = await keyIdentifierOf(keys.publicKey);
  const context = { region, issuedAt: clock(), keyIdentifier, ...issuerFields(issuer) };
  const spec = applyOverrides(leafSpec(context, moduleId), override);
  return {
    certificateDer: await signCertificate(spec, keys.publicKey, issuer.privateKey, override),
    caBundle: editCaBundle(rootTo(issuer)),
    privateKey: keys.privateKey,
    notBefore: spec.notBefore,
    notAfter: spec.notAfter,
  };
}

const issuerFields = (issuer: Authority): Pick<SubjectContext, "issuer" | "issuerKeyIdentifier"> => ({
  issuer: issuer.subject,
  issuerKeyIdentifier: issuer.keyIdentifier,
});

const rootTo = (authority: Authority): readonly Uint8Array[] => [
  ...(authority.issuer === undefined ? [] : rootTo(authority.issuer)),
  authority.certificateDer,
];

/** RFC 5280 §4.2.1.2 (1): SHA-1 of the public key's BIT STRING content. A name for the key, not a security property. */
async function keyIdentifierOf(publicKey: CryptoKey): Promise<Uint8Array> {
  const point = new Uint8Array(await crypto.subtle.exportKey("raw", publicKey));
  return new Uint8Array(createHash("sha1").update(point).digest());
}

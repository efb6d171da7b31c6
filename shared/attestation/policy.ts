/**
 * Appraisal policy (RFC 9334 §8.5): what a relying party demands of a genuine attestation document.
 *
 * Every dimension is stated. Not to check one is a choice that has to be written down with its reason; leaving one out is
 * a TypeError at run time as well as an error of the compiler, and so is a dimension that does not exist: a misspelt
 * check would otherwise be a check that never happens.
 */
import { copyBytes, fromHex, isAllZero } from "../bytes.js";
import { PCR_BYTES, PCR_COUNT } from "./pcr.js";

/** Reference values by PCR index, hexadecimal of 48 bytes. Not empty. */
export type ReferencePcrs = Readonly<Record<number, string>>;

/** A dimension that is not appraised, and why. The reason is for the reader of the policy. */
export interface Unused {
  readonly kind: "unused";
  readonly because: string;
}

export interface EqualsBytes {
  readonly kind: "equals";
  readonly value: Uint8Array;
}

export interface Absent {
  readonly kind: "absent";
}

export interface AppraisalPolicy {
  /** Alternatives, of which one must match in all its registers: two releases during a roll-out, say. Not empty. */
  readonly pcrs: readonly [ReferencePcrs, ...ReferencePcrs[]];
  /** The nonce that the relying party sent. Without one, anybody who ever saw a document can show it again (pitfall 9). */
  readonly nonce: EqualsBytes | Unused;
  /** How old the document may be at the time of verification, and how far the two clocks may differ. */
  readonly freshness: { readonly kind: "within"; readonly seconds: number; readonly skewSeconds: number } | Unused;
  /** An enclave in debug mode has zeros for PCR0, 1 and 2, and shows its console to its operator. */
  readonly debug: "reject" | "dangerouslyAllow";
  readonly userData: EqualsBytes | Absent | Unused;
  /** `rsa-2048`: a SubjectPublicKeyInfo that AWS KMS encrypts to. */
  readonly publicKey: { readonly kind: "rsa-2048" } | EqualsBytes | Absent | Unused;
}

/** A policy that was checked, with its reference values as bytes. A copy: later changes to the policy do not reach it. */
export interface CheckedPolicy extends Omit<AppraisalPolicy, "pcrs"> {
  readonly alternatives: readonly ReadonlyMap<number, Uint8Array>[];
}

const DIMENSIONS = ["pcrs", "nonce", "freshness", "debug", "userData", "publicKey"] as const;

/**
 * Checks that a policy is complete and can mean only one thing.
 * @throws TypeError otherwise: a wrong policy is a mistake of the program, whatever the document says.
 */
export function checkPolicy(policy: AppraisalPolicy): CheckedPolicy {
  const { pcrs, nonce, freshness, debug, userData, publicKey } = exactFields(policy, "policy", DIMENSIONS);
  if (debug !== "reject" && debug !== "dangerouslyAllow")
    throw new TypeError('debug is "reject" or "dangerouslyAllow"');
  return {
    alternatives: checkAlternatives(pcrs, debug),
    nonce: checkNonce(nonce),
    freshness: checkFreshness(freshness),
    debug,
    userData: checkUserData(userData),
    publicKey: checkPublicKey(publicKey),
  };
}

function checkAlternatives(pcrs: unknown, debug: AppraisalPolicy["debug"]): ReadonlyMap<number, Uint8Array>[] {
  if (!Array.isArray(pcrs) || pcrs.length === 0) throw new TypeError("pcrs is a non-empty array of reference values");
  return Array.from(pcrs, (reference: unknown) => checkReference(reference, debug));
}

function checkReference(reference: unknown, debug: AppraisalPolicy["debug"]): ReadonlyMap<number, Uint8Array> {
  if (typeof reference !== "object" || reference === null) throw new TypeError("reference values are an object");
  const entries = Reflect.ownKeys(reference).map((key) => checkPcr(key, Reflect.get(reference, key)));
  if (entries.length === 0) throw new TypeError("reference values name at least one PCR");
  const values = new Map(entries);
  const pcr0 = values.get(0);
  // pitfall 6: this reference would ask for any debug enclave, whatever its image
  if (pcr0 && isAllZero(pcr0) && debug === "reject") throw new TypeError("PCR0 of zeros is an enclave in debug mode");
  return values;
}

function checkPcr(key: string | symbol, hex: unknown): [number, Uint8Array] {
  const index = typeof key === "string" && /^(?:0|[1-9][0-9]?)$/.test(key) ? Number(key) : PCR_COUNT;
  if (index >= PCR_COUNT) throw new TypeError(`reference values are keyed by PCR index, 0 to ${PCR_COUNT - 1}`);
  const value = typeof hex === "string" ? fromHex(hex) : undefined;
  if (value?.length !== PCR_BYTES)
    throw new TypeError(`reference value of PCR${index} is hexadecimal of ${PCR_BYTES} bytes`);
  return [index, value];
}

function checkNonce(rule: unknown): AppraisalPolicy["nonce"] {
  const kind = kindOf(rule, "nonce");
  if (kind === "unused") return checkUnused(rule, "nonce");
  if (kind !== "equals") throw wrongKind("nonce", "equals, unused");
  const equals = checkEquals(rule, "nonce");
  if (equals.value.length === 0) throw new TypeError("nonce.value is not empty: everybody knows the empty nonce");
  return equals;
}

function checkFreshness(rule: unknown): AppraisalPolicy["freshness"] {
  const kind = kindOf(rule, "freshness");
  if (kind === "unused") return checkUnused(rule, "freshness");
  if (kind !== "within") throw wrongKind("freshness", "within, unused");
  const { seconds, skewSeconds } = exactFields(rule, "freshness", ["kind", "seconds", "skewSeconds"]);
  return { kind, seconds: checkSeconds(seconds, "seconds"), skewSeconds: checkSeconds(skewSeconds, "skewSeconds") };
}

function checkSeconds(value: unknown, name: string): number {
  if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
  throw new TypeError(`freshness.${name} is a finite number, not negative`);
}

function checkUserData(rule: unknown): AppraisalPolicy["userData"] {
  const kind = kindOf(rule, "userData");
  if (kind === "equals") return checkEquals(rule, "userData");
  if (kind === "absent") return checkBare(rule, "userData", kind);
  if (kind === "unused") return checkUnused(rule, "userData");
  throw wrongKind("userData", "equals, absent, unused");
}

function checkPublicKey(rule: unknown): AppraisalPolicy["publicKey"] {
  const kind = kindOf(rule, "publicKey");
  if (kind === "equals") return checkEquals(rule, "publicKey");
  if (kind === "rsa-2048" || kind === "absent") return checkBare(rule, "publicKey", kind);
  if (kind === "unused") return checkUnused(rule, "publicKey");
  throw wrongKind("publicKey", "rsa-2048, equals, absent, unused");
}

function checkEquals(rule: unknown, name: string): EqualsBytes {
  const { value } = exactFields(rule, name, ["kind", "value"]);
  if (!(value instanceof Uint8Array)) throw new TypeError(`${name}.value is a Uint8Array`);
  return { kind: "equals", value: copyBytes(value) };
}

function checkUnused(rule: unknown, name: string): Unused {
  const { because } = exactFields(rule, name, ["kind", "because"]);
  if (typeof because !== "string" || because.trim() === "")
    throw new TypeError(`${name}.because says why it is unused`);
  return { kind: "unused", because };
}

function checkBare<Kind extends string>(rule: unknown, name: string, kind: Kind): { readonly kind: Kind } {
  exactFields(rule, name, ["kind"]);
  return { kind };
}

const kindOf = (rule: unknown, name: string): unknown => {
  if (typeof rule !== "object" || rule === null) throw new TypeError(`${name} is an object with a kind`);
  return Reflect.get(rule, "kind");
};

const wrongKind = (name: string, kinds: string): TypeError => new TypeError(`${name}.kind is one of: ${kinds}`);

/** The fields of an object that has exactly these, its own: nothing inherited, nothing left out, nothing besides. */
function exactFields<Name extends string>(
  value: unknown,
  what: string,
  names: readonly Name[],
): Partial<Record<Name, unknown>> {
  if (typeof value !== "object" || value === null) throw new TypeError(`${what} is an object`);
  const fields: Partial<Record<Name, unknown>> = {};
  for (const name of names) {
    if (!Object.hasOwn(value, name)) throw new TypeError(`${what} does not state ${name}`);
    fields[name] = Reflect.get(value, name);
  }
  if (Reflect.ownKeys(value).length !== names.length) throw new TypeError(`${what} has more than ${names.join(", ")}`);
  return fields;
}

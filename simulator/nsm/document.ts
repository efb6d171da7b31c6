/**
 * Signs attestation documents as the NSM does: untagged COSE_Sign1 (RFC 9052 §4.2) with ES384 over a CBOR map of nine
 * entries in a fixed order, all always there, null where the caller gave nothing.
 *
 * By default a document has today's form, whose payload is a map of indefinite length; `form: "definite"` gives the form
 * that the NSM wrote until mid-2025. Every override changes one thing and is made before the signature (but `editDocument`),
 * so that a wrong document is refused for what is wrong with it.
 */
import { pcr4OfInstance, zeroPcr } from "../../shared/attestation/pcr.js";
import { concatBytes, copyBytes } from "../../shared/bytes.js";
import type { CborValue } from "../../shared/cbor.js";
import { encodeCbor } from "../../shared/cbor.js";
import { encodeProtectedHeader, encodeSigStructure } from "../../shared/cose.js";
import type { Leaf, NitroPki } from "../pki/nitro-pki.js";
import { createModuleId } from "./module-id.js";

/** What a document says. */
export interface DocumentFields {
  readonly moduleId: string;
  readonly timestampMs: number;
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  readonly userData: Uint8Array | null;
  readonly nonce: Uint8Array | null;
  readonly publicKey: Uint8Array | null;
}

/** A payload entry: its name on the wire and its value. */
export type PayloadEntry = readonly [name: string, value: CborValue];

/** What may differ from a genuine document. What is left out stays genuine. */
export interface DocumentOverrides {
  /** Values by name on the wire (`module_id`, `pcrs`, …); undefined leaves the entry out, a new name is put last. */
  readonly payload?: Readonly<Record<string, CborValue | undefined>>;
  /** Order, repetitions, anything about the entries. */
  readonly editEntries?: (entries: readonly PayloadEntry[]) => readonly PayloadEntry[];
  readonly form?: "indefinite" | "definite";
  /** The encoded payload. */
  readonly editPayload?: (payload: Uint8Array) => Uint8Array;
  /** The content of the protected header; {1: -35} (ES384) on a genuine document. */
  readonly protectedHeader?: Uint8Array;
  /** The encoded unprotected header; an empty map on a genuine document. */
  readonly unprotectedHeader?: Uint8Array;
  /** A CBOR tag before the array: 18 says COSE_Sign1. Genuine documents have none. */
  readonly tag?: number;
  /** Who signs in the leaf's place. */
  readonly signingKey?: CryptoKey;
  /** The signature, r || s. */
  readonly editSignature?: (rawSignature: Uint8Array) => Uint8Array;
  /** The whole document; nothing is signed afterwards. */
  readonly editDocument?: (document: Uint8Array) => Uint8Array;
}

const EMPTY_MAP = Uint8Array.of(0xa0);
const ARRAY_OF_FOUR = Uint8Array.of(0x84);
const MAP_START = Uint8Array.of(0xbf);
const BREAK = Uint8Array.of(0xff);

/** A document that says `fields`, signed by `leaf`. */
export async function signDocument(
  fields: DocumentFields,
  leaf: Leaf,
  overrides: DocumentOverrides = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const payload = encodePayload(overriddenEntries(payloadEntries(fields, leaf), overrides), overrides);
  const protectedHeader = overrides.protectedHeader ?? encodeProtectedHeader();
  const rawSignature = await signEs384(
    encodeSigStructure(protectedHeader, payload),
    overrides.signingKey ?? leaf.privateKey,
  );
  const document = concatBytes(
    overrides.tag === undefined ? new Uint8Array() : encodeTag(overrides.tag),
    ARRAY_OF_FOUR,
    encodeCbor(copyBytes(protectedHeader)),
    overrides.unprotectedHeader ?? EMPTY_MAP,
    encodeCbor(copyBytes(payload)),
    encodeCbor(copyBytes(overrides.editSignature?.(rawSignature) ?? rawSignature)),
  );
  return copyBytes(overrides.editDocument?.(document) ?? document);
}

function payloadEntries(fields: DocumentFields, leaf: Leaf): readonly PayloadEntry[] {
  return [
    ["module_id", fields.moduleId],
    ["digest", "SHA384"],
    ["timestamp", fields.timestampMs],
    ["pcrs", new Map([...fields.pcrs].map(([index, value]) => [index, copyBytes(value)]))],
    ["certificate", leaf.certificateDer],
    ["cabundle", leaf.caBundle.map(copyBytes)],
    ["public_key", fields.publicKey && copyBytes(fields.publicKey)],
    ["user_data", fields.userData && copyBytes(fields.userData)],
    ["nonce", fields.nonce && copyBytes(fields.nonce)],
  ];
}

function overriddenEntries(
  entries: readonly PayloadEntry[],
  { payload = {}, editEntries }: DocumentOverrides,
): readonly PayloadEntry[] {
  const known = new Set(entries.map(([name]) => name));
  const candidates = [
    ...entries.map(([name, value]) => [name, name in payload ? payload[name] : value] as const),
    ...Object.entries(payload).filter(([name]) => !known.has(name)),
  ];
  const present = candidates.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  return editEntries?.(present) ?? present;
}

/** Entry by entry, because a Map would swallow a name that a test repeats. */
function encodePayload(
  entries: readonly PayloadEntry[],
  { form = "indefinite", editPayload }: DocumentOverrides,
): Uint8Array {
  const body = entries.flatMap(([name, value]) => [encodeCbor(name), encodeCbor(value)]);
  const payload =
    form === "indefinite"
      ? concatBytes(MAP_START, ...body, BREAK)
      : concatBytes(Uint8Array.of(0xa0 | entries.length), ...body); // up to 23 entries
  return editPayload?.(payload) ?? payload;
}

/** Major type 6 (RFC 8949 §3.4), for tags up to 255. */
const encodeTag = (tag: number): Uint8Array => (tag < 24 ? Uint8Array.of(0xc0 | tag) : Uint8Array.of(0xd8, tag));

async function signEs384(message: Uint8Array, key: CryptoKey): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-384" }, key, copyBytes(message)));
}

/** What `createDocumentMaker` is given. */
export interface DocumentMakerOptions {
  readonly pki: NitroPki;
  readonly instanceId?: string;
  /** PCR values; `examplePcrs(instanceId)` if left out. */
  readonly pcrs?: ReadonlyMap<number, Uint8Array>;
}

/** PCR 0 to 15 of an enclave that is not in debug mode: 0, 1 and 2 of bytes a0, a1 and a2, the right PCR4, zeros elsewhere. */
export async function examplePcrs(instanceId: string): Promise<Map<number, Uint8Array>> {
  const pcrs = new Map(Array.from({ length: 16 }, (_, index) => [index, zeroPcr()]));
  for (const index of [0, 1, 2]) pcrs.get(index)?.fill(0xa0 + index);
  return pcrs.set(4, await pcr4OfInstance(instanceId));
}

/** Makes documents of one enclave, each different from a genuine one in what the caller says. */
export interface DocumentMaker {
  readonly moduleId: string;
  readonly leaf: Leaf;
  /** A document as of now; `fields` are what an enclave may say, `overrides` what it may not. */
  make(fields?: Partial<DocumentFields>, overrides?: DocumentOverrides): Promise<Uint8Array<ArrayBuffer>>;
}

/** A document maker for an enclave that has just started; its leaf is issued once, now. */
export async function createDocumentMaker(options: DocumentMakerOptions): Promise<DocumentMaker> {
  const { pki, instanceId = "i-0123456789abcdef0" } = options;
  const moduleId = createModuleId(instanceId, pki.clock());
  const leaf = await pki.issueInstance(instanceId).issueLeaf(moduleId);
  const pcrs = options.pcrs ?? (await examplePcrs(instanceId));
  return {
    moduleId,
    leaf,
    make: (fields = {}, overrides = {}) =>
      signDocument(
        { moduleId, timestampMs: pki.clock().getTime(), pcrs, userData: null, nonce: null, publicKey: null, ...fields },
        leaf,
        overrides,
      ),
  };
}

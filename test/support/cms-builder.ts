/**
 * Writes `CiphertextForRecipient` for tests, right or wrong: the envelope is a tree of named elements, any of which a
 * test may replace, in any framing that BER has. Shares no code with the reader, nor with the simulated KMS's writer.
 */
import type { KeyObject } from "node:crypto";
import { constants, createCipheriv, createHash, publicEncrypt, randomBytes } from "node:crypto";

/** One BER element: contents as they are, or as elements. */
export interface Element {
  readonly tag: number;
  readonly contents: Uint8Array | readonly Element[];
  readonly framing?: "definite" | "indefinite" | undefined;
  /** Length octets to write in place of the right ones. */
  readonly lengthOctets?: readonly number[];
}

export type ElementName =
  | "contentInfo"
  | "contentType"
  | "content"
  | "envelopedData"
  | "version"
  | "recipientInfos"
  | "recipientInfo"
  | "recipientVersion"
  | "rid"
  | "keyEncryptionAlgorithm"
  | "keyEncryptionOid"
  | "oaepParameters"
  | "oaepHash"
  | "oaepHashOid"
  | "oaepHashNull"
  | "oaepMgf"
  | "oaepMgfOid"
  | "oaepMgfHashOid"
  | "oaepMgfHashNull"
  | "encryptedKey"
  | "encryptedContentInfo"
  | "encryptedContentType"
  | "contentEncryptionAlgorithm"
  | "contentEncryptionOid"
  | "iv"
  | "encryptedContent";

/** What takes an element's place: nothing, one element or several. */
export type Edits = Partial<Record<ElementName, (element: Element) => readonly Element[]>>;

export interface EnvelopeFields {
  readonly subjectKeyIdentifier: Uint8Array;
  readonly encryptedKey: Uint8Array;
  readonly iv: Uint8Array;
  readonly ciphertext: Uint8Array;
}

export interface EnvelopeForm {
  /** `kms`: indefinite where AWS KMS is, which is around the recipient infos and the algorithms. */
  readonly framing?: "kms" | "definite" | "indefinite";
  readonly chunkBytes?: number | "primitive";
  readonly edits?: Edits;
}

export interface Sealing {
  readonly plaintext?: Uint8Array;
  /** Plaintext with its padding, in place of PKCS#7's. */
  readonly padded?: Uint8Array;
  readonly contentEncryptionKey?: Uint8Array;
  /** What is wrapped for the recipient, where that is not the key in use. */
  readonly wrappedKey?: Uint8Array;
  readonly oaepHash?: string;
  readonly oaepLabel?: Uint8Array;
}

export const element = (tag: number, contents: Element["contents"]): Element => ({ tag, contents });

export const OBJECT_IDENTIFIERS = {
  envelopedData: "2a864886f70d010703",
  signedData: "2a864886f70d010702",
  data: "2a864886f70d010701",
  rsaesOaep: "2a864886f70d010107",
  rsaEncryption: "2a864886f70d010101",
  mgf1: "2a864886f70d010108",
  sha1: "2b0e03021a",
  sha256: "608648016503040201",
  sha384: "608648016503040202",
  aes256Cbc: "60864801650304012a",
  aes128Cbc: "608648016503040102",
} as const;

export const oid = (name: keyof typeof OBJECT_IDENTIFIERS): Element =>
  element(0x06, Buffer.from(OBJECT_IDENTIFIERS[name], "hex"));

/** Real encryption to `publicKey`, any step of which can be done wrongly. */
export function seal(publicKey: KeyObject, sealing: Sealing = {}): EnvelopeFields {
  const plaintext = sealing.plaintext ?? Buffer.from("the plaintext of the baseline");
  const contentEncryptionKey = sealing.contentEncryptionKey ?? randomBytes(32);
  const iv = randomBytes(16);
  const cipher = createCipheriv("aes-256-cbc", contentEncryptionKey, iv).setAutoPadding(sealing.padded === undefined);
  const ciphertext = Buffer.concat([cipher.update(sealing.padded ?? plaintext), cipher.final()]);
  const encryptedKey = publicEncrypt(
    {
      key: publicKey,
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: sealing.oaepHash ?? "sha256",
      ...(sealing.oaepLabel && { oaepLabel: sealing.oaepLabel }),
    },
    sealing.wrappedKey ?? contentEncryptionKey,
  );
  const spki = publicKey.export({ type: "spki", format: "der" });
  return { subjectKeyIdentifier: createHash("sha256").update(spki).digest(), encryptedKey, iv, ciphertext };
}

/** The bytes of an envelope. */
export function encodeEnvelope(fields: EnvelopeFields, form: EnvelopeForm = {}): Uint8Array<ArrayBuffer> {
  const { framing = "kms", edits = {} } = form;
  const outer = framing === "kms" ? "indefinite" : framing;
  const inner = framing === "kms" ? "definite" : framing;
  /** Applies the edit for `name`; `nested` elements are lists because an edit may remove or repeat them. */
  const named = (
    name: ElementName,
    tag: number,
    contents: Uint8Array | readonly (readonly Element[])[],
    how: "definite" | "indefinite" = inner,
  ): readonly Element[] => {
    const plain = contents instanceof Uint8Array;
    const whole: Element = { tag, contents: plain ? contents : contents.flat(), framing: plain ? undefined : how };
    return edits[name]?.(whole) ?? [whole];
  };
  const oidNamed = (name: ElementName, which: keyof typeof OBJECT_IDENTIFIERS) =>
    named(name, 0x06, Buffer.from(OBJECT_IDENTIFIERS[which], "hex"));

  const mgfHash: Element = {
    tag: 0x30,
    contents: [...oidNamed("oaepMgfHashOid", "sha256"), ...named("oaepMgfHashNull", 0x05, new Uint8Array())],
    framing: inner,
  };
  const hash: Element = {
    tag: 0x30,
    contents: [...oidNamed("oaepHashOid", "sha256"), ...named("oaepHashNull", 0x05, new Uint8Array())],
    framing: inner,
  };
  const mgf: Element = { tag: 0x30, contents: [...oidNamed("oaepMgfOid", "mgf1"), mgfHash], framing: inner };
  const oaepParameters = named("oaepParameters", 0x30, [
    named("oaepHash", 0xa0, [[hash]]),
    named("oaepMgf", 0xa1, [[mgf]]),
  ]);
  const recipientInfo = named("recipientInfo", 0x30, [
    named("recipientVersion", 0x02, Uint8Array.of(2)),
    named("rid", 0x80, fields.subjectKeyIdentifier),
    named("keyEncryptionAlgorithm", 0x30, [oidNamed("keyEncryptionOid", "rsaesOaep"), oaepParameters]),
    named("encryptedKey", 0x04, fields.encryptedKey),
  ]);
  const encryptedContentInfo = named(
    "encryptedContentInfo",
    0x30,
    [
      oidNamed("encryptedContentType", "data"),
      named("contentEncryptionAlgorithm", 0x30, [
        oidNamed("contentEncryptionOid", "aes256Cbc"),
        named("iv", 0x04, fields.iv),
      ]),
      encryptedContent(fields.ciphertext, form.chunkBytes ?? 1000, (tag, contents) =>
        named("encryptedContent", tag, contents, outer),
      ),
    ],
    outer,
  );
  const envelopedData = named(
    "envelopedData",
    0x30,
    [named("version", 0x02, Uint8Array.of(2)), named("recipientInfos", 0x31, [recipientInfo]), encryptedContentInfo],
    outer,
  );
  const contentInfo = named(
    "contentInfo",
    0x30,
    [oidNamed("contentType", "envelopedData"), named("content", 0xa0, [envelopedData], outer)],
    outer,
  );
  return new Uint8Array(Buffer.concat(contentInfo.map(encodeElement)));
}

function encryptedContent(
  ciphertext: Uint8Array,
  chunkBytes: number | "primitive",
  named: (tag: number, contents: Uint8Array | readonly (readonly Element[])[]) => readonly Element[],
): readonly Element[] {
  if (chunkBytes === "primitive") return named(0x80, ciphertext);
  const count = Math.ceil(ciphertext.length / chunkBytes);
  const chunk = (_: unknown, i: number) => [element(0x04, ciphertext.subarray(i * chunkBytes, (i + 1) * chunkBytes))];
  return named(0xa0, Array.from({ length: count }, chunk));
}

export function encodeElement(node: Element): Uint8Array {
  const contents =
    node.contents instanceof Uint8Array ? node.contents : Buffer.concat(node.contents.map((e) => encodeElement(e)));
  if (node.framing === "indefinite") return Buffer.concat([Uint8Array.of(node.tag, 0x80), contents, Buffer.alloc(2)]);
  return Buffer.concat([Uint8Array.of(node.tag, ...(node.lengthOctets ?? lengthOctets(contents.length))), contents]);
}

function lengthOctets(length: number): readonly number[] {
  if (length < 0x80) return [length];
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
}

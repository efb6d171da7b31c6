import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concatBytes, fromHex } from "../../shared/bytes.js";
import { MAX_CIPHERTEXT_FOR_RECIPIENT_BYTES, parseCiphertextForRecipient } from "../../shared/cms.js";
import { ServiceError } from "../../shared/errors.js";
import type { Edits, Element, ElementName, EnvelopeForm } from "../support/cms-builder.js";
import { element, encodeElement, encodeEnvelope, oid, seal } from "../support/cms-builder.js";
import { needsOpenssl, openssl } from "../support/openssl.js";

const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const plaintextOf = (length: number) => new Uint8Array(length).fill(0x61);
const baseline = seal(publicKey);
const long = seal(publicKey, { plaintext: plaintextOf(4096) });

const framings = ["kms", "definite", "indefinite"] as const;
const forms: readonly EnvelopeForm[] = framings.flatMap((framing) =>
  ([1000, 16, 7, "primitive"] as const).map((chunkBytes) => ({ framing, chunkBytes })),
);

describe("what is read", () => {
  test.each(forms)("reads every field of an envelope in $framing framing with $chunkBytes chunks", (form) => {
    expect(parseCiphertextForRecipient(encodeEnvelope(baseline, form))).toEqual({
      subjectKeyIdentifier: new Uint8Array(baseline.subjectKeyIdentifier),
      encryptedKey: new Uint8Array(baseline.encryptedKey),
      iv: new Uint8Array(baseline.iv),
      ciphertext: new Uint8Array(baseline.ciphertext),
    });
  });

  test("has the sizes of genuine envelopes: 461, 477, 493, 525 and 4573 bytes", () => {
    const sizeFor = (bytes: number) => encodeEnvelope(seal(publicKey, { plaintext: plaintextOf(bytes) })).length;
    expect([12, 24, 32, 70, 4096].map(sizeFor)).toEqual([461, 477, 493, 525, 4573]);
  });

  test("joins chunks of 1000 bytes in their order", () => {
    expect(parseCiphertextForRecipient(encodeEnvelope(long)).ciphertext).toEqual(new Uint8Array(long.ciphertext));
  });

  test("takes hash parameters that are absent for those that are NULL (RFC 4055 §2.1)", () => {
    const edits: Edits = { oaepHashNull: () => [], oaepMgfHashNull: () => [] };
    expect(parseCiphertextForRecipient(encodeEnvelope(baseline, { edits })).iv).toEqual(new Uint8Array(baseline.iv));
  });

  test("takes the framings mixed: every constructed element alone in the other form", () => {
    const constructed: ElementName[] = [
      ...(["contentInfo", "content", "envelopedData", "recipientInfos", "recipientInfo"] as const),
      ...(["keyEncryptionAlgorithm", "oaepParameters", "oaepHash", "oaepMgf"] as const),
      ...(["encryptedContentInfo", "contentEncryptionAlgorithm", "encryptedContent"] as const),
    ];
    for (const name of constructed) {
      const flip = (e: Element): Element[] => [
        { ...e, framing: e.framing === "indefinite" ? "definite" : "indefinite" },
      ];
      const envelope = encodeEnvelope(baseline, { edits: { [name]: flip } });
      expect(parseCiphertextForRecipient(envelope).ciphertext, name).toEqual(new Uint8Array(baseline.ciphertext));
    }
  });

  test("hands out copies: changing the input afterwards changes nothing", () => {
    for (const form of forms) {
      const input = Buffer.from(encodeEnvelope(baseline, form));
      const envelope = parseCiphertextForRecipient(input);
      input.fill(0);
      expect(envelope.ciphertext).toEqual(new Uint8Array(baseline.ciphertext));
      expect(envelope.encryptedKey).toEqual(new Uint8Array(baseline.encryptedKey));
    }
  });
});

/** Each is one change to an envelope that parses. */
const replaced = (contents: Uint8Array) => (e: Element) => [{ ...e, contents }];
const retagged = (tag: number) => (e: Element) => [{ ...e, tag }];
const bytesOf = (e: Element) => (e.contents instanceof Uint8Array ? e.contents : new Uint8Array());
const shortened = (e: Element) => [{ ...e, contents: bytesOf(e).subarray(1) }];
const lengthened = (e: Element) => [{ ...e, contents: concatBytes(bytesOf(e), Uint8Array.of(0)) }];
const twice = (e: Element) => [e, e];
const removed = () => [];
const childrenOf = (e: Element): readonly Element[] => (e.contents instanceof Uint8Array ? [] : e.contents);
const followedBy = (extra: Element) => (e: Element) => [{ ...e, contents: [...childrenOf(e), extra] }];
const nullElement = element(0x05, new Uint8Array());

const refusals: readonly (readonly [string, Edits])[] = [
  ["signedData in place of envelopedData", { contentType: () => [oid("signedData")] }],
  ["a ContentInfo that is a SET", { contentInfo: retagged(0x31) }],
  ["a ContentInfo without content", { content: removed }],
  ["content under [1]", { content: retagged(0xa1) }],
  ["something behind the content", { contentInfo: followedBy(nullElement) }],
  ["a second ContentInfo", { contentInfo: twice }],
  ["EnvelopedData of version 0", { version: replaced(Uint8Array.of(0)) }],
  ["EnvelopedData of version 3", { version: replaced(Uint8Array.of(3)) }],
  ["a version 2 with a leading zero", { version: replaced(Uint8Array.of(0, 2)) }],
  ["a missing version", { version: removed }],
  ["originator info", { version: (e) => [e, { tag: 0xa0, contents: [] }] }],
  ["unprotected attributes", { envelopedData: followedBy({ tag: 0xa1, contents: [] }) }],
  ["no recipient", { recipientInfo: removed }],
  ["pitfall 18: two recipients", { recipientInfo: twice }],
  ["a recipient of another kind ([1], key agreement)", { recipientInfo: retagged(0xa1) }],
  ["recipient infos as a SEQUENCE", { recipientInfos: retagged(0x30) }],
  ["KeyTransRecipientInfo of version 0", { recipientVersion: replaced(Uint8Array.of(0)) }],
  ["a recipient named by issuer and serial number", { rid: () => [element(0x30, [])] }],
  ["a key identifier of 31 bytes", { rid: shortened }],
  ["a key identifier of 33 bytes", { rid: lengthened }],
  ["a constructed key identifier", { rid: (e) => [{ tag: 0xa0, contents: [element(0x04, bytesOf(e))] }] }],
  ["RSAES-PKCS1-v1_5", { keyEncryptionOid: () => [oid("rsaEncryption")] }],
  ["OAEP without parameters", { oaepParameters: removed }],
  ["OAEP with SHA-1, as an empty parameter SEQUENCE", { oaepParameters: (e) => [{ ...e, contents: [] }] }],
  ["OAEP with SHA-1 named", { oaepHashOid: () => [oid("sha1")] }],
  ["OAEP with SHA-384", { oaepHashOid: () => [oid("sha384")] }],
  ["OAEP without its hash, which means SHA-1", { oaepHash: removed }],
  ["OAEP without its mask function, which means MGF1 with SHA-1", { oaepMgf: removed }],
  ["MGF1 with SHA-1", { oaepMgfHashOid: () => [oid("sha1")] }],
  ["another mask function than MGF1", { oaepMgfOid: () => [oid("sha256")] }],
  ["an OAEP label, even an empty one", { oaepParameters: followedBy({ tag: 0xa2, contents: [] }) }],
  ["a hash parameter that is not NULL", { oaepHashNull: retagged(0x04) }],
  ["a NULL with contents", { oaepHashNull: replaced(Uint8Array.of(0)) }],
  ["two NULLs", { oaepMgfHashNull: twice }],
  ["a wrapped key of 255 bytes", { encryptedKey: shortened }],
  ["a wrapped key of 257 bytes", { encryptedKey: lengthened }],
  ["an empty wrapped key", { encryptedKey: replaced(new Uint8Array()) }],
  ["something behind the wrapped key", { encryptedKey: (e) => [e, nullElement] }],
  ["content of another type than data", { encryptedContentType: () => [oid("signedData")] }],
  ["AES-128", { contentEncryptionOid: () => [oid("aes128Cbc")] }],
  ["an IV of 12 bytes", { iv: replaced(new Uint8Array(12)) }],
  ["a missing IV", { iv: removed }],
  ["a second IV", { iv: twice }],
  ["no encrypted content", { encryptedContent: removed }],
  ["encrypted content twice", { encryptedContent: twice }],
  ["encrypted content under [1]", { encryptedContent: retagged(0xa1) }],
  ["encrypted content of no chunks", { encryptedContent: (e) => [{ ...e, contents: [] }] }],
  ["encrypted content that is not whole blocks", { encryptedContent: followedBy(element(0x04, Uint8Array.of(1))) }],
  ["a chunk that is not an OCTET STRING", { encryptedContent: followedBy(element(0x03, new Uint8Array(16))) }],
  [
    "pitfall 18: chunks inside a chunk",
    { encryptedContent: followedBy({ tag: 0x24, contents: [element(0x04, new Uint8Array(16))] }) },
  ],
  [
    "a chunk of indefinite length",
    { encryptedContent: followedBy({ tag: 0x04, contents: new Uint8Array(16), framing: "indefinite" }) },
  ],
  ["pitfall 18: a length that is not minimal", { iv: (e) => [{ ...e, lengthOctets: [0x81, 16] }] }],
  ["a two-octet length that one octet would hold", { rid: (e) => [{ ...e, lengthOctets: [0x82, 0, 32] }] }],
  ["a length of four octets", { iv: (e) => [{ ...e, lengthOctets: [0x84, 0, 0, 0, 16] }] }],
  ["a length of 2^32-1", { encryptedKey: (e) => [{ ...e, lengthOctets: [0x84, 0xff, 0xff, 0xff, 0xff] }] }],
  ["the reserved length octet ff", { iv: (e) => [{ ...e, lengthOctets: [0xff] }] }],
  ["an element that is longer than what holds it", { encryptedKey: (e) => [{ ...e, lengthOctets: [0x82, 1, 1] }] }],
  ["a high tag number", { rid: retagged(0x9f) }],
];

describe("what is refused, each one change away from what is read", () => {
  test("the baseline is read", () => {
    for (const framing of framings) parseCiphertextForRecipient(encodeEnvelope(baseline, { framing }));
  });

  test.each(refusals)("refuses %s", (_, edits) => {
    for (const framing of framings) {
      const changed = encodeEnvelope(baseline, { framing, edits });
      expect(changed).not.toEqual(encodeEnvelope(baseline, { framing }));
      expect(() => parseCiphertextForRecipient(changed), framing).toThrowCode("ERR_CMS_MALFORMED");
    }
  });

  test("pitfall 18: refuses every strict prefix, and anything after the object", () => {
    for (const form of forms) {
      const whole = encodeEnvelope(baseline, form);
      for (let end = 0; end < whole.length; end++) {
        expect(() => parseCiphertextForRecipient(whole.subarray(0, end)), `${end}`).toThrowCode("ERR_CMS_MALFORMED");
      }
      const trailing = concatBytes(whole, Uint8Array.of(0));
      expect(() => parseCiphertextForRecipient(trailing)).toThrowCode("ERR_CMS_MALFORMED");
      expect(() => parseCiphertextForRecipient(concatBytes(whole, Uint8Array.of(0, 0)))).toThrowCode(
        "ERR_CMS_MALFORMED",
      );
      expect(() => parseCiphertextForRecipient(concatBytes(whole, whole))).toThrowCode("ERR_CMS_MALFORMED");
    }
  });

  test("pitfall 18: refuses end-of-contents octets that are not 00 00, at each of the four places", () => {
    const whole = encodeEnvelope(baseline);
    expect(whole.subarray(-8)).toEqual(new Uint8Array(8));
    for (let back = 1; back <= 10; back++) {
      const changed = whole.slice();
      changed[changed.length - back] = 1;
      expect(() => parseCiphertextForRecipient(changed), `${back} from the end`).toThrowCode("ERR_CMS_MALFORMED");
    }
  });

  test("bounds the size before it looks at anything", () => {
    const content = (bytes: number) => encodeEnvelope({ ...baseline, ciphertext: new Uint8Array(bytes) });
    const largest = content(5664);
    expect(parseCiphertextForRecipient(largest).ciphertext.length).toBe(5664);
    expect(largest.length).toBeLessThanOrEqual(MAX_CIPHERTEXT_FOR_RECIPIENT_BYTES);
    const tooLarge = content(5680);
    expect(tooLarge.length).toBeGreaterThan(MAX_CIPHERTEXT_FOR_RECIPIENT_BYTES);
    expect(() => parseCiphertextForRecipient(tooLarge)).toThrowCode("ERR_CMS_MALFORMED");
  });

  test("does not follow depth: 3000 nested indefinite elements are refused at once", () => {
    const nested = fromHex(`3080${"a080".repeat(3000)}`) ?? new Uint8Array();
    expect(nested.length).toBe(6002);
    expect(() => parseCiphertextForRecipient(nested)).toThrowCode("ERR_CMS_MALFORMED");
  });
});

describe("properties", () => {
  const onlyServiceErrors = (bytes: Uint8Array) => {
    try {
      parseCiphertextForRecipient(bytes);
    } catch (error) {
      if (!(error instanceof ServiceError && error.code === "ERR_CMS_MALFORMED")) throw error;
    }
  };

  test("pitfall 20: throws nothing but ERR_CMS_MALFORMED on random bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), onlyServiceErrors), { seed: 2, numRuns: 10_000 });
  });

  test("pitfall 20: throws nothing but ERR_CMS_MALFORMED on envelopes with bytes changed", () => {
    const whole = encodeEnvelope(baseline);
    const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
    const mutate = fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
      const mutated = whole.slice();
      for (const [at, value] of changes) mutated[at] = value;
      onlyServiceErrors(mutated);
    });
    fc.assert(mutate, { seed: 2, numRuns: 20_000 });
  });

  test("reads back what was written, in any framing and chunking", () => {
    const anyForm = fc.record({
      framing: fc.constantFrom(...framings),
      chunkBytes: fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.constant("primitive" as const)),
    });
    const roundTrip = fc.property(anyForm, fc.integer({ min: 1, max: 80 }), (form, blocks) => {
      const ciphertext = new Uint8Array(16 * blocks).map((_, i) => i);
      const envelope = encodeEnvelope({ ...baseline, ciphertext }, form);
      expect(parseCiphertextForRecipient(envelope).ciphertext).toEqual(ciphertext);
    });
    fc.assert(roundTrip, { seed: 2, numRuns: 500 });
  });
});

describe("the builder that these tests stand on", () => {
  test("OpenSSL sees the same structure in its envelopes", (context) => {
    needsOpenssl(context);
    for (const form of forms) {
      const listing = openssl(["asn1parse", "-inform", "DER"], encodeEnvelope(baseline, form)).toString();
      const leaves = ["pkcs7-envelopedData", "rsaesOaep", "mgf1", "pkcs7-data", "aes-256-cbc"];
      for (const leaf of leaves) expect(listing).toContain(leaf);
    }
  });

  test("encodes lengths minimally", () => {
    const header = (length: number) => Array.from(encodeElement(element(4, new Uint8Array(length))).subarray(0, 4));
    expect(header(127).slice(0, 2)).toEqual([4, 127]);
    expect(header(128).slice(0, 3)).toEqual([4, 0x81, 128]);
    expect(header(256)).toEqual([4, 0x82, 1, 0]);
  });
});

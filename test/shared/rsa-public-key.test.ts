import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { encodeBitString, encodeSequence, encodeTlv } from "../../shared/der-encode.js";
import { assertRsa2048Spki } from "../../shared/rsa-public-key.js";

const RSA_ENCRYPTION = Uint8Array.of(0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01);
const RSASSA_PSS = Uint8Array.of(0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a);
const NULL = Uint8Array.of(0x05, 0x00);
const EXPONENT = Uint8Array.of(0x02, 0x03, 0x01, 0x00, 0x01);

const integer = (...magnitude: readonly number[]): Uint8Array => encodeTlv(0x02, Uint8Array.from(magnitude));
/** Not a key that anybody could use, but one of the form: first octet c0, last octet odd. */
const MODULUS = integer(0, 0xc0, ...new Array(254).fill(0x11), 0x01);

interface Parts {
  readonly algorithm?: readonly Uint8Array[];
  readonly key?: readonly Uint8Array[];
  readonly wrap?: (key: Uint8Array) => Uint8Array;
}

function spkiOf({ algorithm = [RSA_ENCRYPTION, NULL], key = [MODULUS, EXPONENT], wrap = encodeBitString }: Parts = {}) {
  return encodeSequence(encodeSequence(...algorithm), wrap(encodeSequence(...key)));
}

describe("assertRsa2048Spki", () => {
  it("takes what Node writes for an RSA-2048 key, and the form of the tests below", () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    expect(assertRsa2048Spki(new Uint8Array(publicKey.export({ type: "spki", format: "der" })))).toBeUndefined();
    expect(assertRsa2048Spki(spkiOf())).toBeUndefined();
  });

  it("refuses the PKCS#1 form of the same key", () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const pkcs1 = new Uint8Array(publicKey.export({ type: "pkcs1", format: "der" }));
    expect(() => assertRsa2048Spki(pkcs1)).toThrowCode("ERR_PUBLIC_KEY");
  });

  it("refuses a P-384 key", () => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
    expect(() => assertRsa2048Spki(spki)).toThrowCode("ERR_PUBLIC_KEY");
  });

  it.each<[string, Parts]>([
    ["RSASSA-PSS", { algorithm: [RSASSA_PSS, NULL] }],
    ["no parameters", { algorithm: [RSA_ENCRYPTION] }],
    ["parameters that are not NULL", { algorithm: [RSA_ENCRYPTION, integer(1)] }],
    ["parameters twice", { algorithm: [RSA_ENCRYPTION, NULL, NULL] }],
    ["a modulus of 2047 bits", { key: [integer(0x40, ...new Array(254).fill(0x11), 0x01), EXPONENT] }],
    ["a modulus of 2056 bits", { key: [integer(0x01, 0xc0, ...new Array(254).fill(0x11), 0x01), EXPONENT] }],
    ["a modulus that is even", { key: [integer(0, 0xc0, ...new Array(254).fill(0x11), 0x02), EXPONENT] }],
    ["a modulus that is negative", { key: [integer(0xc0, ...new Array(254).fill(0x11), 0x01), EXPONENT] }],
    ["a modulus with a leading zero", { key: [integer(0, 0, 0xc0, ...new Array(254).fill(0x11), 1), EXPONENT] }],
    ["exponent 1", { key: [MODULUS, integer(1)] }],
    ["exponent 65536", { key: [MODULUS, integer(1, 0, 0)] }],
    ["an exponent of 64 bits", { key: [MODULUS, integer(1, 0, 0, 0, 0, 0, 0, 1)] }],
    ["a third number", { key: [MODULUS, EXPONENT, integer(1)] }],
    ["no exponent", { key: [MODULUS] }],
    ["its key in an OCTET STRING", { wrap: (key) => encodeTlv(0x04, key) }],
    ["unused bits", { wrap: (key) => encodeTlv(0x03, Uint8Array.of(1), key) }],
    ["a byte after the key", { wrap: (key) => encodeTlv(0x03, Uint8Array.of(0), key, Uint8Array.of(0)) }],
  ])("AV-16 refuses a key with %s", (_, parts) => {
    expect(() => assertRsa2048Spki(spkiOf(parts))).toThrowCode("ERR_PUBLIC_KEY");
  });

  it("AV-16 refuses a byte after it, and nothing at all", () => {
    expect(() => assertRsa2048Spki(new Uint8Array([...spkiOf(), 0]))).toThrowCode("ERR_PUBLIC_KEY");
    expect(() => assertRsa2048Spki(new Uint8Array())).toThrowCode("ERR_PUBLIC_KEY");
  });
});

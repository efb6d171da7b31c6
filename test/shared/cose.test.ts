import { beforeAll, describe, expect, it } from "vitest";
import { concatBytes, fromHex, toHex, utf8 } from "../../shared/bytes.js";
import type { CborValue } from "../../shared/cbor.js";
import { encodeCbor } from "../../shared/cbor.js";
import { decodeCoseSign1, encodeProtectedHeader, encodeSigStructure, verifyCoseSign1 } from "../../shared/cose.js";

const ES384 = { name: "ECDSA", hash: "SHA-384" } as const;
/** Order of P-384 (SEC 2 §2.5.1). */
const P384_ORDER = BigInt(
  "0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
);

const payload = utf8("a payload");
let keys: CryptoKeyPair;
let parts: CborValue[];

/** The message with one of its four parts replaced. */
const message = (changes: Readonly<Record<number, CborValue>> = {}): Uint8Array =>
  encodeCbor(parts.map((part, index) => changes[index] ?? (index in changes ? null : part)));

beforeAll(async () => {
  keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-384" }, false, ["sign", "verify"]);
  const signed = encodeSigStructure(encodeProtectedHeader(), payload);
  const rawSignature = new Uint8Array(await crypto.subtle.sign(ES384, keys.privateKey, signed));
  parts = [encodeProtectedHeader(), new Map(), payload, rawSignature];
});

describe("encodeSigStructure", () => {
  it("is the array of RFC 9052 §4.4 with empty external data", () => {
    expect(toHex(encodeSigStructure(encodeProtectedHeader(), Uint8Array.of(1, 2)))).toBe(
      `84 6a ${toHex(utf8("Signature1"))} 44a1013822 40 420102`.replace(/\s/g, ""),
    );
  });
});

describe("decodeCoseSign1", () => {
  it("takes a message apart and its signature verifies", async () => {
    const cose = decodeCoseSign1(message());
    expect(cose).toEqual({ protectedHeader: parts[0], payload: parts[2], rawSignature: parts[3] });
    await expect(verifyCoseSign1(cose, keys.publicKey)).resolves.toBeUndefined();
  });

  it("takes the same message under tag 18", () => {
    expect(decodeCoseSign1(concatBytes(Uint8Array.of(0xd2), message()))).toEqual(decodeCoseSign1(message()));
  });

  it.each([
    ["AV-01 refuses another tag, here COSE_Mac0's", () => concatBytes(Uint8Array.of(0xd1), message())],
    ["AV-01 refuses tag 18 twice", () => concatBytes(Uint8Array.of(0xd2, 0xd2), message())],
    ["AV-01 refuses the CBOR Web Token tag around it", () => concatBytes(Uint8Array.of(0xd8, 61), message())],
    ["AV-01 refuses a byte after the message", () => concatBytes(message(), Uint8Array.of(0))],
    [
      "AV-01 refuses an outer array of indefinite length",
      () => concatBytes(Uint8Array.of(0x9f), message().subarray(1), Uint8Array.of(0xff)),
    ],
    [
      "AV-01 refuses an unprotected header of indefinite length",
      () => concatBytes(message().subarray(0, 6), Uint8Array.of(0xbf, 0xff), message().subarray(7)),
    ],
    ["AV-01 refuses nothing at all", () => new Uint8Array()],
    ["AV-03 refuses a message that is far too long", () => message({ 2: new Uint8Array(17_500) })],
  ])("%s", (_, make) => {
    expect(() => decodeCoseSign1(make())).toThrowCode("ERR_CBOR_MALFORMED");
  });

  it.each<[string, CborValue]>([
    ["a map", new Map()],
    ["an array of three", [1, 2, 3]],
    ["an array of five", [1, 2, 3, 4, 5]],
    ["null", null],
  ])("AV-01 refuses %s in the place of the message", (_, value) => {
    expect(() => decodeCoseSign1(encodeCbor(value))).toThrowCode("ERR_COSE_MALFORMED");
  });

  it.each<[string, number, CborValue]>([
    ["AV-02 a protected header that is a map, not bytes", 0, new Map([[1, -35]])],
    ["AV-02 a protected header that holds an array", 0, encodeCbor([1, -35])],
    [
      "AV-02 a protected header with a content type besides",
      0,
      encodeCbor(
        new Map([
          [1, -35],
          [3, 60],
        ]),
      ),
    ],
    [
      "AV-02 a protected header with crit besides",
      0,
      encodeCbor(
        new Map<number, CborValue>([
          [1, -35],
          [2, [1]],
        ]),
      ),
    ],
    ["AV-02 an unprotected header with a parameter", 1, new Map([[4, Uint8Array.of(1)]])],
    ["AV-02 an unprotected header with an algorithm", 1, new Map([[1, -35]])],
    ["AV-02 an unprotected header that is an array", 1, []],
    ["AV-02 an unprotected header that is null", 1, null],
    ["AV-03 a detached payload", 2, null],
    ["AV-03 a payload that is text", 2, "payload"],
    ["AV-03 an empty payload", 2, new Uint8Array()],
    ["AV-03 a payload of 16385 bytes", 2, new Uint8Array(16385)],
    ["AV-03 a signature of 95 bytes", 3, new Uint8Array(95)],
    ["AV-03 a signature of 97 bytes", 3, new Uint8Array(97)],
    ["AV-03 an empty signature", 3, new Uint8Array()],
    ["AV-03 a signature that is null", 3, null],
  ])("refuses %s", (_, index, value) => {
    expect(() => decodeCoseSign1(message({ [index]: value }))).toThrowCode("ERR_COSE_MALFORMED");
  });

  it("takes a payload of 16384 bytes", () => {
    expect(decodeCoseSign1(message({ 2: new Uint8Array(16384) })).payload).toHaveLength(16384);
  });

  it.each<[string, Uint8Array]>([
    ["ES256", encodeCbor(new Map([[1, -7]]))],
    ["ES512", encodeCbor(new Map([[1, -36]]))],
    ["35 in place of -35", encodeCbor(new Map([[1, 35]]))],
    ["its name in place of its number", encodeCbor(new Map([[1, "ES384"]]))],
    ["the key as text", encodeCbor(new Map([["1", -35]]))],
    ["no algorithm", encodeCbor(new Map())],
    ["no header", new Uint8Array()],
  ])("AV-02 refuses a protected header with %s", (_, header) => {
    expect(() => decodeCoseSign1(message({ 0: header }))).toThrowCode("ERR_COSE_ALGORITHM");
  });

  it.each([
    ["the algorithm twice", "a201382201 3822"],
    ["a longer form of the key", "a118013822"],
    ["a longer form of the value", "a101390022"],
    ["indefinite length", "bf013822ff"],
    ["a byte after the map", "a101382200"],
  ])("AV-02 refuses a protected header with %s", (_, hex) => {
    const header = fromHex(hex.replace(" ", "")) ?? new Uint8Array();
    expect(() => decodeCoseSign1(message({ 0: header }))).toThrowCode("ERR_CBOR_MALFORMED");
  });
});

describe("verifyCoseSign1", () => {
  const verify = async (changes: Readonly<Record<number, CborValue>> = {}, key: CryptoKey = keys.publicKey) =>
    verifyCoseSign1(decodeCoseSign1(message(changes)), key);

  it("AV-10 refuses another payload", async () => {
    await expect(verify()).resolves.toBeUndefined();
    await expect(verify({ 2: utf8("b payload") })).rejects.toThrowCode("ERR_COSE_SIGNATURE");
  });

  it("AV-10 refuses a signature by another key", async () => {
    const other = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-384" }, false, ["sign", "verify"]);
    await expect(verify({}, other.publicKey)).rejects.toThrowCode("ERR_COSE_SIGNATURE");
  });

  it.each([
    ["zeros", 0n, 0n],
    ["r of zero", 0n, 1n],
    ["s of zero", 1n, 0n],
    ["r and s equal to the group order", P384_ORDER, P384_ORDER],
    ["r and s of all ones", 2n ** 384n - 1n, 2n ** 384n - 1n],
  ])("AV-10 refuses a signature of %s", async (_, r, s) => {
    const integer = (value: bigint) => fromHex(value.toString(16).padStart(96, "0")) ?? new Uint8Array();
    await expect(verify({ 3: concatBytes(integer(r), integer(s)) })).rejects.toThrowCode("ERR_COSE_SIGNATURE");
  });

  it("AV-10 refuses a signature over the payload alone, without Sig_structure", async () => {
    const bare = new Uint8Array(await crypto.subtle.sign(ES384, keys.privateKey, payload));
    await expect(verify({ 3: bare })).rejects.toThrowCode("ERR_COSE_SIGNATURE");
  });

  it("AV-10 refuses a signature over another context string", async () => {
    const signed = encodeCbor(["Signature", encodeProtectedHeader(), new Uint8Array(), payload]);
    const rawSignature = new Uint8Array(await crypto.subtle.sign(ES384, keys.privateKey, signed));
    await expect(verify({ 3: rawSignature })).rejects.toThrowCode("ERR_COSE_SIGNATURE");
  });

  it("accepts the twin of a signature: the bytes of a message do not identify it (pitfall 11 of caches)", async () => {
    const signature = decodeCoseSign1(message()).rawSignature;
    const s = BigInt(`0x${toHex(signature.subarray(48))}`);
    const twin = fromHex((P384_ORDER - s).toString(16).padStart(96, "0")) ?? new Uint8Array();
    await expect(verify({ 3: concatBytes(signature.subarray(0, 48), twin) })).resolves.toBeUndefined();
  });

  it("throws a TypeError for a key that cannot make ES384 signatures", async () => {
    const p256 = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
    await expect(verify({}, p256.publicKey)).rejects.toThrow(TypeError);
    const agreement = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-384" }, false, ["deriveBits"]);
    await expect(verify({}, agreement.publicKey)).rejects.toThrow(TypeError);
  });
});

/** Private keys in PKCS #8 for import: a sound one as the baseline, and each number of it made wrong. */
import type { KeyObject } from "node:crypto";
import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  encodeBitString,
  encodeObjectIdentifier,
  encodeOctetString,
  encodeSequence,
  encodeTlv,
  encodeUnsignedInteger,
} from "../../../../shared/der-encode.js";
import { decodePrivateKey } from "../../../../simulator/kms/key-pairs.js";
import type { KeySpec } from "../../../../simulator/kms/key-specs.js";

const number = (base64url = ""): bigint => BigInt(`0x0${Buffer.from(base64url, "base64url").toString("hex")}`);
const octets = (value: bigint, length = 0): Uint8Array => {
  const hex = value.toString(16).padStart(2 * length, "0");
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
};

const pkcs8 = (algorithm: readonly Uint8Array[], privateKey: Uint8Array): Uint8Array =>
  encodeSequence(encodeUnsignedInteger(Uint8Array.of(0)), encodeSequence(...algorithm), encodeOctetString(privateKey));

const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
type RsaNumbers = Record<"n" | "e" | "d" | "p" | "q" | "dp" | "dq" | "qi", bigint>;

function rsaNumbers(key: KeyObject): RsaNumbers {
  const { n, e, d, p, q, dp, dq, qi } = key.export({ format: "jwk" });
  return {
    ...{ n: number(n), e: number(e), d: number(d), p: number(p), q: number(q) },
    ...{ dp: number(dp), dq: number(dq), qi: number(qi) },
  };
}

/** RFC 8017 §A.1.2. */
function rsaKey({ n, e, d, p, q, dp, dq, qi }: RsaNumbers): Uint8Array {
  const numbers = [0n, n, e, d, p, q, dp, dq, qi].map((value) => encodeUnsignedInteger(octets(value)));
  const algorithm = [encodeObjectIdentifier("1.2.840.113549.1.1.1"), encodeTlv(5)];
  return pkcs8(algorithm, encodeSequence(...numbers));
}

describe("an RSA key", () => {
  const sound = rsaNumbers(RSA);
  const isTaken = (numbers: RsaNumbers) => decodePrivateKey("RSA_2048", rsaKey(numbers)) !== undefined;

  it("is taken as it was made", () => {
    expect(isTaken(sound)).toBe(true);
  });

  const other = rsaNumbers(generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey);
  it.each<[string, Partial<RsaNumbers>]>([
    ["the exponent 1", { e: 1n, d: 1n, dp: 1n, dq: 1n }],
    ["the exponent 3", { e: 3n }],
    ["an even exponent", { e: 65538n }],
    ["an even modulus", { n: sound.n - 1n }],
    ["another modulus", { n: other.n }],
    ["another first prime", { p: other.p }],
    ["another second prime", { q: other.q }],
    ["no primes", { p: 1n, q: sound.n }],
    ["another private exponent", { d: sound.d + 2n }],
    ["another first exponent", { dp: sound.dp + 2n }],
    ["another second exponent", { dq: sound.dq + 2n }],
    ["another coefficient", { qi: sound.qi + 1n }],
  ])("is not taken with %s", (_, change) => {
    expect(isTaken({ ...sound, ...change })).toBe(false);
  });

  it("is not taken with a consistent exponent of 3", () => {
    const small = generateKeyPairSync("rsa", { modulusLength: 2048, publicExponent: 3 }).privateKey;
    expect(isTaken(rsaNumbers(small))).toBe(false);
  });
});

/** RFC 5915 §3, with the public key of `point`, if there is one. */
function ecKey(curve: string, scalar: Uint8Array, point?: Uint8Array): Uint8Array {
  const publicKey = point === undefined ? [] : [encodeTlv(0xa1, encodeBitString(point))];
  const key = encodeSequence(encodeUnsignedInteger(Uint8Array.of(1)), encodeOctetString(scalar), ...publicKey);
  return pkcs8([encodeObjectIdentifier("1.2.840.10045.2.1"), encodeObjectIdentifier(curve)], key);
}

describe.each<[KeySpec, string, string, bigint]>([
  [
    ...(["ECC_NIST_P256", "prime256v1", "1.2.840.10045.3.1.7"] as const),
    0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  ],
  [
    ...(["ECC_NIST_P384", "secp384r1", "1.3.132.0.34"] as const),
    0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  ],
  [
    ...(["ECC_NIST_P521", "secp521r1", "1.3.132.0.35"] as const),
    0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  ],
  [
    ...(["ECC_SECG_P256K1", "secp256k1", "1.3.132.0.10"] as const),
    0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
  ],
])("a key of %s", (spec, namedCurve, oid, order) => {
  const { d, x, y } = generateKeyPairSync("ec", { namedCurve }).privateKey.export({ format: "jwk" });
  const scalar = Buffer.from(d ?? "", "base64url");
  const point = Buffer.concat([Uint8Array.of(4), ...[x, y].map((one) => Buffer.from(one ?? "", "base64url"))]);
  const isTaken = (...key: [scalar: Uint8Array, point?: Uint8Array]) =>
    decodePrivateKey(spec, ecKey(oid, ...key)) !== undefined;

  it("is taken with its public key, and without", () => {
    expect([isTaken(scalar, point), isTaken(scalar)]).toEqual([true, true]);
  });

  it.each<[string, bigint]>([
    ["0", 0n],
    ["the order", order],
    ["more than the order", order + number(d)],
  ])("is not taken with the scalar %s, whatever its public key", (_, value) => {
    const wrong = octets(value, scalar.length);
    expect([isTaken(wrong, point), isTaken(wrong)]).toEqual([false, false]);
  });

  it("is not taken with the public key of another", () => {
    const another = octets(number(d) === 1n ? 2n : number(d) - 1n, scalar.length);
    expect(isTaken(another, point)).toBe(false);
  });
});

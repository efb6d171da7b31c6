/** The encodings of ML-DSA and ML-KEM keys, against the RFCs' and against OpenSSL where it knows them (3.5 and later). */
import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import type { TestContext } from "vitest";
import { describe, expect, it } from "vitest";
import { toBase64, toHex, utf8 } from "../../../shared/bytes.js";
import { encodePrivateKey, encodePublicKey } from "../../../simulator/kms/key-pairs.js";
import { latticeMaterial } from "../../../simulator/kms/lattice-keys.js";
import { SIGNATURE_SCHEMES } from "../../../simulator/kms/signing/schemes.js";

const seed = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index);

function opensslKeys(pkcs8: Uint8Array, spki: Uint8Array) {
  return {
    privateKey: createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" }),
    publicKey: createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" }),
  };
}

/** Skips the test, with the reason, where Node's OpenSSL does not know these keys. */
function needsLattices({ skip }: Pick<TestContext, "skip">): void {
  try {
    createPublicKey({
      key: Buffer.from(encodePublicKey(latticeMaterial("ML_DSA_44", seed(32)))),
      format: "der",
      type: "spki",
    });
  } catch {
    skip("this Node's OpenSSL has no ML-DSA");
  }
}

describe("a private key", () => {
  it("is the seed of RFC 9881 §C.1.1.1", () => {
    expect(toBase64(encodePrivateKey(latticeMaterial("ML_DSA_44", seed(32))))).toBe(
      "MDQCAQAwCwYJYIZIAWUDBAMRBCKAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
    );
  });

  it("is the seed of RFC 9935 §C.1.1.1", () => {
    expect(toBase64(encodePrivateKey(latticeMaterial("ML_KEM_512", seed(64))))).toBe(
      "MFQCAQAwCwYJYIZIAWUDBAQBBEKAQAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
    );
  });
});

describe("a public key", () => {
  it.each([
    ["ML_DSA_44", 32, "30820532300b06096086480165030403110382052100"],
    ["ML_DSA_65", 32, "308207b2300b0609608648016503040312038207a100"],
    ["ML_DSA_87", 32, "30820a32300b060960864801650304031303820a2100"],
    ["ML_KEM_512", 64, "30820332300b06096086480165030404010382032100"],
    ["ML_KEM_768", 64, "308204b2300b0609608648016503040402038204a100"],
    ["ML_KEM_1024", 64, "30820632300b06096086480165030404030382062100"],
  ] as const)("of %s is named as NIST names it, without parameters", (spec, seedBytes, prefix) => {
    const material = latticeMaterial(spec, seed(seedBytes));
    const spki = encodePublicKey(material);
    expect(toHex(spki.subarray(0, 22))).toBe(prefix);
    expect(spki.subarray(22)).toEqual(material.publicKey);
  });
});

describe("OpenSSL", () => {
  it("signs with the same ML-DSA keys, and verifies what they sign", (context) => {
    needsLattices(context);
    const message = utf8("what is signed");
    for (const spec of ["ML_DSA_44", "ML_DSA_65", "ML_DSA_87"] as const) {
      const material = latticeMaterial(spec, seed(32));
      const { privateKey, publicKey } = opensslKeys(encodePrivateKey(material), encodePublicKey(material));
      const scheme = SIGNATURE_SCHEMES.ML_DSA_SHAKE_256;
      const raw = { type: "RAW", bytes: message } as const;
      expect(verify(null, message, publicKey, scheme.sign(material, raw))).toBe(true);
      expect(scheme.verify(material, raw, sign(null, message, privateKey))).toBe(true);
      expect(new Uint8Array(createPublicKey(privateKey).export({ type: "spki", format: "der" }))).toEqual(
        new Uint8Array(encodePublicKey(material)),
      );
    }
  });
});

/** The signature schemes against signatures that others made: OpenSSL's, and those of the RFCs. */
import { constants, createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8 } from "../../../../shared/bytes.js";
import type { KeyPairMaterial } from "../../../../simulator/kms/key-material.js";
import { latticeMaterial } from "../../../../simulator/kms/lattice-keys.js";
import type { Message } from "../../../../simulator/kms/signing/message.js";
import { SIGNATURE_SCHEMES } from "../../../../simulator/kms/signing/schemes.js";
import { hex, withFlippedBit } from "../../../support/hex.js";

const message = utf8("what is signed");
const raw: Message = { type: "RAW", bytes: message };

const rsa: KeyPairMaterial = { kind: "asymmetric", ...generateKeyPairSync("rsa", { modulusLength: 2048 }) };
const onCurve = (namedCurve: string): KeyPairMaterial & { readonly kind: "asymmetric" } => ({
  kind: "asymmetric",
  ...generateKeyPairSync("ec", { namedCurve }),
});

/** OpenSSL's signature of the message, DER for ECDSA, padded as `options` say for RSA. */
function opensslSignature(material: KeyPairMaterial, hash: string, options: object = {}): Uint8Array {
  if (material.kind !== "asymmetric") throw new TypeError("OpenSSL has no such key");
  return sign(hash, message, { key: material.privateKey, ...options });
}

describe("RSA", () => {
  const pss = (saltLength: number) => ({ padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });

  it.each(["256", "384", "512"] as const)("verifies what OpenSSL signs with SHA-%s", (bits) => {
    const digestBytes = Number(bits) / 8;
    const signatures = {
      [`RSASSA_PSS_SHA_${bits}` as const]: opensslSignature(rsa, `sha${bits}`, pss(digestBytes)),
      [`RSASSA_PKCS1_V1_5_SHA_${bits}` as const]: opensslSignature(rsa, `sha${bits}`),
    };
    for (const [algorithm, signature] of Object.entries(signatures)) {
      const own = algorithm as keyof typeof SIGNATURE_SCHEMES;
      for (const [name, scheme] of Object.entries(SIGNATURE_SCHEMES).filter(([known]) => known.startsWith("RSA"))) {
        expect(scheme.verify(rsa, raw, signature)).toBe(name === own);
      }
    }
  });

  it("refuses PSS with a salt that is not as long as the digest", () => {
    for (const saltLength of [0, 20, 31, 33, 222]) {
      const signature = opensslSignature(rsa, "sha256", pss(saltLength));
      expect(SIGNATURE_SCHEMES.RSASSA_PSS_SHA_256.verify(rsa, raw, signature)).toBe(false);
    }
  });

  it("refuses a signature that is not below the modulus", () => {
    const signature = new Uint8Array(256).fill(0xff);
    expect(SIGNATURE_SCHEMES.RSASSA_PSS_SHA_256.verify(rsa, raw, signature)).toBe(false);
    expect(SIGNATURE_SCHEMES.RSASSA_PKCS1_V1_5_SHA_256.verify(rsa, raw, signature)).toBe(false);
  });
});

describe("ECDSA", () => {
  it.each([
    ["prime256v1", "ECDSA_SHA_256", p256],
    ["secp384r1", "ECDSA_SHA_384", p384],
    ["secp521r1", "ECDSA_SHA_512", p521],
    ["secp256k1", "ECDSA_SHA_256", secp256k1],
  ] as const)("on %s signs for OpenSSL and verifies what it signs, with s in either half", (name, algorithm, curve) => {
    const material = onCurve(name);
    const hash = `sha${algorithm.slice(-3)}`;
    const halves = { ours: new Set<boolean>(), theirs: new Set<boolean>() };
    const half = (signature: Uint8Array) => curve.Signature.fromBytes(signature, "der").hasHighS();
    while (halves.ours.size < 2 || halves.theirs.size < 2) {
      const ours = SIGNATURE_SCHEMES[algorithm].sign(material, raw);
      expect(verify(hash, message, material.publicKey, ours)).toBe(true);
      const theirs = opensslSignature(material, hash);
      expect(SIGNATURE_SCHEMES[algorithm].verify(material, raw, theirs)).toBe(true);
      halves.ours.add(half(ours));
      halves.theirs.add(half(theirs));
    }
  });

  it("verifies the signature of RFC 6979 §A.2.5, P-256 with SHA-256", () => {
    const x = "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6";
    const y = "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299";
    const r = "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716";
    const s = "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8";
    const spki = hex(`3059301306072a8648ce3d020106082a8648ce3d030107034200 04 ${x}${y}`);
    const publicKey = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
    const material = { ...onCurve("prime256v1"), publicKey };
    const signature = hex(`3046 0221 00${r} 0221 00${s}`);
    const { verify: verifies } = SIGNATURE_SCHEMES.ECDSA_SHA_256;
    expect(verifies(material, { type: "RAW", bytes: utf8("sample") }, signature)).toBe(true);
    expect(verifies(material, { type: "RAW", bytes: utf8("simple") }, signature)).toBe(false);
  });
});

describe("Ed25519ph", () => {
  it("makes the signature of RFC 8032 §7.3", () => {
    const seed = hex("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42");
    const pkcs8 = Buffer.concat([hex("302e020100300506032b657004220420"), seed]);
    const privateKey = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
    const material: KeyPairMaterial = { kind: "asymmetric", privateKey, publicKey: createPublicKey(privateKey) };
    const signature = hex(
      "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41" +
        "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406",
    );
    const abc: Message = { type: "DIGEST", bytes: utf8("abc") };
    expect(SIGNATURE_SCHEMES.ED25519_PH_SHA_512.sign(material, abc)).toEqual(signature);
    expect(SIGNATURE_SCHEMES.ED25519_PH_SHA_512.verify(material, abc, signature)).toBe(true);
    expect(SIGNATURE_SCHEMES.ED25519_SHA_512.verify(material, abc, signature)).toBe(false);
  });
});

describe("every scheme", () => {
  const ed25519: KeyPairMaterial = { kind: "asymmetric", ...generateKeyPairSync("ed25519") };
  const materials: Readonly<Record<keyof typeof SIGNATURE_SCHEMES, KeyPairMaterial>> = {
    RSASSA_PSS_SHA_256: rsa,
    RSASSA_PSS_SHA_384: rsa,
    RSASSA_PSS_SHA_512: rsa,
    RSASSA_PKCS1_V1_5_SHA_256: rsa,
    RSASSA_PKCS1_V1_5_SHA_384: rsa,
    RSASSA_PKCS1_V1_5_SHA_512: rsa,
    ECDSA_SHA_256: onCurve("prime256v1"),
    ECDSA_SHA_384: onCurve("secp384r1"),
    ECDSA_SHA_512: onCurve("secp521r1"),
    ML_DSA_SHAKE_256: latticeMaterial("ML_DSA_44", new Uint8Array(32)),
    ED25519_SHA_512: ed25519,
    ED25519_PH_SHA_512: ed25519,
  };

  it.each(Object.keys(SIGNATURE_SCHEMES) as (keyof typeof SIGNATURE_SCHEMES)[])(
    "answers whatever bytes it is given, and only its own signature is one: %s",
    (algorithm) => {
      const scheme = SIGNATURE_SCHEMES[algorithm];
      const material = materials[algorithm];
      const signature = scheme.sign(material, raw);
      expect(scheme.verify(material, raw, signature)).toBe(true);
      const property = fc.property(fc.uint8Array({ minLength: 1, maxLength: 600 }), (bytes) => {
        expect(scheme.verify(material, raw, bytes)).toBe(false);
      });
      fc.assert(property, { numRuns: 60 });
      const flips = fc.property(fc.nat(signature.length * 8 - 1), (bit) => {
        expect(scheme.verify(material, raw, withFlippedBit(signature, bit))).toBe(false);
      });
      fc.assert(flips, { numRuns: 40 });
    },
  );
});

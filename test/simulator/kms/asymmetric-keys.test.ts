/** Key pairs of every spec through the unmodified AWS SDK: CreateKey, DescribeKey, GetPublicKey, GenerateDataKeyPair. */
import { createPrivateKey, createPublicKey } from "node:crypto";
import type { DataKeyPairSpec, KeySpec, KeyUsageType, KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  GenerateDataKeyPairCommand,
  GetPublicKeyCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { KEY_SPECS, KEY_USAGES, mayHaveUsage } from "../../../simulator/kms/key-specs.js";
import { errorNameOf, errorOf, kmsClient } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";

const clock = clockAt();
let kms: SimulatedKms;
let client: KMSClient;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  client = kmsClient(kms, clock);
});

afterAll(async () => {
  client.destroy();
  await kms.close();
});

async function newKey(KeySpec: KeySpec, KeyUsage: KeyUsageType): Promise<string> {
  const { KeyMetadata } = await client.send(new CreateKeyCommand({ KeySpec, KeyUsage }));
  return KeyMetadata?.Arn ?? "";
}

const publicKeyOf = (KeyId: string) => client.send(new GetPublicKeyCommand({ KeyId }));

const RSA_SIGNING = [
  "RSASSA_PKCS1_V1_5_SHA_256",
  "RSASSA_PKCS1_V1_5_SHA_384",
  "RSASSA_PKCS1_V1_5_SHA_512",
  "RSASSA_PSS_SHA_256",
  "RSASSA_PSS_SHA_384",
  "RSASSA_PSS_SHA_512",
];

describe("a key pair", () => {
  it.each<[KeySpec, KeyUsageType, object, number]>([
    ["RSA_2048", "ENCRYPT_DECRYPT", { EncryptionAlgorithms: ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"] }, 294],
    ["RSA_2048", "SIGN_VERIFY", { SigningAlgorithms: RSA_SIGNING }, 294],
    ["ECC_NIST_P256", "SIGN_VERIFY", { SigningAlgorithms: ["ECDSA_SHA_256"] }, 91],
    ["ECC_NIST_P256", "KEY_AGREEMENT", { KeyAgreementAlgorithms: ["ECDH"] }, 91],
    ["ECC_NIST_P384", "SIGN_VERIFY", { SigningAlgorithms: ["ECDSA_SHA_384"] }, 120],
    ["ECC_NIST_P521", "SIGN_VERIFY", { SigningAlgorithms: ["ECDSA_SHA_512"] }, 158],
    ["ECC_SECG_P256K1", "SIGN_VERIFY", { SigningAlgorithms: ["ECDSA_SHA_256"] }, 88],
    ["ECC_NIST_EDWARDS25519", "SIGN_VERIFY", { SigningAlgorithms: ["ED25519_PH_SHA_512", "ED25519_SHA_512"] }, 44],
    ["ML_DSA_44", "SIGN_VERIFY", { SigningAlgorithms: ["ML_DSA_SHAKE_256"] }, 1334],
    ["ML_DSA_65", "SIGN_VERIFY", { SigningAlgorithms: ["ML_DSA_SHAKE_256"] }, 1974],
    ["ML_DSA_87", "SIGN_VERIFY", { SigningAlgorithms: ["ML_DSA_SHAKE_256"] }, 2614],
    ["ML_KEM_512", "ENCAPSULATE_DECAPSULATE", { EncapsulationAlgorithms: ["ML_KEM"] }, 822],
    ["ML_KEM_768", "ENCAPSULATE_DECAPSULATE", { EncapsulationAlgorithms: ["ML_KEM"] }, 1206],
    ["ML_KEM_1024", "ENCAPSULATE_DECAPSULATE", { EncapsulationAlgorithms: ["ML_KEM"] }, 1590],
  ])("of %s for %s says what it can do, and has a public key", async (spec, usage, algorithms, bytes) => {
    const KeyId = await newKey(spec, usage);
    const members = { KeySpec: spec, CustomerMasterKeySpec: spec, KeyUsage: usage, ...algorithms };
    const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId }));
    expect(KeyMetadata).toMatchObject(members);
    expect(Object.keys(KeyMetadata ?? {}).filter((name) => name.endsWith("Algorithms"))).toEqual(
      Object.keys(algorithms),
    );
    const { $metadata, PublicKey, ...rest } = await publicKeyOf(KeyId);
    expect(rest).toEqual({ KeyId, ...members });
    expect(PublicKey).toHaveLength(bytes);
  });

  it("is made for each usage that its spec has, and refused for every other", async () => {
    for (const spec of KEY_SPECS.filter((name) => name !== "SYMMETRIC_DEFAULT")) {
      for (const usage of KEY_USAGES.filter((name) => !mayHaveUsage(spec, name))) {
        expect(await errorOf(newKey(spec, usage))).toEqual({
          name: "ValidationException",
          message: `KeyUsage ${usage} is not compatible with KeySpec ${spec}`,
        });
      }
    }
  });

  it("has to have a usage", async () => {
    expect(await errorOf(client.send(new CreateKeyCommand({ KeySpec: "ML_DSA_65" })))).toEqual({
      name: "ValidationException",
      message: "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
    });
  });

  it("cannot be asked for by CustomerMasterKeySpec if its spec is newer than that", async () => {
    const command = new CreateKeyCommand({ KeyUsage: "SIGN_VERIFY" });
    Object.assign(command.input, { CustomerMasterKeySpec: "ML_DSA_44" });
    expect(await errorOf(client.send(command))).toEqual({
      name: "ValidationException",
      message:
        "1 validation error detected: Value 'ML_DSA_44' at 'customerMasterKeySpec' failed to satisfy constraint: Member must satisfy enum value set: [RSA_2048, RSA_3072, RSA_4096, ECC_NIST_P256, ECC_NIST_P384, ECC_NIST_P521, ECC_SECG_P256K1, SYMMETRIC_DEFAULT, HMAC_224, HMAC_256, HMAC_384, HMAC_512, SM2]",
    });
  });
});

describe("GetPublicKey", () => {
  it("answers for a disabled key too", async () => {
    const KeyId = await newKey("ECC_NIST_P256", "SIGN_VERIFY");
    const before = await publicKeyOf(KeyId);
    await client.send(new DisableKeyCommand({ KeyId }));
    expect((await publicKeyOf(KeyId)).PublicKey).toEqual(before.PublicKey);
  });

  it("has none of a secret key", async () => {
    const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
    expect(await errorNameOf(publicKeyOf(KeyMetadata?.Arn ?? ""))).toBe("UnsupportedOperationException");
  });
});

describe("a data key pair", () => {
  const generate = async (KeyPairSpec: DataKeyPairSpec, KeyId: string | undefined) =>
    client.send(new GenerateDataKeyPairCommand({ KeyId, KeyPairSpec }));
  let keyId: string | undefined;
  beforeAll(async () => {
    keyId = (await client.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId;
  });

  it("of Ed25519 is one that OpenSSL takes", async () => {
    const { PrivateKeyPlaintext = [], PublicKey = new Uint8Array() } = await generate("ECC_NIST_EDWARDS25519", keyId);
    const privateKey = createPrivateKey({ key: Buffer.from(PrivateKeyPlaintext), format: "der", type: "pkcs8" });
    const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
    expect(new Uint8Array(spki)).toEqual(PublicKey);
  });

  it.each([
    ["ML_KEM_512", 822],
    ["ML_KEM_768", 1206],
    ["ML_KEM_1024", 1590],
  ] as const)("of %s has the seed for its private key", async (spec, publicKeyBytes) => {
    const { PrivateKeyPlaintext, PublicKey } = await generate(spec, keyId);
    expect(PrivateKeyPlaintext).toHaveLength(86); // RFC 9935 §6: 64 bytes of seed
    expect(PublicKey).toHaveLength(publicKeyBytes);
  });

  it("is not made under a key pair, nor of a spec of China Regions", async () => {
    const rsa = await newKey("RSA_2048", "ENCRYPT_DECRYPT");
    expect(await errorOf(generate("ECC_NIST_P256", rsa))).toEqual({
      name: "InvalidKeyUsageException",
      message: "You cannot generate a data key pair with an asymmetric CMK",
    });
    expect(await errorOf(generate("SM2", keyId))).toEqual({
      name: "UnsupportedOperationException",
      message: "KeySpec SM2 is not supported in this Region",
    });
  });
});

/** Sign and Verify through the unmodified AWS SDK; OpenSSL gives a second opinion on what it knows. */
import type { KeyObject } from "node:crypto";
import { constants, createHash, createPublicKey, verify as verifyWith } from "node:crypto";
import type { KeySpec, KeyUsageType, KMSClient, SigningAlgorithmSpec } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DisableKeyCommand,
  GetPublicKeyCommand,
  PutKeyPolicyCommand,
  SignCommand,
  VerifyCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../shared/bytes.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";

const clock = clockAt();
const Message = utf8("what is signed");
const keys = new Map<string, string>();
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

async function newKey(KeySpec: KeySpec, KeyUsage: KeyUsageType = "SIGN_VERIFY"): Promise<string> {
  return (await client.send(new CreateKeyCommand({ KeySpec, KeyUsage }))).KeyMetadata?.Arn ?? "";
}

/** The one signing key of a spec that the tests share. */
async function keyOf(spec: KeySpec): Promise<string> {
  const KeyId = keys.get(spec) ?? (await newKey(spec));
  keys.set(spec, KeyId);
  return KeyId;
}

type Input = Partial<ConstructorParameters<typeof VerifyCommand>[0]>;

const sign = async (spec: KeySpec, SigningAlgorithm: SigningAlgorithmSpec, changes: Input = {}) =>
  client.send(new SignCommand({ KeyId: await keyOf(spec), Message, SigningAlgorithm, ...changes }));

const verify = async (spec: KeySpec, SigningAlgorithm: SigningAlgorithmSpec, changes: Input = {}) =>
  client.send(
    new VerifyCommand({ KeyId: await keyOf(spec), Message, Signature: Uint8Array.of(1), SigningAlgorithm, ...changes }),
  );

async function publicKeyOf(KeyId: string): Promise<KeyObject> {
  const { PublicKey = [] } = await client.send(new GetPublicKeyCommand({ KeyId }));
  return createPublicKey({ key: Buffer.from(PublicKey), format: "der", type: "spki" });
}

const hashOf = (algorithm: string): string => `sha${algorithm.slice(-3)}`;
const digestFor = (algorithm: string): Uint8Array => createHash(hashOf(algorithm)).update(Message).digest();
const padding = (algorithm: string) =>
  algorithm.startsWith("RSASSA_PSS")
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : {};

const OVER_DIGESTS = [
  ["RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256"],
  ["RSA_2048", "RSASSA_PKCS1_V1_5_SHA_384"],
  ["RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512"],
  ["RSA_2048", "RSASSA_PSS_SHA_256"],
  ["RSA_2048", "RSASSA_PSS_SHA_384"],
  ["RSA_2048", "RSASSA_PSS_SHA_512"],
  ["ECC_NIST_P256", "ECDSA_SHA_256"],
  ["ECC_NIST_P384", "ECDSA_SHA_384"],
  ["ECC_NIST_P521", "ECDSA_SHA_512"],
  ["ECC_SECG_P256K1", "ECDSA_SHA_256"],
] as const;

describe("a signature", () => {
  it.each(OVER_DIGESTS)("of %s with %s is one to OpenSSL, of a message as of its digest", async (spec, algorithm) => {
    const key = { key: await publicKeyOf(await keyOf(spec)), ...padding(algorithm) };
    const ofDigest = { Message: digestFor(algorithm), MessageType: "DIGEST" } as const;
    for (const changes of [{}, { MessageType: "RAW" } as const, ofDigest]) {
      const { $metadata, Signature = new Uint8Array(), ...rest } = await sign(spec, algorithm, changes);
      expect(rest).toEqual({ KeyId: await keyOf(spec), SigningAlgorithm: algorithm });
      expect(verifyWith(hashOf(algorithm), Message, key, Signature)).toBe(true);
    }
  });

  it.each(OVER_DIGESTS)("of %s with %s verifies in either way, whichever made it", async (spec, algorithm) => {
    const ofDigest = { Message: digestFor(algorithm), MessageType: "DIGEST" } as const;
    for (const [signed, verified] of [
      [{}, {}],
      [{}, ofDigest],
      [ofDigest, {}],
      [ofDigest, ofDigest],
    ]) {
      const { Signature } = await sign(spec, algorithm, signed);
      const { $metadata, ...answer } = await verify(spec, algorithm, { Signature, ...verified });
      expect(answer).toEqual({ KeyId: await keyOf(spec), SignatureValid: true, SigningAlgorithm: algorithm });
    }
  });

  it.each(["RSA_3072", "RSA_4096"] as const)("of %s is as long as the key", { timeout: 60_000 }, async (spec) => {
    const key = await publicKeyOf(await keyOf(spec));
    for (const algorithm of ["RSASSA_PSS_SHA_512", "RSASSA_PKCS1_V1_5_SHA_256"] as const) {
      const { Signature = new Uint8Array() } = await sign(spec, algorithm);
      expect(Signature.length * 8).toBe(key.asymmetricKeyDetails?.modulusLength);
      expect(verifyWith(hashOf(algorithm), Message, { key, ...padding(algorithm) }, Signature)).toBe(true);
      expect((await verify(spec, algorithm, { Signature })).SignatureValid).toBe(true);
    }
  });

  it("is the same each time with PKCS #1 v1.5 and Ed25519, and another one with all else", async () => {
    const twice = async (spec: KeySpec, algorithm: SigningAlgorithmSpec) => [
      (await sign(spec, algorithm)).Signature,
      (await sign(spec, algorithm)).Signature,
    ];
    for (const [spec, algorithm] of [
      ["RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256"],
      ["ECC_NIST_EDWARDS25519", "ED25519_SHA_512"],
    ] as const) {
      const [one, again] = await twice(spec, algorithm);
      expect(again).toEqual(one);
    }
    for (const [spec, algorithm] of [
      ["RSA_2048", "RSASSA_PSS_SHA_256"],
      ["ECC_NIST_P256", "ECDSA_SHA_256"],
      ["ML_DSA_44", "ML_DSA_SHAKE_256"],
    ] as const) {
      const [one, other] = await twice(spec, algorithm);
      expect(other).not.toEqual(one);
    }
  });
});

describe("Ed25519", () => {
  const spec = "ECC_NIST_EDWARDS25519";
  const ofDigest = { Message: digestFor("ED25519_PH_SHA_512"), MessageType: "DIGEST" } as const;

  it("signs messages as OpenSSL does", async () => {
    const { Signature = new Uint8Array() } = await sign(spec, "ED25519_SHA_512");
    expect(verifyWith(null, Message, await publicKeyOf(await keyOf(spec)), Signature)).toBe(true);
    expect((await verify(spec, "ED25519_SHA_512", { Signature })).SignatureValid).toBe(true);
  });

  it("signs digests with Ed25519ph, which is no signature of the message without", async () => {
    const { Signature = new Uint8Array() } = await sign(spec, "ED25519_PH_SHA_512", ofDigest);
    expect(Signature).toHaveLength(64);
    expect((await verify(spec, "ED25519_PH_SHA_512", { Signature, ...ofDigest })).SignatureValid).toBe(true);
    const key = await publicKeyOf(await keyOf(spec));
    expect(verifyWith(null, Message, key, Signature)).toBe(false);
    expect(verifyWith(null, ofDigest.Message, key, Signature)).toBe(false);
  });

  it.each([
    ["ED25519_SHA_512", { ...ofDigest }, "Message type DIGEST is incompatible with algorithm ED25519_SHA_512."],
    ["ED25519_PH_SHA_512", {}, "Message type RAW is incompatible with algorithm ED25519_PH_SHA_512."],
    [
      "ED25519_PH_SHA_512",
      { MessageType: "EXTERNAL_MU", Message: new Uint8Array(64) },
      "Message type EXTERNAL_MU is incompatible with key spec ECC_NIST_EDWARDS25519.",
    ],
  ] as const)("takes one type of message with %s", async (algorithm, changes, message) => {
    const refusal = { name: "ValidationException", message };
    expect(await errorOf(sign(spec, algorithm, changes))).toEqual(refusal);
    expect(await errorOf(verify(spec, algorithm, changes))).toEqual(refusal);
  });
});

describe("ML-DSA", () => {
  const algorithm = "ML_DSA_SHAKE_256";

  /** μ of FIPS 204 §6.2 for an empty context, from public key and message. */
  async function representative(KeyId: string, keyBytes: number): Promise<Uint8Array> {
    const { PublicKey = new Uint8Array() } = await client.send(new GetPublicKeyCommand({ KeyId }));
    const shake = (...parts: Uint8Array[]) =>
      parts.reduce((hash, part) => hash.update(part), createHash("shake256", { outputLength: 64 })).digest();
    return shake(shake(PublicKey.subarray(-keyBytes)), Uint8Array.of(0, 0), Message);
  }

  it.each([
    ["ML_DSA_44", 1312, 2420],
    ["ML_DSA_65", 1952, 3309],
    ["ML_DSA_87", 2592, 4627],
  ] as const)("of %s signs a message and its representative alike", async (spec, keyBytes, signatureBytes) => {
    const Mu = await representative(await keyOf(spec), keyBytes);
    const ofMu = { Message: Mu, MessageType: "EXTERNAL_MU" } as const;
    for (const [signed, verified] of [
      [{}, {}],
      [{}, ofMu],
      [ofMu, {}],
      [ofMu, ofMu],
    ]) {
      const { Signature } = await sign(spec, algorithm, signed);
      expect(Signature).toHaveLength(signatureBytes);
      expect((await verify(spec, algorithm, { Signature, ...verified })).SignatureValid).toBe(true);
    }
  });

  it.each([
    [
      { MessageType: "DIGEST", Message: new Uint8Array(32) },
      "Message type DIGEST is incompatible with key spec ML_DSA_44.",
    ],
    [{ MessageType: "EXTERNAL_MU" }, "External Mu is invalid length for algorithm ML_DSA_SHAKE_256."],
  ] as const)("refuses %o", async (changes, message) => {
    const refusal = { name: "ValidationException", message };
    expect(await errorOf(sign("ML_DSA_44", algorithm, changes))).toEqual(refusal);
    expect(await errorOf(verify("ML_DSA_44", algorithm, changes))).toEqual(refusal);
  });
});

describe("Sign and Verify", () => {
  const rsa = "RSASSA_PSS_SHA_256";

  it.each(OVER_DIGESTS)("refuse a digest of another length: %s, %s", async (spec, algorithm) => {
    const refusal = {
      name: "ValidationException",
      message: `Digest is invalid length for algorithm ${algorithm}.`,
    };
    for (const Digest of [digestFor(algorithm).subarray(1), new Uint8Array(65)]) {
      const changes = { Message: Digest, MessageType: "DIGEST" } as const;
      expect(await errorOf(sign(spec, algorithm, changes))).toEqual(refusal);
      expect(await errorOf(verify(spec, algorithm, changes))).toEqual(refusal);
    }
  });

  it.each([
    ["RSA_2048", "ECDSA_SHA_256"],
    ["ECC_NIST_P256", "ECDSA_SHA_384"],
    ["ECC_SECG_P256K1", "ECDSA_SHA_512"],
    ["ECC_NIST_P256", "ED25519_PH_SHA_512"],
    ["ECC_NIST_EDWARDS25519", "RSASSA_PSS_SHA_256"],
    ["ML_DSA_44", "ECDSA_SHA_256"],
    ["RSA_2048", "SM2DSA"],
    ["RSA_2048", "SYMMETRIC_DEFAULT" as SigningAlgorithmSpec],
  ] as const)("refuse a key of %s with %s, before they look at the message", async (spec, algorithm) => {
    const refusal = {
      name: "InvalidKeyUsageException",
      message: `Algorithm ${algorithm} is incompatible with key spec ${spec}.`,
    };
    expect(await errorOf(sign(spec, algorithm, { MessageType: "EXTERNAL_MU" }))).toEqual(refusal);
    expect(await errorOf(verify(spec, algorithm, { MessageType: "EXTERNAL_MU" }))).toEqual(refusal);
  });

  it.each<[KeySpec, KeyUsageType]>([
    ["RSA_2048", "ENCRYPT_DECRYPT"],
    ["ECC_NIST_P256", "KEY_AGREEMENT"],
    ["HMAC_256", "GENERATE_VERIFY_MAC"],
    ["SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"],
  ])("refuse a key of %s for %s", async (spec, usage) => {
    const KeyId = await newKey(spec, usage);
    for (const [operation, call] of [
      ["Sign", () => sign("RSA_2048", rsa, { KeyId })],
      ["Verify", () => verify("RSA_2048", rsa, { KeyId })],
    ] as const) {
      expect(await errorOf(call())).toEqual({
        name: "InvalidKeyUsageException",
        message: `${KeyId} key usage is ${usage} which is not valid for ${operation}.`,
      });
    }
  });

  it("refuse a disabled key, whatever else is wrong", async () => {
    const KeyId = await newKey("ECC_NIST_P256");
    await client.send(new DisableKeyCommand({ KeyId }));
    const refusal = { name: "DisabledException", message: `${KeyId} is disabled.` };
    expect(await errorOf(sign("RSA_2048", rsa, { KeyId }))).toEqual(refusal);
    expect(await errorOf(verify("RSA_2048", rsa, { KeyId }))).toEqual(refusal);
  });

  it.each<[string, object, string]>([
    [
      "no message",
      { Message: new Uint8Array() },
      "Value at 'message' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ],
    [
      "4097 bytes",
      { Message: new Uint8Array(4097) },
      "Value at 'message' failed to satisfy constraint: Member must have length less than or equal to 4096",
    ],
    [
      "an algorithm that is none",
      { SigningAlgorithm: "RSAES_OAEP_SHA_256" },
      "Value 'RSAES_OAEP_SHA_256' at 'signingAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [RSASSA_PSS_SHA_256, RSASSA_PSS_SHA_384, RSASSA_PSS_SHA_512, RSASSA_PKCS1_V1_5_SHA_256, RSASSA_PKCS1_V1_5_SHA_384, RSASSA_PKCS1_V1_5_SHA_512, ECDSA_SHA_256, ECDSA_SHA_384, ECDSA_SHA_512, ED25519_SHA_512, ED25519_PH_SHA_512, SM2DSA, ML_DSA_SHAKE_256]",
    ],
    [
      "no algorithm",
      { SigningAlgorithm: undefined },
      "Value null at 'signingAlgorithm' failed to satisfy constraint: Member must not be null",
    ],
    [
      "a message type that is none",
      { MessageType: "HASH" },
      "Value 'HASH' at 'messageType' failed to satisfy constraint: Member must satisfy enum value set: [RAW, DIGEST, EXTERNAL_MU]",
    ],
  ])("refuse %s", async (_, changes, message) => {
    const refusal = { name: "ValidationException", message: `1 validation error detected: ${message}` };
    expect(await errorOf(sign("RSA_2048", rsa, changes))).toEqual(refusal);
    expect(await errorOf(verify("RSA_2048", rsa, changes))).toEqual(refusal);
  });

  it("take 4096 bytes", async () => {
    const long = { Message: new Uint8Array(4096) };
    const { Signature } = await sign("RSA_2048", rsa, long);
    expect((await verify("RSA_2048", rsa, { Signature, ...long })).SignatureValid).toBe(true);
  });

  it("do nothing for DryRun but say that they would succeed, or why not", async () => {
    const dryRun = { name: "DryRunOperationException" };
    expect(await errorOf(sign("RSA_2048", rsa, { DryRun: true }))).toMatchObject(dryRun);
    const { Signature } = await sign("RSA_2048", rsa);
    expect(await errorOf(verify("RSA_2048", rsa, { Signature, DryRun: true }))).toMatchObject(dryRun);
    expect(await errorNameOf(verify("RSA_2048", rsa, { DryRun: true }))).toBe("KMSInvalidSignatureException");
  });
});

describe("Verify", () => {
  const invalid = "KMSInvalidSignatureException";

  it.each([
    ...OVER_DIGESTS,
    ["ECC_NIST_EDWARDS25519", "ED25519_SHA_512"] as const,
    ["ML_DSA_44", "ML_DSA_SHAKE_256"] as const,
  ])("refuses what is no signature of %s with %s", async (spec, algorithm) => {
    const { Signature = new Uint8Array() } = await sign(spec, algorithm);
    const flipped = Signature.map((byte, index) => (index === 40 ? byte ^ 1 : byte));
    const longer = Uint8Array.of(...Signature, 0);
    for (const wrong of [flipped, longer, Signature.subarray(1), Signature.subarray(0, -1), utf8("invalid")]) {
      expect(await errorNameOf(verify(spec, algorithm, { Signature: wrong }))).toBe(invalid);
    }
    expect(await errorNameOf(verify(spec, algorithm, { Signature, Message: utf8("another") }))).toBe(invalid);
    expect(await errorNameOf(verify(spec, algorithm, { Signature, KeyId: await newKey(spec) }))).toBe(invalid);
  });
});

describe("a policy", () => {
  const open = { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" };

  async function denied(statement: object): Promise<(changes?: Input) => Promise<readonly string[]>> {
    const KeyId = await newKey("ECC_NIST_P256");
    const Statement = [open, { Effect: "Deny", Principal: "*", Resource: "*", ...statement }];
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
    await client.send(new PutKeyPolicyCommand({ KeyId, PolicyName: "default", Policy }));
    return async (changes = {}) => [
      await errorNameOf(sign("ECC_NIST_P256", "ECDSA_SHA_256", { KeyId, ...changes })),
      await errorNameOf(verify("ECC_NIST_P256", "ECDSA_SHA_256", { KeyId, ...changes })),
    ];
  }

  const lets = ["no error", "KMSInvalidSignatureException"];
  const refuses = ["AccessDeniedException", "AccessDeniedException"];

  it("lets sign and verify apart from one another", async () => {
    expect(await (await denied({ Action: "kms:Verify" }))()).toEqual(["no error", "AccessDeniedException"]);
    expect(await (await denied({ Action: "kms:Sign" }))()).toEqual([
      "AccessDeniedException",
      "KMSInvalidSignatureException",
    ]);
  });

  it("sees the algorithm", async () => {
    const with_ = (algorithm: string) => ({
      Action: ["kms:Sign", "kms:Verify"],
      Condition: { StringEquals: { "kms:SigningAlgorithm": algorithm } },
    });
    expect(await (await denied(with_("ECDSA_SHA_384")))()).toEqual(lets);
    expect(await (await denied(with_("ECDSA_SHA_256")))()).toEqual(refuses);
  });

  it("sees the type of the message, RAW if the request names none", async () => {
    const attempt = await denied({
      Action: ["kms:Sign", "kms:Verify"],
      Condition: { StringEquals: { "kms:MessageType": "RAW" } },
    });
    expect(await attempt()).toEqual(refuses);
    expect(await attempt({ MessageType: "RAW" })).toEqual(refuses);
    expect(await attempt({ MessageType: "DIGEST", Message: digestFor("ECDSA_SHA_256") })).toEqual(lets);
  });
});

describe("the audit record", () => {
  it("names key, algorithm and message type, and has no bytes", async () => {
    const { Signature } = await sign("ECC_NIST_P256", "ECDSA_SHA_256", { MessageType: "RAW" });
    const requestParameters = {
      keyId: await keyOf("ECC_NIST_P256"),
      messageType: "RAW",
      signingAlgorithm: "ECDSA_SHA_256",
    };
    const common = { requestParameters, responseElements: null, readOnly: true };
    expect(kms.auditLog.records.at(-1)).toMatchObject({ eventName: "Sign", ...common });
    await verify("ECC_NIST_P256", "ECDSA_SHA_256", { MessageType: "RAW", Signature });
    const record = kms.auditLog.records.at(-1);
    expect(record).toMatchObject({ eventName: "Verify", ...common });
    expect(record?.requestParameters).toEqual(requestParameters);
  });
});

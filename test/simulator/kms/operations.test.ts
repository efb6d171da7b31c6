/** Every operation through the unmodified AWS SDK over TLS, and each wrong thing with its exact AWS error. */
import { createECDH, createPrivateKey, createPublicKey, generateKeyPairSync, publicEncrypt } from "node:crypto";
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DeriveSharedSecretCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairCommand,
  GenerateDataKeyPairWithoutPlaintextCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GenerateRandomCommand,
  GetKeyPolicyCommand,
  GetPublicKeyCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../shared/bytes.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";

const clock = clockAt();
let kms: SimulatedKms;
let client: KMSClient;
let keyArn: string;
let keyId: string;

const Plaintext = utf8("a secret");
const EncryptionContext = { tenant: "a" };

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  client = kmsClient(kms, clock);
  const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
  [keyArn, keyId] = [KeyMetadata?.Arn ?? "", KeyMetadata?.KeyId ?? ""];
});

afterAll(async () => {
  client.destroy();
  await kms.close();
});

/** `options` may be what the SDK's types would not let through. */
async function newKey(options: object): Promise<string> {
  const command = new CreateKeyCommand({});
  Object.assign(command.input, options);
  return (await client.send(command)).KeyMetadata?.Arn ?? "";
}

const encrypt = async (options: Partial<ConstructorParameters<typeof EncryptCommand>[0]> = {}) =>
  (await client.send(new EncryptCommand({ KeyId: keyArn, Plaintext, EncryptionContext, ...options }))).CiphertextBlob;

describe("CreateKey and DescribeKey", () => {
  it("give the metadata that AWS gives", async () => {
    const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId: keyId }));
    expect(KeyMetadata).toEqual({
      AWSAccountId: "111122223333",
      Arn: `arn:aws:kms:us-east-1:111122223333:key/${keyId}`,
      CreationDate: clock(),
      CurrentKeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/),
      CustomerMasterKeySpec: "SYMMETRIC_DEFAULT",
      Description: "",
      Enabled: true,
      EncryptionAlgorithms: ["SYMMETRIC_DEFAULT"],
      KeyId: keyId,
      KeyManager: "CUSTOMER",
      KeySpec: "SYMMETRIC_DEFAULT",
      KeyState: "Enabled",
      KeyUsage: "ENCRYPT_DECRYPT",
      MultiRegion: false,
      Origin: "AWS_KMS",
    });
  });

  it("give keys of every kind that the operations use", async () => {
    const specOf = async (KeySpec: "RSA_2048" | "ECC_NIST_P256" | "ECC_NIST_P384" | "ECC_NIST_P521") => {
      const KeyUsage = KeySpec === "RSA_2048" ? "ENCRYPT_DECRYPT" : "KEY_AGREEMENT";
      const { KeyMetadata } = await client.send(new CreateKeyCommand({ KeySpec, KeyUsage }));
      return [KeyMetadata?.KeySpec, KeyMetadata?.EncryptionAlgorithms ?? KeyMetadata?.KeyAgreementAlgorithms];
    };
    expect(await specOf("RSA_2048")).toEqual(["RSA_2048", ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]]);
    for (const spec of ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"] as const) {
      expect(await specOf(spec)).toEqual([spec, ["ECDH"]]);
    }
  });

  it.each<[string, object, string, string]>([
    [
      "a spec that is none",
      { KeySpec: "HMAC_random" },
      "ValidationException",
      "1 validation error detected: Value 'HMAC_random' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: [",
    ],
    [
      "a key of another spec without its usage",
      { KeySpec: "RSA_2048" },
      "ValidationException",
      "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
    ],
    [
      "a usage that the spec cannot have",
      { KeyUsage: "SIGN_VERIFY" },
      "ValidationException",
      "The operation failed because the KeyUsage value of the CMK is SIGN_VERIFY. To perform this operation, the KeyUsage value must be ENCRYPT_DECRYPT.",
    ],
    [
      "a key of China Regions",
      { KeySpec: "SM2", KeyUsage: "SIGN_VERIFY" },
      "UnsupportedOperationException",
      "KeySpec SM2 is not supported in this Region",
    ],
    ["a policy that is none", { Policy: "{}" }, "MalformedPolicyDocumentException", "Syntax errors in policy"],
    [
      "a policy that locks its maker out",
      {
        Policy: JSON.stringify({
          Statement: [{ Effect: "Allow", Principal: "*", Action: "kms:Decrypt", Resource: "*" }],
        }),
      },
      "MalformedPolicyDocumentException",
      "The new key policy will not allow you to update the key policy in the future.",
    ],
  ])("refuse %s", async (_what, options, name, message) => {
    const error = await errorOf(newKey(options));
    expect(error).toEqual({ name, message: expect.stringContaining(message) });
  });

  it.each([
    ["fake-key-id", "Invalid keyId 'fake-key-id'"],
    ["134f2428cec14b25a1ae9048164dba47", "Invalid keyId '134f2428cec14b25a1ae9048164dba47'"],
    ["mrk-fake-key-id", "Invalid keyId 'mrk-fake-key-id'"],
    [
      "134f2428-cec1-4b25-a1ae-9048164dba47",
      "Key 'arn:aws:kms:us-east-1:111122223333:key/134f2428-cec1-4b25-a1ae-9048164dba47' does not exist",
    ],
    ["arn:aws:kms:eu-west-1:111122223333:key/134f2428-cec1-4b25-a1ae-9048164dba47", "Invalid arn eu-west-1"],
    ["alias/none", "Alias arn:aws:kms:us-east-1:111122223333:alias/none is not found."],
  ])("say that %s is not found", async (KeyId, message) => {
    expect(await errorOf(client.send(new DescribeKeyCommand({ KeyId })))).toEqual({
      name: "NotFoundException",
      message,
    });
  });

  it("do not take a key's id for its ARN in another account", async () => {
    const KeyId = keyArn.replace("111122223333", "444455556666");
    expect(await errorNameOf(client.send(new DescribeKeyCommand({ KeyId })))).toBe("AccessDeniedException");
    const CiphertextBlob = await encrypt();
    const named = client.send(new DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext }));
    expect(await errorNameOf(named)).toBe("AccessDeniedException");
  });
});

describe("CreateAlias", () => {
  it("gives a name by which the key is found", async () => {
    await client.send(new CreateAliasCommand({ AliasName: "alias/named", TargetKeyId: keyId }));
    for (const KeyId of ["alias/named", "arn:aws:kms:us-east-1:111122223333:alias/named"]) {
      expect((await client.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.Arn).toBe(keyArn);
    }
    expect(
      await errorOf(client.send(new CreateAliasCommand({ AliasName: "alias/named", TargetKeyId: keyId }))),
    ).toEqual({
      name: "AlreadyExistsException",
      message: "An alias with the name arn:aws:kms:us-east-1:111122223333:alias/named already exists",
    });
  });

  it("pitfall 4: the answer names the key itself, whatever name was used", async () => {
    await client.send(new CreateAliasCommand({ AliasName: "alias/pitfall-4", TargetKeyId: keyId }));
    const { KeyId, CiphertextBlob } = await client.send(new EncryptCommand({ KeyId: "alias/pitfall-4", Plaintext }));
    expect(KeyId).toBe(keyArn);
    expect((await client.send(new DecryptCommand({ CiphertextBlob }))).KeyId).toBe(keyArn);
    expect((await client.send(new GenerateDataKeyCommand({ KeyId: keyId, KeySpec: "AES_256" }))).KeyId).toBe(keyArn);
  });

  it.each([
    ["named", "ValidationException"],
    ["alias/", "ValidationException"],
    ["alias/a b", "ValidationException"],
    ["alias/aws/s3", "NotAuthorizedException"],
  ])("refuses the name %s", async (AliasName, name) => {
    expect(await errorNameOf(client.send(new CreateAliasCommand({ AliasName, TargetKeyId: keyId })))).toBe(name);
  });
});

describe("Encrypt and Decrypt with a symmetric key", () => {
  it("give back what was given", async () => {
    const CiphertextBlob = await encrypt();
    const opened = await client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }));
    expect(opened).toMatchObject({ Plaintext, KeyId: keyArn, EncryptionAlgorithm: "SYMMETRIC_DEFAULT" });
    expect(opened.CiphertextForRecipient).toBeUndefined();
  });

  it("take 4096 bytes and no more", async () => {
    const CiphertextBlob = await encrypt({ Plaintext: new Uint8Array(4096) });
    expect((await client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }))).Plaintext).toHaveLength(4096);
    expect(await errorOf(encrypt({ Plaintext: new Uint8Array(4097) }))).toEqual({
      name: "ValidationException",
      message:
        "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096",
    });
    expect(await errorNameOf(encrypt({ Plaintext: new Uint8Array() }))).toBe("ValidationException");
    const long = client.send(new DecryptCommand({ CiphertextBlob: new Uint8Array(6145) }));
    expect(await errorOf(long)).toMatchObject({ message: expect.stringContaining("less than or equal to 6144") });
  });

  it("count every failed constraint", async () => {
    const call = client.send(new EncryptCommand({ KeyId: "", Plaintext: new Uint8Array() }));
    expect((await errorOf(call)).message).toBe(
      "3 validation errors detected: Value '' at 'keyId' failed to satisfy constraint: Member must have length greater than " +
        "or equal to 1; Value '' at 'keyId' failed to satisfy constraint: Member must satisfy regular expression pattern: " +
        "^\\p{ASCII}+$; Value at 'plaintext' failed to satisfy constraint: Member must have length greater than or equal to 1",
    );
    expect((await errorOf(client.send(new EncryptCommand({ KeyId: undefined, Plaintext })))).message).toBe(
      "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null",
    );
  });

  it.each([
    ["another value", { tenant: "b" }],
    ["no context", undefined],
    ["one pair more", { tenant: "a", more: "b" }],
    ["another case", { Tenant: "a" }],
    ["the same bytes cut elsewhere", { tenan: "ta" }],
  ])("pitfall 3: refuse to open under %s", async (_what, wrong) => {
    const CiphertextBlob = await encrypt();
    const input = { CiphertextBlob, ...(wrong === undefined ? {} : { EncryptionContext: wrong }) };
    expect(await errorNameOf(client.send(new DecryptCommand(input)))).toBe("InvalidCiphertextException");
  });

  it("pitfall 3: bind a context whose name an object would lose", async () => {
    const hidden = JSON.parse('{"__proto__":"a"}');
    const CiphertextBlob = await encrypt({ EncryptionContext: hidden });
    expect(await errorNameOf(client.send(new DecryptCommand({ CiphertextBlob })))).toBe("InvalidCiphertextException");
    expect((await client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: hidden }))).Plaintext).toEqual(
      Plaintext,
    );
  });

  it("refuse a context that UTF-8 cannot carry", async () => {
    expect(await errorNameOf(encrypt({ EncryptionContext: { tenant: "\ud800" } }))).toBe("SerializationException");
  });

  it("pitfall 4: refuse a ciphertext of another key than the one named", async () => {
    const other = await newKey({});
    const CiphertextBlob = await encrypt();
    const call = client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext, KeyId: other }));
    expect(await errorNameOf(call)).toBe("IncorrectKeyException");
    const named = await client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext, KeyId: keyId }));
    expect(named.Plaintext).toEqual(Plaintext);
  });

  it("refuse a ciphertext of a key that does not exist, and bytes that are none", async () => {
    const changed = new Uint8Array((await encrypt()) ?? []);
    changed[5] = (changed[5] ?? 0) ^ 1; // the first byte of the key id
    expect(await errorOf(client.send(new DecryptCommand({ CiphertextBlob: changed, EncryptionContext })))).toEqual({
      name: "AccessDeniedException",
      message:
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.",
    });
    const nothing = client.send(new DecryptCommand({ CiphertextBlob: utf8("nothing"), EncryptionContext }));
    expect(await errorNameOf(nothing)).toBe("InvalidCiphertextException");
  });

  it("refuse a disabled key until it is enabled again", async () => {
    const KeyId = await newKey({});
    const CiphertextBlob = await encrypt({ KeyId });
    await client.send(new DisableKeyCommand({ KeyId }));
    const disabled = { name: "DisabledException", message: `${KeyId} is disabled.` };
    expect(await errorOf(encrypt({ KeyId }))).toEqual(disabled);
    expect(await errorOf(client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext })))).toEqual(disabled);
    expect((await client.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.KeyState).toBe("Disabled");
    await client.send(new EnableKeyCommand({ KeyId }));
    expect((await client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }))).KeyId).toBe(KeyId);
  });

  it("refuse a key of another usage and an algorithm of another spec", async () => {
    const agreement = await newKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" });
    expect(await errorOf(encrypt({ KeyId: agreement }))).toEqual({
      name: "InvalidKeyUsageException",
      message: `${agreement} key usage is KEY_AGREEMENT which is not valid for Encrypt.`,
    });
    expect(await errorOf(encrypt({ EncryptionAlgorithm: "RSAES_OAEP_SHA_256" }))).toEqual({
      name: "InvalidKeyUsageException",
      message: "Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.",
    });
  });

  it("do nothing for DryRun but say that it would succeed", async () => {
    expect(await errorOf(encrypt({ DryRun: true }))).toEqual({
      name: "DryRunOperationException",
      message: "The request would have succeeded, but the DryRun option is set.",
    });
  });
});

describe("Encrypt and Decrypt with an RSA key", () => {
  const EncryptionAlgorithm = "RSAES_OAEP_SHA_256";
  let rsaKey: string;
  beforeAll(async () => {
    rsaKey = await newKey({ KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
  });

  it("give back what was given, also to who encrypts with the public key alone", async () => {
    const { PublicKey = new Uint8Array() } = await client.send(new GetPublicKeyCommand({ KeyId: rsaKey }));
    const key = createPublicKey({ key: Buffer.from(PublicKey), format: "der", type: "spki" });
    const outside = publicEncrypt({ key, oaepHash: "sha256" }, Plaintext);
    const sealed = await client.send(new EncryptCommand({ KeyId: rsaKey, Plaintext, EncryptionAlgorithm }));
    for (const CiphertextBlob of [outside, sealed.CiphertextBlob]) {
      const opened = await client.send(new DecryptCommand({ KeyId: rsaKey, CiphertextBlob, EncryptionAlgorithm }));
      expect(opened).toMatchObject({ Plaintext, EncryptionAlgorithm, KeyId: rsaKey });
    }
  });

  it.each([
    ["RSAES_OAEP_SHA_1", 214],
    ["RSAES_OAEP_SHA_256", 190],
  ] as const)("take as much as %s can, and no more", async (algorithm, limit) => {
    const seal = (length: number) =>
      client.send(
        new EncryptCommand({ KeyId: rsaKey, Plaintext: new Uint8Array(length), EncryptionAlgorithm: algorithm }),
      );
    expect((await seal(limit)).CiphertextBlob).toHaveLength(256);
    expect(await errorOf(seal(limit + 1))).toEqual({
      name: "ValidationException",
      message: `Algorithm ${algorithm} and key spec RSA_2048 cannot encrypt data larger than ${limit} bytes.`,
    });
  });

  it("refuse a missing key, a context, and wrong bytes", async () => {
    const CiphertextBlob = new Uint8Array(256).fill(1);
    const decrypt = (more: object) => client.send(new DecryptCommand({ CiphertextBlob, EncryptionAlgorithm, ...more }));
    expect(await errorOf(decrypt({}))).toEqual({ name: "ValidationException", message: "KeyId must not be null" });
    expect(await errorOf(decrypt({ KeyId: rsaKey, EncryptionContext }))).toEqual({
      name: "ValidationException",
      message: "EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.",
    });
    expect(await errorNameOf(decrypt({ KeyId: rsaKey }))).toBe("InvalidCiphertextException");
    const asSymmetric = { KeyId: rsaKey, EncryptionAlgorithm: undefined };
    expect(await errorNameOf(decrypt(asSymmetric))).toBe("InvalidCiphertextException");
    expect(await errorOf(decrypt({ ...asSymmetric, CiphertextBlob: await encrypt() }))).toEqual({
      name: "IncorrectKeyException",
      message: "The key ID in the request does not identify a CMK that can perform this operation.",
    });
  });
});

describe("data keys", () => {
  it("come in the clear and sealed, and Decrypt opens the sealed one", async () => {
    for (const [size, bytes] of [
      [{ KeySpec: "AES_128" }, 16],
      [{ KeySpec: "AES_256" }, 32],
      [{ NumberOfBytes: 1024 }, 1024],
    ] as const) {
      const made = await client.send(new GenerateDataKeyCommand({ KeyId: keyId, EncryptionContext, ...size }));
      expect(made.Plaintext).toHaveLength(bytes);
      const { CiphertextBlob } = made;
      const opened = await client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }));
      expect(opened.Plaintext).toEqual(made.Plaintext);
      expect(await errorNameOf(client.send(new DecryptCommand({ CiphertextBlob })))).toBe("InvalidCiphertextException");
    }
  });

  it("come only sealed from GenerateDataKeyWithoutPlaintext", async () => {
    const made = await client.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId: keyId, KeySpec: "AES_256" }));
    expect(Object.keys(made).sort()).toEqual(["$metadata", "CiphertextBlob", "KeyId", "KeyMaterialId"]);
  });

  it("have one size, given in one way, and a symmetric key", async () => {
    const generate = (more: object) => errorOf(client.send(new GenerateDataKeyCommand({ KeyId: keyId, ...more })));
    const oneWay = { name: "ValidationException", message: "Please specify either number of bytes or key spec." };
    expect(await generate({})).toEqual(oneWay);
    expect(await generate({ KeySpec: "AES_256", NumberOfBytes: 32 })).toEqual(oneWay);
    expect((await generate({ NumberOfBytes: 1025 })).name).toBe("ValidationException");
    const rsa = await newKey({ KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
    expect(await generate({ KeyId: rsa, KeySpec: "AES_256" })).toEqual({
      name: "InvalidKeyUsageException",
      message: "You cannot generate a data key with an asymmetric CMK",
    });
  });

  it.each([
    "RSA_2048",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "ECC_NIST_EDWARDS25519",
  ] as const)("come in pairs too: %s", async (KeyPairSpec) => {
    const made = await client.send(new GenerateDataKeyPairCommand({ KeyId: keyId, KeyPairSpec, EncryptionContext }));
    const CiphertextBlob = made.PrivateKeyCiphertextBlob;
    const opened = await client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }));
    expect(opened.Plaintext).toEqual(made.PrivateKeyPlaintext);
    const { PrivateKeyPlaintext = new Uint8Array(), PublicKey = new Uint8Array() } = made;
    const derived = createPublicKey(
      createPrivateKey({ key: Buffer.from(PrivateKeyPlaintext), format: "der", type: "pkcs8" }),
    );
    expect(new Uint8Array(derived.export({ type: "spki", format: "der" }))).toEqual(PublicKey);
  });

  it("are not sealed under a key that is disabled while they are made", async () => {
    const KeyId = await newKey({});
    const pair = errorNameOf(client.send(new GenerateDataKeyPairCommand({ KeyId, KeyPairSpec: "RSA_4096" })));
    await client.send(new DisableKeyCommand({ KeyId }));
    expect(await pair).toBe("DisabledException");
  });

  it("come in pairs without the private key in the clear", async () => {
    const command = new GenerateDataKeyPairWithoutPlaintextCommand({ KeyId: keyId, KeyPairSpec: "ECC_NIST_P256" });
    const names = ["$metadata", "KeyId", "KeyMaterialId", "KeyPairSpec", "PrivateKeyCiphertextBlob", "PublicKey"];
    expect(Object.keys(await client.send(command)).sort()).toEqual(names);
  });
});

describe("GenerateRandom", () => {
  it("gives as many bytes as asked, different ones each time", async () => {
    const random = async (NumberOfBytes: number) =>
      (await client.send(new GenerateRandomCommand({ NumberOfBytes }))).Plaintext;
    expect(await random(1)).toHaveLength(1);
    expect(await random(1024)).toHaveLength(1024);
    expect(await random(32)).not.toEqual(await random(32));
  });

  it.each([
    [undefined, "NumberOfBytes is required."],
    [
      0,
      "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ],
    [
      1025,
      "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal to 1024",
    ],
  ])("refuses %s bytes", async (NumberOfBytes, message) => {
    const call = client.send(new GenerateRandomCommand({ NumberOfBytes }));
    expect(await errorOf(call)).toEqual({ name: "ValidationException", message });
  });
});

describe("DeriveSharedSecret", () => {
  it.each([
    ["ECC_NIST_P256", "prime256v1"],
    ["ECC_NIST_P384", "secp384r1"],
    ["ECC_NIST_P521", "secp521r1"],
  ] as const)("agrees with the other side on %s", async (KeySpec, namedCurve) => {
    const KeyId = await newKey({ KeySpec, KeyUsage: "KEY_AGREEMENT" });
    const ours = generateKeyPairSync("ec", { namedCurve });
    const PublicKey = ours.publicKey.export({ type: "spki", format: "der" });
    const answer = await client.send(
      new DeriveSharedSecretCommand({ KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey }),
    );
    const theirs = await client.send(new GetPublicKeyCommand({ KeyId }));
    const { x = "", y = "" } = createPublicKey({
      key: Buffer.from(theirs.PublicKey ?? []),
      format: "der",
      type: "spki",
    }).export({ format: "jwk" });
    const ecdh = createECDH(namedCurve);
    ecdh.setPrivateKey(Buffer.from(ours.privateKey.export({ format: "jwk" }).d ?? "", "base64url"));
    const point = Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
    expect(answer.SharedSecret).toEqual(new Uint8Array(ecdh.computeSecret(point)));
    expect(answer).toMatchObject({ KeyId, KeyAgreementAlgorithm: "ECDH", KeyOrigin: "AWS_KMS" });
  });

  it("refuses a public key of another curve, bytes that are none, and keys of another usage", async () => {
    const KeyId = await newKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" });
    const derive = (PublicKey: Uint8Array, key = KeyId) =>
      errorNameOf(client.send(new DeriveSharedSecretCommand({ KeyId: key, KeyAgreementAlgorithm: "ECDH", PublicKey })));
    const spki = (namedCurve: string) =>
      generateKeyPairSync("ec", { namedCurve }).publicKey.export({ type: "spki", format: "der" });
    expect(await derive(spki("prime256v1"))).toBe("no error");
    expect(await derive(spki("secp384r1"))).toBe("ValidationException");
    expect(await derive(utf8("nothing"))).toBe("ValidationException");
    expect(await derive(spki("prime256v1"), keyId)).toBe("InvalidKeyUsageException");
  });
});

describe("GetKeyPolicy", () => {
  it("gives the default policy of a key that was made without one", async () => {
    const { Policy = "", PolicyName } = await client.send(new GetKeyPolicyCommand({ KeyId: keyId }));
    expect(PolicyName).toBe("default");
    expect(JSON.parse(Policy)).toEqual({
      Version: "2012-10-17",
      Id: "key-default-1",
      Statement: [
        {
          Sid: "Enable IAM User Permissions",
          Effect: "Allow",
          Principal: { AWS: "arn:aws:iam::111122223333:root" },
          Action: "kms:*",
          Resource: "*",
        },
      ],
    });
  });

  it("knows no other policy name", async () => {
    const call = client.send(new GetKeyPolicyCommand({ KeyId: keyId, PolicyName: "other" }));
    expect(await errorNameOf(call)).toBe("NotFoundException");
  });
});

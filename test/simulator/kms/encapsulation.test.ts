/** Encapsulate and Decapsulate through the unmodified AWS SDK, and each wrong thing with its exact AWS error. */
import type { KeySpec, KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DecapsulateCommand,
  DisableKeyCommand,
  EncapsulateCommand,
  GetPublicKeyCommand,
} from "@aws-sdk/client-kms";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";

const clock = clockAt();
const EncapsulationAlgorithm = "ML_KEM";
let kms: SimulatedKms;
let client: KMSClient;
let KeyId: string;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  client = kmsClient(kms, clock);
  KeyId = await newKey("ML_KEM_768");
});

afterAll(async () => {
  client.destroy();
  await kms.close();
});

async function newKey(spec: KeySpec): Promise<string> {
  const command = new CreateKeyCommand({ KeySpec: spec, KeyUsage: "ENCAPSULATE_DECAPSULATE" });
  return (await client.send(command)).KeyMetadata?.Arn ?? "";
}

const encapsulate = (changes: object = {}) =>
  client.send(new EncapsulateCommand({ KeyId, EncapsulationAlgorithm, ...changes }));
const decapsulate = (SharedSecretCiphertextBlob: Uint8Array | undefined, changes: object = {}) =>
  client.send(new DecapsulateCommand({ KeyId, EncapsulationAlgorithm, SharedSecretCiphertextBlob, ...changes }));

describe("ML-KEM", () => {
  it.each([
    ["ML_KEM_512", 768],
    ["ML_KEM_768", 1088],
    ["ML_KEM_1024", 1568],
  ] as const)("gives both sides of %s one secret", async (spec, bytes) => {
    const key = { KeyId: await newKey(spec) };
    const made = await encapsulate(key);
    expect(made).toMatchObject({ ...key, EncapsulationAlgorithm });
    expect(made.SharedSecret).toHaveLength(32);
    expect(made.SharedSecretCiphertextBlob).toHaveLength(bytes);
    const { $metadata, ...opened } = await decapsulate(made.SharedSecretCiphertextBlob, key);
    expect(opened).toEqual({ ...key, EncapsulationAlgorithm, SharedSecret: made.SharedSecret });
  });

  it("agrees with who encapsulates with the public key alone", async () => {
    const { PublicKey = new Uint8Array() } = await client.send(new GetPublicKeyCommand({ KeyId }));
    const rawKey = PublicKey.subarray(-(ml_kem768.lengths.publicKey ?? 0));
    const { sharedSecret, cipherText } = ml_kem768.encapsulate(rawKey);
    expect((await decapsulate(cipherText)).SharedSecret).toEqual(sharedSecret);
  });

  it("gives a secret that nobody else has for a ciphertext of another key", async () => {
    const { SharedSecret, SharedSecretCiphertextBlob } = await encapsulate({ KeyId: await newKey("ML_KEM_768") });
    const opened = await decapsulate(SharedSecretCiphertextBlob);
    expect(opened.SharedSecret).toHaveLength(32);
    expect(opened.SharedSecret).not.toEqual(SharedSecret);
  });

  it("refuses a ciphertext of another length", async () => {
    for (const length of [1, 1087, 1089, 6144]) {
      expect(await errorNameOf(decapsulate(new Uint8Array(length)))).toBe("InvalidCiphertextException");
    }
  });

  it("refuses a key of another usage, a disabled one, an algorithm that is none, and a dry run", async () => {
    const command = new CreateKeyCommand({ KeySpec: "ML_DSA_44", KeyUsage: "SIGN_VERIFY" });
    const signing = (await client.send(command)).KeyMetadata?.Arn;
    expect(await errorOf(encapsulate({ KeyId: signing }))).toEqual({
      name: "InvalidKeyUsageException",
      message: `${signing} key usage is SIGN_VERIFY which is not valid for Encapsulate.`,
    });
    expect(await errorOf(decapsulate(new Uint8Array(1088), { KeyId: signing }))).toEqual({
      name: "InvalidKeyUsageException",
      message: `${signing} key usage is SIGN_VERIFY which is not valid for Decapsulate.`,
    });
    expect(await errorOf(encapsulate({ EncapsulationAlgorithm: "RSA_KEM" }))).toEqual({
      name: "ValidationException",
      message:
        "1 validation error detected: Value 'RSA_KEM' at 'encapsulationAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [ML_KEM]",
    });
    expect(await errorNameOf(encapsulate({ DryRun: true }))).toBe("DryRunOperationException");
    const disabled = await newKey("ML_KEM_512");
    await client.send(new DisableKeyCommand({ KeyId: disabled }));
    expect(await errorOf(encapsulate({ KeyId: disabled }))).toEqual({
      name: "DisabledException",
      message: `${disabled} is disabled.`,
    });
  });

  it("is audited without ciphertext and secret", async () => {
    await decapsulate((await encapsulate()).SharedSecretCiphertextBlob);
    const record = kms.auditLog.records.at(-1);
    expect(record).toMatchObject({ eventName: "Decapsulate", readOnly: true, responseElements: null });
    expect(record?.requestParameters).toEqual({ keyId: KeyId, encapsulationAlgorithm: EncapsulationAlgorithm });
  });
});

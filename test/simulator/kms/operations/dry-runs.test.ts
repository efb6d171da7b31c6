/**
 * DryRun through the unmodified AWS SDK, of every operation on a key that has it: it says that the call would have succeeded,
 * or why not, as the key's state has it; and what a dry run may leave out.
 */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DecapsulateCommand,
  DecryptCommand,
  DeriveSharedSecretCommand,
  DisableKeyCommand,
  EncapsulateCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairCommand,
  GenerateDataKeyPairWithoutPlaintextCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GenerateMacCommand,
  GetPublicKeyCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  ScheduleKeyDeletionCommand,
  SignCommand,
  VerifyCommand,
  VerifyMacCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../../shared/bytes.js";
import type { SimulatedKms } from "../../../../simulator/endpoint/server.js";
import { startKms } from "../../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../../support/simulated-kms.js";
import { clockAt } from "../../fixtures.js";

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

type Options = ConstructorParameters<typeof CreateKeyCommand>[0];

const newKey = async (options: Options = {}): Promise<string> =>
  (await client.send(new CreateKeyCommand(options))).KeyMetadata?.Arn ?? "";

const PAIR: Options = { KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" };
const MAC: Options = { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" };
const AGREEMENT: Options = { KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" };
const KEM: Options = { KeySpec: "ML_KEM_512", KeyUsage: "ENCAPSULATE_DECAPSULATE" };
const DryRun = true;
const [Plaintext, Message] = [utf8("x"), utf8("x")];
const signing = { Message, SigningAlgorithm: "ECDSA_SHA_256", DryRun } as const;
const mac = { Message, MacAlgorithm: "HMAC_SHA_256", DryRun } as const;
const kem = { EncapsulationAlgorithm: "ML_KEM", DryRun } as const;

interface Use {
  readonly key: Options;
  /** What has to be made before the key comes into its state. */
  readonly prepare?: (KeyId: string) => Promise<Uint8Array | undefined>;
  readonly attempt: (KeyId: string, made: Uint8Array) => Promise<unknown>;
}

const encrypted = async (KeyId: string) => (await client.send(new EncryptCommand({ KeyId, Plaintext }))).CiphertextBlob;

const USES: Readonly<Record<string, Use>> = {
  Encrypt: { key: {}, attempt: (KeyId) => client.send(new EncryptCommand({ KeyId, Plaintext, DryRun })) },
  Decrypt: {
    ...{ key: {}, prepare: encrypted },
    attempt: (_, CiphertextBlob) => client.send(new DecryptCommand({ CiphertextBlob, DryRun })),
  },
  ReEncrypt: {
    ...{ key: {}, prepare: encrypted },
    attempt: (DestinationKeyId, CiphertextBlob) =>
      client.send(new ReEncryptCommand({ CiphertextBlob, DestinationKeyId, DryRun })),
  },
  GenerateDataKey: {
    key: {},
    attempt: (KeyId) => client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256", DryRun })),
  },
  GenerateDataKeyWithoutPlaintext: {
    key: {},
    attempt: (KeyId) => client.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId, KeySpec: "AES_256", DryRun })),
  },
  GenerateDataKeyPair: {
    key: {},
    attempt: (KeyId) => client.send(new GenerateDataKeyPairCommand({ KeyId, KeyPairSpec: "ECC_NIST_P256", DryRun })),
  },
  GenerateDataKeyPairWithoutPlaintext: {
    key: {},
    attempt: (KeyId) =>
      client.send(new GenerateDataKeyPairWithoutPlaintextCommand({ KeyId, KeyPairSpec: "ECC_NIST_P256", DryRun })),
  },
  Sign: { key: PAIR, attempt: (KeyId) => client.send(new SignCommand({ KeyId, ...signing })) },
  Verify: {
    key: PAIR,
    prepare: async (KeyId) => (await client.send(new SignCommand({ KeyId, ...signing, DryRun: false }))).Signature,
    attempt: (KeyId, Signature) => client.send(new VerifyCommand({ KeyId, Signature, ...signing })),
  },
  GenerateMac: { key: MAC, attempt: (KeyId) => client.send(new GenerateMacCommand({ KeyId, ...mac })) },
  VerifyMac: {
    key: MAC,
    prepare: async (KeyId) => (await client.send(new GenerateMacCommand({ KeyId, ...mac, DryRun: false }))).Mac,
    attempt: (KeyId, Mac) => client.send(new VerifyMacCommand({ KeyId, Mac, ...mac })),
  },
  DeriveSharedSecret: {
    key: AGREEMENT,
    prepare: async (KeyId) => (await client.send(new GetPublicKeyCommand({ KeyId }))).PublicKey,
    attempt: (KeyId, PublicKey) =>
      client.send(new DeriveSharedSecretCommand({ KeyId, PublicKey, KeyAgreementAlgorithm: "ECDH", DryRun })),
  },
  Encapsulate: { key: KEM, attempt: (KeyId) => client.send(new EncapsulateCommand({ KeyId, ...kem })) },
  Decapsulate: {
    key: KEM,
    prepare: async (KeyId) =>
      (await client.send(new EncapsulateCommand({ KeyId, ...kem, DryRun: false }))).SharedSecretCiphertextBlob,
    attempt: (KeyId, SharedSecretCiphertextBlob) =>
      client.send(new DecapsulateCommand({ KeyId, SharedSecretCiphertextBlob, ...kem })),
  },
};

const WOULD_SUCCEED = {
  name: "DryRunOperationException",
  message: "The request would have succeeded, but the DryRun option is set.",
};

describe.each(Object.entries(USES))("%s", (_, { key, prepare, attempt }) => {
  it("says what it would do with a key that is enabled, disabled and pending deletion", async () => {
    const KeyId = await newKey(key);
    const made = (await prepare?.(KeyId)) ?? new Uint8Array();
    expect(await errorOf(attempt(KeyId, made))).toEqual(WOULD_SUCCEED);
    await client.send(new DisableKeyCommand({ KeyId }));
    const disabled = { name: "DisabledException", message: `${KeyId} is disabled.` };
    expect(await errorOf(attempt(KeyId, made))).toEqual(disabled);
    await client.send(new ScheduleKeyDeletionCommand({ KeyId }));
    const pending = { name: "KMSInvalidStateException", message: `${KeyId} is pending deletion.` };
    expect(await errorOf(attempt(KeyId, made))).toEqual(pending);
  });
});

describe("a dry run that is to ignore the ciphertext", () => {
  const ignoring = { DryRun, DryRunModifiers: ["IGNORE_CIPHERTEXT" as const] };
  const decrypt = (input: object) => errorOf(client.send(new DecryptCommand({ CiphertextBlob: undefined, ...input })));
  const reEncrypt = (input: { DestinationKeyId: string; SourceKeyId?: string }) =>
    errorOf(client.send(new ReEncryptCommand({ CiphertextBlob: undefined, ...ignoring, ...input })));

  it("asks about the key that it names, with no ciphertext or a wrong one", async () => {
    const KeyId = await newKey();
    expect(await decrypt({ KeyId, ...ignoring })).toEqual(WOULD_SUCCEED);
    expect(await decrypt({ KeyId, CiphertextBlob: Message, ...ignoring })).toEqual(WOULD_SUCCEED);
    expect(await reEncrypt({ SourceKeyId: KeyId, DestinationKeyId: KeyId })).toEqual(WOULD_SUCCEED);
    const open = { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" };
    const Statement = [open, { ...open, Effect: "Deny", Action: ["kms:Decrypt", "kms:ReEncryptFrom"] }];
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
    await client.send(new PutKeyPolicyCommand({ KeyId, Policy }));
    expect((await decrypt({ KeyId, ...ignoring })).name).toBe("AccessDeniedException");
    const denied = await reEncrypt({ SourceKeyId: KeyId, DestinationKeyId: KeyId });
    expect(denied.name).toBe("AccessDeniedException");
  });

  it("has to name one, has to be a dry run, and never gives a plaintext", async () => {
    const KeyId = await newKey();
    expect(await decrypt(ignoring)).toEqual({ name: "ValidationException", message: "KeyId must not be null" });
    const unnamed = await reEncrypt({ DestinationKeyId: KeyId });
    expect(unnamed).toEqual({ name: "ValidationException", message: "SourceKeyId must not be null" });
    const missing = {
      name: "ValidationException",
      message:
        "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null",
    };
    expect(await decrypt({ KeyId, ...ignoring, DryRun: false })).toEqual(missing);
    expect(await decrypt({ KeyId, DryRun })).toEqual(missing);
    const CiphertextBlob = await encrypted(KeyId);
    expect(await errorNameOf(client.send(new DecryptCommand({ KeyId, CiphertextBlob, ...ignoring })))).toBe(
      "DryRunOperationException",
    );
  });
});

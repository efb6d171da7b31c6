/** ReEncrypt through the unmodified AWS SDK: what comes out, both permissions, and each wrong thing with its exact AWS error. */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DisableKeyCommand,
  EncryptCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../shared/bytes.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";

const clock = clockAt();
const Plaintext = utf8("a secret");
const OLD = { tenant: "a" };
const NEW = { tenant: "a", version: "2" };
let kms: SimulatedKms;
let client: KMSClient;
let source: string;
let destination: string;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  client = kmsClient(kms, clock);
  [source, destination] = [await newKey(), await newKey()];
});

afterAll(async () => {
  client.destroy();
  await kms.close();
});

async function newKey(options: object = {}): Promise<string> {
  const command = new CreateKeyCommand({});
  Object.assign(command.input, options);
  return (await client.send(command)).KeyMetadata?.Arn ?? "";
}

async function reEncrypt(changes: object = {}, KeyId = source) {
  const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext: OLD }));
  return client.send(
    new ReEncryptCommand({
      ...{ CiphertextBlob, SourceEncryptionContext: OLD, DestinationKeyId: destination },
      ...{ DestinationEncryptionContext: NEW, ...changes },
    }),
  );
}

const decrypt = (CiphertextBlob: Uint8Array | undefined, EncryptionContext: Record<string, string>) =>
  client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }));

/** A policy under which everybody may do everything but what `denied` says. */
async function deny(KeyId: string, denied: object): Promise<void> {
  const open = { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" };
  const Statement = [open, { Effect: "Deny", Principal: "*", Resource: "*", ...denied }];
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
  await client.send(new PutKeyPolicyCommand({ KeyId, PolicyName: "default", Policy }));
}

describe("ReEncrypt", () => {
  it("gives a ciphertext of the same content under the other key and context", async () => {
    const answer = await reEncrypt();
    expect(answer).toMatchObject({
      ...{ SourceKeyId: source, KeyId: destination },
      ...{ SourceEncryptionAlgorithm: "SYMMETRIC_DEFAULT", DestinationEncryptionAlgorithm: "SYMMETRIC_DEFAULT" },
    });
    const materials = [answer.SourceKeyMaterialId, answer.DestinationKeyMaterialId];
    expect(materials).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), expect.stringMatching(/^[0-9a-f]{64}$/)]);
    expect(materials[0]).not.toBe(materials[1]);
    expect(await decrypt(answer.CiphertextBlob, NEW)).toMatchObject({ KeyId: destination, Plaintext });
    expect(await errorNameOf(decrypt(answer.CiphertextBlob, OLD))).toBe("InvalidCiphertextException");
  });

  it("takes aliases, and the key itself as the destination", async () => {
    await client.send(new CreateAliasCommand({ AliasName: "alias/old", TargetKeyId: source }));
    const { KeyId, CiphertextBlob } = await reEncrypt({ SourceKeyId: "alias/old", DestinationKeyId: "alias/old" });
    expect(KeyId).toBe(source);
    expect((await decrypt(CiphertextBlob, NEW)).KeyId).toBe(source);
  });

  it("goes to an RSA key and back", async () => {
    const rsa = await newKey({ KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
    const algorithm = "RSAES_OAEP_SHA_256";
    const toRsa = { DestinationKeyId: rsa, DestinationEncryptionAlgorithm: algorithm };
    const { CiphertextBlob } = await reEncrypt({ ...toRsa, DestinationEncryptionContext: undefined });
    const back = await client.send(
      new ReEncryptCommand({
        ...{ CiphertextBlob, SourceKeyId: rsa, SourceEncryptionAlgorithm: algorithm },
        ...{ DestinationKeyId: destination, DestinationEncryptionContext: NEW },
      }),
    );
    expect(back.SourceKeyMaterialId).toBeUndefined();
    expect((await decrypt(back.CiphertextBlob, NEW)).Plaintext).toEqual(Plaintext);
    const withoutName = {
      CiphertextBlob,
      SourceEncryptionAlgorithm: algorithm,
      DestinationKeyId: destination,
    } as const;
    expect(await errorOf(client.send(new ReEncryptCommand(withoutName)))).toEqual({
      name: "ValidationException",
      message: "SourceKeyId must not be null",
    });
  });

  it.each<[string, object, string]>([
    ["another context than the ciphertext's", { SourceEncryptionContext: NEW }, "InvalidCiphertextException"],
    ["what is no ciphertext", { CiphertextBlob: utf8("nothing of the kind") }, "InvalidCiphertextException"],
    ["a destination that there is not", { DestinationKeyId: "alias/none" }, "NotFoundException"],
    [
      "an algorithm of another spec",
      { DestinationEncryptionAlgorithm: "RSAES_OAEP_SHA_1" },
      "InvalidKeyUsageException",
    ],
    ["a dry run, having done it", { DryRun: true }, "DryRunOperationException"],
  ])("refuses %s", async (_, changes, name) => {
    expect(await errorNameOf(reEncrypt(changes))).toBe(name);
  });

  it("refuses a source that did not make the ciphertext, and a disabled key on either side", async () => {
    expect(await errorNameOf(reEncrypt({ SourceKeyId: destination }))).toBe("IncorrectKeyException");
    const disabled = await newKey();
    await client.send(new DisableKeyCommand({ KeyId: disabled }));
    expect(await errorNameOf(reEncrypt({ DestinationKeyId: disabled }))).toBe("DisabledException");
  });

  it("needs ReEncryptFrom on the one key and ReEncryptTo on the other", async () => {
    const [from, to] = [await newKey(), await newKey()];
    const attempt = () => errorNameOf(reEncrypt({ DestinationKeyId: to }, from));
    await deny(from, { Action: "kms:ReEncryptTo" });
    await deny(to, { Action: "kms:ReEncryptFrom" });
    await reEncrypt({ DestinationKeyId: to }, from);
    await deny(from, { Action: "kms:ReEncryptFrom" });
    expect(await attempt()).toBe("AccessDeniedException");
    await deny(from, { Action: "kms:ReEncryptTo" });
    await deny(to, { Action: "kms:ReEncryptTo" });
    expect(await attempt()).toBe("AccessDeniedException");
  });

  it("tells policies the context of either side, and whether both are one key", async () => {
    const [from, to] = [await newKey(), await newKey()];
    const conditioned = (action: string, key: string, value: string) => ({
      Action: `kms:${action}`,
      Condition: { StringEquals: { [`kms:${key}`]: value } },
    });
    await deny(from, conditioned("ReEncryptFrom", "EncryptionContext:version", "2")); // of the destination alone
    await deny(to, conditioned("ReEncryptTo", "ReEncryptOnSameKey", "true"));
    await reEncrypt({ DestinationKeyId: to }, from);
    await deny(to, conditioned("ReEncryptTo", "EncryptionContext:version", "2"));
    expect(await errorNameOf(reEncrypt({ DestinationKeyId: to }, from))).toBe("AccessDeniedException");
    await deny(from, conditioned("ReEncryptTo", "ReEncryptOnSameKey", "true"));
    expect(await errorNameOf(reEncrypt({ DestinationKeyId: from }, from))).toBe("AccessDeniedException");
  });

  it("is audited with both keys and contexts, and without bytes", async () => {
    await reEncrypt();
    const record = kms.auditLog.records.at(-1);
    expect(record?.resources.map(({ ARN }) => ARN)).toEqual([source, destination]);
    expect(record?.requestParameters).toEqual({
      ...{ sourceEncryptionAlgorithm: "SYMMETRIC_DEFAULT", destinationEncryptionAlgorithm: "SYMMETRIC_DEFAULT" },
      ...{ sourceEncryptionContext: OLD, destinationEncryptionContext: NEW, destinationKeyId: destination },
    });
  });
});

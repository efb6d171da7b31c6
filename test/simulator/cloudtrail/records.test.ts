import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateAliasCommand,
  CreateGrantCommand,
  CreateKeyCommand,
  DecryptCommand,
  EncryptCommand,
  GenerateDataKeyPairCommand,
  ReEncryptCommand,
  RetireGrantCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toBase64, toHex, utf8 } from "../../../shared/bytes.js";
import type { Simulation } from "../../../simulator/simulation.js";
import { startSimulation } from "../../../simulator/simulation.js";
import { attest, errorNameOf, kmsClient, recipientKeyPair, recipientOf } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";

const clock = clockAt();
const Plaintext = utf8("the very secret plaintext");
let simulation: Simulation;
let operator: KMSClient;
let KeyId: string;

beforeAll(async () => {
  simulation = await startSimulation({ clock });
  operator = kmsClient(simulation.kms, clock);
  KeyId = (await operator.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "";
});
afterAll(async () => {
  operator.destroy();
  await simulation.close();
});

const last = () => simulation.kms.auditLog.records.at(-1);

describe("the audit log", () => {
  it("has a CloudTrail record of each call", async () => {
    await operator.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext: { tenant: "a" } }));
    expect(last()).toMatchObject({
      eventVersion: "1.11",
      userIdentity: { type: "IAMUser", userName: "operator", accessKeyId: simulation.operator.accessKeyId },
      eventTime: `${clock().toISOString().slice(0, 19)}Z`,
      eventSource: "kms.amazonaws.com",
      eventName: "Encrypt",
      awsRegion: "us-east-1",
      sourceIPAddress: "127.0.0.1",
      userAgent: expect.stringContaining("aws-sdk-js"),
      requestParameters: {
        ...{ keyId: KeyId, encryptionContext: { tenant: "a" }, encryptionAlgorithm: "SYMMETRIC_DEFAULT" },
      },
      responseElements: null,
      readOnly: true,
      resources: [{ accountId: simulation.accountId, type: "AWS::KMS::Key", ARN: KeyId }],
      eventType: "AwsApiCall",
      recipientAccountId: simulation.accountId,
      tlsDetails: {
        tlsVersion: "TLSv1.3",
        cipherSuite: "TLS_AES_256_GCM_SHA384",
        clientProvidedHostHeader: new URL(simulation.kms.endpoint).host,
      },
    });
    expect(last()).not.toHaveProperty("errorCode");
    expect(last()).not.toHaveProperty("additionalEventData");
  });

  it("has what a call that changes something answered, its key and its alias", async () => {
    const Tags = [{ TagKey: "Project", TagValue: "x" }];
    const { KeyMetadata } = await operator.send(new CreateKeyCommand({ Tags }));
    const { Arn, KeyId: id = "" } = KeyMetadata ?? {};
    const key = { accountId: simulation.accountId, type: "AWS::KMS::Key", ARN: Arn };
    expect(last()).toMatchObject({
      requestParameters: { tags: [{ tagKey: "Project", tagValue: "x" }] },
      responseElements: {
        keyMetadata: {
          AWSAccountId: simulation.accountId,
          ...{ keyId: id, arn: Arn, creationDate: "Nov 23, 2026, 10:00:00 AM", enabled: true },
        },
      },
      resources: [key],
      readOnly: false,
    });
    await operator.send(new CreateAliasCommand({ AliasName: "alias/records", TargetKeyId: id }));
    expect(last()).toMatchObject({
      responseElements: { keyId: Arn },
      resources: [key, { ...key, ARN: Arn?.replace(`key/${id}`, "alias/records") }],
    });
    await errorNameOf(operator.send(new CreateAliasCommand({ AliasName: "alias/records", TargetKeyId: id })));
    expect(last()).toMatchObject({ errorCode: "AlreadyExistsException", responseElements: null });
  });

  it("has a grant's id and key, and never its token", async () => {
    const GranteePrincipal = simulation.roleArn;
    const terms = { KeyId, GranteePrincipal, Operations: ["Decrypt" as const] };
    const { GrantId, GrantToken = "" } = await operator.send(new CreateGrantCommand(terms));
    expect(last()).toMatchObject({
      requestParameters: { keyId: KeyId, granteePrincipal: GranteePrincipal, operations: ["Decrypt"] },
      responseElements: { grantId: GrantId, keyId: KeyId },
    });
    await operator.send(new RetireGrantCommand({ GrantToken }));
    expect(last()?.eventName).toBe("RetireGrant");
    expect(GrantToken).not.toBe("");
    expect(JSON.stringify(simulation.kms.auditLog.records)).not.toContain(GrantToken);
  });

  it("names the materials that were used", async () => {
    const { CiphertextBlob } = await operator.send(new EncryptCommand({ KeyId, Plaintext }));
    const { KeyMaterialId } = await operator.send(new DecryptCommand({ CiphertextBlob }));
    expect(last()?.additionalEventData).toEqual({ keyMaterialId: KeyMaterialId });
    expect(KeyMaterialId).toMatch(/^[0-9a-f]{64}$/);
    await operator.send(new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: KeyId }));
    expect(last()?.additionalEventData).toEqual({
      sourceKeyMaterialId: KeyMaterialId,
      destinationKeyMaterialId: KeyMaterialId,
    });
  });

  it("says what the attestation document said", async () => {
    const { CiphertextBlob } = await operator.send(new EncryptCommand({ KeyId, Plaintext }));
    const Recipient = recipientOf(await attest(simulation.nsm, recipientKeyPair().spki));
    await operator.send(new DecryptCommand({ CiphertextBlob, Recipient }));
    const { pcrs, moduleId } = simulation;
    expect(last()?.additionalEventData?.recipient).toEqual({
      attestationDocumentModuleId: moduleId,
      attestationDocumentEnclaveImageDigest: pcrs[0],
      ...Object.fromEntries([1, 2, 3, 4].map((index) => [`attestationDocumentEnclavePCR${index}`, pcrs[index]])),
      attestationDocumentEnclavePCR8: "00".repeat(48),
    });
  });

  it("records refused calls, with their caller and reason", async () => {
    const role = kmsClient(simulation.kms, clock, await simulation.roleCredentials());
    await errorNameOf(role.send(new EncryptCommand({ KeyId, Plaintext })));
    expect(last()).toMatchObject({
      eventName: "Encrypt",
      errorCode: "AccessDeniedException",
      errorMessage: expect.stringContaining("is not authorized to perform: kms:Encrypt"),
      userIdentity: {
        type: "AssumedRole",
        arn: expect.stringContaining(`assumed-role/enclave-parent/${simulation.instanceId}`),
        sessionContext: { sessionIssuer: { type: "Role", arn: simulation.roleArn, userName: "enclave-parent" } },
      },
    });
    const stranger = kmsClient(simulation.kms, clock, { accessKeyId: "AKIASTRANGER", secretAccessKey: "x" });
    await errorNameOf(stranger.send(new EncryptCommand({ KeyId, Plaintext })));
    expect(last()).toMatchObject({ errorCode: "UnrecognizedClientException", userIdentity: { type: "Unknown" } });
    role.destroy();
    stranger.destroy();
  });

  it("pitfall 25: never holds a plaintext, a ciphertext or a key, in any encoding", async () => {
    const { CiphertextBlob = Plaintext } = await operator.send(new EncryptCommand({ KeyId, Plaintext }));
    await operator.send(new DecryptCommand({ CiphertextBlob }));
    const pair = await operator.send(new GenerateDataKeyPairCommand({ KeyId, KeyPairSpec: "ECC_NIST_P256" }));
    const text = JSON.stringify(simulation.kms.auditLog.records);
    expect(text).toContain("GenerateDataKeyPair");
    for (const secret of [
      Plaintext,
      CiphertextBlob,
      pair.PrivateKeyPlaintext ?? Plaintext,
      utf8(simulation.operator.secretAccessKey),
    ]) {
      for (const form of [toBase64(secret), toHex(secret), Buffer.from(secret).toString()])
        expect(text).not.toContain(form);
    }
  });
});

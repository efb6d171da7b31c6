/**
 * Branch keys over the whole product: the operator's command fills a folder, the parent reads it for the enclave, the
 * enclave opens what is in it by attested KMS, and a client that verified the enclave has messages made and opened.
 */
import { join } from "node:path";
import { CreateKeyCommand, PutKeyPolicyCommand } from "@aws-sdk/client-kms";
import { expect, it, onTestFinished } from "vitest";
import { connectEnclave } from "../../client/connect.js";
import { createEnclave } from "../../enclave/index.js";
import { createParent } from "../../parent/index.js";
import { pcr16OfConfiguration } from "../../shared/attestation/pcr.js";
import { toHex, utf8 } from "../../shared/bytes.js";
import { startSimulation } from "../../simulator/index.js";
import { authorizationFor, issuerForTest, TENANT_POLICIES } from "../support/authorization.js";
import { testFolder } from "../support/folder.js";
import { folderKeyStore, LOGICAL_NAME, makeBranchKeys, TABLE } from "../support/key-store.js";
import { kmsClient } from "../support/simulated-kms.js";

const PLAINTEXT = utf8("attack at dawn");

async function startWithBranchKeys() {
  const { issuer, token } = await issuerForTest();
  const simulation = await startSimulation();
  onTestFinished(() => simulation.close());
  const { kms, region, nsm, pcrs, trustAnchor, roleArn } = simulation;
  const operator = kmsClient(kms, () => new Date());
  onTestFinished(() => operator.destroy());
  const keyArn = (await operator.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "";
  const dataKeys = { kind: "branchKeys", keyId: keyArn, logicalKeyStoreName: LOGICAL_NAME, tableName: TABLE };
  const configuration = utf8(
    JSON.stringify({
      version: 1,
      kms: { region, keys: [{ arn: keyArn }], transport: "tunnel", roots: [kms.caCertificate] },
      channels: {},
      authorization: authorizationFor(issuer, { policies: TENANT_POLICIES }),
      messages: { requiredPairs: ["tenant"], dataKeys },
    }),
  );
  const attested = {
    "kms:RecipientAttestation:PCR0": pcrs[0],
    "kms:RecipientAttestation:PCR16": toHex(await pcr16OfConfiguration(configuration)),
  };
  const root = { AWS: `arn:aws:iam::${simulation.accountId}:root` };
  const Statement = [
    { Effect: "Allow", Principal: root, Action: "kms:*", Resource: "*" },
    {
      ...{ Effect: "Allow", Principal: { AWS: roleArn }, Action: "kms:Decrypt", Resource: "*" },
      Condition: { StringEqualsIgnoreCase: attested },
    },
  ];
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
  await operator.send(new PutKeyPolicyCommand({ KeyId: keyArn, Policy }));
  const store = folderKeyStore();
  await makeBranchKeys({ client: store.client, kmsClient: operator, keyArn }, "a", "b");
  const folder = testFolder();
  const at = (name: string): string => `unix:${join(folder, name)}`;
  const addresses = { listen: at("enclave"), tunnel: at("tunnel"), services: at("services") };
  const enclave = await createEnclave({ configuration, nsm, addresses });
  onTestFinished(() => enclave.close());
  const target = { host: "127.0.0.1", port: kms.port };
  const parent = await createParent({
    enclaves: [{ name: "enclave", address: addresses.listen }],
    listen: { host: "127.0.0.1", port: 0 },
    services: addresses.services,
    tunnel: { listen: addresses.tunnel, target, allow: [target], maxConnections: 16 },
    credentials: simulation.roleCredentials,
    branchKeys: { kind: "folder", path: store.path, table: TABLE },
  });
  onTestFinished(() => parent.close());
  const client = await connectEnclave(parent.url, {
    trustAnchor,
    policy: {
      pcrs: [
        {
          ...{ 0: pcrs[0] ?? "", 1: pcrs[1] ?? "", 2: pcrs[2] ?? "" },
          16: toHex(await pcr16OfConfiguration(configuration)),
        },
      ],
      freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
      debug: "reject",
      configuration: "pinned",
    },
    token,
  });
  return { client, simulation };
}

it("makes and opens messages under a tenant's branch key, for callers of that tenant, with one KMS call", async () => {
  const { client, simulation } = await startWithBranchKeys();
  const { records } = simulation.kms.auditLog;
  for (const record of ["1", "2", "3"]) {
    const encryptionContext = { tenant: "a", record };
    const { message } = await client.encryptMessage({ plaintext: PLAINTEXT, encryptionContext });
    expect((await client.decryptMessage({ message, encryptionContext })).plaintext).toEqual(PLAINTEXT);
  }
  const made = client.encryptMessage({ plaintext: PLAINTEXT, encryptionContext: { tenant: "b" } });
  await expect(made).rejects.toThrowCode("ERR_NOT_AUTHORIZED");
  const calls = simulation.kms.auditLog.records
    .slice(records.length)
    .filter(({ eventName, additionalEventData }) => eventName === "Decrypt" && additionalEventData?.recipient);
  expect(calls).toHaveLength(1);
});

/** The KMS under the example world, called with the AWS SDK: what each policy around a key takes away, and who is let in. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  PutKeyPolicyCommand,
  ScheduleKeyDeletionCommand,
} from "@aws-sdk/client-kms";
import { defaultProvider } from "@aws-sdk/credential-provider-node";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../shared/bytes.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { readWorld } from "../../../simulator/world/world.js";
import { projectRoot } from "../../support/project.js";
import type { Credentials } from "../../support/simulated-kms.js";
import { errorOf, kmsClient } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";

const EXAMPLE = JSON.parse(readFileSync(join(projectRoot, "docs/examples/world.json"), "utf8"));
const ADMINISTRATOR = { accessKeyId: "test", secretAccessKey: "test" };
const ALICE = { accessKeyId: "AKIAALICEEXAMPLE0001", secretAccessKey: "alice-secret-for-tests" };
const ALICE_THROUGH_S3 = { accessKeyId: "AKIAALICEEXAMPLE0003", secretAccessKey: "alice-through-s3" };
const LOGS = { accessKeyId: "LOGSEXAMPLE", secretAccessKey: "logs-secret-for-tests" };
const ALICE_ARN = "arn:aws:iam::111122223333:user/engineering/alice";
const Plaintext = utf8("a secret");

const clock = clockAt();
const clients: KMSClient[] = [];
let kms: SimulatedKms;
let administrator: KMSClient;
let outsider: KMSClient;

beforeAll(async () => {
  const world = readWorld(EXAMPLE, { region: "us-east-1" });
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock, world });
  administrator = clientOf(ADMINISTRATOR);
  outsider = clientOf(
    kms.principals.addUser({
      name: "outsider",
      accountId: "123456789012",
      policies: ['{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'],
    }),
  );
});
afterAll(async () => {
  for (const client of clients) client.destroy();
  await kms.close();
});

function clientOf(credentials: Credentials, server = kms): KMSClient {
  const client = kmsClient(server, clock, credentials);
  clients.push(client);
  return client;
}

/** A key whose policy has `statement` besides that of its account. */
async function keyWith(statement?: object): Promise<string> {
  const root = { Effect: "Allow", Principal: { AWS: "111122223333" }, Action: "kms:*", Resource: "*" };
  const Statement = statement === undefined ? [root] : [root, { Effect: "Allow", Resource: "*", ...statement }];
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
  const { KeyMetadata } = await administrator.send(new CreateKeyCommand({ Policy }));
  return KeyMetadata?.Arn ?? "";
}

const encrypt = (client: KMSClient, KeyId: string) => client.send(new EncryptCommand({ KeyId, Plaintext }));

/** The same client with another Host header, which it signs. */
function through(host: string, credentials: Credentials, server = kms): KMSClient {
  const client = clientOf(credentials, server);
  client.middlewareStack.add(
    (next) => (args) => {
      const { request } = args as { request: { headers: Record<string, string> } };
      request.headers.host = host;
      return next(args);
    },
    { step: "build", priority: "low", name: "changeHost" },
  );
  return client;
}

describe("the organisation", () => {
  it("denies by its service control policy whom the account lets, unless the tag is there", async () => {
    const KeyId = await keyWith();
    const untagged = clientOf(kms.operator);
    expect(await errorOf(untagged.send(new ScheduleKeyDeletionCommand({ KeyId })))).toEqual({
      name: "AccessDeniedException",
      message: `User: arn:aws:iam::111122223333:user/operator is not authorized to perform: kms:ScheduleKeyDeletion on resource: ${KeyId} with an explicit deny in a service control policy`,
    });
    expect((await administrator.send(new ScheduleKeyDeletionCommand({ KeyId }))).KeyState).toBe("PendingDeletion");
  });

  it("denies by its resource control policy everybody outside, whatever the key policy says", async () => {
    const KeyId = await keyWith({ Principal: { AWS: "123456789012" }, Action: "kms:Encrypt" });
    expect(await errorOf(encrypt(outsider, KeyId))).toEqual({
      name: "AccessDeniedException",
      message: `User: arn:aws:iam::123456789012:user/outsider is not authorized to perform: kms:Encrypt on resource: ${KeyId} with an explicit deny in a resource control policy`,
    });
  });
});

describe("key policies", () => {
  it("let a service in by its name and source", async () => {
    const statement = (sourceAccount: string) => ({
      Principal: { Service: "logs.us-east-1.amazonaws.com" },
      Action: "kms:Encrypt",
      Condition: { StringEquals: { "aws:SourceAccount": sourceAccount } },
    });
    const logs = clientOf(LOGS);
    expect((await encrypt(logs, await keyWith(statement("111122223333")))).CiphertextBlob).toBeDefined();
    expect((await errorOf(encrypt(logs, await keyWith(statement("444455556666"))))).name).toBe("AccessDeniedException");
  });

  it("let a user in through a service alone (kms:ViaService)", async () => {
    const KeyId = await keyWith({
      Principal: { AWS: ALICE_ARN },
      Action: "kms:Encrypt",
      Condition: { StringEquals: { "kms:ViaService": "s3.us-east-1.amazonaws.com" } },
    });
    expect((await encrypt(clientOf(ALICE_THROUGH_S3), KeyId)).CiphertextBlob).toBeDefined();
    expect((await errorOf(encrypt(clientOf(ALICE), KeyId))).message).toBe(
      `User: ${ALICE_ARN} is not authorized to perform: kms:Encrypt on resource: ${KeyId} because no identity-based policy allows the kms:Encrypt action`,
    );
  });

  it("let in by the organisation's paths, of caller and of key", async () => {
    const KeyId = await keyWith({
      Principal: "*",
      Action: "kms:DescribeKey",
      Condition: {
        "ForAnyValue:StringLike": { "aws:PrincipalOrgPaths": "o-a1b2c3d4e5/*/ou-ab12-workload/*" },
        StringEquals: { "aws:ResourceOrgID": `\${aws:PrincipalOrgID}` },
      },
    });
    expect((await clientOf(ALICE).send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.Arn).toBe(KeyId);
  });
});

describe("VPC endpoints", () => {
  const HOST = "vpce-0a1b2c3d4e5f60718-abcdefgh.kms.us-east-1.vpce.amazonaws.com";

  it("are what a key policy may insist on", async () => {
    const KeyId = await keyWith();
    const statements = [
      { Effect: "Allow", Principal: { AWS: "111122223333" }, Action: "kms:*", Resource: "*" },
      {
        Effect: "Deny",
        Principal: "*",
        Action: "kms:Encrypt",
        Resource: "*",
        Condition: { StringNotEquals: { "aws:SourceVpce": "vpce-0a1b2c3d4e5f60718" } },
      },
    ];
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement: statements });
    await administrator.send(new PutKeyPolicyCommand({ KeyId, Policy }));
    expect((await errorOf(encrypt(administrator, KeyId))).message).toContain(
      "with an explicit deny in a resource-based policy",
    );
    expect((await encrypt(through(HOST, ADMINISTRATOR), KeyId)).CiphertextBlob).toBeDefined();
  });

  it("allow no more than their policy does", async () => {
    const { organization: _, ...alone } = EXAMPLE;
    const world = readWorld(alone, { region: "us-east-1" });
    const trustAnchor = trustAnchorFromSha256("none", "00".repeat(32));
    await using outside = await startKms({ trustAnchor, clock, world });
    const client = through(HOST, ADMINISTRATOR, outside);
    const direct = kmsClient(outside, clock, ADMINISTRATOR);
    expect((await direct.send(new CreateKeyCommand({}))).KeyMetadata?.Enabled).toBe(true);
    direct.destroy();
    expect(await errorOf(client.send(new CreateKeyCommand({})))).toEqual({
      name: "AccessDeniedException",
      message:
        "User: arn:aws:iam::111122223333:user/test is not authorized to perform: kms:CreateKey on resource: * because no VPC endpoint policy allows the kms:CreateKey action",
    });
  });
});

describe("an SDK's own credential chain", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "nd-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("assumes a role from a role from a user, and decrypts with what it gets", async () => {
    const KeyId = await keyWith({
      Principal: { AWS: "arn:aws:iam::444455556666:role/reports" },
      Action: "kms:Decrypt",
    });
    const { CiphertextBlob } = await encrypt(administrator, KeyId);
    const filepath = join(folder, "credentials");
    const configFilepath = join(folder, "config");
    writeFileSync(
      filepath,
      `[alice]\naws_access_key_id = ${ALICE.accessKeyId}\naws_secret_access_key = ${ALICE.secretAccessKey}\n`,
    );
    writeFileSync(
      configFilepath,
      [
        "[profile payments]",
        "role_arn = arn:aws:iam::111122223333:role/service/payments",
        "source_profile = alice",
        "region = us-east-1",
        "[profile reports]",
        "role_arn = arn:aws:iam::444455556666:role/reports",
        "source_profile = payments",
        "external_id = reports-2026",
        "role_session_name = chained",
        "region = us-east-1",
        "",
      ].join("\n"),
    );
    const credentials = await defaultProvider({
      ...{ profile: "reports", filepath, configFilepath },
      clientConfig: {
        endpoint: kms.endpoint,
        region: kms.region,
        requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca: kms.caCertificate }) }),
        systemClockOffset: clock().getTime() - Date.now(),
      },
    })();
    const { accessKeyId, secretAccessKey, sessionToken = "" } = credentials;
    const reports = clientOf({ accessKeyId, secretAccessKey, sessionToken });
    expect((await reports.send(new DecryptCommand({ CiphertextBlob }))).Plaintext).toEqual(Plaintext);
    expect(kms.auditLog.records.at(-2)?.userIdentity).toMatchObject({
      type: "AssumedRole",
      arn: "arn:aws:sts::444455556666:assumed-role/reports/chained",
    });
  });
});

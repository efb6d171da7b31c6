/** `nitro-decrypt kms audit` and `kms cost`, beside a `nitro-decrypt kms --data` that runs, and after it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateAliasCommand, CreateKeyCommand, DecryptCommand, EncryptCommand, KMSClient } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseSince } from "../../../cli/kms/audit.js";
import { AuditTable } from "../../../cli/kms/audit-table.js";
import { kms } from "../../../cli/kms.js";
import { utf8 } from "../../../shared/bytes.js";
import type { AuditRecord } from "../../../simulator/cloudtrail/records.js";
import type { RecordedIo } from "../../support/io.js";
import { recordedIo } from "../../support/io.js";
import { errorNameOf } from "../../support/simulated-kms.js";

let folder: string;
let server: RecordedIo;
let exit: Promise<number>;
let client: KMSClient;
let keyId: string;
let stopped = false;

async function stop(): Promise<void> {
  if (stopped) return;
  stopped = true;
  server.interrupt();
  expect(await exit).toBe(0);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "nd-"));
  server = recordedIo({ cwd: folder, now: () => new Date() });
  exit = kms.run(["--folder", "files", "--data", "data", "--http", "--json"], server);
  const ready = JSON.parse(await server.firstOutput);
  const { accessKey } = JSON.parse(readFileSync(join(folder, "files", "connection.json"), "utf8"));
  client = new KMSClient({ endpoint: ready.endpoint, region: ready.region, credentials: accessKey, maxAttempts: 1 });
  keyId = (await client.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId ?? "";
  await client.send(new CreateAliasCommand({ AliasName: "alias/orders", TargetKeyId: keyId }));
  const EncryptionContext = { tenant: "a\u001b[2J" };
  const sealed = await client.send(
    new EncryptCommand({ KeyId: "alias/orders", Plaintext: utf8("x"), EncryptionContext }),
  );
  await errorNameOf(client.send(new DecryptCommand({ CiphertextBlob: sealed.CiphertextBlob })));
});
afterAll(async () => {
  client.destroy();
  await stop();
  rmSync(folder, { recursive: true });
});

async function run(...argv: string[]) {
  const io = recordedIo({ cwd: folder, now: () => new Date() });
  const exitCode = await kms.run(argv, io);
  return { exitCode, out: io.out, err: io.err };
}

const withoutTimes = (text: string): string => text.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "                TIME");

const table = (): string =>
  `TIME                 PRINCIPAL  EVENT        ${"KEY".padEnd(36)}  RESULT                      ENCLAVE  CONTEXT
                TIME  operator   CreateKey    ${keyId}  ok                          -
                TIME  operator   CreateAlias  ${keyId}  ok                          -
                TIME  operator   Encrypt      ${keyId}  ok                          -        tenant=a\\u{1b}[2J
                TIME  operator   Decrypt      ${keyId}  InvalidCiphertextException  -
`;

const costs = (): string =>
  `KEY                                   OPERATION    PRICE CLASS  CALLS  FAILED      PRICE
${keyId}  CreateKey    standard         1       0  $0.000003
${keyId}  CreateAlias  standard         1       0  $0.000003
${keyId}  Encrypt      standard         1       0  $0.000003
${keyId}  Decrypt      standard         0       1  $0.000000
all                                                                 3       1  $0.000009

calls after the free tier of each month  $0.000000
keys (1) and rotations (0), a month      $1.00
`;

describe("kms cost", () => {
  it.each(["--data=data", "--folder=files"])("%s shows what the calls cost, by key and operation", async (source) => {
    const { exitCode, out } = await run("cost", source);
    expect(exitCode).toBe(0);
    expect(out).toBe(costs());
    const report = JSON.parse((await run("cost", source, "--json")).out);
    expect(report).toMatchObject({
      calls: 3,
      priceAfterFreeTier: 0,
      keys: { count: 1, rotations: 0, pricePerMonth: 1 },
    });
  });

  it("counts from a time on", async () => {
    expect(JSON.parse((await run("cost", "--data=data", "--since", "2100-01-01", "--json")).out).lines).toEqual([]);
  });
});

describe("while the KMS runs", () => {
  it.each(["--data=data", "--folder=files"])("kms audit %s shows its calls", async (source) => {
    const { exitCode, out } = await run("audit", source);
    expect(exitCode).toBe(0);
    expect(withoutTimes(out)).toBe(table());
  });

  it.each(["--data=data", "--folder=files"])("kms audit %s --json has the records whole", async (source) => {
    const { out } = await run("audit", source, "--json", "--lines", "2");
    const records = out.trimEnd().split("\n");
    expect(records.map((line) => JSON.parse(line).eventName)).toEqual(["Encrypt", "Decrypt"]);
    expect(records.every((line) => server.out.includes(line))).toBe(true);
  });

  it.each(["--data=data", "--folder=files"])("kms audit %s shows none from before --since", async (source) => {
    expect((await run("audit", source, "--since", "2100-01-01")).out.trimEnd().split("\n")).toHaveLength(1);
    expect((await run("audit", source, "--since", "1h")).out.trimEnd().split("\n")).toHaveLength(5);
  });

  it.each(["--data=data", "--folder=files"])("kms audit %s --follow goes on with what comes", async (source) => {
    const shown: string[] = [];
    let more: () => void = () => undefined;
    const came = new Promise<void>((resolve) => {
      more = resolve;
    });
    const io = recordedIo({ cwd: folder, now: () => new Date() });
    const stdout = (output: string | Uint8Array): void => {
      if (shown.push(String(output)) > 1) more();
    };
    const following = kms.run(["audit", source, "--follow", "--lines", "1"], {
      ...io,
      stdout,
      interrupted: io.interrupted,
    });
    while (shown.length === 0) await new Promise(setImmediate);
    await errorNameOf(client.send(new CreateAliasCommand({ AliasName: "alias/orders", TargetKeyId: keyId })));
    await came;
    io.interrupt();
    expect(await following).toBe(0);
    expect(shown).toHaveLength(2);
    expect(shown[1]).toContain("AlreadyExistsException");
  });
});

describe("when it has ended", () => {
  it("its calls and costs are in the data folder, and nobody has it any more", async () => {
    await stop();
    expect(withoutTimes((await run("audit", "--data", "data")).out)).toContain("tenant=a");
    expect((await run("cost", "--data", "data")).out).toContain("keys (1) and rotations (0), a month      $1.00");
    const { exitCode, err } = await run("audit", "--folder", "files");
    expect([exitCode, err.includes("says of no KMS that runs")]).toEqual([1, true]);
  });
});

describe("wrong usage", () => {
  it.each([
    [["audit"], 2, "one of --data and --folder is required"],
    [["audit", "--data", "a", "--folder", "b"], 2, "one of --data and --folder is required"],
    [["audit", "--data", "nowhere"], 1, "has no audit records"],
    [["audit", "--data", "data", "--lines", "0"], 2, "--lines expects a number"],
    [["audit", "--data", "data", "--since", "yesterday"], 2, "--since expects"],
    [["cost"], 2, "one of --data and --folder is required"],
    [["cost", "--folder", "files", "--since", "1h"], 2, "--since belongs to --data"],
    [["cost", "--data", "nowhere"], 1, "nowhere is not the --data folder of a KMS: it has no audit records"],
    [["--master-key", "k"], 2, "--master-key and --audit-size belong to --data"],
    [["--data", "data", "--audit-size", "much"], 2, "--audit-size is a number of MiB"],
    [["--data", "data", "--master-key", "data/key"], 1, "lies in the data folder"],
    [["--data", "data", "--master-key", "wrong"], 1, "is not a master key file of nitro-decrypt"],
  ])("%j", async (argv, exitCode, message) => {
    writeFileSync(join(folder, "wrong"), "wrong", { mode: 0o600 });
    const result = await run(...argv);
    expect([result.exitCode, result.err.includes(message)]).toEqual([exitCode, true]);
  });
});

it("a span before now is what --since takes, beside a time", () => {
  const now = new Date("2026-11-24T12:00:00Z");
  expect(["90s", "15m", "12h", "7d"].map((span) => parseSince(span, now).toISOString())).toEqual([
    "2026-11-24T11:58:30.000Z",
    "2026-11-24T11:45:00.000Z",
    "2026-11-24T00:00:00.000Z",
    "2026-11-17T12:00:00.000Z",
  ]);
  expect(parseSince("2026-11-23T10:00:00Z", now).toISOString()).toBe("2026-11-23T10:00:00.000Z");
});

it("a table names a role and its session, and the enclave of an attested call; failures are red on a terminal", () => {
  const record = {
    eventTime: "2026-11-23T10:00:00Z",
    eventName: "Decrypt",
    userIdentity: {
      type: "AssumedRole",
      principalId: "AROAX:i-0123",
      sessionContext: { sessionIssuer: { userName: "enclave-parent" } },
    },
    requestParameters: null,
    errorCode: "AccessDeniedException",
    additionalEventData: { recipient: { attestationDocumentModuleId: "i-0123456789abcdef0-enc019b5640fdf630d6" } },
    resources: [],
  } as unknown as AuditRecord;
  const owners = { ...record, userIdentity: { type: "AWSAccount", principalId: "AROAX:i-0123" } };
  const text = new AuditTable({ color: true, growing: false }).format([record, owners]);
  expect(text.split("\n")).toHaveLength(3); // another account's record of the same call is no line of its own
  expect(text.split("\n")[1]).toBe(
    "2026-11-23 10:00:00  enclave-parent/i-0123  Decrypt  -    \u001b[31mAccessDeniedException\u001b[0m  enc019b5640fdf630d6",
  );
});

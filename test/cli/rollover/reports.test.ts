/** `rollover plan` and `rollover status` without an enclave: what they count, what they conclude, wrong usage. */
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { CreateKeyCommand, EncryptCommand, KMSClient } from "@aws-sdk/client-kms";
import { beforeEach, describe, expect, it } from "vitest";
import { kms } from "../../../cli/kms.js";
import { rollover } from "../../../cli/rollover.js";
import { utf8 } from "../../../shared/bytes.js";
import { testFolder } from "../../support/folder.js";
import { recordedIo } from "../../support/io.js";
import { projectRoot } from "../../support/project.js";
import { messageOf, NEW, OLD, THIRD } from "./messages.js";

let [files, messages] = ["", ""];
beforeEach(() => {
  files = testFolder();
  messages = join(files, "messages");
  mkdirSync(messages);
});

const KEYS = ["--from", OLD, "--to", NEW];
const write = (name: string, content: Uint8Array | string): string => {
  writeFileSync(join(messages, name), content);
  return join(messages, name);
};

async function command(args: readonly string[]) {
  const io = recordedIo({ cwd: files });
  const exitCode = await rollover.run(args, io);
  return { exitCode, out: io.out, err: io.err };
}

const jsonOf = async (args: readonly string[]) => JSON.parse((await command([...args, "--json"])).out);

describe("rollover plan", () => {
  it("counts by keys and tells what will not go well", async () => {
    const plaintext = utf8("attack at dawn");
    write("old", await messageOf(plaintext));
    write("both", await messageOf(plaintext, { keyIds: [OLD, NEW] }));
    write("further", await messageOf(plaintext, { keyIds: [OLD, THIRD] }));
    write("large", await messageOf(new Uint8Array(800_000)));
    write("uncommitted", await messageOf(plaintext, { committed: false }));
    write("done", await messageOf(plaintext, { keyIds: [NEW] }));
    write("other", await messageOf(plaintext, { keyIds: [THIRD] }));
    write("text", "no message");
    write("empty", "");
    write(`.rollover-${"00".repeat(16)}.tmp`, await messageOf(plaintext));
    symlinkSync(write("target", "text"), join(messages, "link"));
    expect(await jsonOf(["plan", "--messages", "messages", ...KEYS])).toMatchObject({
      amounts: { toDo: { messages: 5 }, done: { messages: 1 }, other: { messages: 1 } },
      large: { messages: 1 },
      uncommitted: { messages: 1 },
      losingKeys: { messages: 1 },
      noMessages: [{ code: "ERR_MESSAGE_MALFORMED" }, {}, {}],
      unreadable: [],
      skipped: 1,
      temporary: 1,
      kmsCalls: 8,
    });
  });

  it("only counts where no keys are given", async () => {
    write("old", await messageOf(utf8("x")));
    const { exitCode, out } = await command(["plan", "--messages", "messages"]);
    expect(exitCode).toBe(0);
    expect(out).toMatch(new RegExp(`^KEYS +MESSAGES +SIZE\n${OLD} +1 +`));
    expect(out).not.toContain("re-encrypt");
  });

  it.skipIf(process.getuid?.() === 0)("tells which files cannot be read", async () => {
    chmodSync(write("secret", await messageOf(utf8("x"))), 0o000);
    const { out } = await command(["plan", "--messages", "messages", ...KEYS]);
    expect(out).toContain("secret: FILE_UNREADABLE: the file cannot be read: EACCES");
  });
});

const record = (changes: object = {}) => ({
  ...{ eventVersion: "1.11", eventID: "1", eventTime: "2026-11-23T10:00:00Z", eventName: "Decrypt" },
  ...{ eventSource: "kms.amazonaws.com", awsRegion: "us-east-1", recipientAccountId: "111122223333" },
  userIdentity: { type: "IAMUser", userName: "batch" },
  requestParameters: { encryptionContext: { tenant: "acme", customer: "c1" } },
  resources: [{ accountId: "111122223333", type: "AWS::KMS::Key", ARN: OLD }],
  ...changes,
});

function auditFile(records: readonly object[], pack: (text: string) => string | Uint8Array = (text) => text): string {
  const path = join(files, "audit");
  writeFileSync(path, pack(JSON.stringify({ Records: records })));
  return path;
}

describe("rollover status", () => {
  const statusOf = (records: readonly object[], args: readonly string[] = []) =>
    jsonOf(["status", "--messages", "messages", ...KEYS, "--audit", auditFile(records), ...args]);

  it("says yes where no message is under the old key and nobody has used it", async () => {
    write("done", await messageOf(utf8("x"), { keyIds: [NEW] }));
    const looked = ["08", "10"].map((hour) =>
      record({ eventName: "DescribeKey", eventTime: `2026-11-23T${hour}:00:00Z` }),
    );
    expect(await statusOf(looked)).toMatchObject({
      canBeDisabled: "yes",
      uses: [],
      reasons: [],
      observedSeconds: 2 * 3600,
    });
  });

  it.each<[string, object]>([
    ["of a call that was denied", { errorCode: "AccessDenied" }],
    ["of another key", { resources: [{ ARN: NEW, accountId: "1", type: "AWS::KMS::Key" }] }],
    ["of another service without resources", { eventName: "ListBuckets", resources: undefined }],
    ["of before", { eventTime: "2026-11-23T08:59:59Z" }],
  ])("does not count a record %s", async (_, change) => {
    const earlier = record({ eventName: "DescribeKey", eventTime: "2026-11-23T08:00:00Z" });
    const { uses } = await statusOf([earlier, record(change)], ["--since", "2026-11-23T09:00:00Z"]);
    expect(uses).toEqual([]);
  });

  it("counts uses by operation, principal and tenant, those that fail too", async () => {
    const disabled = record({ errorCode: "DisabledException", eventTime: "2026-11-23T11:00:00Z" });
    const makes = record({ eventName: "GenerateDataKey", requestParameters: { keyId: OLD }, resources: [] });
    const { uses, canBeDisabled, reasons } = await statusOf([record(), disabled, makes]);
    expect(canBeDisabled).toBe("no");
    expect(uses).toEqual([
      {
        ...{ key: OLD, operation: "Decrypt", principal: "batch", tenant: "acme" },
        ...{ calls: 2, failed: 1, last: "2026-11-23T11:00:00Z" },
      },
      {
        ...{ key: OLD, operation: "GenerateDataKey", principal: "batch" },
        ...{ calls: 1, failed: 0, last: "2026-11-23T10:00:00Z" },
      },
    ]);
    expect(reasons).toEqual([
      "1 call made new data under it: point the alias or the configuration at the new key",
      "2 calls used it for data that is elsewhere: find that by principal and tenant",
    ]);
    expect((await statusOf([record()], ["--tenant-pair", "customer"])).uses).toMatchObject([{ tenant: "c1" }]);
  });

  it("says that it does not know without an audit, or with one that begins too late or ends too early", async () => {
    expect(await jsonOf(["status", "--messages", "messages", ...KEYS])).toMatchObject({ canBeDisabled: "unknown" });
    const late = await statusOf([record({ eventName: "DescribeKey" })], ["--since", "2026-11-20"]);
    expect(late).toMatchObject({ canBeDisabled: "unknown" });
    expect(late.reasons[0]).toMatch(/^the audit begins at 2026-11-23T10:00:00Z, after 2026-11-20T00:00:00.000Z/);
    const early = await statusOf([record({ eventName: "DescribeKey" })], ["--since", "1h"]);
    expect(early).toMatchObject({ canBeDisabled: "unknown" });
    expect(early.reasons[0]).toMatch(/^the audit ends at 2026-11-23T10:00:00Z, before 2026-11-23T11:00:00.000Z/);
    expect(await statusOf([])).toMatchObject({ canBeDisabled: "unknown" });
  });

  it("takes gzipped files and lines, and refuses what is no record", async () => {
    const options = ["status", "--messages", "messages", ...KEYS, "--audit"];
    expect(await jsonOf([...options, auditFile([record()], gzipSync)])).toMatchObject({ uses: [{ calls: 1 }] });
    const lines = join(files, "lines");
    writeFileSync(lines, `${JSON.stringify(record())}\n${JSON.stringify(record())}\n`);
    expect(await jsonOf([...options, lines])).toMatchObject({ uses: [{ calls: 2 }] });
    for (const [content, message] of [
      ["no JSON", "record 1 is no CloudTrail record"],
      ["", "is empty"],
      [Buffer.from([0x1f, 0x8b, 0]), "is no gzip file"],
    ] as const) {
      writeFileSync(lines, content);
      const { exitCode, err } = await command([...options, lines]);
      expect(exitCode).toBe(1);
      expect(err).toContain(message);
    }
  });
});

describe("rollover status beside a simulated KMS", () => {
  it("reads the audit of one that runs, and of its data folder", async () => {
    const server = recordedIo({ cwd: files, now: () => new Date() });
    const exit = kms.run(["--folder", "files", "--data", "data", "--http", "--json"], server);
    const ready = JSON.parse(await server.firstOutput);
    const { accessKey } = JSON.parse(readFileSync(join(files, "files", "connection.json"), "utf8"));
    const connection = { endpoint: ready.endpoint, region: ready.region, credentials: accessKey, maxAttempts: 1 };
    const client = new KMSClient(connection);
    const KeyId = (await client.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "";
    const EncryptionContext = { tenant: "acme" };
    await client.send(new EncryptCommand({ KeyId, Plaintext: utf8("x"), EncryptionContext }));
    client.destroy();
    const options = [
      "status",
      "--messages",
      "messages",
      "--from",
      KeyId,
      "--to",
      NEW,
      "--since",
      "1970-01-01",
      "--json",
    ];
    const statusAt = async (option: string, folder: string) => {
      const io = recordedIo({ cwd: files, now: () => new Date() });
      await rollover.run([...options, option, folder], io);
      return JSON.parse(io.out);
    };
    const use = { operation: "Encrypt", principal: "operator", tenant: "acme", calls: 1, failed: 0 };
    expect((await statusAt("--audit-folder", "files")).uses).toMatchObject([use]);
    server.interrupt();
    expect(await exit).toBe(0);
    expect((await statusAt("--audit-data", "data")).uses).toMatchObject([use]);
  });
});

describe("wrong usage of rollover", () => {
  const RUN = ["run", "--state", "state", "--url", "http://127.0.0.1:1", "--pcrs", "pcrs", "--token", "token"];
  it.each<[string, readonly string[], number, string]>([
    ["another command", ["start"], 2, 'expected plan, run or status, got "start"'],
    ["no messages", ["plan"], 2, "one of --messages FOLDER and --list FILE is required"],
    ["both", ["plan", "--messages", ".", "--list", "x"], 2, "one of --messages FOLDER and --list FILE is required"],
    ["a folder that is not there", ["plan", "--messages", "nowhere"], 1, "--messages nowhere: there is no such file"],
    ["one key alone", ["plan", "--messages", ".", "--from", OLD], 2, "--from and --to are required"],
    [
      "an alias as the old key",
      ["plan", "--messages", ".", "--from", "alias/a", "--to", NEW],
      2,
      "--from expects the ARN",
    ],
    [
      "an alias as the new key",
      ["plan", "--messages", ".", "--from", OLD, "--to", "alias/a"],
      2,
      "give that with --config",
    ],
    [
      "one key twice",
      ["plan", "--messages", ".", "--from", OLD, "--to", OLD],
      2,
      "--to is the same key as one of --from",
    ],
    ["no enclave", ["run", "--messages", "."], 2, "--state, --url, --pcrs, --token are required"],
    ["state among the messages", [...RUN, "--messages", ".", ...KEYS], 2, "--state is within --messages"],
    ["no concurrency", [...RUN, "--messages", "messages", ...KEYS, "--concurrency", "0"], 2, "from 1 to 64"],
    ["no journal", ["status", "--state", "messages"], 1, "it has no journal"],
    ["a state and keys", ["status", "--state", "x", ...KEYS], 2, "leave --to, --from out"],
    ["two audits", ["status", "--messages", ".", ...KEYS, "--audit", "a", "--audit-data", "b"], 2, "one kind of audit"],
  ])("%s", async (_, args, exitCode, message) => {
    const outcome = await command(args);
    expect(outcome).toMatchObject({ exitCode, out: "" });
    expect(outcome.err).toContain(message);
  });

  it("takes an alias of the configuration as the new key", async () => {
    const config = join(projectRoot, "test/readme/enclave.json");
    const args = ["plan", "--messages", "messages", "--from", NEW, "--to", "alias/cards", "--config", config];
    expect(await jsonOf(args)).toMatchObject({ to: { kind: "key", arn: OLD } });
  });
});

/** `nitro-decrypt rollover` with an enclave: plan, run over both channels, kill -9 in a loop, status from the real audit. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DescribeKeyCommand, GenerateDataKeyCommand } from "@aws-sdk/client-kms";
import { beforeEach, describe, expect, it } from "vitest";
import { rollover } from "../../../cli/rollover.js";
import { connectEnclaveTls } from "../../../client/node/index.js";
import { utf8 } from "../../../shared/bytes.js";
import { certificatePem } from "../../../simulator/pki/root-file.js";
import type { Stack } from "../../e2e/stack.js";
import { CONTEXT, startStack } from "../../e2e/stack.js";
import { testFolder } from "../../support/folder.js";
import { recordedIo } from "../../support/io.js";
import { projectRoot } from "../../support/project.js";

let stack: Stack;
let [OLD, NEW] = ["", ""];
let [messages, state, files] = ["", "", ""];
beforeEach(async () => {
  stack = await startStack({ furtherKeys: 1 });
  [OLD, NEW] = [stack.keyArn, stack.furtherKeyArns[0] ?? ""];
  files = testFolder();
  [messages, state] = [join(files, "messages"), join(files, "state")];
  mkdirSync(messages);
  const pcrs = Object.entries(stack.policy.pcrs[0]).map(([index, value]) => [`PCR${index}`, value]);
  writeFileSync(join(files, "pcrs.json"), JSON.stringify(Object.fromEntries(pcrs)));
  writeFileSync(join(files, "token"), `${stack.token}\n`);
  writeFileSync(join(files, "root.pem"), certificatePem(stack.simulation.pki.root.certificateDer));
});

const tlsUrl = (): string => {
  const { host, port } = stack.parent.tlsAddress ?? { host: "", port: 0 };
  return `tls://${host}:${port}`;
};

const KEYS = (): string[] => ["--from", OLD, "--to", NEW];
const runOptions = (url: string): string[] => [
  ...["run", "--messages", messages, ...KEYS(), "--state", state, "--url", url],
  ...["--pcrs", join(files, "pcrs.json"), "--token", join(files, "token"), "--root", join(files, "root.pem")],
];

async function command(args: readonly string[]) {
  const io = recordedIo({ now: () => new Date(), cwd: files });
  const exitCode = await rollover.run(args, io);
  return { exitCode, out: io.out, err: io.err };
}

async function make(count: number): Promise<void> {
  const enclave = await stack.connect();
  for (let index = 0; index < count; index++) {
    const request = { plaintext: utf8(`record ${index}`), keyIds: [OLD], encryptionContext: CONTEXT };
    const { message } = await enclave.encryptMessage({ ...request, signed: index % 2 === 0 });
    writeFileSync(join(messages, `record-${String(index).padStart(3, "0")}`), message);
  }
}

/** Every message opens, and says what it said; none is doubled. */
async function assertWhole(count: number): Promise<void> {
  const enclave = await stack.connect();
  const names = readdirSync(messages).sort();
  expect(names).toHaveLength(count);
  for (const [index, name] of names.entries()) {
    const { plaintext } = await enclave.decryptMessage({ message: readFileSync(join(messages, name)) });
    expect(Buffer.from(plaintext).toString()).toBe(`record ${index}`);
  }
}

describe("rollover", () => {
  it.each([
    ["sealed requests", () => stack.parent.url],
    ["attested TLS", tlsUrl],
  ])("plans, runs by %s, and says that the old key can be disabled", async (_, url) => {
    await make(3);
    const planned = await command(["plan", "--messages", messages, ...KEYS(), "--json"]);
    expect(JSON.parse(planned.out)).toMatchObject({
      keys: [{ keys: [OLD], messages: 3, state: "toDo" }],
      kmsCalls: 6,
      price: 0.000018,
    });
    const ran = await command([...runOptions(url()), "--progress"]);
    expect(ran).toMatchObject({ exitCode: 0 });
    expect(ran.out).toMatch(/^re-encrypted +3 messages/);
    expect(ran.err).toMatch(/3 of 3 messages, 0 failed, [\d.]+ a second\P{L}*K\n$/u);
    await assertWhole(3);
    await stack.operator.send(new DescribeKeyCommand({ KeyId: OLD }));
    const audit = join(files, "audit.json");
    writeFileSync(audit, JSON.stringify({ Records: stack.simulation.kms.auditLog.records }));
    const told = await command(["status", "--state", state, "--audit", audit]);
    expect(told.exitCode).toBe(0);
    expect(told.out).toContain("The old key can be disabled: none of the messages is under it");
  });

  it("streams messages of any size over attested TLS, and keeps what a sealed request cannot carry", async () => {
    const { trustAnchor } = stack.simulation;
    const url = tlsUrl().replace("tls:", "https:");
    const enclave = await connectEnclaveTls(url, { trustAnchor, policy: stack.policy, token: stack.token });
    const part = new Uint8Array(1024 * 1024).fill(7);
    const made = await enclave.encryptMessageStream(
      (async function* () {
        for (let index = 0; index < 3; index++) yield part;
      })(),
      { keyIds: [OLD], encryptionContext: CONTEXT },
    );
    const parts: Uint8Array[] = [];
    for await (const one of made.message) parts.push(one);
    enclave.close();
    writeFileSync(join(messages, "large"), Buffer.concat(parts));
    const refused = await command(runOptions(stack.parent.url));
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.out).toContain(
      "large: ERR_MESSAGE_TOO_LARGE: it has more than 716800 bytes; a tls:// URL takes any size",
    );
    expect(await command(runOptions(tlsUrl()))).toMatchObject({ exitCode: 0 });
    const { out } = await command(["plan", "--messages", messages, "--json"]);
    expect(JSON.parse(out)).toMatchObject({ keys: [{ keys: [NEW], messages: 1 }] });
  });

  it("says what still depends on the old key, and why it cannot be disabled", async () => {
    await make(2);
    const request = { KeyId: OLD, KeySpec: "AES_256", EncryptionContext: CONTEXT } as const;
    await stack.operator.send(new GenerateDataKeyCommand(request));
    const audit = join(files, "audit.jsonl");
    writeFileSync(audit, stack.simulation.kms.auditLog.records.map((record) => `${JSON.stringify(record)}\n`).join(""));
    const { exitCode, out } = await command(["status", "--messages", messages, ...KEYS(), "--audit", audit]);
    expect(exitCode).toBe(1);
    expect(out).toMatch(/^GenerateDataKey +operator +acme +1 +0 /m);
    expect(out).toMatch(/^GenerateDataKey +[\w-]+\/[\w-]+ +acme +2 +0 /m);
    expect(out).toMatch(/The old key cannot be disabled yet:\n {2}2 of the messages are under it: run the rollover\n/);
    expect(out).toContain("3 calls made new data under it");
  });

  it("told to end while it looks at files, says how to go on; told so later, reports what it has done", async () => {
    await make(1);
    const io = recordedIo({ now: () => new Date(), cwd: files });
    io.interrupt();
    expect(await rollover.run(runOptions(stack.parent.url), io)).toBe(1);
    expect(io.err).toContain("interrupted; run it again with the same options");
    expect(await command(runOptions(stack.parent.url))).toMatchObject({ exitCode: 0 });
  });

  it("takes what is listed for messages", async () => {
    await make(1);
    writeFileSync(join(files, "text"), "no message");
    writeFileSync(join(files, "list"), "messages/record-000\ntext\n");
    const options = runOptions(stack.parent.url).map((arg) => (arg === "--messages" ? "--list" : arg));
    const { exitCode, out } = await command(options.map((arg) => (arg === messages ? "list" : arg)));
    expect(exitCode).toBe(1);
    expect(out).toContain(`${join(files, "text")}: ERR_MESSAGE_MALFORMED`);
    expect(out).toMatch(/^re-encrypted +1 message,/);
  });

  it("ends with the code of what is wrong with the connection", async () => {
    await make(1);
    writeFileSync(join(files, "token"), "not-a-token");
    const { exitCode, out } = await command(runOptions(stack.parent.url));
    expect(exitCode).toBe(1);
    expect(out).toContain("The run ended with ERR_TOKEN_MALFORMED, which every message would get.");
    await assertWhole(1);
  });
});

describe("rollover run under kill -9", () => {
  const MESSAGES = 120;
  const KILLS = 8;

  it("loses and doubles no message, and ends with all of them under the new key", async () => {
    await make(MESSAGES);
    const journal = join(state, "journal.jsonl");
    let kills = 0;
    for (let exitCode: number | null = null; exitCode !== 0; ) {
      const program = [join(projectRoot, "dist/cli/main.js"), "rollover", ...runOptions(stack.parent.url)];
      const child = spawn(process.execPath, [...program, "--concurrency", "4"], { stdio: "ignore" });
      const gone = once(child, "exit");
      const before = sizeOf(journal);
      const isWriting = (): boolean => sizeOf(journal) > before + 300;
      while (kills < KILLS && child.exitCode === null && !isWriting()) await sleep(2);
      await sleep(Math.random() * 60);
      if (kills < KILLS && child.exitCode === null) {
        child.kill("SIGKILL");
        kills++;
      }
      [exitCode] = (await gone) as [number | null];
      if (kills === KILLS) expect([0, null]).toContain(exitCode);
    }
    expect(kills).toBeGreaterThan(2);
    await assertWhole(MESSAGES);
    const { out } = await command(["plan", "--messages", messages, ...KEYS(), "--json"]);
    expect(JSON.parse(out)).toMatchObject({
      keys: [{ keys: [NEW], messages: MESSAGES, state: "done" }],
      noMessages: [],
    });
  });
});

describe("rollover run under SIGINT", () => {
  it("ends with its report, leaves nothing beside the messages, and goes on when it is run again", async () => {
    await make(60);
    const program = [join(projectRoot, "dist/cli/main.js"), "rollover", ...runOptions(stack.parent.url)];
    const child = spawn(process.execPath, [...program, "--concurrency", "1", "--json"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
    const gone = once(child, "close");
    while (child.exitCode === null && sizeOf(join(state, "journal.jsonl")) < 2_000) await sleep(2);
    child.kill("SIGINT");
    expect(await gone).toEqual([1, null]);
    const { done, left, failed, interrupted } = JSON.parse(out);
    expect({ failed, interrupted }).toEqual({ failed: [], interrupted: true });
    expect(done.messages).toBeGreaterThan(0);
    expect(left).toBe(60 - done.messages);
    await assertWhole(60);
    expect(JSON.parse((await command([...runOptions(stack.parent.url), "--json"])).out)).toMatchObject({
      done: { messages: left },
      alreadyDone: { messages: done.messages },
    });
    await assertWhole(60);
  });
});

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

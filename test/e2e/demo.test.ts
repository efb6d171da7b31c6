/** The demo and the development stack as a newcomer starts them: the built command, real processes, nothing left behind. */
import type { ChildProcess } from "node:child_process";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, it, onTestFinished } from "vitest";
import { connectEnclave } from "../../client/connect.js";
import { trustAnchorFromSha256 } from "../../shared/attestation/trust-anchor.js";
import { projectRoot } from "../support/project.js";

const MAIN = join(projectRoot, "dist/cli/main.js");

interface Running {
  readonly child: ChildProcess;
  /** What it puts its files in. */
  readonly temporary: string;
  /** The next line of its output, parsed. */
  next(): Promise<Readonly<Record<string, unknown>>>;
  /** All further lines, and the exit code. */
  rest(): Promise<{ events: Readonly<Record<string, unknown>>[]; exitCode: number | null; stderr: string }>;
}

function start(...argv: string[]): Running {
  const temporary = mkdtempSync(join(tmpdir(), "e2e-"));
  const child = spawn(process.execPath, [MAIN, ...argv], {
    env: { PATH: process.env.PATH, TMPDIR: temporary },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    rmSync(temporary, { recursive: true, force: true });
  });
  let stderr = "";
  child.stderr.on("data", (part) => {
    stderr += part;
  });
  const exited = once(child, "close");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`the output has ended\n${stderr}`);
    return JSON.parse(value);
  };
  const rest = async () => {
    const events: Readonly<Record<string, unknown>>[] = [];
    for (let line = await lines.next(); line.done !== true; line = await lines.next())
      events.push(JSON.parse(line.value));
    const [exitCode] = await exited;
    return { events, exitCode, stderr };
  };
  return { child, temporary, next, rest };
}

/** Ids of the processes whose command line names `text`: every process of a stack names its folder. */
function processesNaming(text: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
    } catch {
      return false; // it ended between the two looks
    }
  });
}

const STEPS = ["aws", "key", "boot", "encrypt", "token", "verify", "decrypt", "data-key", "stream"];

/** Who refuses what, with which code. */
const REFUSALS: Readonly<Record<string, readonly string[]>> = {
  "no-attestation": ["kms AccessDeniedException", "kms AccessDeniedException"],
  "wrong-context": ["enclave ERR_NOT_AUTHORIZED", "kms ERR_KMS_DENIED", "kms ERR_KMS_REFUSED"],
  replay: ["client ERR_NONCE_MISMATCH"],
  "read-traffic": ["parent ERR_DECRYPTION_FAILED"],
  "replayed-request": ["enclave ERR_REPLAYED", "enclave ERR_REPLAYED"],
  "substituted-key": ["client ERR_USER_DATA_MISMATCH"],
  "no-token": ["enclave ERR_TOKEN_MISSING", "enclave ERR_CHANNEL_CLOSED"],
  "stolen-token": ["enclave ERR_TOKEN_BINDING", "enclave ERR_TOKEN_BINDING"],
  "forged-answer": ["client ERR_DECRYPTION_FAILED", "client ERR_DECRYPTION_FAILED"],
  "changed-image": ["client ERR_PCR_MISMATCH", "kms ERR_KMS_DENIED"],
  "debug-mode": ["client ERR_DEBUG_ENCLAVE", "kms ERR_KMS_DENIED"],
  "changed-configuration": ["client ERR_PCR_MISMATCH", "kms ERR_KMS_DENIED"],
  "forged-gateway": ["enclave ERR_DECRYPTION_FAILED", "enclave ERR_GATEWAY_REFUSED"],
  "stripped-recipient": ["kms ERR_KMS_DENIED", "enclave ERR_KMS_ANSWER"],
  "swapped-key": ["enclave ERR_KMS_KEY"],
  "forged-tunnel": ["enclave ERR_KMS_UNTRUSTED"],
};

interface AttemptLine {
  readonly expected: { readonly by: string; readonly code: string };
  readonly got: { readonly code: string };
  readonly ok: boolean;
}

describe("nitro-decrypt demo", () => {
  it("decrypts once, sees every way to cheat refused by whom it says (pitfalls 1, 2, 4, 5, 6, 7, 9, 13), and cleans up", async () => {
    const demo = start("demo", "--json");
    const { events, exitCode, stderr } = await demo.rest();
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    const steps = events.filter(({ event }) => event === "step");
    expect(steps.map(({ id, ok }) => [id, ok])).toEqual(STEPS.map((id) => [id, true]));
    const refusals = events.filter(({ event }) => event === "refusal");
    const outcomes = refusals.map(({ id, attempts }) => [
      id,
      (attempts as AttemptLine[]).map(({ expected, got }) => `${expected.by} ${got.code}`),
    ]);
    expect(Object.fromEntries(outcomes)).toEqual(REFUSALS);
    expect(refusals.every(({ ok }) => ok)).toBe(true);
    const counts = { steps: STEPS.length, refusals: Object.keys(REFUSALS).length };
    expect(events.at(-1)).toMatchObject({ event: "result", ok: true, unexpected: [], ...counts });
    expect(readdirSync(demo.temporary)).toEqual([]);
    expect(processesNaming(demo.temporary)).toEqual([]);
  });

  it("shows what each party saw of the decryption", async () => {
    const demo = start("demo", "--json");
    let event = await demo.next();
    while (event.id !== "decrypt") event = await demo.next();
    expect(event.saw).toEqual({
      client: expect.stringContaining("only the enclave sees"),
      parent: expect.stringContaining("relayed POST /enclaves/:enclave/v1/sealed: OK"),
      kms: expect.stringMatching(/Decrypt by assumed-role\/enclave-parent.*attested: PCR0/),
      enclave: expect.stringMatching(/idp\/alice: permit, by policy own-tenant\ndecrypt with key\//),
    });
    demo.child.kill("SIGINT");
    const { exitCode, stderr } = await demo.rest();
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: "nitro-decrypt demo: interrupted\n" });
    expect(readdirSync(demo.temporary)).toEqual([]);
    expect(processesNaming(demo.temporary)).toEqual([]);
  });
});

const OPENED = { status: 0, stdout: "a secret from nitro-decrypt dev", stderr: "" };

/** The command that `dev` prints, with its files. */
function decryptCommand(ready: Readonly<Record<string, unknown>>, { url }: { readonly url: string }) {
  const { pcrs, token, ciphertext } = ready.files as Record<"pcrs" | "token" | "ciphertext", string>;
  const attested = ["--pcrs", pcrs, "--root", String(ready.rootFile), "--token", token];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [MAIN, "decrypt", "--url", url, ...attested, "--context", "tenant=acme"],
    { input: readFileSync(ciphertext), encoding: "utf8", timeout: 30_000 },
  );
  return { status, stdout, stderr };
}

const FREE_PORTS = ["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"];

describe("nitro-decrypt dev", () => {
  it("serves until SIGTERM, which ends every process with exit code 0", async () => {
    const dev = start("dev", "--json", ...FREE_PORTS);
    const ready = await dev.next();
    expect(ready).toMatchObject({ event: "ready", service: "dev" });
    const { sha256 } = ready.trustAnchor as { sha256: string };
    const pcrs = ready.pcrs as { 0: string; 1: string; 2: string; 16: string };
    const files = ready.files as { token: string };
    const enclave = await connectEnclave(String(ready.url), {
      trustAnchor: trustAnchorFromSha256("simulated", sha256),
      policy: {
        pcrs: [pcrs],
        configuration: "pinned",
        freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
        debug: "reject",
      },
      token: readFileSync(files.token, "utf8"),
    });
    const encryptionContext = { tenant: "acme" };
    const dataKey = await enclave.generateDataKey({
      keyId: String(ready.keyArn),
      keySpec: "AES_128",
      encryptionContext,
    });
    expect(await enclave.decrypt({ ciphertext: dataKey.ciphertext, encryptionContext })).toMatchObject({
      plaintext: dataKey.plaintext,
    });
    expect(decryptCommand(ready, { url: String(ready.url) })).toEqual(OPENED);
    expect(decryptCommand(ready, { url: `tls://${ready.tls}` })).toEqual(OPENED);
    expect(processesNaming(dev.temporary)).not.toEqual([]); // the positive control of what follows
    dev.child.kill("SIGTERM");
    expect(await dev.rest()).toMatchObject({ events: [], exitCode: 0 });
    expect(readdirSync(dev.temporary)).toEqual([]);
    expect(processesNaming(dev.temporary)).toEqual([]);
  });

  it("leaves no process behind when it is killed", async () => {
    const dev = start("dev", "--json", ...FREE_PORTS);
    await dev.next();
    expect(processesNaming(dev.temporary)).not.toEqual([]);
    dev.child.kill("SIGKILL");
    await expect.poll(() => processesNaming(dev.temporary), { timeout: 20_000 }).toEqual([]);
  });

  it("says why it cannot start", async () => {
    const { exitCode, events } = await start("dev", "--json", ...FREE_PORTS, "--listen", "192.0.2.1:1").rest();
    expect(exitCode).toBe(1);
    expect(events).toEqual([{ error: { code: "ERR_ADDRESS", message: expect.stringContaining("main parent: ") } }]);
  });
});

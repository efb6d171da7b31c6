/** Runs of a rollover: what becomes of each file, and what a run that was killed or told to end leaves to the next. */
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { ReEncrypt } from "../../../cli/rollover/re-encrypt.js";
import type { WholeRun } from "../../../cli/rollover/run-rollover.js";
import { runRollover } from "../../../cli/rollover/run-rollover.js";
import { encodeUint } from "../../../shared/byte-writer.js";
import { concatBytes, utf8 } from "../../../shared/bytes.js";
import { ServiceError } from "../../../shared/errors.js";
import { contextField, dataKeyField, writeMessage } from "../../support/esdk-message.js";
import { testFolder } from "../../support/folder.js";
import type { RecordedIo } from "../../support/io.js";
import { recordedIo } from "../../support/io.js";
import { CONTEXT, fakeReEncrypt, messageOf, NEW, OLD, open, THIRD } from "./messages.js";

const SECRET = utf8("attack at dawn");

/** A folder of messages and a state folder. */
function folders() {
  const folder = testFolder();
  const [messages, state] = [join(folder, "messages"), join(folder, "state")];
  mkdirSync(messages);
  const write = (name: string, content: Uint8Array): string => {
    writeFileSync(join(messages, name), content);
    return join(messages, name);
  };
  return { messages, state, write, journal: join(state, "journal.jsonl") };
}

type Folders = ReturnType<typeof folders>;

interface RunChanges extends Partial<Omit<WholeRun, "connect">> {
  readonly reEncrypt?: ReEncrypt;
  readonly io?: RecordedIo;
}

function run(
  { messages, state }: Folders,
  { reEncrypt = fakeReEncrypt, io = recordedIo(), ...changes }: RunChanges = {},
) {
  const whole: WholeRun = {
    source: { kind: "folder", path: messages },
    rollover: { from: [OLD], to: { kind: "key", arn: NEW }, keyIds: [NEW] },
    state,
    concurrency: 4,
    pauses: { wait: async (_, signal) => signal.throwIfAborted(), random: () => 0 },
    connect: async () => ({ reEncrypt, close: () => undefined }),
    onProgress: () => undefined,
    ...changes,
  };
  return runRollover(whole, io);
}

const codesOf = ({ outcome }: Awaited<ReturnType<typeof run>>): string[] => outcome.failed.map(({ code }) => code);

/** One whole request is answered so. */
const answering = (whole: ReEncrypt["whole"]): ReEncrypt => ({ whole, stream: undefined });

const eventsIn = ({ journal }: Folders): string[] =>
  readFileSync(journal, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .map(({ event, outcome }) => outcome ?? event);

describe("a run", () => {
  it("re-encrypts what is under the old key, below folders too, and leaves everything else as it is", async () => {
    const at = folders();
    mkdirSync(join(at.messages, "below"));
    const old = at.write("below/old", await messageOf(SECRET));
    const signed = at.write("signed", await messageOf(SECRET, { signed: true }));
    const large = at.write("large", await messageOf(new Uint8Array(1_000_000).fill(7)));
    const both = at.write("both", await messageOf(SECRET, { keyIds: [OLD, THIRD] }));
    const kept = ["done", "other", "text"].map((name) => join(at.messages, name));
    at.write("done", await messageOf(SECRET, { keyIds: [NEW] }));
    at.write("other", await messageOf(SECRET, { keyIds: [THIRD] }));
    at.write("text", utf8("no message"));
    const before = kept.map((path) => readFileSync(path));
    const { outcome } = await run(at);
    expect(outcome).toMatchObject({ done: { messages: 4 }, failed: [], passed: 0, stopped: undefined });
    for (const path of [old, signed, both]) {
      const { plaintext, context } = await open(readFileSync(path), NEW);
      expect(plaintext).toEqual(SECRET);
      expect(context).toMatchObject(CONTEXT);
      expect("aws-crypto-public-key" in context).toBe(path === signed);
      await expect(open(readFileSync(path), OLD)).rejects.toThrow();
    }
    expect((await open(readFileSync(large), NEW)).plaintext).toHaveLength(1_000_000);
    expect(kept.map((path) => readFileSync(path))).toEqual(before);
    expect(readdirSync(at.messages).filter((name) => name.startsWith("."))).toEqual([]);
  });

  it("keeps mode bits, and follows no symbolic link", async () => {
    const at = folders();
    const path = at.write("old", await messageOf(SECRET));
    chmodSync(path, 0o640);
    const elsewhere = join(testFolder(), "elsewhere");
    const content = await messageOf(SECRET);
    writeFileSync(elsewhere, content);
    symlinkSync(elsewhere, join(at.messages, "link"));
    const { before, outcome } = await run(at);
    expect(outcome.done.messages).toBe(1);
    expect(before.skipped).toBe(1);
    expect(statSync(path).mode & 0o7777).toBe(0o640);
    expect(new Uint8Array(readFileSync(elsewhere))).toEqual(content);
  });

  it("takes a list of files", async () => {
    const at = folders();
    const path = at.write("old", await messageOf(SECRET));
    const unlisted = at.write("unlisted", await messageOf(SECRET));
    const list = join(at.messages, "list");
    writeFileSync(list, `old\n\n${path}\nmissing\n`);
    const { before, outcome } = await run(at, { source: { kind: "list", path: list } });
    expect(outcome.done.messages).toBe(1);
    expect(before.unreadable).toMatchObject([{ code: "FILE_UNREADABLE" }]);
    await open(readFileSync(unlisted), OLD);
  });

  it("tries passing refusals again, with pauses that grow to a bound", async () => {
    const at = folders();
    at.write("old", await messageOf(SECRET));
    const waited: number[] = [];
    let refusals = 7;
    const reEncrypt = answering((message, options) => {
      if (refusals-- > 0) throw new ServiceError("ERR_BUDGET", "the caller's budget is used up");
      return fakeReEncrypt.whole(message, options);
    });
    const pauses = { wait: async (ms: number) => void waited.push(ms), random: () => 0 };
    const { outcome } = await run(at, { reEncrypt, pauses });
    expect(outcome.done.messages).toBe(1);
    expect(waited).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000]);
  });
});

describe("a file that fails stays as it was", () => {
  async function failing(reEncrypt: ReEncrypt) {
    const at = folders();
    const content = await messageOf(SECRET, { signed: true });
    const path = at.write("old", content);
    const result = await run(at, { reEncrypt });
    expect(new Uint8Array(readFileSync(path))).toEqual(content);
    expect(readdirSync(at.messages)).toEqual(["old"]);
    return { result, at };
  }

  it("when the enclave refuses, and is tried again by the next run", async () => {
    const { result, at } = await failing(
      answering(async () => {
        throw new ServiceError("ERR_NOT_AUTHORIZED", "no policy permits it");
      }),
    );
    expect(codesOf(result)).toEqual(["ERR_NOT_AUTHORIZED"]);
    expect(eventsIn(at)).toEqual(["rollover", "begin", "failed"]);
    expect((await run(at)).outcome.done.messages).toBe(1);
  });

  it.each<[string, (plaintext: Uint8Array) => Promise<Uint8Array>]>([
    ["is no message", async () => utf8("no message")],
    ["is under the old key", () => messageOf(SECRET, { signed: true })],
    ["is under the new key and another", () => messageOf(SECRET, { signed: true, keyIds: [NEW, OLD] })],
    ["has another context", () => messageOf(SECRET, { signed: true, keyIds: [NEW], context: { tenant: "globex" } })],
    ["has a pair more", () => messageOf(SECRET, { signed: true, keyIds: [NEW], context: { ...CONTEXT, more: "1" } })],
    ["is signed no more", () => messageOf(SECRET, { keyIds: [NEW] })],
  ])("when the answer %s", async (_, answer) => {
    expect(codesOf((await failing(answering(answer))).result)).toEqual(["ANSWER_REFUSED"]);
  });

  it("when a stream breaks off", async () => {
    const at = folders();
    const content = await messageOf(new Uint8Array(1_000_000));
    const path = at.write("large", content);
    const reEncrypt: ReEncrypt = {
      ...fakeReEncrypt,
      stream: async (message, options) => {
        const made = (await fakeReEncrypt.stream?.(message, options)) ?? [];
        return (async function* () {
          for await (const part of made) {
            yield part;
            throw new ServiceError("ERR_DECRYPTION_FAILED", "decryption failed");
          }
        })();
      },
    };
    expect(codesOf(await run(at, { reEncrypt }))).toEqual(["ERR_DECRYPTION_FAILED"]);
    expect(new Uint8Array(readFileSync(path))).toEqual(content);
    expect(readdirSync(at.messages)).toEqual(["large"]);
  });

  it("when it is too large for the channel, or has no key commitment", async () => {
    const at = folders();
    at.write("large", await messageOf(new Uint8Array(1_000_000)));
    at.write("uncommitted", await messageOf(SECRET, { committed: false }));
    expect(codesOf(await run(at, { reEncrypt: answering(fakeReEncrypt.whole) })).sort()).toEqual([
      "ERR_MESSAGE_MALFORMED",
      "ERR_MESSAGE_TOO_LARGE",
    ]);
  });
});

describe("with branch keys as the target", () => {
  const underBranchKeyOf = (tenant: string): Uint8Array =>
    writeMessage({
      context: contextField(...Object.entries(CONTEXT).map(([name, value]) => [utf8(name), utf8(value)] as const)),
      encryptedDataKeys: concatBytes(
        encodeUint(1, 2),
        dataKeyField("aws-kms-hierarchy", utf8(tenant), new Uint8Array(92)),
      ),
    });

  it.each([
    ["acme", []],
    ["globex", ["ANSWER_REFUSED"]],
  ])("takes an answer under the branch key of the message's own tenant: %s", async (tenant, codes) => {
    const at = folders();
    const path = at.write("old", await messageOf(SECRET));
    const asked: unknown[] = [];
    const reEncrypt = answering(async (_, { keyIds }) => {
      asked.push(keyIds);
      return underBranchKeyOf(tenant);
    });
    const rollover = { from: [OLD], to: { kind: "branchKeys" }, keyIds: undefined } as const;
    const result = await run(at, { reEncrypt, rollover });
    expect(codesOf(result)).toEqual(codes);
    expect(asked).toEqual([undefined]);
    const { before } = await run(at, { reEncrypt: answering(() => Promise.reject(new TypeError("asked"))), rollover });
    expect(before.amounts.done.messages).toBe(codes.length === 0 ? 1 : 0);
    if (codes.length > 0) await open(readFileSync(path), OLD);
  });
});

describe("a file that somebody else changes meanwhile is left as they made it", () => {
  it.each<[string, (path: string) => void]>([
    ["written to", (path) => appendFileSync(path, "x")],
    [
      "replaced",
      (path) => {
        writeFileSync(`${path}.new`, "theirs");
        renameSync(`${path}.new`, path);
      },
    ],
    [
      "replaced by a link",
      (path) => {
        symlinkSync("/dev/null", `${path}.new`);
        renameSync(`${path}.new`, path);
      },
    ],
    ["given another mode", (path) => chmodSync(path, 0o600)],
    ["removed", (path) => renameSync(path, `${path}.away`)],
  ])("%s", async (_, change) => {
    const at = folders();
    const path = at.write("old", await messageOf(SECRET));
    chmodSync(path, 0o644);
    let theirs: unknown;
    const reEncrypt = answering(async (message, options) => {
      change(path);
      theirs = existsSync(path) ? readFileSync(path) : undefined;
      return fakeReEncrypt.whole(message, options);
    });
    expect(codesOf(await run(at, { reEncrypt }))).toEqual(["FILE_CHANGED"]);
    expect(existsSync(path) ? readFileSync(path) : undefined).toEqual(theirs);
    expect(readdirSync(at.messages).filter((name) => name.startsWith("."))).toEqual([]);
  });
});

describe("a run that ends before its time", () => {
  async function many(count: number) {
    const at = folders();
    for (let index = 0; index < count; index++) at.write(`m${index}`, await messageOf(SECRET));
    return at;
  }

  it("SIGINT: leaves what is not done as it was, and the next run does it", async () => {
    const at = await many(8);
    const io = recordedIo();
    let calls = 0;
    const reEncrypt = answering((message, options) => {
      if (++calls === 3) io.interrupt();
      return fakeReEncrypt.whole(message, options);
    });
    const { outcome } = await run(at, { reEncrypt, io, concurrency: 1 });
    expect(outcome).toMatchObject({ done: { messages: 2 }, failed: [], stopped: undefined });
    expect(eventsIn(at).at(-1)).toBe("interrupted");
    expect((await run(at)).outcome.done.messages).toBe(6);
  });

  it("a refusal that every message would get ends it", async () => {
    const at = await many(8);
    const reEncrypt = answering(async () => {
      throw new ServiceError("ERR_TOKEN_TIME", "the token is not valid at this time");
    });
    const { outcome } = await run(at, { reEncrypt, concurrency: 1 });
    expect(outcome).toMatchObject({ stopped: { code: "ERR_TOKEN_TIME" }, failed: [{ code: "ERR_TOKEN_TIME" }] });
  });

  it("killed with its new file written: the next run removes that file and begins anew", async () => {
    const at = await many(1);
    await run(at, { reEncrypt: answering(async () => utf8("no message")) });
    const temporary = join(at.messages, `.rollover-${"ab".repeat(16)}.tmp`);
    writeFileSync(temporary, await messageOf(SECRET, { keyIds: [NEW] }));
    appendFileSync(at.journal, `${JSON.stringify({ event: "begin", file: join(at.messages, "m0"), temporary })}\n`);
    expect((await run(at)).outcome.done.messages).toBe(1);
    expect(readdirSync(at.messages)).toEqual(["m0"]);
    expect(eventsIn(at).slice(-4)).toEqual(["begin", "interrupted", "begin", "done"]);
  });

  it("killed after the new file has its place: the next run has nothing to do", async () => {
    const at = await many(1);
    await run(at);
    const lines = readFileSync(at.journal, "utf8").trimEnd().split("\n");
    writeFileSync(at.journal, `${lines.slice(0, -1).join("\n")}\n{"event":"en`);
    const { before, outcome } = await run(at);
    expect(before.amounts.done.messages).toBe(1);
    expect(outcome.done.messages).toBe(0);
    expect(eventsIn(at)).toEqual(["rollover", "begin", "interrupted"]);
  });

  it("killed before its journal had a whole line: the next run begins it", async () => {
    const at = await many(1);
    mkdirSync(at.state);
    writeFileSync(at.journal, '{"event":"roll');
    expect((await run(at)).outcome.done.messages).toBe(1);
    expect(eventsIn(at)).toEqual(["rollover", "begin", "done"]);
  });
});

describe("a state folder", () => {
  it("is one run's at a time", async () => {
    const at = folders();
    at.write("old", await messageOf(SECRET));
    let second: unknown;
    const reEncrypt = answering(async (message, options) => {
      second = await run(at).catch((error: unknown) => error);
      return fakeReEncrypt.whole(message, options);
    });
    expect((await run(at, { reEncrypt })).outcome.done.messages).toBe(1);
    expect(String(second)).toMatch(
      /the state folder .* is in use by process \d+; wait for that run to end, or stop it/,
    );
  });

  it("is one rollover's", async () => {
    const at = folders();
    at.write("old", await messageOf(SECRET));
    await run(at);
    const rollover = { from: [THIRD], to: { kind: "key", arn: NEW }, keyIds: [NEW] } as const;
    await expect(run(at, { rollover })).rejects.toThrow(/is of another rollover/);
  });

  it("that is lost ends the run; what was done is seen by the next", async () => {
    const at = folders();
    at.write("old", await messageOf(SECRET));
    const reEncrypt = answering((message, options) => {
      for (const name of readdirSync(at.state)) if (name.startsWith("lock.")) rmSync(join(at.state, name));
      return fakeReEncrypt.whole(message, options);
    });
    await expect(run(at, { reEncrypt })).rejects.toThrow(/the journal cannot be written: .* its lock .* was removed/);
    expect((await run(at)).before.amounts.done.messages).toBe(1);
  });
});

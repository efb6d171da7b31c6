/** The files that `nitro-decrypt kms --folder` leaves for its clients, beside those of the folder's user. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { kms } from "../../../cli/kms.js";
import { testFolder } from "../../support/folder.js";
import { recordedIo } from "../../support/io.js";

const OURS = ["ca.pem", "config", "connection.json", "credentials", "nitro-root.pem"];

/** A KMS with its files in `files` of the folder. */
async function start(cwd: string, ...argv: string[]) {
  const server = recordedIo({ cwd, now: () => new Date() });
  const exit = kms.run(["--folder", "files", "--http", ...argv], server);
  onTestFinished(() => server.interrupt());
  const text = await server.firstOutput;
  const stop = async (): Promise<void> => {
    server.interrupt();
    expect(await exit).toBe(0);
  };
  return { text, stop };
}

async function refusal(cwd: string): Promise<string> {
  const io = recordedIo({ cwd, now: () => new Date() });
  expect(await kms.run(["--folder", "files", "--http"], io)).toBe(1);
  return io.err;
}

/** What a killed server leaves: its files as they were, and a process that runs no more. */
async function leaveFiles(cwd: string): Promise<void> {
  const { stop } = await start(cwd);
  const files = join(cwd, "files");
  const left = OURS.map((name) => [name, readFileSync(join(files, name), "utf8")] as const);
  await stop();
  for (const [name, content] of left)
    writeFileSync(join(files, name), content.replace(/"process":"\d+/, '"process":"999999999'));
}

describe("a folder", () => {
  it("has the files while the KMS runs, and none of them afterwards", async () => {
    const cwd = testFolder();
    const { stop } = await start(cwd);
    expect(readdirSync(join(cwd, "files")).sort()).toEqual(OURS);
    await stop();
    expect(readdirSync(join(cwd, "files"))).toEqual([]);
  });

  it.each(OURS)("with a %s of its user is refused, and stays as it is", async (name) => {
    const cwd = testFolder();
    mkdirSync(join(cwd, "files"));
    writeFileSync(join(cwd, "files", name), "[default]");
    expect(await refusal(cwd)).toContain(`has files of other origin (${name}), which stay`);
    expect(readFileSync(join(cwd, "files", name), "utf8")).toBe("[default]");
    expect(readdirSync(join(cwd, "files"))).toEqual([name]);
  });

  it("of a KMS that runs is refused to another one", async () => {
    const cwd = testFolder();
    const { stop } = await start(cwd);
    expect(await refusal(cwd)).toContain(`is in use by a KMS that runs, process ${process.pid};`);
    expect(readdirSync(join(cwd, "files")).sort()).toEqual(OURS);
    await stop();
  });

  it("of a KMS that was killed is taken over", async () => {
    const cwd = testFolder();
    await leaveFiles(cwd);
    const { stop } = await start(cwd);
    await stop();
    expect(readdirSync(join(cwd, "files"))).toEqual([]);
  });

  it("of a KMS that was killed is refused if a file was changed since", async () => {
    const cwd = testFolder();
    await leaveFiles(cwd);
    writeFileSync(join(cwd, "files", "config"), "[profile mine]");
    expect(await refusal(cwd)).toContain("has files of other origin (config), which stay");
    expect(readdirSync(join(cwd, "files")).sort()).toEqual(OURS);
  });

  it("keeps a file that was changed while the KMS ran", async () => {
    const cwd = testFolder();
    const { stop } = await start(cwd);
    writeFileSync(join(cwd, "files", "config"), "[profile mine]");
    await stop();
    expect(readdirSync(join(cwd, "files"))).toEqual(["config"]);
  });

  it("cannot be a file", async () => {
    const cwd = testFolder();
    writeFileSync(join(cwd, "files"), "");
    expect(await refusal(cwd)).toContain(
      `--folder ${join(cwd, "files")} cannot be written: there is a file of that name`,
    );
    expect(existsSync(join(cwd, "files"))).toBe(true);
  });
});

it("over plain HTTP nothing is said of a CA", async () => {
  const { text, stop } = await start(testFolder());
  expect(text).not.toMatch(/ca\.pem|AWS_CA_BUNDLE|verify=/);
  await stop();
});

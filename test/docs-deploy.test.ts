/** docs/deploy.md: what it says to type exists, and what it shows is so. test/deploy/ runs it. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { COMMANDS } from "../cli/commands.js";
import { createMetrics } from "../parent/metrics.js";
import { ERRORS } from "../shared/errors.js";
import { blockAfter, blocks, page, read, shell } from "./deploy/page.js";
import { recordedIo } from "./support/io.js";
import { projectRoot, runCommand } from "./support/project.js";

const inCode = [
  ...shell.flatMap((text) => text.split("\n")),
  ...[...page.matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code),
];

describe("the commands of docs/deploy.md", () => {
  const calls = inCode.flatMap((line) =>
    [...line.matchAll(/(?<![\w/-])nitro-decrypt ([a-z]+)\b([^|&]*)/g)].map(([, name = "", rest = ""]) => ({
      name,
      options: [...rest.matchAll(/--[a-z][a-z0-9-]*/g)].map(([option]) => option),
    })),
  );

  it("are those of nitro-decrypt, with options that they have", async () => {
    expect(new Set(calls.map(({ name }) => name))).toEqual(new Set(["pcrs", "decrypt", "inspect", "verify"]));
    for (const { name, options } of calls) {
      const usage = (await COMMANDS.find((command) => command.name === name)?.load())?.usage ?? "";
      expect(
        options.filter((option) => !usage.match(/--[\w-]+/g)?.includes(option)),
        name,
      ).toEqual([]);
    }
  });

  it("are scripts of package.json", () => {
    const { scripts } = JSON.parse(read("package.json"));
    const named = inCode.flatMap((line) => [...line.matchAll(/npm run ([\w:-]+)/g)].map(([, name]) => name));
    expect(named.filter((name) => !(name && name in scripts))).toEqual([]);
    expect(named).toContain("image");
  });

  it("name files that exist, and all that deploy/ has", () => {
    const named = new Set([...page.matchAll(/\bdeploy\/([\w@.-]*\w)/g)].map(([, name = ""]) => name));
    expect([...named].sort()).toEqual(readdirSync(join(projectRoot, "deploy")).sort());
  });

  it("call nitro-cli with the options of its 1.5.0", () => {
    const known = new Map([
      ["run-enclave", ["--config"]],
      ["describe-enclaves", []],
      ["console", ["--enclave-name"]],
      ["explain", ["--error-code"]],
      ["terminate-enclave", ["--enclave-name"]],
    ]);
    const lines = [...inCode, ...read("deploy/nitro-decrypt-enclave@.service").split("\n")];
    for (const [, name = "", rest = ""] of lines.flatMap((line) => [...line.matchAll(/nitro-cli ([a-z-]+)(.*)/g)])) {
      const options = [...rest.matchAll(/--[\w-]+/g)].map(([option]) => option);
      expect(known.get(name), name).toEqual(expect.arrayContaining(options));
    }
  });

  it("are one shell's, which takes them", () => {
    for (const text of shell) expect(runCommand("sh", ["-n", "-c", text], projectRoot)).toMatchObject({ status: 0 });
  });
});

describe("what docs/deploy.md names", () => {
  it("has error codes and metrics that exist", () => {
    const codes = [...page.matchAll(/`(ERR_[A-Z_]+)`/g)].map(([, code = ""]) => code);
    expect(codes.filter((code) => !(code in ERRORS))).toEqual([]);
    const metrics = createMetrics(() => undefined)
      .registry.getMetricsAsArray()
      .map(({ name }) => name);
    const named = [...page.matchAll(/nitro_parent_\w+/g)].map(([name]) => name);
    expect(named.filter((name) => !metrics.includes(name))).toEqual([]);
  });

  it("has JSON that parses", () => {
    const texts = blocks.filter(({ language }) => language === "json").map(({ text }) => text);
    expect(texts.length).toBeGreaterThan(2);
    for (const text of texts) expect(() => JSON.parse(text)).not.toThrow();
  });

  it("shows what nitro-decrypt pcrs prints", async () => {
    const [command = "", ...lines] = blockAfter("nitro-decrypt pcrs").trim().split("\n");
    const [, , , ...argv] = command.split(" ");
    const io = recordedIo({ cwd: projectRoot });
    const pcrs = await COMMANDS.find(({ name }) => name === "pcrs")?.load();
    expect(await pcrs?.run(argv, io)).toBe(0);
    expect(io.out.split("\n").filter((line) => line.startsWith("PCR"))).toEqual(lines);
  });
});

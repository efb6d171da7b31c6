/** docs/branch-keys.md: its configuration is one, and what it says to type exists. The key policy is in a test of its own. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { COMMANDS } from "../cli/commands.js";
import { parseConfiguration } from "../enclave/configuration.js";
import { utf8 } from "../shared/bytes.js";
import { recordedIo } from "./support/io.js";
import { projectRoot } from "./support/project.js";

const page = readFileSync(join(projectRoot, "docs/branch-keys.md"), "utf8");
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, "g"))].map(([, text = ""]) => text);

it("shows a part of a configuration that the enclave takes", () => {
  const example = JSON.parse(readFileSync(join(projectRoot, "test/readme/enclave.json"), "utf8"));
  const [part = ""] = blocks("json");
  const { messages } = JSON.parse(`{${part}}`);
  const [key] = example.kms.keys;
  const kms = { ...example.kms, keys: [{ ...key, aliases: ["alias/branch-keys"] }] };
  const configuration = parseConfiguration(utf8(JSON.stringify({ ...example, kms, messages })));
  expect(configuration.messages).toEqual(messages);
});

it("says to type commands with options that they have", async () => {
  const lines = blocks("sh").flatMap((text) => text.trimEnd().split("\n"));
  const calls = lines.map((line) => line.replace(/^nitro-decrypt /, "").split(/ +/));
  expect(calls.map(([name]) => name)).toEqual([
    ...["parent", "parent"],
    ...Array.from({ length: 4 }, () => "branch-keys"),
  ]);
  for (const [name = "", ...argv] of calls) {
    const command = await COMMANDS.find((entry) => entry.name === name)?.load();
    const io = recordedIo();
    expect(await command?.run([argv[0] ?? "", "--help"], io)).toBe(0);
    const options = argv.filter((word) => word.startsWith("--"));
    expect(options.filter((option) => !io.out.includes(`${option} `))).toEqual([]);
  }
});

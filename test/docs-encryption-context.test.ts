/** docs/encryption-context.md: what it shows is what the commands print, and its codes are those of the source. */
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { COMMANDS } from "../cli/commands.js";
import { utf8 } from "../shared/bytes.js";
import { CONTEXT_WARNINGS } from "../shared/context-lint.js";
import { blocksAfter, consoleOutput } from "./support/console-blocks.js";
import { sdkMessage } from "./support/esdk-message.js";
import { testFolder } from "./support/folder.js";
import { projectRoot } from "./support/project.js";

const page = readFileSync(join(projectRoot, "docs/encryption-context.md"), "utf8");

it("shows what the commands print", async () => {
  const cwd = testFolder();
  writeFileSync(join(cwd, "contexts.json"), blocksAfter(page, "file contexts.json")[0] ?? "");
  copyFileSync(join(projectRoot, "test/readme/enclave.json"), join(cwd, "enclave.json"));
  const context = { tenant: "acme", record: "42" };
  writeFileSync(join(cwd, "record.msg"), await sdkMessage(utf8("x"), { suite: 0x0578, context }));
  const shown = blocksAfter(page, "console");
  expect(shown).toHaveLength(2);
  for (const block of shown) expect(await consoleOutput(block, { commands: COMMANDS, cwd })).toBe(block);
});

it("shows a client that compiles", () => {
  const name = "test/readme/context-warnings.ts";
  expect(blocksAfter(page, name)).toEqual([readFileSync(join(projectRoot, name), "utf8")]);
});

it("lists every code once, with its weight", () => {
  const rows = [...page.matchAll(/^\| `(CONTEXT_[A-Z_]+)` \| (\w+) \| (.+) \|$/gm)];
  expect(Object.fromEntries(rows.map(([, code, weight]) => [code, weight]))).toEqual(CONTEXT_WARNINGS);
  expect(rows).toHaveLength(Object.keys(CONTEXT_WARNINGS).length);
});

/** docs/rollover.md: what it shows is what the commands print, with a real enclave and the audit of the simulated KMS. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DescribeKeyCommand } from "@aws-sdk/client-kms";
import { describe, expect, it } from "vitest";
import { COMMANDS } from "../cli/commands.js";
import { FILE_CODES } from "../cli/rollover/failure.js";
import { rollover } from "../cli/rollover.js";
import { utf8 } from "../shared/bytes.js";
import { certificatePem } from "../simulator/pki/root-file.js";
import type { Stack } from "./e2e/stack.js";
import { CONTEXT, startStack } from "./e2e/stack.js";
import { blocksAfter, consoleOutput } from "./support/console-blocks.js";
import { testFolder } from "./support/folder.js";
import { recordedIo } from "./support/io.js";
import { projectRoot } from "./support/project.js";

const page = readFileSync(join(projectRoot, "docs/rollover.md"), "utf8");
const OLD = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const NEW = "arn:aws:kms:us-east-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";
const URL_SHOWN = "https://parent.example.com";

/** A folder of messages, mostly under the old key, and what a caller has. */
async function prepare(stack: Stack, cwd: string): Promise<void> {
  mkdirSync(join(cwd, "records"));
  const enclave = await stack.connect();
  const [oldKey, newKey] = [stack.keyArn, stack.furtherKeyArns[0] ?? ""];
  for (const [index, keyId] of [oldKey, oldKey, oldKey, newKey].entries()) {
    const request = { plaintext: utf8(`record ${index}`), keyIds: [keyId], encryptionContext: CONTEXT };
    const { message } = await enclave.encryptMessage({ ...request, signed: false });
    writeFileSync(join(cwd, "records", `${index}.msg`), message);
  }
  writeFileSync(join(cwd, "records/README.txt"), "records of the tenant acme\n");
  const pcrs = Object.entries(stack.policy.pcrs[0]).map(([index, value]) => [`PCR${index}`, value]);
  writeFileSync(join(cwd, "pcrs.json"), JSON.stringify(Object.fromEntries(pcrs)));
  writeFileSync(join(cwd, "token"), stack.token);
  writeFileSync(join(cwd, "root.pem"), certificatePem(stack.simulation.pki.root.certificateDer));
}

/** Without what differs from run to run; nothing here changes the width of a column. */
const steady = (text: string): string =>
  text
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z/g, "TIME")
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "DAY AND TIME")
    .replace(/(?<=^audit {2,}\S.*), .*$/gm, ", SPAN")
    .replace(/in the .* that the audit/, "in the SPAN that the audit")
    .replace(/i-[0-9a-f]{17}/g, "INSTANCE");

/** A name and what stands for it, each without what is before the key's id. */
const keyIdsOf = (pair: readonly [string, string]): [string, string] =>
  pair.map((text) => text.replace(/^.*:key\//, "key/")) as [string, string];

it("shows what the commands print", async () => {
  const stack = await startStack({ furtherKeys: 1 });
  const cwd = testFolder();
  await prepare(stack, cwd);
  const names = [
    [OLD, stack.keyArn],
    [NEW, stack.furtherKeyArns[0] ?? ""],
    [URL_SHOWN, stack.parent.url],
  ] as const;
  const rewrite = async (argv: readonly string[]): Promise<readonly string[]> => {
    await stack.operator.send(new DescribeKeyCommand({ KeyId: stack.keyArn })); // an audit goes on, whatever is asked
    writeFileSync(join(cwd, "audit.json"), JSON.stringify({ Records: stack.simulation.kms.auditLog.records }));
    const real = argv.map((arg) => names.find(([shown]) => shown === arg)?.[1] ?? arg);
    return argv[0] === "run" ? [...real, "--root", join(cwd, "root.pem")] : real;
  };
  const shown = blocksAfter(page, "console");
  expect(shown).toHaveLength(3);
  for (const block of shown) {
    const output = await consoleOutput(block, { commands: COMMANDS, cwd, now: () => new Date(), rewrite });
    const asShown = [...names, ...names.map(keyIdsOf)].reduce(
      (text, [name, real]) => text.replaceAll(real, name),
      output,
    );
    expect(steady(asShown)).toBe(steady(block));
  }
});

it("lists every code of a file", () => {
  expect([...page.matchAll(/^\| `(FILE_\w+|ANSWER_\w+)` \|/gm)].map(([, code]) => code).sort()).toEqual(
    Object.keys(FILE_CODES).sort(),
  );
});

describe("the options that it names", () => {
  it.each(["plan", "run", "status"])("are those of rollover, as %s --help tells", async (name) => {
    const io = recordedIo();
    expect(await rollover.run([name, "--help"], io)).toBe(0);
    const known = new Set(io.out.match(/--[a-z-]+/g));
    const blocks = blocksAfter(page, "console").join("");
    const used = [...blocks.matchAll(new RegExp(`rollover ${name} ((?:[^\n]*\\\\\n)*[^\n]*)`, "g"))].flatMap(
      ([, rest = ""]) => rest.match(/--[a-z-]+/g) ?? [],
    );
    expect(used.length).toBeGreaterThan(0);
    expect(used.filter((option) => !known.has(option))).toEqual([]);
  });
});

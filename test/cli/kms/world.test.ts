/** `nitro-decrypt kms world` and `nitro-decrypt kms --world FILE`. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, expect, it } from "vitest";
import { kms } from "../../../cli/kms.js";
import { recordedIo } from "../../support/io.js";
import { projectRoot, runCommand } from "../../support/project.js";

const EXAMPLE = readFileSync(join(projectRoot, "docs/examples/world.json"), "utf8");
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nd-"));
  writeFileSync(join(folder, "world.json"), EXAMPLE);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(...argv: string[]) {
  const io = recordedIo({ cwd: folder, now: () => new Date() });
  const exitCode = await kms.run(argv, io);
  return { exitCode, out: io.out, err: io.err };
}

it("prints an example that it finds right itself, and the schema", async () => {
  const { status, stdout } = runCommand(process.execPath, ["dist/cli/main.js", "kms", "world"], projectRoot);
  expect(status).toBe(0);
  expect(stdout).toBe(EXAMPLE);
  expect(await run("world", "--check", "world.json")).toEqual({ exitCode: 0, out: "world.json is a world\n", err: "" });
  const schema = await run("world", "--schema");
  expect(JSON.parse(schema.out)).toEqual(JSON.parse(readFileSync(join(projectRoot, "docs/world.schema.json"), "utf8")));
});

it("says what is wrong with a file, and does not start in it", async () => {
  writeFileSync(join(folder, "wrong.json"), '{"accounts":[{"id":"1","name":"one"}]}');
  const message = 'wrong.json is no world:\naccounts[0].id: expected an account id of 12 digits, got "1"';
  for (const argv of [
    ["world", "--check", "wrong.json"],
    ["--world", "wrong.json"],
  ]) {
    const { exitCode, err } = await run(...argv);
    expect(exitCode).toBe(1);
    expect(err).toContain(message);
  }
});

it("has no user operator in the account of the KMS, which has one of its own", async () => {
  const file = { accounts: [{ id: "111122223333", name: "one", users: [{ name: "operator" }] }] };
  writeFileSync(join(folder, "operator.json"), JSON.stringify(file));
  const message = "accounts: the user operator of 111122223333 is the KMS's own; expected another name";
  for (const argv of [
    ["world", "--check", "operator.json"],
    ["--world", "operator.json"],
  ]) {
    const { exitCode, err } = await run(...argv);
    expect([exitCode, err.includes(message)]).toEqual([1, true]);
  }
  expect((await run("world", "--check", "operator.json", "--account", "444455556666")).exitCode).toBe(0);
});

it("says so in JSON, too", async () => {
  const checked = await run("world", "--check", "world.json", "--json");
  expect(JSON.parse(checked.out)).toEqual({ file: "world.json", valid: true });
  expect((await run("world", "--schema", "--json")).out).toBe((await run("world", "--schema")).out);
});

it("serves whom the file names, with the access keys that it gives them", async () => {
  const server = recordedIo({ cwd: folder, now: () => new Date() });
  const exit = kms.run(["--world", "world.json", "--http", "--json"], server);
  const { endpoint, region } = JSON.parse(await server.firstOutput);
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  const client = new KMSClient({ endpoint, region, credentials, maxAttempts: 1 });
  expect((await client.send(new CreateKeyCommand({}))).KeyMetadata?.AWSAccountId).toBe("111122223333");
  client.destroy();
  server.interrupt();
  expect(await exit).toBe(0);
});

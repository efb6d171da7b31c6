/** `nitro-decrypt kms faults`, beside a `nitro-decrypt kms` that runs. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GenerateRandomCommand, KMSClient } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, expect, it } from "vitest";
import { kms } from "../../../cli/kms.js";
import { testFolder } from "../../support/folder.js";
import type { RecordedIo } from "../../support/io.js";
import { recordedIo } from "../../support/io.js";
import { errorNameOf } from "../../support/simulated-kms.js";

let folder: string;
let server: RecordedIo;
let exit: Promise<number>;
let client: KMSClient;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "nd-"));
  server = recordedIo({ cwd: folder, now: () => new Date() });
  exit = kms.run(["--folder", "files", "--http", "--json"], server);
  const ready = JSON.parse(await server.firstOutput);
  const { accessKey } = JSON.parse(readFileSync(join(folder, "files", "connection.json"), "utf8"));
  client = new KMSClient({ endpoint: ready.endpoint, region: ready.region, credentials: accessKey, maxAttempts: 1 });
});
afterAll(async () => {
  client.destroy();
  server.interrupt();
  expect(await exit).toBe(0);
  rmSync(folder, { recursive: true });
});

const random = (): Promise<string> => errorNameOf(client.send(new GenerateRandomCommand({ NumberOfBytes: 1 })));

async function faults(...argv: string[]) {
  const io = recordedIo({ cwd: folder, now: () => new Date() });
  const exitCode = await kms.run(["faults", ...argv], io);
  return { exitCode, out: io.out, err: io.err };
}

it("shows that nothing goes wrong, puts a plan in force, shows it and takes it back", async () => {
  expect(await faults("--folder", "files")).toEqual({ exitCode: 0, out: "Nothing goes wrong.\n", err: "" });
  const plan = {
    clockOffsetSeconds: 60,
    faults: [
      { fault: "ThrottlingException", rate: 0.5, operations: ["GenerateRandom"] },
      { fault: "region-down", regions: ["eu-west-1"] },
    ],
  };
  writeFileSync(join(folder, "plan.json"), JSON.stringify(plan));
  const shown = `What goes wrong:
  ThrottlingException         50 % of the calls; GenerateRandom
  region-down                 eu-west-1
  clock                       60 s
`;
  expect(await faults("--folder", "files", "--set", "plan.json")).toEqual({ exitCode: 0, out: shown, err: "" });
  expect([await random(), await random()]).toEqual(["no error", "ThrottlingException"]);
  const json = await faults("--folder", "files", "--json");
  expect(JSON.parse(json.out)).toEqual(plan);
  expect((await faults("--folder", "files", "--clear")).out).toBe("Nothing goes wrong.\n");
  expect([await random(), await random()]).toEqual(["no error", "no error"]);
});

it.each([
  { faults: [{ fault: "ThrottlingException" }] },
  { faults: [{ fault: "KMSInternalException" }] },
  { faults: [{ fault: "DependencyTimeoutException" }] },
  { faults: [{ fault: "latency", milliseconds: 60_000 }] },
  { faults: [{ fault: "connection-reset" }] },
  { faults: [{ fault: "region-down", regions: ["us-east-1"] }] },
  { clockOffsetSeconds: 86_400 },
])("takes back %j, which its own calls do not meet", async (plan) => {
  writeFileSync(join(folder, "plan.json"), JSON.stringify(plan));
  expect(await faults("--folder", "files", "--set", "plan.json")).toMatchObject({ exitCode: 0, err: "" });
  expect(await faults("--folder", "files", "--clear")).toMatchObject({ exitCode: 0, out: "Nothing goes wrong.\n" });
  expect(await random()).toBe("no error");
});

it.each([
  [[], 2, "--folder is required"],
  [["--folder", "nowhere"], 1, "start one with"],
  [["--folder", "files", "--set", "wrong.json"], 1, "wrong.json is no fault plan"],
  [["--folder", "files", "--set", "wrong.json", "--clear"], 2, "exclude each other"],
])("refuses %j with exit code %i", async (argv, exitCode, message) => {
  writeFileSync(join(folder, "wrong.json"), '{ "faults": [{ "fault": "flood" }] }');
  const result = await faults(...argv);
  expect(result.exitCode).toBe(exitCode);
  expect(result.err).toContain(message);
});

it("needs permission, and says whose key it was", async () => {
  const { accessKey, ...connection } = JSON.parse(readFileSync(join(folder, "files", "connection.json"), "utf8"));
  const unknown = { accessKeyId: "AKIAUNKNOWN", secretAccessKey: accessKey.secretAccessKey };
  const other = testFolder();
  writeFileSync(join(other, "connection.json"), JSON.stringify({ ...connection, accessKey: unknown }));
  const result = await faults("--folder", other);
  expect(result).toMatchObject({ exitCode: 1 });
  expect(result.err).toContain("UnrecognizedClientException");
});

/** `nitro-decrypt kms`: what its options make, and what it says of those that cannot be. */
import { rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connect } from "node:tls";
import { GenerateRandomCommand, KMSClient } from "@aws-sdk/client-kms";
import { describe, expect, it, onTestFinished } from "vitest";
import { internalErrorLog } from "../../../cli/kms/internal-errors.js";
import { kms } from "../../../cli/kms.js";
import { createLogger } from "../../../cli/service.js";
import { listen, stop as stopServer } from "../../../simulator/endpoint/http-server.js";
import { StorageError } from "../../../simulator/storage/storage-error.js";
import { testFolder } from "../../support/folder.js";
import { recordedIo } from "../../support/io.js";

async function run(cwd: string, ...argv: string[]) {
  const io = recordedIo({ cwd, now: () => new Date() });
  const exitCode = await kms.run(argv, io);
  return { exitCode, err: io.err };
}

async function start(cwd: string, ...argv: string[]) {
  const io = recordedIo({ cwd, now: () => new Date() });
  const exit = kms.run(["--json", ...argv], io);
  onTestFinished(() => io.interrupt());
  const ready = JSON.parse(await io.firstOutput);
  const stop = async (): Promise<void> => {
    io.interrupt();
    expect(await exit).toBe(0);
  };
  return { io, ready, stop };
}

describe("refuses", () => {
  it.each([
    [["--region", "nowhere"], 2, '--region expects the name of an AWS Region, such as us-east-1, got "nowhere"'],
    [["--region", "xx-east-1"], 2, "--region expects"],
    [["--role", "a b"], 2, '--role expects a name of 1 to 64 letters, digits and +=,.@_-, got "a b"'],
    [["--freshness", "-1"], 2, '--freshness expects a number of seconds, got "-1"'],
    [["--grant-consistency", "long"], 2, '--grant-consistency expects a number of seconds, got "long"'],
    [["--log-level", "loud"], 2, "--log-level is one of trace, debug"],
    [["--tls-name", "a_b"], 2, '--tls-name expects a host name in lower case or an IP address, got "a_b"'],
    [["--tls-name", "kms", "--http"], 2, "--tls-name and --http exclude each other"],
    [["--host", "192.0.2.1"], 1, "--host 192.0.2.1: this machine has no such address"],
    [["--world", "none.json"], 1, "--world none.json cannot be read: there is no such file"],
    [["--faults", "none.json"], 1, "--faults none.json cannot be read: there is no such file"],
    [["--world", "text"], 1, '--world text: expected a JSON document, got text that begins with "hello'],
    [["--faults", "text"], 1, '--faults text: expected a JSON document, got text that begins with "hello'],
    [["--pki", "text"], 1, "--pki text is no file of a simulated root: expected a JSON document"],
    [["--pki", "."], 1, "--pki . cannot be read: it is a folder"],
    [["--data", "text"], 1, "text cannot be used: there is a file of that name"],
    [["--data", "text/data"], 1, "a file is where a folder is expected"],
    [["--faults", "plan.json"], 1, 'expected an operation of KMS, STS or CloudTrail, got "Decript"'],
  ])("%j", async (argv, exitCode, message) => {
    const cwd = testFolder();
    writeFileSync(join(cwd, "text"), "hello");
    writeFileSync(join(cwd, "plan.json"), '{"faults":[{"fault":"latency","milliseconds":1,"operations":["Decript"]}]}');
    const result = await run(cwd, ...argv);
    expect(result.err).toContain(message);
    expect(result.exitCode).toBe(exitCode);
  });

  it.each(["port", "imds-port"])("a --%s that is in use", async (option) => {
    const other = createServer();
    await listen(other, { port: 0, host: "127.0.0.1" });
    onTestFinished(() => stopServer(other));
    const { port } = other.address() as AddressInfo; // listening on TCP, so neither null nor a path
    const { exitCode, err } = await run(testFolder(), `--${option}`, String(port));
    expect([exitCode, err]).toEqual([
      1,
      `nitro-decrypt kms: --${option} ${port} is in use; give another one, or leave it out for a free one\n`,
    ]);
  });

  it("a data folder whose master key is gone, or that is of another account or partition", async () => {
    const cwd = testFolder();
    const { stop } = await start(cwd, "--data", "data");
    await stop();
    const whose = "the data folder is of account 111122223333 in the partition aws, not of account";
    const others = [await run(cwd, "--data=data", "--account=444455556666")];
    others.push(await run(cwd, "--data=data", "--region=cn-north-1"));
    expect(others.map(({ exitCode, err }) => [exitCode, err.includes(whose)])).toEqual([
      [1, true],
      [1, true],
    ]);
    const again = await start(cwd, "--data", "data", "--region", "eu-west-1"); // of the same partition
    await again.stop();
    rmSync(join(cwd, "data.master-key"));
    expect((await run(cwd, "--data", "data")).err).toContain(
      `${join(cwd, "data.master-key")} is missing: put it back, or name it with --master-key. Without it the keys`,
    );
  });
});

it("a certificate is for the names that --tls-name gives, the first of which is in the endpoint", async () => {
  const { ready, stop } = await start(testFolder(), "--tls-name", "kms.test,192.0.2.7", "--tls-name", "other.test");
  expect(ready.endpoint).toBe(`https://kms.test:${ready.port}`);
  const names = await new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: ready.port, servername: "other.test", rejectUnauthorized: false };
    const socket = connect(options, () => {
      resolve(socket.getPeerCertificate().subjectaltname);
      socket.destroy();
    }).on("error", reject);
  });
  for (const name of ["DNS:localhost", "DNS:kms.test", "DNS:other.test", "IP Address:192.0.2.7"]) {
    expect(names).toContain(name);
  }
  await stop();
});

it.each([
  ["127.0.0.1", "localhost"],
  ["0.0.0.0", "localhost"],
  ["127.0.0.2", "127.0.0.2"],
])("at --host %s its own commands reach it by %s", async (host, name) => {
  const cwd = testFolder();
  const { ready, stop } = await start(cwd, "--host", host, "--folder", "files");
  expect(ready.endpoint).toBe(`https://${name}:${ready.port}`);
  expect(await run(cwd, "faults", "--folder", "files")).toEqual({ exitCode: 0, err: "" });
  await stop();
});

describe("the log", () => {
  it("has the calls at its level", async () => {
    const cwd = testFolder();
    const { io, ready, stop } = await start(cwd, "--http", "--log-level", "debug");
    const credentials = { accessKeyId: "AKIAUNKNOWN", secretAccessKey: "unknown" };
    const client = new KMSClient({ endpoint: ready.endpoint, region: ready.region, credentials, maxAttempts: 1 });
    await expect(client.send(new GenerateRandomCommand({ NumberOfBytes: 1 }))).rejects.toThrow("security token");
    client.destroy();
    expect(JSON.parse(io.err)).toMatchObject({
      ...{ service: "kms", msg: "call" },
      ...{ eventName: "GenerateRandom", errorCode: "UnrecognizedClientException" },
    });
    await stop();
  });

  it("has internal errors with what to do about them", () => {
    const io = recordedIo();
    const tell = internalErrorLog(createLogger(io, "kms", "info"));
    tell(new StorageError("the disk is full"));
    tell(new TypeError("a defect"));
    const lines = io.err
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([
      { level: 50, err: { message: "the disk is full" }, next: expect.stringContaining("has room, then start") },
      { level: 50, err: { message: "a defect" }, next: expect.stringContaining("report it") },
    ]);
    const silent = recordedIo();
    internalErrorLog(createLogger(silent, "kms", "silent"))(new TypeError("unheard"));
    expect(silent.err).toBe("");
  });
});

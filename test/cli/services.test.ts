/** The commands that keep running, in this process: what they demand, announce, serve and leave behind. */
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { Agent } from "node:https";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Command } from "../../cli/command.js";
import { enclave } from "../../cli/enclave.js";
import { kms } from "../../cli/kms.js";
import { nsm } from "../../cli/nsm.js";
import { parent } from "../../cli/parent.js";
import { trustAnchorFromSha256 } from "../../shared/attestation/trust-anchor.js";
import { verifyAttestation } from "../../shared/attestation/verify.js";
import { toHex, utf8 } from "../../shared/bytes.js";
import { decodeNsmResponse, encodeNsmRequest } from "../../shared/nsm.js";
import { connectSimulatedNsm } from "../../simulator/nsm/client.js";
import { requestOver } from "../../transport/http.js";
import { listenAt } from "../../transport/listen.js";
import { testFolder } from "../support/folder.js";
import type { RecordedIo } from "../support/io.js";
import { recordedIo } from "../support/io.js";
import { anyPeer, collect } from "../support/streams.js";

/** PEM of something: the parent does not look into it. */
const PEM = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
const ZEROS = "00".repeat(48);

interface Service {
  readonly ready: Readonly<Record<string, unknown>>;
  readonly io: RecordedIo;
  /** What SIGINT does; resolves with the exit code. */
  stop(): Promise<number>;
}

/** Runs a service in this process until it says that it is ready. */
async function start(command: Command, argv: readonly string[], cwd: string): Promise<Service> {
  const io = recordedIo({ cwd, now: () => new Date() });
  const exit = command.run([...argv, "--json", "--log-level", "silent"], io);
  const stop = (): Promise<number> => {
    io.interrupt();
    return exit;
  };
  onTestFinished(async () => void (await stop()));
  const line = await Promise.race([io.firstOutput, exit.then(() => io.out)]);
  return { ready: JSON.parse(line), io, stop };
}

async function run(command: Command, argv: readonly string[], cwd = process.cwd()) {
  const io = recordedIo({ cwd });
  const exitCode = await command.run(argv, io);
  return { exitCode, err: io.err };
}

/** The options but for the one at `index` and its value. */
const without = (options: readonly string[], index: number): string[] =>
  options.filter((_option, at) => at !== index && at !== index + 1);

describe("nsm", () => {
  it("serves the device of this installation's image, and its documents verify under the root in its file", async () => {
    const cwd = testFolder();
    const address = `unix:${join(cwd, "nsm")}`;
    const { ready, stop } = await start(nsm, ["--listen", address, "--pki", "root.json"], cwd);
    expect(ready).toMatchObject({ event: "ready", service: "nsm", address });
    const device = connectSimulatedNsm(address);
    const request = { kind: "Attestation", userData: null, nonce: utf8("n"), publicKey: null } as const;
    const response = decodeNsmResponse(await device.exchange(encodeNsmRequest(request)));
    device.close();
    const { sha256 } = ready.trustAnchor as { sha256: string };
    const trustAnchor = trustAnchorFromSha256("simulated", sha256);
    const document = response.kind === "Attestation" ? response.document : new Uint8Array();
    const verified = await verifyAttestation(document, { trustAnchor, now: new Date() });
    const pcrs = ready.pcrs as Readonly<Record<number, string>>;
    for (const index of [0, 1, 2, 4]) expect(pcrs[index]).toBe(toHex(verified.pcrs.get(index) ?? new Uint8Array()));
    expect([pcrs[0], pcrs[1], pcrs[2]]).not.toContain(ZEROS);
    expect(statSync(join(cwd, "root.json")).mode & 0o777).toBe(0o600);
    expect(await stop()).toBe(0);
  });

  it("measures the parts that it is given, in order", async () => {
    const cwd = testFolder();
    for (const name of ["kernel", "base", "application"]) writeFileSync(join(cwd, name), name);
    const image = ["--kernel", "kernel", "--cmdline", "quiet"];
    const pcrsOf = async (name: string, ramdisks: readonly string[], ...more: string[]) => {
      const argv = [
        "--listen",
        `unix:${join(cwd, name)}`,
        ...image,
        ...ramdisks.flatMap((r) => ["--ramdisk", r]),
        ...more,
      ];
      const { ready, stop } = await start(nsm, argv, cwd);
      await stop();
      return ready.pcrs as Readonly<Record<number, string>>;
    };
    const baseline = await pcrsOf("a", ["base", "application"]);
    expect(await pcrsOf("b", ["base", "application"])).toEqual(baseline);
    const swapped = await pcrsOf("c", ["application", "base"]);
    for (const index of [0, 1, 2]) expect(swapped[index]).not.toBe(baseline[index]);
    const debug = await pcrsOf("d", ["base", "application"], "--debug");
    expect([debug[0], debug[1], debug[2], debug[8]]).toEqual([ZEROS, ZEROS, ZEROS, ZEROS]);
    expect(debug[4]).toBe(baseline[4]);
  });

  it("keeps a root that is there", async () => {
    const cwd = testFolder();
    const anchors: unknown[] = [];
    for (const name of ["a", "b"]) {
      const { ready, stop } = await start(nsm, ["--listen", `unix:${join(cwd, name)}`, "--pki", "root.json"], cwd);
      anchors.push(ready.trustAnchor);
      await stop();
    }
    expect(anchors[0]).toEqual(anchors[1]);
  });

  it("exits 2 on wrong usage, and 1 on what is wrong with a file", async () => {
    const cwd = testFolder();
    const listen = ["--listen", `unix:${join(cwd, "nsm")}`];
    writeFileSync(join(cwd, "file"), "not an EIF");
    expect(await run(nsm, [])).toMatchObject({ exitCode: 2, err: expect.stringContaining("--listen is required") });
    expect((await run(nsm, [...listen, "--instance-id", "i-1"], cwd)).exitCode).toBe(2);
    expect((await run(nsm, [...listen, "--eif", "file", "--cmdline", "x"], cwd)).exitCode).toBe(2);
    expect((await run(nsm, [...listen, "--kernel", "file"], cwd)).exitCode).toBe(2);
    expect(await run(nsm, [...listen, "--eif", "none"], cwd)).toMatchObject({ exitCode: 1 });
    const malformed = await run(nsm, [...listen, "--eif", "file"], cwd);
    expect(malformed).toMatchObject({ exitCode: 1, err: expect.stringContaining("ERR_EIF_MALFORMED") });
    const vsock = await run(nsm, ["--listen", "vsock://3:8000"], cwd);
    expect(vsock).toMatchObject({ exitCode: 1, err: expect.stringContaining("ERR_ADDRESS") });
  });
});

describe("kms", () => {
  it("serves the plain AWS SDK with what it wrote, tells each call, and takes its files with it", async () => {
    const cwd = testFolder();
    const { ready, io, stop } = await start(kms, ["--folder", "aws", "--pki", "root.json"], cwd);
    expect(ready).toMatchObject({ event: "ready", service: "kms", region: "us-east-1", accountId: "111122223333" });
    const [caFile, credentialsFile, configFile] = ["ca.pem", "credentials", "config"].map((name) =>
      join(cwd, "aws", name),
    );
    expect(ready).toMatchObject({ caFile, credentialsFile, configFile });
    for (const name of ["ca.pem", "credentials", "config"]) {
      expect(statSync(join(cwd, "aws", name)).mode & 0o777).toBe(0o600);
    }
    const value = (name: string) =>
      new RegExp(`^${name} = (.+)$`, "m").exec(readFileSync(join(cwd, "aws", "credentials"), "utf8"))?.[1] ?? "";
    const client = new KMSClient({
      region: "us-east-1",
      endpoint: String(ready.endpoint),
      credentials: { accessKeyId: value("aws_access_key_id"), secretAccessKey: value("aws_secret_access_key") },
      requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca: readFileSync(join(cwd, "aws", "ca.pem")) }) }),
    });
    const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
    client.destroy();
    expect(KeyMetadata?.Arn).toMatch(/^arn:aws:kms:us-east-1:111122223333:key\//);
    const call = io.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))[1];
    expect(call).toMatchObject({ event: "call", record: { eventName: "CreateKey", eventSource: "kms.amazonaws.com" } });
    expect(io.out).not.toContain(value("aws_secret_access_key"));
    expect(await stop()).toBe(0);
    for (const file of [caFile, credentialsFile, configFile]) {
      expect(statSync(file ?? "", { throwIfNoEntry: false })).toBeUndefined();
    }
  });

  it("keeps its root beside its data, for its owner alone, and a new one where nothing is kept", async () => {
    const cwd = testFolder();
    const anchorOf = async (...argv: string[]) => {
      const { ready, stop } = await start(kms, [...argv, "--http"], cwd);
      expect(await stop()).toBe(0);
      return ready.trustAnchor;
    };
    const kept = await anchorOf("--data", "new/data");
    expect(await anchorOf("--data", "new/data")).toEqual(kept);
    expect(statSync(join(cwd, "new/data.pki")).mode & 0o777).toBe(0o600);
    expect(await anchorOf("--pki", "new/data.pki")).toEqual(kept);
    expect(await anchorOf("--data", "new/data", "--pki", "other.json")).not.toEqual(kept);
    expect(await anchorOf()).not.toEqual(kept);
  });

  it("exits 2 on wrong usage", async () => {
    const wrong = [
      ["--account", "1"],
      ["--instance-id", "x"],
      ["--port", "-1"],
      ["--imds-port", "70000"],
      ["--freshness", "soon"],
    ];
    for (const argv of wrong) expect((await run(kms, argv, testFolder())).exitCode).toBe(2);
  });
});

describe("enclave", () => {
  const addresses = ["--listen", "unix:/nowhere/e", "--tunnel", "unix:/nowhere/t", "--services", "unix:/nowhere/s"];

  it("exits 2 when an option is missing", async () => {
    const whole = ["--config", "c.json", "--nsm", "unix:/nowhere/n", ...addresses];
    for (let index = 0; index < whole.length; index += 2) {
      const argv = without(whole, index);
      expect(await run(enclave, argv)).toMatchObject({
        exitCode: 2,
        err: expect.stringContaining(`${whole[index]} is required`),
      });
    }
  });

  it("exits 2 on a tunnel to a further Region that is of the wrong form or given twice", async () => {
    const whole = ["--config", "c.json", "--nsm", "unix:/nowhere/n", ...addresses];
    const tunnel = ["--region-tunnel", "eu-west-1=unix:/nowhere/r"];
    for (const more of [
      ["--region-tunnel", "unix:/nowhere/r"],
      ["--region-tunnel", "eu-west-1="],
      [...tunnel, ...tunnel],
    ]) {
      expect(await run(enclave, [...whole, ...more])).toMatchObject({
        exitCode: 2,
        err: expect.stringContaining("--region-tunnel"),
      });
    }
    expect(await run(enclave, [...whole, ...tunnel])).toMatchObject({ exitCode: 1 }); // it goes on to the configuration
  });

  it.skipIf(existsSync("/dev/nsm"))("says that there is no /dev/nsm outside of an enclave", async () => {
    const cwd = testFolder();
    writeFileSync(join(cwd, "c.json"), "{}");
    const { exitCode, err } = await run(enclave, ["--config", "c.json", "--nsm", "/dev/nsm", ...addresses], cwd);
    expect(exitCode).toBe(1);
    expect(err).toContain("ERR_NSM: expected the NSM device at /dev/nsm: is this an enclave?");
  });

  it("exits 1 on a configuration that is not there, and on one that is not valid", async () => {
    const cwd = testFolder();
    const argv = ["--config", "c.json", "--nsm", "unix:/nowhere/n", ...addresses];
    expect(await run(enclave, argv, cwd)).toMatchObject({
      exitCode: 1,
      err: expect.stringContaining("cannot be read"),
    });
    writeFileSync(join(cwd, "c.json"), '{"version":1,"debug":true}');
    const { exitCode, err } = await run(enclave, argv, cwd);
    expect(exitCode).toBe(1);
    expect(err).toContain("ERR_CONFIGURATION");
  });
});

describe("parent", () => {
  const optionsIn = (cwd: string) => [
    ...["--enclave", `unix:${join(cwd, "e")}`, "--listen", "127.0.0.1:0", "--services", `unix:${join(cwd, "s")}`],
    ...["--tunnel", `unix:${join(cwd, "t")}`, "--kms-target", "127.0.0.1:443"],
  ];

  it("serves its API, and ends with exit code 0", async () => {
    const cwd = testFolder();
    const { ready, stop } = await start(parent, optionsIn(cwd), cwd);
    expect(ready).toMatchObject({
      event: "ready",
      service: "parent",
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    });
    const { status } = await fetch(`${String(ready.url)}/healthz`);
    expect(status).toBe(200);
    expect(await stop()).toBe(0);
  });

  it("answers pages of the origins that it is given, and no others", async () => {
    const cwd = testFolder();
    const more = ["--allow-origin", "https://one.example", "--allow-origin", "http://127.0.0.1:8000"];
    const { ready } = await start(parent, [...optionsIn(cwd), ...more], cwd);
    const allowed = async (origin: string) => {
      const answer = await fetch(`${String(ready.url)}/v1/sealed`, { method: "OPTIONS", headers: { origin } });
      return answer.headers.get("access-control-allow-origin");
    };
    expect(await allowed("https://one.example")).toBe("https://one.example");
    expect(await allowed("http://127.0.0.1:8000")).toBe("http://127.0.0.1:8000");
    expect(await allowed("https://other.example")).toBeNull();
  });

  it("pitfall 24: allows the target that it is given and no other", async () => {
    const cwd = testFolder();
    const argv = [...optionsIn(cwd), "--allow", "kms.us-east-1.amazonaws.com:443"];
    const { exitCode, err } = await run(parent, argv, cwd);
    expect(exitCode).toBe(1);
    expect(err).toContain("ERR_CONFIGURATION");
  });

  it("opens a tunnel for each further Region, which its allow-list must have as well", async () => {
    const cwd = testFolder();
    const server = createServer((socket) => void socket.end("far away"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const target = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const address = join(cwd, "region=1");
    const more = ["--region-target", `unix:${address}=${target}`];
    const { stop } = await start(parent, [...optionsIn(cwd), ...more], cwd);
    expect(String(await collect(connect(address)))).toBe("far away");
    await stop();
    const { exitCode, err } = await run(parent, [...optionsIn(cwd), ...more, "--allow", "127.0.0.1:443"], cwd);
    expect(exitCode).toBe(1);
    expect(err).toContain("ERR_CONFIGURATION");
  });

  it("passes TLS on to the enclave", async () => {
    const cwd = testFolder();
    const address = `unix:${join(cwd, "tls")}`;
    const server = createServer((socket) => void socket.pipe(socket));
    onTestFinished(() => void server.close());
    await listenAt(server, address, anyPeer);
    const more = ["--tls-listen", "127.0.0.1:0", "--enclave-tls", address];
    const { ready } = await start(parent, [...optionsIn(cwd), ...more], cwd);
    expect(ready.tls).toMatch(/^127\.0\.0\.1:\d+$/);
    const client = connect(Number(String(ready.tls).split(":")[1]), "127.0.0.1");
    client.end("through");
    expect(String(await collect(client))).toBe("through");
  });

  it("offers the certificate of two files as they are now, the key binary or in base64", async () => {
    const cwd = testFolder();
    const ciphertext = Uint8Array.of(1, 2, 2, 0, 0x78);
    writeFileSync(join(cwd, "chain.pem"), `a chain:\n${PEM}${PEM}`);
    writeFileSync(join(cwd, "key"), ciphertext);
    await start(parent, [...optionsIn(cwd), "--tls-certificate", "chain.pem", "--tls-key", "key"], cwd);
    const offer = async () => {
      const path = "/tls-certificate";
      const request = { method: "GET", path, deadlineMs: 5_000, maxResponseBytes: 65_536 };
      const { status, body } = await requestOver(`unix:${join(cwd, "s")}`, request);
      return { status, ...JSON.parse(new TextDecoder().decode(body)) };
    };
    const privateKeyCiphertext = Buffer.from(ciphertext).toString("base64");
    expect(await offer()).toEqual({ status: 200, chain: [PEM, PEM], privateKeyCiphertext });
    writeFileSync(join(cwd, "chain.pem"), PEM);
    writeFileSync(join(cwd, "key"), `${privateKeyCiphertext.slice(0, 4)}\n${privateKeyCiphertext.slice(4)}\n`);
    expect(await offer()).toEqual({ status: 200, chain: [PEM], privateKeyCiphertext });
    writeFileSync(join(cwd, "chain.pem"), "A".repeat(32 * 1024 + 1));
    expect(await offer()).toMatchObject({ status: 500, code: "ERR_CERTIFICATE" });
  });

  it.each([
    ["a chain without a certificate", "no PEM", "AQIC"],
    ["a key that is text but no base64", PEM, "p@ss"],
    ["a key that is larger than KMS makes one", PEM, "A".repeat(12 * 1024 + 1)],
  ])("does not start with %s", async (_, chain, key) => {
    const cwd = testFolder();
    writeFileSync(join(cwd, "chain.pem"), chain);
    writeFileSync(join(cwd, "key"), key);
    const more = ["--tls-certificate", "chain.pem", "--tls-key", "key"];
    const { exitCode, err } = await run(parent, [...optionsIn(cwd), ...more], cwd);
    expect(exitCode).toBe(1);
    expect(err).toMatch(/ERR_MESSAGE_(MALFORMED|TOO_LARGE)/);
  });

  it("exits 2 when an option is missing or of the wrong form", async () => {
    const cwd = testFolder();
    const whole = optionsIn(cwd);
    writeFileSync(join(cwd, "chain.pem"), PEM);
    for (let index = 0; index < whole.length; index += 2) {
      expect((await run(parent, without(whole, index), cwd)).exitCode).toBe(2);
    }
    for (const more of [
      ["--allow", "x"],
      ["--max-connections", "0"],
      ["--region-target", "kms.eu-west-1.amazonaws.com:443"],
      ["--region-target", `unix:${join(cwd, "r")}`],
      ["--region-target", `unix:${join(cwd, "r")}=kms.eu-west-1.amazonaws.com`],
      ["--request-deadline", "0"],
      ["--request-deadline", "301"],
      ["--allow-origin", "*"],
      ["--allow-origin", "https://one.example/"],
      ["--log-level", "loud"],
      ["--tls-listen", "127.0.0.1:0"],
      ["--enclave-tls", `unix:${join(cwd, "tls")}`],
      ["--tls-listen", "127.0.0.1", "--enclave-tls", `unix:${join(cwd, "tls")}`],
      ["--tls-certificate", "chain.pem"],
      ["--tls-key", "chain.pem"],
      ["--tls-certificate", "chain.pem", "--tls-key", "nowhere"],
    ]) {
      expect((await run(parent, [...whole, ...more], cwd)).exitCode).toBe(2);
    }
  });
});

/** Faults on demand, as a program that calls the KMS meets them. */
import { request } from "node:https";
import { connect } from "node:tls";
import { DecryptCommand, GenerateRandomCommand, ListAliasesCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import { Faults } from "../../../simulator/endpoint/faults.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../support/simulated-kms.js";
import { callSts } from "../../support/simulated-sts.js";
import { clockAt } from "../fixtures.js";

const clock = clockAt();
let kms: SimulatedKms;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
});
beforeEach(() => kms.faults.set({}));
afterAll(() => kms.close());

/** The names of the errors of `count` calls, one after another. */
async function outcomes(count: number, region = kms.region): Promise<string[]> {
  const client = kmsClient({ ...kms, region }, clock);
  const names: string[] = [];
  for (let i = 0; i < count; i++) {
    names.push(await errorNameOf(client.send(new GenerateRandomCommand({ NumberOfBytes: 1 }))));
  }
  client.destroy();
  return names;
}

/** The status that a POST without a signature is answered with. */
const unsignedStatus = (): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    const options = { method: "POST", ca: kms.caCertificate };
    request(kms.endpoint, options, (response) => resolve(response.resume().statusCode))
      .on("error", reject)
      .end("{}");
  });

const fine = "no error";

describe("error answers", () => {
  it("come at their exact rate", async () => {
    kms.faults.set({ faults: [{ fault: "ThrottlingException", rate: 0.25 }] });
    const throttled = "ThrottlingException";
    expect(await outcomes(8)).toEqual([fine, fine, fine, throttled, fine, fine, fine, throttled]);
  });

  it("end after their number of times", async () => {
    kms.faults.set({ faults: [{ fault: "KMSInternalException", times: 2 }] });
    expect(await outcomes(4)).toEqual(["KMSInternalException", "KMSInternalException", fine, fine]);
  });

  it("concern the operations and Regions that they name", async () => {
    kms.faults.set({
      faults: [{ fault: "DependencyTimeoutException", operations: ["Decrypt"], regions: ["eu-west-1"] }],
    });
    expect(await outcomes(1)).toEqual([fine]);
    expect(await outcomes(1, "eu-west-1")).toEqual([fine]);
    const client = kmsClient({ ...kms, region: "eu-west-1" }, clock);
    const decrypt = client.send(new DecryptCommand({ CiphertextBlob: new Uint8Array(1) }));
    expect(await errorNameOf(decrypt)).toBe("DependencyTimeoutException");
    client.destroy();
  });

  it("have AWS's text, and are in the audit log", async () => {
    kms.faults.set({ faults: [{ fault: "ThrottlingException" }] });
    const client = kmsClient(kms, clock);
    expect(await errorOf(client.send(new GenerateRandomCommand({ NumberOfBytes: 1 })))).toEqual({
      name: "ThrottlingException",
      message: "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
    });
    expect(kms.auditLog.records.at(-1)).toMatchObject({
      eventName: "GenerateRandom",
      errorCode: "ThrottlingException",
    });
    client.destroy();
  });

  it("do not reach who has no valid signature", async () => {
    kms.faults.set({ faults: [{ fault: "ThrottlingException" }] });
    const client = kmsClient(kms, clock, { accessKeyId: "AKIAUNKNOWN", secretAccessKey: "unknown" });
    expect(await errorNameOf(client.send(new ListAliasesCommand({})))).toBe("UnrecognizedClientException");
    client.destroy();
  });
});

describe("the connection", () => {
  it("is reset", async () => {
    kms.faults.set({ faults: [{ fault: "connection-reset", times: 1 }] });
    const [first, second] = await outcomes(2);
    expect([first === fine, second]).toEqual([false, fine]);
  });

  it("is reset in a Region that is down, and only there", async () => {
    kms.faults.set({ faults: [{ fault: "region-down", regions: ["eu-west-1"] }] });
    expect(await outcomes(1)).toEqual([fine]);
    const ireland = await outcomes(2, "eu-west-1");
    expect(ireland.filter((name) => name === fine)).toEqual([]);
  });

  it("is reset for an operation of STS, which a form names", async () => {
    await using http = await startKms({
      trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)),
      clock,
      protocol: "http",
    });
    const identity = () => callSts(http, clock, http.operator, { Action: "GetCallerIdentity" });
    http.faults.set({ faults: [{ fault: "connection-reset", operations: ["GetSessionToken"] }] });
    expect((await identity()).status).toBe(200);
    http.faults.set({ faults: [{ fault: "connection-reset", operations: ["GetCallerIdentity"] }] });
    expect(await errorNameOf(identity())).toBe("TypeError");
  });

  it("of a request that names none of the services counts for nothing", async () => {
    kms.faults.set({ faults: [{ fault: "connection-reset", times: 1 }] });
    expect(await unsignedStatus()).toBe(400);
    expect((await outcomes(1)).includes(fine)).toBe(false);
  });

  it("is slow", async () => {
    kms.faults.set({ faults: [{ fault: "latency", milliseconds: 30 }] });
    const started = process.hrtime.bigint();
    expect(await outcomes(2)).toEqual([fine, fine]);
    expect(process.hrtime.bigint() - started).toBeGreaterThan(59_000_000n); // a lower bound: it never fails on a slow machine
  });
});

it("a wrong clock makes right signatures late", async () => {
  kms.faults.set({ clockOffsetSeconds: 16 * 60 });
  expect(await outcomes(1)).toEqual(["InvalidSignatureException"]);
  kms.faults.set({ clockOffsetSeconds: 60 });
  expect(await outcomes(1)).toEqual([fine]);
});

it.each([
  [{ faults: [{ fault: "ThrottlingException", rate: 0 }] }, ["faults", 0, "rate"]],
  [{ faults: [{ fault: "ThrottlingException", rate: 1.5 }] }, ["faults", 0, "rate"]],
  [{ faults: [{ fault: "latency", milliseconds: 60_001 }] }, ["faults", 0, "milliseconds"]],
  [{ faults: [{ fault: "flood" }] }, ["faults", 0, "fault"]],
  [{ faults: [{ fault: "region-down" }] }, ["faults", 0, "regions"]],
  [{ faults: [{ fault: "connection-reset", region: "eu-west-1" }] }, ["faults", 0]],
  [{ faults: [{ fault: "ThrottlingException", operations: ["Decrypt", "Decript"] }] }, ["faults", 0, "operations", 1]],
  [{ faults: [{ fault: "region-down", regions: ["nowhere"] }] }, ["faults", 0, "regions", 0]],
  [{ clockOffsetSeconds: 0.5 }, ["clockOffsetSeconds"]],
  [{ throttle: true }, []],
])("the plan %j is none", (plan, path) => {
  const faults = new Faults();
  let issues: { path: unknown }[] = [];
  try {
    faults.set(plan as Parameters<Faults["set"]>[0]); // what JSON may bring
  } catch (error) {
    issues = (error as { issues: { path: unknown }[] }).issues;
  }
  expect(issues.map((issue) => issue.path)).toEqual([path]);
  expect(faults.plan).toEqual({ faults: [], clockOffsetSeconds: 0 });
});

it("a client that hangs up while it has to wait ends nobody else's calls", async () => {
  const internal: unknown[] = [];
  const trustAnchor = trustAnchorFromSha256("none", "00".repeat(32));
  const other = await startKms({ trustAnchor, clock, onInternalError: (error) => internal.push(error) });
  other.faults.set({ faults: [{ fault: "latency", milliseconds: 20 }] });
  const credential =
    "AWS4-HMAC-SHA256 Credential=AKIA/20261123/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=00";
  await new Promise<void>((resolve) => {
    const socket = connect({ port: other.port, ca: other.caCertificate, servername: "localhost" }, () => {
      const headers = `Host: localhost\r\nAuthorization: ${credential}\r\nContent-Length: 2`;
      socket.write(`POST / HTTP/1.1\r\n${headers}\r\n\r\n{}`, () => socket.destroy());
    });
    socket.on("error", () => undefined).on("close", () => resolve());
  });
  const client = kmsClient(other, clock);
  for (let i = 0; i < 5; i++) await client.send(new GenerateRandomCommand({ NumberOfBytes: 1 }));
  expect(internal).toEqual([]);
  client.destroy();
  await other.close();
});

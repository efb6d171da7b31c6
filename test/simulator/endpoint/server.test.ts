/** The wire: TLS, AWS JSON 1.1, bounds, credentials that end, and clients that do not behave. */
import { request } from "node:https";
import { join } from "node:path";
import { connect } from "node:tls";
import { CreateKeyCommand, GenerateRandomCommand, KMSClient } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { testFolder } from "../../support/folder.js";
import type { Credentials } from "../../support/simulated-kms.js";
import { errorNameOf, errorOf, kmsClient } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";

const clock = clockAt();
const trustAnchor = trustAnchorFromSha256("none", "00".repeat(32));
let kms: SimulatedKms;

beforeAll(async () => {
  kms = await startKms({ trustAnchor, clock });
});
afterAll(() => kms.close());

interface Reply {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: unknown;
}

/** A request of our own making; the SDK would not send such ones. */
function send(options: {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { method = "POST", path = "/", headers = {}, body = "{}" } = options;
    const call = request(
      { host: "localhost", port: kms.port, ca: kms.caCertificate, method, path, headers },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
        });
        response.on("error", reject);
      },
    );
    call.on("error", reject);
    call.end(body);
  });
}

async function random(credentials: Credentials): Promise<{ name: string; message: string }> {
  const client = kmsClient(kms, clock, credentials);
  const error = await errorOf(client.send(new GenerateRandomCommand({ NumberOfBytes: 1 })));
  client.destroy();
  return error;
}

describe("TLS", () => {
  it.each(["localhost", "127.0.0.1", "kms.us-east-1.amazonaws.com"])(
    "is for %s, under the CA that is handed out",
    async (name) => {
      const socket = connect({
        port: kms.port,
        host: "127.0.0.1",
        ca: kms.caCertificate,
        ...(name === "127.0.0.1" ? {} : { servername: name }),
      });
      await new Promise<void>((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
      expect(socket.authorized).toBe(true);
      expect(socket.getPeerCertificate().subjectaltname).toContain(name);
      socket.destroy();
    },
  );

  it("pitfall 22: is not trusted by who does not ask for it, and says in its CA that it is simulated", async () => {
    const socket = connect({ port: kms.port, host: "127.0.0.1", servername: "localhost" });
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => socket.once("error", resolve));
    expect(error.code).toBe("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    const trusting = connect({ port: kms.port, host: "127.0.0.1", servername: "localhost", ca: kms.caCertificate });
    await new Promise<void>((resolve, reject) => trusting.once("secureConnect", resolve).once("error", reject));
    expect(trusting.getPeerCertificate().issuer.CN).toContain("SIMULATED-ROOT-DO-NOT-TRUST");
    trusting.destroy();
  });
});

describe("requests", () => {
  it("without a signature are refused, and the answer has AWS's form", async () => {
    const reply = await send({ headers: { "x-amz-target": "TrentService.GenerateRandom" } });
    expect(reply.status).toBe(400);
    expect(reply.body).toEqual({
      __type: "MissingAuthenticationTokenException",
      message: "Missing Authentication Token",
    });
    expect(reply.headers["content-type"]).toBe("application/x-amz-json-1.1");
    expect(reply.headers["x-amzn-requestid"]).toMatch(/^[0-9a-f-]{36}$/);
    expect(reply.headers.date).toBe(clock().toUTCString());
  });

  it("of an operation that there is not are refused", async () => {
    const client = kmsClient(kms, clock);
    client.middlewareStack.add(
      (next) => (args) => {
        const { request: signed } = args as { request: { headers: Record<string, string> } };
        signed.headers["x-amz-target"] = "TrentService.MakeCoffee";
        return next(args);
      },
      { step: "build", name: "changeTarget" },
    );
    expect(await errorNameOf(client.send(new GenerateRandomCommand({ NumberOfBytes: 1 })))).toBe(
      "UnknownOperationException",
    );
    client.destroy();
  });

  it.each(["not JSON", "[1", "\ud800"])("whose body is no JSON are refused: %j", async (body) => {
    const client = kmsClient(kms, clock);
    client.middlewareStack.add(
      (next) => (args) => {
        const { request: signed } = args as { request: { body: string; headers: Record<string, string> } };
        signed.body = body;
        signed.headers["content-length"] = String(Buffer.byteLength(body));
        return next(args);
      },
      { step: "build", name: "changeBody", priority: "low" },
    );
    expect(await errorNameOf(client.send(new GenerateRandomCommand({ NumberOfBytes: 1 })))).toBe(
      "SerializationException",
    );
    client.destroy();
  });

  it.each([
    ["GET", "/"],
    ["POST", "/other"],
    ["POST", "/?a=b"],
  ])("%s %s are not found", async (method, path) => {
    expect(await send({ method, path, body: "" })).toMatchObject({
      status: 404,
      body: { __type: "UnknownOperationException" },
    });
  });

  it("pitfall 15: over 512 KiB are refused before they have all arrived", async () => {
    const reply = await send({ body: Buffer.alloc(512 * 1024 + 1) });
    expect(reply).toMatchObject({ status: 413, body: { __type: "RequestEntityTooLargeException" } });
    expect((await send({ body: Buffer.alloc(512 * 1024) })).status).toBe(400);
  });

  it("pitfall 15: with headers over 16 KiB are refused, and the server goes on", async () => {
    const socket = connect({ port: kms.port, host: "127.0.0.1", servername: "localhost", ca: kms.caCertificate });
    socket.write(`POST / HTTP/1.1\r\nhost: localhost\r\nx: ${"a".repeat(20_000)}\r\n\r\n`);
    const answer = await new Promise<string>((resolve, reject) => {
      socket.once("data", (data: Buffer) => resolve(data.toString()));
      socket.once("error", reject);
    });
    expect(answer).toContain("431 Request Header Fields Too Large");
    socket.destroy();
    expect((await random(kms.operator)).name).toBe("no error");
  });

  it("pitfall 20: that break off in the middle hurt nobody else", async () => {
    const socket = connect({ port: kms.port, host: "127.0.0.1", servername: "localhost", ca: kms.caCertificate });
    await new Promise<void>((resolve) => socket.once("secureConnect", () => resolve()));
    socket.write("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{");
    socket.destroy();
    expect((await random(kms.operator)).name).toBe("no error");
  });
});

describe("credentials", () => {
  const issue = (durationSeconds: number) =>
    kms.principals.issueSession({ roleArn, sessionName: "session", durationSeconds });
  let roleArn: string;
  beforeAll(() => {
    const Statement = [{ Effect: "Allow", Action: "kms:GenerateRandom", Resource: "*" }];
    roleArn = kms.principals.addRole({ name: "random", policies: [JSON.stringify({ Statement })] });
  });

  it("of a session are good until they end", async () => {
    const session = issue(900);
    expect((await random(session)).name).toBe("no error");
    clock.advance(899_000);
    expect((await random(session)).name).toBe("no error");
    clock.advance(1000);
    expect(await random(session)).toEqual({
      name: "ExpiredTokenException",
      message: "The security token included in the request is expired",
    });
  });

  it.each<[string, (session: Credentials) => Credentials, string]>([
    ["another token", (session) => ({ ...session, sessionToken: "other" }), "UnrecognizedClientException"],
    [
      "no token",
      ({ accessKeyId, secretAccessKey }) => ({ accessKeyId, secretAccessKey }),
      "UnrecognizedClientException",
    ],
    ["another secret", (session) => ({ ...session, secretAccessKey: "other" }), "InvalidSignatureException"],
    ["another key id", (session) => ({ ...session, accessKeyId: "ASIAOTHER" }), "UnrecognizedClientException"],
  ])("are refused with %s", async (_what, change, name) => {
    const session = issue(900);
    expect((await random(session)).name).toBe("no error");
    expect((await random(change(session))).name).toBe(name);
  });

  it("signed at another time are refused", async () => {
    const late = clockAt(new Date(clock().getTime() - 16 * 60_000));
    const client = kmsClient(kms, late);
    expect(await errorNameOf(client.send(new GenerateRandomCommand({ NumberOfBytes: 1 })))).toBe(
      "InvalidSignatureException",
    );
    client.destroy();
  });

  it.each(["cn-north-1", "moon", "us-east-1a"])(
    "signed for %o, which is no Region of its partition, are refused",
    async (region) => {
      const client = kmsClient({ ...kms, region }, clock);
      expect(await errorOf(client.send(new GenerateRandomCommand({ NumberOfBytes: 1 })))).toEqual({
        name: "InvalidSignatureException",
        message: "Credential should be scoped to a valid region.",
      });
      client.destroy();
    },
  );

  it("of the operator may be set, for clients that are configured already", async () => {
    const operatorAccessKey = { accessKeyId: "AKIAKNOWN", secretAccessKey: "known" };
    const other = await startKms({ trustAnchor, clock, operatorAccessKey });
    const client = kmsClient(other, clock, operatorAccessKey);
    expect(await errorNameOf(client.send(new GenerateRandomCommand({ NumberOfBytes: 1 })))).toBe("no error");
    client.destroy();
    await other.close();
  });
});

describe("endpoint names", () => {
  /** The names in the certificate that a client gets that asks for `servername`. */
  const namesFor = (servername: string): Promise<string | undefined> =>
    new Promise((resolve, reject) => {
      const socket = connect({
        port: kms.port,
        ca: kms.caCertificate,
        servername,
        checkServerIdentity: () => undefined,
      });
      socket.on("secureConnect", () => {
        resolve(socket.getPeerCertificate().subjectaltname);
        socket.destroy();
      });
      socket.on("error", reject);
    });

  it.each([
    "kms.eu-west-1.amazonaws.com",
    "sts.us-west-2.amazonaws.com",
    "vpce-0123-abcd.kms.us-east-1.vpce.amazonaws.com",
  ])("%s gets a certificate of its own", async (name) => {
    expect(await namesFor(name)).toBe(`DNS:${name}`);
  });

  it.each(["kms.example.com", "s3.us-east-1.amazonaws.com", "kms.cn-north-1.amazonaws.com.cn"])(
    "%s gets the home Region's",
    async (name) => {
      expect(await namesFor(name)).toBe(
        "DNS:kms.us-east-1.amazonaws.com, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1",
      );
    },
  );
});

it("ends with the calls that are under way, and none of them finds its data folder closed", async () => {
  const failures: unknown[] = [];
  const onInternalError = (error: unknown) => failures.push(error);
  const data = { folder: join(testFolder(), "data") };
  // The service looks at the clock when it begins with a call.
  let begun: () => void = () => undefined;
  const watched = () => {
    begun();
    return clock();
  };
  const server = await startKms({ trustAnchor, clock: watched, data, onInternalError });
  const client = kmsClient(server, clock);
  const beginning = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const call = errorNameOf(client.send(new CreateKeyCommand({ KeySpec: "RSA_3072", KeyUsage: "SIGN_VERIFY" })));
  await beginning;
  await server.close();
  expect(server.auditLog.records.at(-1)).toMatchObject({ eventName: "CreateKey", responseElements: expect.anything() });
  expect(await call).not.toBe("no error");
  expect(failures).toEqual([]);
  client.destroy();
});

it("speaks plain HTTP where that is asked for", async () => {
  const plain = await startKms({ trustAnchor, clock, protocol: "http" });
  expect(plain.endpoint).toBe(`http://localhost:${plain.port}`);
  const client = new KMSClient({
    ...{ region: plain.region, endpoint: plain.endpoint, credentials: plain.operator, maxAttempts: 1 },
    systemClockOffset: clock().getTime() - Date.now(),
  });
  const { Plaintext } = await client.send(new GenerateRandomCommand({ NumberOfBytes: 7 }));
  expect(Plaintext).toHaveLength(7);
  client.destroy();
  await plain.close();
});

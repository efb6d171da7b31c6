/** Attested TLS end to end: the client for Node, a pass-through that may be hostile, and the enclave behind it. */
import { once } from "node:events";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { connect as connectTls } from "node:tls";
import { buildClient, CommitmentPolicy, KmsKeyringNode } from "@aws-crypto/client-node";
import { DecryptCommand, EncryptCommand, GenerateDataKeyCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { MessageStream, TlsConnectOptions } from "../../../client/node/index.js";
import { connectEnclaveTls } from "../../../client/node/index.js";
import { generateCertificate } from "../../../enclave/channels/self-signed-certificate.js";
import { pcr16OfConfiguration } from "../../../shared/attestation/pcr.js";
import { concatBytes, toBase64, toHex, utf8 } from "../../../shared/bytes.js";
import { problemOf } from "../../../shared/wire.js";
import { TENANT_POLICIES } from "../../support/authorization.js";
import { collect, released } from "../../support/streams.js";
import { TestClock } from "../fakes.js";
import type { Kms, Stack, StackChanges } from "../stack.js";
import { CONTEXT, startKmsForTest, startStack } from "../stack.js";

const SECRET = utf8("attack at dawn");
const MIB = 1024 * 1024;

let kms: Kms;
beforeAll(async () => {
  kms = await startKmsForTest();
});
afterAll(() => kms.simulation.close());

const pathOf = ({ tlsAddress }: Stack): string => tlsAddress.slice("unix:".length);

interface Pipe {
  readonly url: string;
  /** Breaks all connections. */
  cut(): void;
  /** Leads new connections elsewhere. */
  leadTo(port: number): void;
  /** How many connections were made. */
  readonly connections: number;
}

/** The parent's pass-through: bytes from a TCP port to the enclave's TLS address, and back. */
async function passThrough(stack: Stack): Promise<Pipe> {
  const sockets = new Set<Socket>();
  let elsewhere: number | undefined;
  let connections = 0;
  const server = createServer((outer) => {
    connections += 1;
    const inner = elsewhere === undefined ? connect(pathOf(stack)) : connect(elsewhere, "127.0.0.1");
    for (const socket of [outer, inner]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy()).on("close", () => sockets.delete(socket));
    }
    outer.on("close", () => inner.destroy());
    inner.on("close", () => outer.destroy());
    outer.pipe(inner).pipe(outer);
  });
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(cut);
  onTestFinished(() => void server.close());
  return {
    url: `https://127.0.0.1:${await portOf(server)}`,
    cut,
    leadTo: (port) => {
      elsewhere = port;
    },
    get connections() {
      return connections;
    },
  };
}

async function portOf(server: { listen(port: number, host: string, done: () => void): unknown; address(): unknown }) {
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port; // a TCP server has no other form of address
}

/** A parent that ends TLS itself, with a key of its own, and relays what is inside: all that it sees, it notes. */
async function manInTheMiddle(stack: Stack, edit: (answer: Record<string, unknown>, key: Uint8Array) => object) {
  const own = await generateCertificate(new Date(), 3_600_000);
  const seen: string[] = [];
  const key = own.privateKey.export({ type: "pkcs8", format: "pem" });
  const server = createHttpsServer({ key, cert: own.certificateChainPem }, async (request, response) => {
    seen.push(`${request.method} ${String(request.url).split("?", 1)[0]}`);
    const relayed = await stack.request(String(request.method), String(request.url));
    response.writeHead(relayed.status, { "content-type": "application/json" });
    response.end(JSON.stringify(edit(JSON.parse(Buffer.from(relayed.body).toString()), own.spki)));
  });
  onTestFinished(() => server.closeAllConnections());
  onTestFinished(() => void server.close());
  return { seen, port: await portOf(server) };
}

const startTls = (changes: StackChanges = {}): Promise<Stack> => startStack(kms, { tls: true, ...changes });

async function optionsFor(stack: Stack): Promise<TlsConnectOptions> {
  const { pcrs, trustAnchor } = kms.simulation;
  const image = { 0: pcrs[0] ?? "", 1: pcrs[1] ?? "", 2: pcrs[2] ?? "" };
  return {
    trustAnchor,
    token: kms.token,
    retryDelayMs: 1,
    policy: {
      pcrs: [{ ...image, 16: toHex(await pcr16OfConfiguration(stack.configuration)) }],
      configuration: "pinned",
      freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
      debug: "reject",
    },
  };
}

async function connected(changes: StackChanges = {}, options: Partial<TlsConnectOptions> = {}) {
  const stack = await startTls(changes);
  const pipe = await passThrough(stack);
  const enclave = await connectEnclaveTls(pipe.url, { ...(await optionsFor(stack)), ...options });
  onTestFinished(() => enclave.close());
  return { stack, pipe, enclave };
}

const attestationsOf = ({ log }: Stack): number =>
  log.entries.filter(({ message, fields }) => message === "served" && fields.operation === "attestation").length;

describe("attested TLS", () => {
  it("carries the operations, over connections whose key the document binds, attested once", async () => {
    const { stack, enclave } = await connected();
    const input = { ciphertext: await kms.encrypt(SECRET), encryptionContext: CONTEXT };
    expect(await enclave.decrypt(input)).toEqual({ plaintext: SECRET, keyId: kms.keyArn });
    const both = await Promise.all([enclave.random(8), enclave.random(8)]);
    expect(both.map(({ length }) => length)).toEqual([8, 8]);
    expect(attestationsOf(stack)).toBe(1);
    const channels = stack.log.entries
      .filter(({ message }) => message === "decided")
      .map(({ fields }) => fields.channel);
    expect(channels).toEqual(["tls", "tls", "tls"]);
  });

  it("has refusals with their codes, and policies by channel", async () => {
    const policies = 'permit(principal, action, resource) when { context.channel == "tls" };';
    const { stack, enclave } = await connected({ authorization: { policies } });
    expect(await enclave.random(4)).toHaveLength(4);
    expect(await stack.json("POST", "/v1/random", { numberOfBytes: 4 })).toMatchObject({ status: 403 });
    const wrong = { ciphertext: await kms.encrypt(SECRET), encryptionContext: { tenant: "b" } };
    await expect(enclave.decrypt(wrong)).rejects.toThrowCode("ERR_KMS_DENIED");
    const stranger = await connected({ authorization: { policies: TENANT_POLICIES } });
    await expect(stranger.enclave.decrypt(wrong)).rejects.toThrowCode("ERR_NOT_AUTHORIZED");
  });

  it("is for who has a token", async () => {
    const { stack, pipe } = await connected();
    const { token: _, ...nobody } = await optionsFor(stack);
    const enclave = await connectEnclaveTls(pipe.url, nobody);
    onTestFinished(() => enclave.close());
    await expect(enclave.random(4)).rejects.toThrowCode("ERR_TOKEN_MISSING");
    const message = await messageOf(new Uint8Array(4 * MIB));
    await expect(enclave.decryptMessageStream(partsOf(message))).rejects.toThrowCode("ERR_TOKEN_MISSING");
  });

  it("tells a body over its limit by code, though its sender has not come to its end, and goes on", async () => {
    const { stack } = await connected();
    const socket = connectTls({ path: pathOf(stack), rejectUnauthorized: false });
    onTestFinished(() => void socket.destroy());
    const { token } = kms;
    const head = `POST /v1/decrypt HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer ${token}`;
    socket.write(`${head}\r\ntransfer-encoding: chunked\r\n\r\n`);
    const chunk = `${MIB.toString(16)}\r\n${" ".repeat(MIB)}\r\n`;
    for (let count = 0; count < 8; count++) socket.write(chunk);
    socket.write("0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    const answers = (await collect(socket)).toString();
    expect(answers).toMatch(/^HTTP\/1\.1 413 .*"ERR_MESSAGE_TOO_LARGE".*HTTP\/1\.1 200 OK/s);
  });

  it("pitfall 15: does not wait for ever for the rest of a body that it has refused", async () => {
    const clock = new TestClock();
    const { stack } = await connected({ clock });
    const socket = connectTls({ path: pathOf(stack), rejectUnauthorized: false });
    onTestFinished(() => void socket.destroy());
    const head = "POST /v1/decrypt HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100";
    socket.write(`${head}\r\n\r\n{`);
    const [answer] = await once(socket, "data");
    expect(String(answer)).toMatch(/^HTTP\/1\.1 401 /);
    socket.write("still sending");
    clock.advance(10_000);
    await released(socket);
  });

  it.each(["http://127.0.0.1:1", "https://127.0.0.1:1/path", "127.0.0.1"])("is not at %s", async (url) => {
    const stack = await startTls();
    await expect(connectEnclaveTls(url, await optionsFor(stack))).rejects.toBeInstanceOf(TypeError);
  });

  it("tells that nobody is there, and whoever gives up before is sent nothing", async () => {
    const stack = await startTls();
    const options = await optionsFor(stack);
    const nobody = connectEnclaveTls("https://127.0.0.1:1", options);
    await expect(nobody).rejects.toThrowCode("ERR_ENCLAVE_UNAVAILABLE");
    const pipe = await passThrough(stack);
    const reason = new Error("no longer needed");
    const signal = AbortSignal.abort(reason);
    await expect(connectEnclaveTls(pipe.url, { ...options, signal })).rejects.toBe(reason);
    expect(pipe.connections).toBe(0);
  });

  it("speaks TLS 1.3 alone", async () => {
    const stack = await startTls();
    const socket = connectTls({ path: pathOf(stack), maxVersion: "TLSv1.2", rejectUnauthorized: false });
    const outcome = new Promise((resolve) =>
      socket.once("error", resolve).once("secureConnect", () => resolve("secure")),
    );
    expect(await outcome).toBeInstanceOf(Error);
  });
});

describe("pitfall 13: a man in the middle who ends TLS with a key of his own", () => {
  it.each<[string, (answer: Record<string, unknown>, key: Uint8Array) => object]>([
    ["relays the enclave's document", (answer) => answer],
    ["puts his own key beside it", (answer, key) => ({ ...answer, tlsKey: toBase64(key) })],
    ["leaves the key out", ({ tlsKey: _, ...answer }) => answer],
  ])("is refused when he %s, and has seen the request for it alone", async (_, edit) => {
    const stack = await startTls();
    const { seen, port } = await manInTheMiddle(stack, edit);
    const outcome = connectEnclaveTls(`https://127.0.0.1:${port}`, await optionsFor(stack));
    await expect(outcome).rejects.toThrowCode("ERR_USER_DATA_MISMATCH");
    expect(seen).toEqual(["GET /attestation"]);
  });

  it("is not believed to refuse in the enclave's name", async () => {
    const stack = await startTls();
    const own = await generateCertificate(new Date(), 3_600_000);
    const key = own.privateKey.export({ type: "pkcs8", format: "pem" });
    const server = createHttpsServer({ key, cert: own.certificateChainPem }, (_, response) => {
      response.writeHead(403, { "content-type": "application/problem+json" });
      response.end(JSON.stringify(problemOf("ERR_NOT_AUTHORIZED", crypto.randomUUID())));
    });
    onTestFinished(() => server.closeAllConnections());
    onTestFinished(() => void server.close());
    const outcome = connectEnclaveTls(`https://127.0.0.1:${await portOf(server)}`, await optionsFor(stack));
    await expect(outcome).rejects.toThrowCode("ERR_ENCLAVE_UNAVAILABLE");
  });

  it("is refused when he comes later, for calls and for streams, and sees nothing of them", async () => {
    const { stack, pipe, enclave } = await connected();
    expect(await enclave.random(4)).toHaveLength(4);
    const { seen, port } = await manInTheMiddle(stack, (answer) => answer);
    pipe.leadTo(port);
    pipe.cut();
    await expect(enclave.random(4)).rejects.toThrowCode("ERR_USER_DATA_MISMATCH");
    const message = await messageOf(SECRET);
    await expect(enclave.decryptMessageStream(partsOf(message))).rejects.toThrowCode("ERR_USER_DATA_MISMATCH");
    expect(new Set(seen)).toEqual(new Set(["GET /attestation"]));
  });
});

describe("a certificate that is replaced", () => {
  const HOUR = 3_600_000;
  const tls = { certificate: "generated", maxAgeSeconds: 3_600 };

  it("under a client makes it attest anew, once, and its call is served", async () => {
    const clock = new TestClock();
    const { stack, pipe, enclave } = await connected({ clock, configuration: { channels: { tls } } });
    const shown = await keyShownBy(stack);
    clock.advance(HOUR);
    await expect.poll(() => keyShownBy(stack)).not.toBe(shown);
    expect(await enclave.random(4)).toHaveLength(4); // over its connection, which keeps what it began with
    expect(attestationsOf(stack)).toBe(1);
    pipe.cut();
    expect(await Promise.all([enclave.random(4), enclave.random(4)])).toHaveLength(2);
    expect(attestationsOf(stack)).toBe(2);
  });
});

describe("a message as a stream", () => {
  it("of 20 MiB is opened, in order and whole", async () => {
    const { enclave } = await connected();
    const plaintext = counting(20 * MIB);
    const message = await messageOf(plaintext);
    const stream = await enclave.decryptMessageStream(partsOf(message), { encryptionContext: CONTEXT });
    expect(stream.encryptionContext).toMatchObject(CONTEXT);
    const { received, failure } = await taken(stream);
    expect(failure).toBeUndefined();
    expect(Buffer.compare(received, plaintext)).toBe(0);
  });

  it("pitfall 15: is read no faster than its plaintext is taken", async () => {
    const size = 64 * MIB;
    const { enclave } = await connected({ authorization: { budgets: { bytesPerMinute: 1_000_000_000 } } });
    const message = await messageOf(new Uint8Array(size));
    let pulled = 0;
    const source = partsOf(message, (bytes) => {
      pulled += bytes;
    });
    const { plaintext } = await enclave.decryptMessageStream(source);
    const iterator = plaintext[Symbol.asyncIterator]();
    await iterator.next();
    const stalledAt = await standing(() => pulled);
    expect(stalledAt).toBeLessThan(size / 2); // what the sockets' buffers on the way hold, and no more
    let received = 1;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) received += next.value.length;
    expect(pulled).toBe(message.length);
    expect(received).toBeGreaterThan(size / 2);
  });

  it("whose last frame was changed is an error after its data, never a short success", async () => {
    const { enclave } = await connected();
    const plaintext = counting(2 * MIB + 4_000); // whose last frame is a short one
    const message = await messageOf(plaintext);
    message[message.length - 1] = (message.at(-1) ?? 0) ^ 1;
    const { received, failure } = await taken(await enclave.decryptMessageStream(partsOf(message)));
    expect(failure).toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
    expect(Buffer.compare(received, plaintext.subarray(0, 2 * MIB))).toBe(0);
  });

  it("whose frame in the middle was changed is told by its code, though its sender has not come to its end", async () => {
    const { enclave } = await connected();
    const message = await messageOf(counting(32 * MIB));
    message[MIB] = (message[MIB] ?? 0) ^ 1;
    let sent = 0;
    const source = partsOf(message, (bytes) => {
      sent += bytes;
    });
    const { received, failure } = await taken(await enclave.decryptMessageStream(source));
    expect(failure).toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
    expect(received.length).toBeLessThan(MIB);
    expect(sent).toBeLessThan(message.length); // and it is not asked for the rest
  });

  it("that ends early is an error, within its header and after it", async () => {
    const { enclave } = await connected();
    const message = await messageOf(counting(MIB));
    const inHeader = enclave.decryptMessageStream(partsOf(message.subarray(0, 100)));
    await expect(inHeader).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
    const { failure } = await taken(await enclave.decryptMessageStream(partsOf(message.subarray(0, -1_000))));
    expect(failure).toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
  });

  it("whose connection is cut is ERR_ENCLAVE_UNAVAILABLE, never a short success", async () => {
    const { enclave, pipe } = await connected();
    const message = await messageOf(counting(8 * MIB));
    const stream = await enclave.decryptMessageStream(partsOf(message));
    const iterator = stream.plaintext[Symbol.asyncIterator]();
    await iterator.next();
    pipe.cut();
    const { failure } = await taken({ plaintext: { [Symbol.asyncIterator]: () => iterator } });
    expect(failure).toMatchObject({ code: "ERR_ENCLAVE_UNAVAILABLE" });
    expect(await enclave.random(4)).toHaveLength(4);
  });

  it("is refused by the same rules as a whole one", async () => {
    const { stack, enclave } = await connected({ authorization: { policies: TENANT_POLICIES } });
    const message = await messageOf(SECRET, { tenant: "b" });
    const calls = kms.simulation.kms.auditLog.records.length;
    await expect(enclave.decryptMessageStream(partsOf(message))).rejects.toThrowCode("ERR_NOT_AUTHORIZED");
    const expected = { encryptionContext: CONTEXT };
    await expect(enclave.decryptMessageStream(partsOf(message), expected)).rejects.toThrowCode(
      "ERR_ENCRYPTION_CONTEXT",
    );
    await expect(enclave.decryptMessageStream(partsOf(SECRET))).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
    expect(kms.simulation.kms.auditLog.records).toHaveLength(calls);
    expect(JSON.stringify(stack.log.entries)).not.toContain("attack");
  });

  it("gives its place back, whatever became of it", async () => {
    const budgets = { requestsPerMinute: 1_000, maxConcurrent: 1 };
    const { enclave } = await connected({ authorization: { budgets } });
    const message = await messageOf(counting(2 * MIB));
    const broken = message.map((byte, index) => (index === message.length - 1 ? byte ^ 1 : byte));
    for (const given of [message, broken, message]) {
      await taken(await enclave.decryptMessageStream(partsOf(given)));
      expect(await enclave.random(4)).toHaveLength(4);
    }
  });

  it("goes on while the session that it began in is replaced", async () => {
    const { stack, enclave } = await connected({}, { attestationMaxAgeMs: Number.MIN_VALUE });
    const plaintext = counting(8 * MIB);
    const stream = await enclave.decryptMessageStream(partsOf(await messageOf(plaintext)));
    const iterator = stream.plaintext[Symbol.asyncIterator]();
    const first = await iterator.next();
    const before = attestationsOf(stack);
    expect(await enclave.random(4)).toHaveLength(4);
    expect(attestationsOf(stack)).toBe(before + 1);
    const { received, failure } = await taken({ plaintext: { [Symbol.asyncIterator]: () => iterator } });
    expect(failure).toBeUndefined();
    expect(first.value.length + received.length).toBe(plaintext.length);
  });

  it("that its caller gives up ends with the caller's reason", async () => {
    const { enclave } = await connected();
    const leaving = new AbortController();
    const reason = new Error("no longer needed");
    const message = await messageOf(counting(8 * MIB));
    const stream = await enclave.decryptMessageStream(partsOf(message), { signal: leaving.signal });
    const iterator = stream.plaintext[Symbol.asyncIterator]();
    await iterator.next();
    leaving.abort(reason);
    const { failure } = await taken({ plaintext: { [Symbol.asyncIterator]: () => iterator } });
    expect(failure).toBe(reason);
  });
});

/** The key that new connections are shown. */
function keyShownBy(stack: Stack): Promise<string> {
  const socket = connectTls({ path: pathOf(stack), rejectUnauthorized: false });
  return new Promise((resolve, reject) => {
    socket.once("error", reject).once("secureConnect", () => {
      const key = socket.getPeerX509Certificate()?.publicKey.export({ type: "spki", format: "der" });
      socket.destroy();
      resolve(key?.toString("hex") ?? "");
    });
  });
}

/** Bytes in which no two places near each other can be exchanged unnoticed. */
function counting(length: number): Uint8Array {
  const words = new Uint32Array(length / 4).map((_, index) => index);
  return new Uint8Array(words.buffer);
}

async function* partsOf(message: Uint8Array, onPart: (bytes: number) => void = () => undefined) {
  for (let at = 0; at < message.length; at += 64 * 1024) {
    const part = message.subarray(at, at + 64 * 1024);
    onPart(part.length);
    yield part;
  }
}

/** All that comes of a stream, and how it ended. */
async function taken({ plaintext }: Pick<MessageStream, "plaintext">) {
  const parts: Uint8Array[] = [];
  let failure: unknown;
  try {
    for await (const part of plaintext) parts.push(part);
  } catch (error) {
    failure = error;
  }
  return { received: concatBytes(...parts), failure };
}

/** The value that `read` comes to stand at, when nothing moves any more for a while. */
async function standing(read: () => number): Promise<number> {
  for (let last = read(); ; last = read()) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    if (read() === last) return last;
  }
}

/** An AWS Encryption SDK message with frames of 64 KiB, by the operator. */
async function messageOf(plaintext: Uint8Array, encryptionContext = CONTEXT): Promise<Uint8Array> {
  const { operator, keyArn } = kms;
  const keyring = new KmsKeyringNode({
    generatorKeyId: keyArn,
    clientProvider: () => ({
      generateDataKey: (request) => operator.send(new GenerateDataKeyCommand(request)),
      encrypt: (request) => operator.send(new EncryptCommand(request)),
      decrypt: (request) => operator.send(new DecryptCommand(request)),
    }),
  });
  const commitmentPolicy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT;
  const sdk = buildClient({ commitmentPolicy, maxEncryptedDataKeys: 1 });
  const options = { encryptionContext, suiteId: 0x0478, frameLength: 64 * 1024 };
  return new Uint8Array((await sdk.encrypt(keyring, plaintext, options)).result);
}

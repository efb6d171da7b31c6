/** The tunnel: TLS that ends in the enclave under pinned roots, and bounds on everything the other side decides on. */
import type { RequestListener } from "node:http";
import type { Socket } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { GenerateRandomCommand, KMSClient } from "@aws-sdk/client-kms";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { TunnelLimits } from "../../../enclave/kms/kms-tunnel.js";
import { TunnelHandler } from "../../../enclave/kms/kms-tunnel.js";
import { testFolder } from "../../support/folder.js";
import type { Authority, ServerCertificate } from "../tls.js";
import { createAuthority, KMS_HOSTNAME, tlsServer } from "../tls.js";

const LIMITS: TunnelLimits = {
  maxConnections: 4,
  maxQueued: 8,
  connectMs: 2_000,
  handshakeMs: 2_000,
  idleMs: 5_000,
  totalMs: 5_000,
};
/** Short enough to be waited for, where silence is what is tested. */
const SOON_MS = 60;

let authority: Authority;
let certificate: ServerCertificate;
beforeAll(async () => {
  authority = await createAuthority();
  certificate = await authority.issue(KMS_HOSTNAME);
});

const answerRandom: RequestListener = (request, response) => {
  request.resume();
  request.once("end", () => {
    response.setHeader("content-type", "application/x-amz-json-1.1");
    response.end(JSON.stringify({ Plaintext: Buffer.from("random").toString("base64") }));
  });
};

interface Changes {
  readonly limits?: Partial<TunnelLimits>;
  readonly roots?: readonly string[];
  readonly maxAttempts?: number;
}

/** The SDK's client over a tunnel to `address`. */
function clientTo(address: string, { limits, roots = [authority.root], maxAttempts = 1 }: Changes = {}) {
  const requestHandler = new TunnelHandler({
    address,
    hostname: KMS_HOSTNAME,
    roots,
    limits: { ...LIMITS, ...limits },
  });
  onTestFinished(() => requestHandler.destroy());
  const client = new KMSClient({
    region: "us-east-1",
    endpoint: `https://${KMS_HOSTNAME}`,
    credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" },
    maxAttempts,
    requestHandler,
  });
  return { client, random: () => client.send(new GenerateRandomCommand({ NumberOfBytes: 6 })) };
}

/** A server of plain bytes in the tunnel's place. */
async function rawServer(onConnection: (socket: Socket) => void): Promise<string> {
  const path = join(testFolder(), "raw");
  const server = createServer((socket) => {
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => socket.destroy());
    onConnection(socket);
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => void server.listen(path, () => resolve()));
  return `unix:${path}`;
}

describe("a KMS under the pinned roots", () => {
  it("is spoken to over TLS that ends here", async () => {
    const seen: (string | undefined)[] = [];
    const { address } = await tlsServer(certificate, (request, response) => {
      seen.push(request.headers.host);
      answerRandom(request, response);
    });
    const { Plaintext } = await clientTo(address).random();
    expect(Buffer.from(Plaintext ?? []).toString()).toBe("random");
    expect(seen).toEqual([KMS_HOSTNAME]);
  });

  it("keeps its connection for the next request", async () => {
    const { server, address } = await tlsServer(certificate, answerRandom);
    let connections = 0;
    server.on("secureConnection", () => {
      connections += 1;
    });
    const { random } = clientTo(address);
    await random();
    await random();
    await random();
    expect(connections).toBe(1);
  });

  it("is found again when it has closed a kept connection", async () => {
    const { server, address } = await tlsServer(certificate, answerRandom);
    const { random } = clientTo(address, { maxAttempts: 3 });
    await random();
    server.closeAllConnections();
    await expect(random()).resolves.toBeDefined();
  });

  it("serves many at once over no more connections than the bound", async () => {
    const { server, address } = await tlsServer(certificate, answerRandom);
    let open = 0;
    let most = 0;
    server.on("secureConnection", (socket) => {
      open += 1;
      most = Math.max(most, open);
      socket.on("close", () => {
        open -= 1;
      });
    });
    const { random } = clientTo(address, { limits: { maxQueued: 100 } });
    const answers = await Promise.all(Array.from({ length: 50 }, random));
    expect(answers).toHaveLength(50);
    expect(most).toBeLessThanOrEqual(LIMITS.maxConnections);
  });
});

describe("who is not KMS", () => {
  it("pitfall 1: a certificate of another authority is refused, and not tried again", async () => {
    const other = await createAuthority();
    const { server, address } = await tlsServer(await other.issue(KMS_HOSTNAME), answerRandom);
    let requests = 0;
    server.on("connection", () => {
      requests += 1;
    });
    const { random } = clientTo(address, { maxAttempts: 3 });
    await expect(random()).rejects.toThrowCode("ERR_KMS_UNTRUSTED");
    expect(requests).toBe(1);
  });

  it("pitfall 1: publicly trusted roots do not count unless they are pinned", async () => {
    const { address } = await tlsServer(certificate, answerRandom);
    const { random } = clientTo(address, { roots: rootCertificates.slice(0, 5) });
    await expect(random()).rejects.toThrowCode("ERR_KMS_UNTRUSTED");
  });

  it("pitfall 14: a certificate for another name is refused: whoever holds the port is not KMS by that", async () => {
    const { address } = await tlsServer(await authority.issue("kms.us-east-2.amazonaws.com"), answerRandom);
    await expect(clientTo(address).random()).rejects.toThrowCode("ERR_KMS_UNTRUSTED");
  });

  it("an expired certificate is refused", async () => {
    const expired = await authority.issue(KMS_HOSTNAME, new Date(Date.now() - 60_000));
    const { address } = await tlsServer(expired, answerRandom);
    await expect(clientTo(address).random()).rejects.toThrowCode("ERR_KMS_UNTRUSTED");
  });

  it("NODE_TLS_REJECT_UNAUTHORIZED=0 changes nothing", async () => {
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    onTestFinished(() => {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    });
    const other = await createAuthority();
    const { address } = await tlsServer(await other.issue(KMS_HOSTNAME), answerRandom);
    await expect(clientTo(address).random()).rejects.toThrowCode("ERR_KMS_UNTRUSTED");
  });

  it("TLS 1.1 is refused", async () => {
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" } as const;
    const { address } = await tlsServer(certificate, answerRandom, old);
    await expect(clientTo(address).random()).rejects.toThrowCode("ERR_KMS_UNTRUSTED");
  });

  it("something that speaks no TLS is refused", async () => {
    const address = await rawServer((socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"));
    await expect(clientTo(address).random()).rejects.toThrowCode("ERR_KMS_UNTRUSTED");
  });

  it("a request that is not for https never leaves", async () => {
    const handler = new TunnelHandler({ address: "unix:/none", hostname: KMS_HOSTNAME, roots: [], limits: LIMITS });
    const client = new KMSClient({
      region: "us-east-1",
      endpoint: `http://${KMS_HOSTNAME}`,
      credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" },
      requestHandler: handler,
    });
    await expect(client.send(new GenerateRandomCommand({ NumberOfBytes: 6 }))).rejects.toThrow(TypeError);
  });
});

describe("pitfall 15: what the other side could draw out", () => {
  it("nobody at the tunnel's address is ERR_KMS_UNAVAILABLE", async () => {
    const { random } = clientTo(`unix:${join(testFolder(), "nobody")}`);
    await expect(random()).rejects.toThrowCode("ERR_KMS_UNAVAILABLE");
  });

  it("a connection that ends within the handshake is ERR_KMS_UNAVAILABLE", async () => {
    const address = await rawServer((socket) => socket.once("data", () => socket.destroy()));
    await expect(clientTo(address).random()).rejects.toThrowCode("ERR_KMS_UNAVAILABLE");
  });

  it("a handshake that does not come is ERR_TIMEOUT", async () => {
    const address = await rawServer((socket) => socket.resume());
    const { random } = clientTo(address, { limits: { handshakeMs: SOON_MS } });
    await expect(random()).rejects.toThrowCode("ERR_TIMEOUT");
  });

  it("an answer that does not come is ERR_TIMEOUT, by silence or in total", async () => {
    const { address } = await tlsServer(certificate, (request) => request.resume());
    const idle = clientTo(address, { limits: { idleMs: SOON_MS } });
    await expect(idle.random()).rejects.toThrowCode("ERR_TIMEOUT");
    const total = clientTo(address, { limits: { totalMs: SOON_MS } });
    await expect(total.random()).rejects.toThrowCode("ERR_TIMEOUT");
  });

  it("an answer that trickles is ERR_TIMEOUT in total", async () => {
    const { address } = await tlsServer(certificate, (_, response) => {
      const drip = setInterval(() => response.write(" "), SOON_MS / 4);
      response.on("close", () => clearInterval(drip));
    });
    const { random } = clientTo(address, { limits: { totalMs: SOON_MS * 2 } });
    await expect(random()).rejects.toThrowCode("ERR_TIMEOUT");
  });

  it("an answer that is too large is refused", async () => {
    const { address } = await tlsServer(certificate, (_, response) => response.end(Buffer.alloc(100 * 1024, 0x20)));
    await expect(clientTo(address).random()).rejects.toThrowCode("ERR_KMS_ANSWER");
  });

  it("an answer that breaks off is ERR_KMS_UNAVAILABLE", async () => {
    const { address } = await tlsServer(certificate, (_, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("{", () => response.destroy());
    });
    await expect(clientTo(address).random()).rejects.toThrowCode("ERR_KMS_UNAVAILABLE");
  });

  it("more requests than may wait are refused at once, the others are served", async () => {
    const { address } = await tlsServer(certificate, answerRandom);
    const { random } = clientTo(address, { limits: { maxConnections: 1, maxQueued: 2 } });
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, random));
    const refused = outcomes.filter(({ status }) => status === "rejected");
    expect(refused).toHaveLength(2);
    for (const outcome of refused) {
      if (outcome.status === "rejected") expect(outcome.reason).toThrowCode("ERR_BUSY");
    }
  });

  it("a failed request leaves the others alone", async () => {
    let requests = 0;
    const { address } = await tlsServer(certificate, (request, response) => {
      requests += 1;
      if (requests === 2) request.socket.destroy();
      else answerRandom(request, response);
    });
    const { random } = clientTo(address);
    const outcomes = await Promise.allSettled([random(), random(), random()]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "fulfilled", "rejected"]);
  });

  it("a caller's own abort ends the request, also while it waits", async () => {
    const { address } = await tlsServer(certificate, (request) => request.resume());
    const { client } = clientTo(address, { limits: { maxConnections: 1 } });
    const controller = new AbortController();
    const send = () => client.send(new GenerateRandomCommand({ NumberOfBytes: 6 }), { abortSignal: controller.signal });
    const both = Promise.allSettled([send(), send()]);
    controller.abort();
    expect((await both).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  });
});

/** The enclave through its HTTP operations, over the simulated platform. */
import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createEnclave } from "../../enclave/index.js";
import { appraise } from "../../shared/attestation/appraise.js";
import { endpointKeysUserData } from "../../shared/attestation/endpoint-keys.js";
import { pcr16OfConfiguration } from "../../shared/attestation/pcr.js";
import { verifyAttestation } from "../../shared/attestation/verify.js";
import { fromBase64, toBase64, toBase64Url, toHex, utf8 } from "../../shared/bytes.js";
import { parseKeyConfigurations } from "../../shared/ohttp/key-configuration.js";
import { exampleImage } from "../../simulator/index.js";
import { requestOver } from "../../transport/http.js";
import { TENANT_POLICIES } from "../support/authorization.js";
import { testFolder } from "../support/folder.js";
import type { Json } from "./fakes.js";
import { CountingNsm, FOREIGN_KEY_ARN, TestClock } from "./fakes.js";
import type { Kms, Stack } from "./stack.js";
import { ALIAS, CONTEXT, configurationOf, messageOf, roleCredentials, startKmsForTest, startStack } from "./stack.js";

const SECRET = utf8("attack at dawn");

let kms: Kms;
beforeAll(async () => {
  kms = await startKmsForTest();
});
afterAll(() => kms.simulation.close());

const WITHOUT_KEYS = {
  ...{ name: "idp", issuer: "https://issuer.example", audiences: ["a"], algorithms: ["ES256"] },
  jwks: { keys: [{ kty: "EC" }] },
};

const decrypt = async (stack: Stack, changes: Json = {}) =>
  stack.json("POST", "/v1/decrypt", {
    ciphertext: toBase64(await kms.encrypt(SECRET)),
    encryptionContext: CONTEXT,
    ...changes,
  });

const refused = (status: number, code: string) => ({
  status,
  body: {
    type: `urn:nitro-decrypt:error:${code}`,
    status,
    code,
    requestId: expect.any(String),
    title: expect.any(String),
  },
});

describe("operations", () => {
  it("decrypt: a ciphertext of KMS that nobody but the enclave may open", async () => {
    const stack = await startStack(kms);
    expect(await decrypt(stack)).toEqual({ status: 200, body: { plaintext: toBase64(SECRET), keyId: kms.keyArn } });
    const records = JSON.stringify(kms.simulation.kms.auditLog);
    expect(records).not.toContain("attack at dawn");
  });

  it("decrypt: with the key's alias, resolved by the configuration", async () => {
    const stack = await startStack(kms);
    expect(await decrypt(stack, { keyId: ALIAS })).toMatchObject({ status: 200, body: { keyId: kms.keyArn } });
  });

  it("data-keys: a data key whose ciphertext opens to it", async () => {
    const stack = await startStack(kms);
    const request = { keyId: ALIAS, keySpec: "AES_256", encryptionContext: CONTEXT };
    const { status, body } = await stack.json("POST", "/v1/data-keys", request);
    expect(status).toBe(200);
    expect(fromBase64(String(body.plaintext))).toHaveLength(32);
    expect(await decrypt(stack, { ciphertext: body.ciphertext })).toMatchObject({
      body: { plaintext: body.plaintext },
    });
  });

  it("random: as many bytes as asked for, each time others", async () => {
    const stack = await startStack(kms);
    const first = await stack.json("POST", "/v1/random", { numberOfBytes: 33 });
    const second = await stack.json("POST", "/v1/random", { numberOfBytes: 33 });
    expect(fromBase64(String(first.body.random))).toHaveLength(33);
    expect(first.body.random).not.toBe(second.body.random);
  });

  it("data-keys, random: policies know how many bytes are made", async () => {
    const policies = "permit(principal, action, resource) when { context.bytes == 32 };";
    const stack = await startStack(kms, { authorization: { policies } });
    const dataKey = { keyId: ALIAS, encryptionContext: CONTEXT };
    for (const [path, permitted, denied] of [
      ["/v1/data-keys", { ...dataKey, keySpec: "AES_256" }, { ...dataKey, keySpec: "AES_128" }],
      ["/v1/random", { numberOfBytes: 32 }, { numberOfBytes: 16 }],
    ] as const) {
      expect(await stack.json("POST", path, permitted)).toMatchObject({ status: 200 });
      expect(await stack.json("POST", path, denied)).toMatchObject({ body: { code: "ERR_NOT_AUTHORIZED" } });
    }
  });

  it("serves 100 at once over a few connections, with one attestation", async () => {
    const nsm = new CountingNsm((await kms.simulation.bootEnclave(exampleImage())).nsm);
    const stack = await startStack(kms, { nsm, configuration: { limits: { maxKmsConnections: 8 } } });
    const ciphertext = toBase64(await kms.encrypt(SECRET));
    const answers = await Promise.all(Array.from({ length: 100 }, () => decrypt(stack, { ciphertext })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(100);
    expect(nsm.count("Attestation")).toBe(1);
  });

  it.each<[string, Json, number, string]>([
    ["pitfall 5: another encryption context", { encryptionContext: { tenant: "b" } }, 403, "ERR_KMS_DENIED"],
    ["pitfall 5: no encryption context", { encryptionContext: undefined }, 403, "ERR_KMS_DENIED"],
    [
      "pitfall 3: the context of another ciphertext",
      { encryptionContext: { ...CONTEXT, b: "c" } },
      400,
      "ERR_KMS_REFUSED",
    ],
    ["a ciphertext that is none", { ciphertext: toBase64(utf8("no ciphertext")) }, 400, "ERR_KMS_REFUSED"],
    ["pitfall 4: a key that is not pinned", { keyId: FOREIGN_KEY_ARN }, 403, "ERR_KMS_KEY"],
    ["an unknown field", { plaintext: "" }, 400, "ERR_MESSAGE_MALFORMED"],
    ["base64 that is not canonical", { ciphertext: "AB==" }, 400, "ERR_MESSAGE_MALFORMED"],
  ])("refuses %s", async (_, changes, status, code) => {
    const stack = await startStack(kms);
    expect(await decrypt(stack)).toMatchObject({ status: 200 });
    expect(await decrypt(stack, changes)).toEqual(refused(status, code));
  });

  it("a changed enclave image is denied by KMS", async () => {
    const changed = { ...exampleImage(), cmdline: utf8("init=/bin/sh") };
    const stack = await startStack(kms, { nsm: (await kms.simulation.bootEnclave(changed)).nsm });
    expect(await decrypt(stack)).toEqual(refused(403, "ERR_KMS_DENIED"));
  });

  it("a debug-mode enclave is denied by KMS", async () => {
    const { nsm } = await kms.simulation.bootEnclave(exampleImage(), { debug: true });
    expect(await decrypt(await startStack(kms, { nsm }))).toEqual(refused(403, "ERR_KMS_DENIED"));
  });

  it("a changed configuration is denied by a key policy that pins PCR16", async () => {
    const own = await startKmsForTest();
    const decryptOf = async (stack: Stack) => {
      const body = { ciphertext: toBase64(await own.encrypt(SECRET)), encryptionContext: CONTEXT };
      return stack.json("POST", "/v1/decrypt", body);
    };
    const pinned = toHex(await pcr16OfConfiguration(utf8(JSON.stringify(configurationOf(own)))));
    await own.allow({ StringEqualsIgnoreCase: { "kms:RecipientAttestation:PCR16": pinned } });
    const stack = await startStack(own);
    expect(stack.enclave.configurationPcr).toBe(pinned);
    expect(await decryptOf(stack)).toMatchObject({ status: 200 });
    const changed = await startStack(own, { configuration: { recipient: { maxUses: 9_999 } } });
    expect(await decryptOf(changed)).toEqual(refused(403, "ERR_KMS_DENIED"));
    await own.simulation.close();
  });
});

describe("messages/decrypt", () => {
  const context = { ...CONTEXT, purpose: "test" };

  it("opens a whole AWS Encryption SDK message, over the tunnel and over the gateway", async () => {
    const message = toBase64(await messageOf(kms, SECRET, context));
    for (const transport of ["tunnel", "gateway"]) {
      const stack = await startStack(kms, { kms: { transport } });
      const answer = await stack.json("POST", "/v1/messages/decrypt", { message, encryptionContext: CONTEXT });
      expect(answer).toMatchObject({ status: 200, body: { plaintext: toBase64(SECRET), encryptionContext: context } });
      expect(stack.gatewayTargets).toEqual(transport === "gateway" ? ["TrentService.Decrypt"] : []);
    }
  });

  it("pitfall 1: over the gateway, operations whose answer could be forged are refused", async () => {
    const stack = await startStack(kms, { kms: { transport: "gateway" } });
    expect(await decrypt(stack)).toEqual(refused(403, "ERR_GATEWAY_REFUSED"));
    const dataKey = await stack.json("POST", "/v1/data-keys", { keyId: ALIAS, keySpec: "AES_256" });
    expect(dataKey).toEqual(refused(403, "ERR_GATEWAY_REFUSED"));
    expect(await stack.json("POST", "/v1/random", { numberOfBytes: 8 })).toEqual(refused(403, "ERR_GATEWAY_REFUSED"));
    expect(stack.gatewayTargets).toEqual([]);
  });

  it("over the gateway, readiness is a GenerateRandom that nobody sees", async () => {
    const stack = await startStack(kms, { kms: { transport: "gateway" } });
    expect(await stack.json("GET", "/readyz")).toEqual({ status: 200, body: { ready: true } });
    expect(stack.gatewayTargets).toEqual(["TrentService.GenerateRandom"]);
  });

  it("refuses a message of another context, and what is no message", async () => {
    const stack = await startStack(kms);
    const message = toBase64(await messageOf(kms, SECRET, context));
    const other = await stack.json("POST", "/v1/messages/decrypt", { message, encryptionContext: { tenant: "b" } });
    expect(other).toEqual(refused(403, "ERR_ENCRYPTION_CONTEXT"));
    const none = await stack.json("POST", "/v1/messages/decrypt", { message: toBase64(SECRET) });
    expect(none).toEqual(refused(400, "ERR_MESSAGE_MALFORMED"));
  });
});

describe("attestation", () => {
  it("makes a document for the caller's nonce that verifies, with the configuration in PCR16", async () => {
    const stack = await startStack(kms);
    const nonce = crypto.getRandomValues(new Uint8Array(32));
    const { body } = await stack.json("GET", `/attestation?nonce=${toBase64Url(nonce)}`);
    const keyConfigurations = fromBase64(String(body.keyConfigurations)) ?? new Uint8Array();
    expect(parseKeyConfigurations(keyConfigurations)).toHaveLength(2);
    expect(body.tlsKey).toBeUndefined();
    const document = fromBase64(String(body.document)) ?? new Uint8Array();
    const now = new Date();
    const verified = await verifyAttestation(document, { trustAnchor: kms.simulation.trustAnchor, now });
    const pcrs = { 0: kms.simulation.pcrs[0] ?? "", 16: toHex(await pcr16OfConfiguration(stack.configuration)) };
    const appraised = appraise(verified, {
      pcrs: [pcrs],
      nonce: { kind: "equals", value: nonce },
      freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
      debug: "reject",
      userData: { kind: "equals", value: await endpointKeysUserData({ keyConfigurations, tlsKey: undefined }) },
      publicKey: { kind: "absent" },
    });
    expect(appraised).toBeDefined();
  });

  it.each([
    ["no nonce", ""],
    ["a short one", `?nonce=${toBase64Url(new Uint8Array(15))}`],
    ["a long one", `?nonce=${toBase64Url(new Uint8Array(513))}`],
    ["padded base64", "?nonce=AAAAAAAAAAAAAAAAAAAAAA=="],
    ["two nonces", `?nonce=${toBase64Url(new Uint8Array(16))}&nonce=${toBase64Url(new Uint8Array(16))}`],
    ["another parameter", `?nonce=${toBase64Url(new Uint8Array(16))}&user_data=x`],
  ])("refuses %s", async (_, query) => {
    const stack = await startStack(kms);
    expect(await stack.json("GET", `/attestation${query}`)).toEqual(refused(400, "ERR_MESSAGE_MALFORMED"));
  });
});

describe("the channel", () => {
  it("closed by the configuration: no operation, but attestation and health", async () => {
    const stack = await startStack(kms, { configuration: { channels: { parent: [] } } });
    expect(await decrypt(stack)).toEqual(refused(403, "ERR_CHANNEL_CLOSED"));
    const message = await stack.json("POST", "/v1/messages/decrypt", { message: toBase64(SECRET) });
    expect(message).toEqual(refused(403, "ERR_CHANNEL_CLOSED"));
    expect((await stack.json("GET", "/healthz")).status).toBe(200);
    expect((await stack.json("GET", "/readyz")).status).toBe(200);
    expect((await stack.json("GET", `/attestation?nonce=${toBase64Url(new Uint8Array(16))}`)).status).toBe(200);
  });

  it("refuses unknown paths, methods and media types by code", async () => {
    const stack = await startStack(kms);
    expect(await stack.json("GET", "/")).toEqual(refused(404, "ERR_NOT_FOUND"));
    expect(await stack.json("GET", "//evil")).toEqual(refused(404, "ERR_NOT_FOUND"));
    expect(await stack.json("GET", "/v1/decrypt")).toEqual(refused(405, "ERR_METHOD_NOT_ALLOWED"));
    expect(await stack.json("POST", "/healthz", {})).toEqual(refused(405, "ERR_METHOD_NOT_ALLOWED"));
    const form = await stack.request("POST", "/v1/random", {
      body: utf8("{}"),
      headers: { "content-type": "text/plain" },
    });
    expect(form.status).toBe(415);
    const broken = await stack.request("POST", "/v1/random", { body: Uint8Array.of(0xff) });
    expect(broken.status).toBe(400);
    expect(broken.headers["content-type"]).toBe("application/problem+json");
  });

  it.each([
    "/v1/../v1/random",
    "/v1/./random",
    "/v1/%2e%2e/v1/random",
    "/\\evil/v1/random",
    "/v1\\random",
    "/v1/random#x",
    "//evil/v1/random",
    "http://enclave/v1/random",
  ])("serves a path by one spelling alone, not by %s", async (path) => {
    const stack = await startStack(kms);
    const body = JSON.stringify({ numberOfBytes: 1 });
    const request = (target: string) => [head(target, `connection: close\r\ncontent-length: ${body.length}`), body];
    expect(await rawRequest(stack, request("/v1/random"))).toMatch(/^HTTP\/1\.1 200 /);
    expect(await rawRequest(stack, request(path))).toMatch(/^HTTP\/1\.1 404 .*"ERR_NOT_FOUND"/s);
  });

  it("takes the parent's request id when it is one, and makes its own otherwise", async () => {
    const stack = await startStack(kms);
    const id = "0c6bd1a2-6b1e-4d0a-9f52-0a1b2c3d4e5f";
    const given = await stack.request("GET", "/none", { headers: { "x-request-id": id } });
    expect(JSON.parse(Buffer.from(given.body).toString())).toMatchObject({ requestId: id });
    expect(given.headers["x-request-id"]).toBe(id);
    const forged = await stack
      .request("GET", "/none", { headers: { "x-request-id": "x\u007f" } })
      .catch(() => undefined);
    expect(forged?.headers["x-request-id"]).not.toBe("x\u007f");
    const odd = await stack.request("GET", "/none", { headers: { "x-request-id": "../../etc" } });
    expect(odd.headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("pitfall 15: a body beyond its limit is refused, by its length before it is read", async () => {
    const stack = await startStack(kms);
    const large = await stack.request("POST", "/v1/decrypt", { body: new Uint8Array(65 * 1024).fill(0x20) });
    expect(large.status).toBe(413);
    const chunked = await rawRequest(stack, [
      head("/v1/decrypt", "transfer-encoding: chunked"),
      `${(70 * 1024).toString(16)}\r\n${" ".repeat(70 * 1024)}\r\n`,
    ]);
    expect(chunked).toContain("413 Payload Too Large");
    expect(chunked).toContain("connection: close");
    expect(await decrypt(stack)).toMatchObject({ status: 200 });
  });

  it("pitfall 15: more requests than allowed at a time are refused, health is not", async () => {
    const clock = new TestClock();
    const silent = await startStack(kms, {
      clock,
      configuration: { limits: { maxConcurrentRequests: 2, requestDeadlineSeconds: 30 } },
      credentials: () => new Promise(() => undefined),
    });
    const ciphertext = toBase64(await kms.encrypt(SECRET));
    const codes: unknown[] = [];
    let threeAnswered = (): void => undefined;
    const three = new Promise<void>((resolve) => {
      threeAnswered = resolve;
    });
    const all = Array.from({ length: 5 }, async () => {
      codes.push((await decrypt(silent, { ciphertext })).body.code);
      if (codes.length === 3) threeAnswered();
    });
    await three;
    expect((await silent.json("GET", "/healthz")).status).toBe(200);
    expect(codes).toEqual(["ERR_BUSY", "ERR_BUSY", "ERR_BUSY"]);
    clock.advance(30_000);
    await Promise.all(all);
    expect(codes.slice(3)).toEqual(["ERR_TIMEOUT", "ERR_TIMEOUT"]);
  });

  it("pitfall 15: who asks for attestation, which anybody may, takes no place from callers", async () => {
    const clock = new TestClock();
    const { nsm } = await kms.simulation.bootEnclave(exampleImage());
    let isStuck = false;
    const stack = await startStack(kms, {
      clock,
      nsm: { exchange: (request) => (isStuck ? new Promise(() => undefined) : nsm.exchange(request)) },
      configuration: { limits: { maxConcurrentRequests: 2 } },
    });
    const random = () => stack.json("POST", "/v1/random", { numberOfBytes: 1 });
    const attestation = () => stack.json("GET", `/attestation?nonce=${toBase64Url(new Uint8Array(16))}`);
    expect((await random()).status).toBe(200); // and the document for KMS is there
    isStuck = true;
    const waiting = [attestation(), attestation()];
    await expect.poll(async () => (await Promise.race([attestation(), ...waiting])).status).toBe(503);
    expect((await random()).status).toBe(200);
    clock.advance(5_000); // the device's deadline
    expect((await Promise.all(waiting)).map(({ body }) => body.code)).toEqual(["ERR_TIMEOUT", "ERR_TIMEOUT"]);
  });

  it("pitfall 15: bodies that never come to an end hold no place of their caller's (they once held theirs for ever)", async () => {
    const clock = new TestClock();
    const budgets = { maxConcurrent: 1 };
    const stack = await startStack(kms, { clock, authorization: { budgets } });
    const random = () => stack.json("POST", "/v1/random", { numberOfBytes: 1 });
    /** A connection whose request is being served: it has its caller's one place. Where a question had it, it tries again. */
    const stall = async (): Promise<Socket> => {
      for (;;) {
        const socket = connect(stack.enclave.address.slice("unix:".length));
        socket.write(`${head("/v1/random", "content-length: 100")}{`);
        let refused = false;
        socket.once("data", () => {
          refused = true;
        });
        let isHeld = false;
        while (!isHeld && !refused) isHeld = (await random()).status === 429;
        if (isHeld && !refused) return socket;
        socket.destroy();
      }
    };
    for (let i = 0; i < 2; i++) {
      const socket = await stall();
      clock.advance(30_000);
      await expect(once(socket, "data").then(String)).resolves.toContain("504 Gateway Timeout");
      expect((await random()).status).toBe(200);
      socket.destroy();
    }
  });

  it("pitfall 15: requests pipelined on a connection that ends hold no place (they once held theirs for ever)", async () => {
    const stack = await startStack(kms, { configuration: { limits: { maxConcurrentRequests: 4 } } });
    const random = { path: "/v1/random", body: JSON.stringify({ numberOfBytes: 1 }) };
    const request = head(random.path, `content-length: ${random.body.length}`) + random.body;
    const socket = connect(stack.enclave.address.slice("unix:".length));
    await once(socket, "connect");
    socket.write(`GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n${request.repeat(4)}`);
    while ((await stack.json("POST", random.path, { numberOfBytes: 1 })).status !== 503); // all places are taken
    socket.destroy();
    const four = () => Array.from({ length: 4 }, () => stack.json("POST", random.path, { numberOfBytes: 1 }));
    const statuses = async () => (await Promise.all(four())).map(({ status }) => status);
    await expect.poll(statuses, { timeout: 20_000 }).toEqual([200, 200, 200, 200]); // and free again, every one
  });

  it("pitfall 15: a reader that does not take its answer loses the connection", async () => {
    const clock = new TestClock();
    const stack = await startStack(kms, { clock, configuration: { limits: { maxConcurrentRequests: 1 } } });
    const plaintext = new Uint8Array(600_000).fill(0x61); // more than the sockets' buffers hold
    const message = toBase64(await messageOf(kms, plaintext, CONTEXT));
    const body = JSON.stringify({ message });
    const socket = connect(stack.enclave.address.slice("unix:".length));
    socket.write(head("/v1/messages/decrypt", `content-length: ${body.length}`) + body);
    await new Promise((resolve) => socket.once("readable", resolve)); // it has begun, and nobody reads
    expect(await stack.json("POST", "/v1/random", { numberOfBytes: 8 })).toEqual(refused(503, "ERR_BUSY"));
    clock.advance(10_000);
    let received = 0;
    socket.on("data", (part) => {
      received += part.length;
    });
    await new Promise((resolve) => socket.once("close", resolve));
    expect(received).toBeGreaterThan(0);
    expect(received).toBeLessThan(plaintext.length);
    expect(await stack.json("POST", "/v1/random", { numberOfBytes: 8 })).toMatchObject({ status: 200 });
  });

  it("who brings no token is refused before the body is looked at, whatever is in it or yet to come", async () => {
    const stack = await startStack(kms);
    for (const body of [utf8("{}"), Uint8Array.of(0xff), new Uint8Array(70 * 1024)]) {
      const headers = { "content-type": "application/json" };
      const answer = await requestOver(stack.enclave.address, {
        ...{ method: "POST", path: "/v1/decrypt", body, headers, deadlineMs: 20_000, maxResponseBytes: 10_000 },
      });
      expect(JSON.parse(Buffer.from(answer.body).toString())).toEqual(refused(401, "ERR_TOKEN_MISSING").body);
    }
    const noBodyYet = head("/v1/decrypt", "content-length: 100").replace(/authorization: .*\r\n/, "");
    const answer = await rawRequest(stack, [noBodyYet]);
    expect(answer).toContain("401 Unauthorized");
    expect(answer).toContain("connection: close");
  });

  it("what no policy permits is refused before KMS is asked", async () => {
    const stack = await startStack(kms, { authorization: { policies: TENANT_POLICIES } });
    expect(await decrypt(stack)).toMatchObject({ status: 200 });
    const calls = kms.simulation.kms.auditLog.records.length;
    expect(await decrypt(stack, { encryptionContext: { tenant: "b" } })).toEqual(refused(403, "ERR_NOT_AUTHORIZED"));
    expect(kms.simulation.kms.auditLog.records).toHaveLength(calls + 1); // the test's own Encrypt
    expect(kms.simulation.kms.auditLog.records.at(-1)?.eventName).toBe("Encrypt");
  });

  it("a connection that breaks off harms nobody else", async () => {
    const stack = await startStack(kms);
    const socket = connect(stack.enclave.address.slice("unix:".length));
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.write(`${head("/v1/decrypt", "content-length: 100")}{`);
    socket.destroy();
    expect(await decrypt(stack)).toMatchObject({ status: 200 });
  });
});

describe("health", () => {
  it("tells how the parts are, and readiness is a real attested call", async () => {
    const stack = await startStack(kms);
    expect((await stack.json("GET", "/healthz")).body).toMatchObject({
      status: "ok",
      nsm: "ok",
      kms: { status: "unknown" },
      credentials: { status: "none" },
      recipient: { keyUses: 0 },
      time: { documentAgeSeconds: 0, kmsAheadMs: null, monotonicAheadMs: null },
      sealed: { keyAgeSeconds: 0, retiredKeys: 0 },
    });
    expect(await stack.json("GET", "/readyz")).toEqual({ status: 200, body: { ready: true } });
    expect((await stack.json("GET", "/healthz")).body).toMatchObject({
      status: "ok",
      kms: { status: "ok" },
      credentials: { status: "valid" },
      recipient: { keyUses: 1 },
      time: { kmsAheadMs: expect.any(Number) },
    });
  });

  it("many readiness questions at once cost one call, and the answer is remembered", async () => {
    const stack = await startStack(kms);
    const answers = await Promise.all(Array.from({ length: 20 }, () => stack.json("GET", "/readyz")));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    await stack.json("GET", "/readyz");
    expect((await stack.json("GET", "/healthz")).body).toMatchObject({ recipient: { keyUses: 1 } });
  });

  it("is not ready when KMS cannot be reached, and says so", async () => {
    const stack = await startStack(kms, { tunnel: `unix:${join(testFolder(), "nobody")}` });
    expect(await stack.json("GET", "/readyz")).toEqual(refused(503, "ERR_NOT_READY"));
    expect((await stack.json("GET", "/healthz")).body).toMatchObject({
      status: "degraded",
      kms: { status: "failed", failure: "ERR_KMS_UNAVAILABLE" },
    });
    expect(await decrypt(stack)).toEqual(refused(503, "ERR_KMS_UNAVAILABLE"));
  });

  it("is not ready without credentials, and says so", async () => {
    const stack = await startStack(kms, { credentials: async () => ({ error: "none" }) });
    expect(await decrypt(stack)).toEqual(refused(503, "ERR_CREDENTIALS"));
    expect((await stack.json("GET", "/healthz")).body).toMatchObject({
      status: "degraded",
      credentials: { status: "none", failure: "ERR_CREDENTIALS" },
    });
  });

  it("pitfall 14: who answers in KMS's place is not KMS under the pinned roots", async () => {
    const other = await startKmsForTest();
    const stack = await startStack(kms, { kms: { roots: [other.simulation.kms.caCertificate] } });
    expect(await decrypt(stack)).toEqual(refused(502, "ERR_KMS_UNTRUSTED"));
    await other.simulation.close();
  });

  it("a role that KMS denies everything is not ready", async () => {
    const stack = await startStack(kms, {
      credentials: async () => ({ accessKeyId: "AKIDUNKNOWNUNKNOWN", secretAccessKey: "wrong" }),
    });
    expect(await stack.json("GET", "/readyz")).toEqual(refused(503, "ERR_NOT_READY"));
    expect(await decrypt(stack)).toEqual(refused(503, "ERR_CREDENTIALS"));
  });
});

describe("boot", () => {
  it("refuses to start on a PCR16 that was used before", async () => {
    const { nsm } = await kms.simulation.bootEnclave(exampleImage());
    await startStack(kms, { nsm });
    await expect(startStack(kms, { nsm })).rejects.toThrowCode("ERR_NSM");
  });

  it("measures nothing when the configuration is wrong", async () => {
    const { nsm } = await kms.simulation.bootEnclave(exampleImage());
    await expect(startStack(kms, { nsm, configuration: { debug: true } })).rejects.toThrowCode("ERR_CONFIGURATION");
    await expect(startStack(kms, { nsm })).resolves.toBeDefined();
  });

  it.each<[string, Json]>([
    ["policies that do not parse", { policies: "permit(principal, action" }],
    ["policies that do not validate", { policies: 'permit(principal, action == Action::"destroy", resource);' }],
    ["a schema without an operation that is served", { schema: "entity Caller; entity Enclave;" }],
    ["an issuer's key that is none", { issuers: [WITHOUT_KEYS] }],
  ])("measures nothing, and does not start, with %s", async (_, authorization) => {
    const { nsm } = await kms.simulation.bootEnclave(exampleImage());
    await expect(startStack(kms, { nsm, authorization })).rejects.toThrowCode("ERR_CONFIGURATION");
    await expect(startStack(kms, { nsm })).resolves.toBeDefined();
  });

  it("refuses TLS without an address for it, and an address without TLS", async () => {
    const { nsm } = await kms.simulation.bootEnclave(exampleImage());
    const addresses = { listen: "unix:/none", tunnel: "unix:/none", services: "unix:/none" };
    const withTls = utf8(JSON.stringify(configurationOf(kms, { tls: true })));
    await expect(createEnclave({ configuration: withTls, nsm, addresses })).rejects.toThrowCode("ERR_CONFIGURATION");
    const without = utf8(JSON.stringify(configurationOf(kms)));
    const both = { ...addresses, tls: "unix:/none" };
    const outcome = createEnclave({ configuration: without, nsm, addresses: both });
    await expect(outcome).rejects.toThrowCode("ERR_CONFIGURATION");
  });

  it("refuses an address that it cannot listen at", async () => {
    const { nsm } = await kms.simulation.bootEnclave(exampleImage());
    const configuration = utf8(JSON.stringify(configurationOf(kms)));
    const addresses = { listen: "unix:/nowhere/at/all", tunnel: "unix:/none", services: "unix:/none" };
    await expect(createEnclave({ configuration, nsm, addresses })).rejects.toThrowCode("ERR_ADDRESS");
  });

  it("close lets a request under way finish and takes no more, however often it is called", async () => {
    let asked = (): void => undefined;
    const wasAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    let answer: (credentials: unknown) => void = () => undefined;
    const stack = await startStack(kms, {
      credentials: () => {
        asked();
        return new Promise((resolve) => {
          answer = resolve;
        });
      },
    });
    const underWay = decrypt(stack);
    await wasAsked;
    const closed = Promise.all([stack.enclave.close(), stack.enclave.close()]); // two signals, say
    answer(await roleCredentials(kms.simulation));
    expect(await underWay).toMatchObject({ status: 200 });
    await closed;
    await expect(stack.request("GET", "/healthz")).rejects.toThrowCode("ERR_ADDRESS");
  });
});

describe("the log", () => {
  it("pitfall 25: has codes, ids and keys, and nothing that came in or went out", async () => {
    const stack = await startStack(kms);
    const ciphertext = toBase64(await kms.encrypt(SECRET, { tenant: "a", customer: "0815-context" }));
    await decrypt(stack, { ciphertext, encryptionContext: { tenant: "a", customer: "0815-context" } });
    await decrypt(stack, { ciphertext, encryptionContext: { tenant: "a", customer: "4711-context" } });
    await decrypt(stack, { unknown: "field-value" });
    const nonce = toBase64Url(crypto.getRandomValues(new Uint8Array(16)));
    await stack.json("GET", `/attestation?nonce=${nonce}`);
    const text = JSON.stringify(stack.log.entries);
    const { secretAccessKey, sessionToken, accessKeyId } = await kms.simulation.roleCredentials();
    const plain = [toBase64(SECRET), "attack at dawn", "0815-context", "4711-context", "field-value"];
    for (const secret of [...plain, ciphertext, nonce, secretAccessKey, sessionToken, accessKeyId]) {
      expect(text).not.toContain(secret);
    }
    expect(stack.log.entries).toContainEqual(
      expect.objectContaining({
        level: "info",
        fields: expect.objectContaining({ operation: "decrypt", keyArn: kms.keyArn, status: 200 }),
      }),
    );
    expect(stack.log.entries).toContainEqual(
      expect.objectContaining({ level: "warn", fields: expect.objectContaining({ code: "ERR_KMS_REFUSED" }) }),
    );
  });
});

/** The head of a request with a token, and one more field. */
const head = (path: string, field: string): string =>
  [
    `POST ${path} HTTP/1.1`,
    "host: x",
    "content-type: application/json",
    `authorization: Bearer ${kms.token}`,
    `${field}\r\n\r\n`,
  ].join("\r\n");

/** Sends bytes as they are and returns what comes back until the other side closes. */
function rawRequest(stack: Stack, parts: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(stack.enclave.address.slice("unix:".length));
    let answer = "";
    socket.on("data", (part) => {
      answer += part.toString();
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
    for (const part of parts) socket.write(part);
  });
}

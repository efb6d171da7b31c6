/** Sealed requests, over a whole enclave: who is answered, what is refused under the seal, and what in the clear. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ConnectOptions } from "../../../client/connect.js";
import { connectEnclave } from "../../../client/connect.js";
import { pcr16OfConfiguration } from "../../../shared/attestation/pcr.js";
import { encodeBinaryResponse } from "../../../shared/bhttp.js";
import { copyBytes, fromBase64, toBase64, toHex, utf8 } from "../../../shared/bytes.js";
import type { ErrorCode } from "../../../shared/errors.js";
import { ERRORS } from "../../../shared/errors.js";
import { encodeKeyConfigurations, generateKeyPair } from "../../../shared/ohttp/key-configuration.js";
import { openRequest } from "../../../shared/ohttp/request.js";
import { KEM_P256_HKDF_SHA256, KEM_X25519_HKDF_SHA256 } from "../../../shared/ohttp/suites.js";
import { createProof, generateProofKey, thumbprintOf } from "../../../shared/proof-of-possession.js";
import { MAX_SEALED_BYTES } from "../../../shared/wire.js";
import { createTokenIssuer } from "../../../simulator/token-issuer.js";
import { TENANT_POLICIES } from "../../support/authorization.js";
import { TestClock } from "../fakes.js";
import type { Field, InnerChanges, SealedAnswer } from "../sealing.js";
import { callSealed, fetchTo, goodFields, publishedBy, seal, sealBytes, sendSealed } from "../sealing.js";
import type { Kms, Stack, StackChanges } from "../stack.js";
import { CONTEXT, messageOf, startKmsForTest, startStack } from "../stack.js";

const SECRET = utf8("attack at dawn");
const RANDOM = { path: "/v1/random", body: { numberOfBytes: 4 } };

let kms: Kms;
beforeAll(async () => {
  kms = await startKmsForTest();
});
afterAll(() => kms.simulation.close());

const start = (changes: StackChanges = {}): Promise<Stack> =>
  startStack(kms, { configuration: { channels: {} }, ...changes });

const startSealed = (sealed: object, changes: StackChanges = {}): Promise<Stack> =>
  start({ configuration: { channels: { sealed } }, ...changes });

const good = (): Field[] => goodFields(kms.token);
const without = (...names: string[]): Field[] => good().filter(([name]) => !names.includes(name));
const random = (stack: Stack, changes: InnerChanges = {}): Promise<SealedAnswer> =>
  callSealed(stack, { ...RANDOM, fields: good(), ...changes });

const TYPES: Partial<Record<ErrorCode, string>> = {
  ERR_CLOCK_SKEW: "https://iana.org/assignments/http-problem-types#date",
  ERR_KEY_CONFIGURATION: "https://iana.org/assignments/http-problem-types#ohttp-key",
};

/** A refusal that the enclave sealed; or one in the clear, where `sealed` is false. */
const refused = (code: ErrorCode, sealed = true) =>
  expect.objectContaining({
    sealed,
    status: ERRORS[code].status,
    contentType: "application/problem+json",
    body: {
      type: TYPES[code] ?? `urn:nitro-decrypt:error:${code}`,
      ...{ status: ERRORS[code].status, code, title: ERRORS[code].title },
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    },
  });
const refusedInTheClear = (code: ErrorCode) => refused(code, false);

/** The enclave's own time, in whole seconds, which it says in every sealed answer. */
async function timeOf(stack: Stack): Promise<number> {
  const { fields } = await callSealed(stack, { method: "GET", path: "/healthz", fields: good() });
  return Date.parse(fields.find(([name]) => name === "date")?.[1] ?? "");
}

const kmsCalls = (): string[] => kms.simulation.kms.auditLog.records.map(({ eventName }) => eventName);

describe("a sealed request", () => {
  it("is served though the plain channel is closed, with either key of the enclave", async () => {
    const stack = await start();
    const configurations = await publishedBy(stack);
    expect(configurations.map(({ kemId }) => kemId)).toEqual([KEM_X25519_HKDF_SHA256, KEM_P256_HKDF_SHA256]);
    const body = { ciphertext: toBase64(await kms.encrypt(SECRET)), encryptionContext: CONTEXT };
    for (const configuration of configurations) {
      const answer = await callSealed(stack, { path: "/v1/decrypt", body, fields: good(), configuration });
      expect(answer).toMatchObject({
        ...{ sealed: true, status: 200, contentType: "application/json" },
        body: { plaintext: toBase64(SECRET), keyId: kms.keyArn },
      });
    }
    expect(await stack.json("POST", "/v1/decrypt", body)).toMatchObject({ body: { code: "ERR_CHANNEL_CLOSED" } });
  });

  it("is logged and decided as of the channel sealed, and its contents are in no log", async () => {
    const stack = await start();
    await random(stack);
    await random(stack, { body: {} });
    const fields = stack.log.entries.map((entry) => ({ message: entry.message, ...entry.fields }));
    expect(fields).toContainEqual(expect.objectContaining({ message: "decided", channel: "sealed", action: "random" }));
    expect(fields).toContainEqual(
      expect.objectContaining({ message: "served", channel: "sealed", operation: "random", status: 200 }),
    );
    expect(fields).toContainEqual(
      expect.objectContaining({ message: "refused", channel: "sealed", code: "ERR_MESSAGE_MALFORMED", status: 400 }),
    );
    expect(JSON.stringify(fields)).not.toContain(kms.token);
  });

  it("may be for whatever is open, without a token; but not for another sealed request", async () => {
    const stack = await start();
    const get = { method: "GET", fields: without("authorization", "content-type") };
    expect(await callSealed(stack, { ...get, path: "/readyz" })).toMatchObject({ status: 200, body: { ready: true } });
    const nested = { path: "/v1/sealed", fields: [...without("content-type"), ["content-type", "message/ohttp-req"]] };
    expect(await random(stack, nested as InnerChanges)).toEqual(refused("ERR_NOT_FOUND"));
  });

  it.each<[string, InnerChanges, ErrorCode]>([
    ["an unknown path", { path: "/v1/none" }, "ERR_NOT_FOUND"],
    ["a path that names a host", { path: "//evil/v1/random" }, "ERR_NOT_FOUND"],
    ["a path with dot segments", { path: "/v1/x/../random" }, "ERR_NOT_FOUND"],
    ["another method", { method: "GET" }, "ERR_METHOD_NOT_ALLOWED"],
    ["a body that is no JSON", { body: utf8("{") }, "ERR_MESSAGE_MALFORMED"],
    ["a body of another form", { body: { numberOfBytes: 0 } }, "ERR_MESSAGE_MALFORMED"],
    ["no body", { body: undefined }, "ERR_MESSAGE_MALFORMED"],
  ])("with %s is refused under the seal", async (_, changes, code) => {
    const stack = await startKept();
    expect(await random(stack)).toMatchObject({ sealed: true, status: 200 });
    expect(await random(stack, changes)).toEqual(refused(code));
  });

  it("with another media type, or a stream, is refused under the seal", async () => {
    const stack = await startKept();
    for (const type of ["text/plain", "application/octet-stream"]) {
      const fields: Field[] = [...without("content-type"), ["content-type", type]];
      expect(await random(stack, { fields })).toEqual(refused("ERR_CONTENT_TYPE"));
      const message = { path: "/v1/messages/decrypt", fields };
      expect(await random(stack, message)).toEqual(refused("ERR_CONTENT_TYPE"));
    }
  });

  it.each(["authorization", "dpop", "content-type"])(
    "with the field %s twice is refused under the seal",
    async (name) => {
      const stack = await startKept();
      const twice = good().find(([field]) => field === name) ?? ([name, "x"] as const);
      expect(await random(stack, { fields: [...good(), twice, ...(name === "dpop" ? [twice] : [])] })).toEqual(
        refused("ERR_MESSAGE_MALFORMED"),
      );
    },
  );

  it("of a caller whom no policy permits is refused before KMS is asked", async () => {
    const stack = await start({ authorization: { policies: TENANT_POLICIES } });
    const ciphertext = toBase64(await kms.encrypt(SECRET));
    const message = toBase64(await messageOf(kms, SECRET, { tenant: "b" }));
    const calls = kmsCalls().length;
    const request = { fields: good(), path: "/v1/decrypt", body: { ciphertext, encryptionContext: { tenant: "b" } } };
    expect(await callSealed(stack, request)).toEqual(refused("ERR_NOT_AUTHORIZED"));
    expect(await callSealed(stack, { ...request, body: { ciphertext } })).toEqual(refused("ERR_NOT_AUTHORIZED"));
    const opening = { fields: good(), path: "/v1/messages/decrypt", body: { message } };
    expect(await callSealed(stack, opening)).toEqual(refused("ERR_NOT_AUTHORIZED"));
    expect(kmsCalls()).toHaveLength(calls);
    const own = { ...request, body: { ciphertext, encryptionContext: CONTEXT } };
    expect(await callSealed(stack, own)).toMatchObject({ status: 200 });
  });

  it("counts: beyond its caller's budget it is refused under the seal", async () => {
    const stack = await start({ authorization: { budgets: { requestsPerMinute: 2 } } });
    const answers = [await random(stack), await random(stack), await random(stack)];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(answers[2]).toEqual(refused("ERR_BUDGET"));
  });
});

describe("pitfall 9: the date", () => {
  it.each<[string, (now: number) => Field[]]>([
    ["missing", () => []],
    ["there twice", (now) => [dated(now), dated(now)]],
    ["of ISO 8601", (now) => [["date", new Date(now).toISOString()]]],
    ["of RFC 850", (now) => [["date", new Date(now).toUTCString().replace(/^(\w+), (\d+) (\w+) /, "$1, $2-$3-")]]],
    ["in another zone", (now) => [["date", new Date(now).toUTCString().replace("GMT", "+0000")]]],
    ["empty", () => [["date", ""]]],
    ["a second too late", (now) => [dated(now + 61_000)]],
    ["a second too early", (now) => [dated(now - 61_000)]],
    ["of tomorrow", (now) => [dated(now + 86_400_000)]],
  ])("that is %s is ERR_CLOCK_SKEW", async (_, dates) => {
    const stack = await startKept();
    const now = await timeOf(stack);
    const fields = [...without("date"), ...dates(now)];
    expect(await random(stack, { fields })).toEqual(refused("ERR_CLOCK_SKEW"));
  });

  it("may be as far from the enclave's time as the window says, either way", async () => {
    const stack = await startKept();
    const now = await timeOf(stack);
    for (const offset of [60_000, -59_000]) {
      expect(await random(stack, { fields: [...without("date"), dated(now + offset)] })).toMatchObject({
        status: 200,
      });
    }
  });

  it("pitfall 12: is held against the enclave's own time, whatever the parent makes of the wall clock", async () => {
    const stack = await start({ clock: new TurnedClock() });
    expect(await random(stack, { body: {} })).toEqual(refused("ERR_MESSAGE_MALFORMED")); // date and token are past
    const asTurned: Field[] = [...without("date"), dated(new TurnedClock().now().getTime())];
    expect(await random(stack, { body: {}, fields: asTurned })).toEqual(refused("ERR_CLOCK_SKEW"));
  });
});

const dated = (ms: number): Field => ["date", new Date(ms).toUTCString()];

/** A wall clock that is a day ahead of every other. */
class TurnedClock extends TestClock {
  override now(): Date {
    return new Date(Date.now() + 86_400_000);
  }
}

/** An enclave whose clock stands. */
const startKept = (): Promise<Stack> => start({ clock: new TestClock() });

describe("pitfall 9: a request that comes again", () => {
  it("is refused under its own seal: the same bytes are served once", async () => {
    const stack = await start();
    const first = await seal(stack, { ...RANDOM, fields: good() });
    const served = kmsCalls().length;
    expect(await sendSealed(stack, first)).toMatchObject({ sealed: true, status: 200 });
    const again = await sendSealed(stack, first);
    expect(again).toEqual(refused("ERR_REPLAYED"));
    expect(kmsCalls().slice(served)).toEqual(["GenerateRandom"]);
  });

  it("is served once of many that come at the same time", async () => {
    const stack = await start();
    const { bytes } = await seal(stack, { ...RANDOM, fields: good() });
    const served = kmsCalls().length;
    await Promise.all(Array.from({ length: 8 }, () => stack.request("POST", "/v1/sealed", ohttp(bytes))));
    expect(kmsCalls().slice(served)).toEqual(["GenerateRandom"]);
    expect(codesIn(stack).filter((code) => code === "ERR_REPLAYED")).toHaveLength(7);
  });

  it("is refused after a rotation as well, while its key still opens", async () => {
    const stack = await start();
    const first = await seal(stack, { ...RANDOM, fields: good() });
    expect(await sendSealed(stack, first)).toMatchObject({ status: 200 });
    await stack.enclave.rotateSealedKeys();
    expect(await sendSealed(stack, first)).toEqual(refused("ERR_REPLAYED"));
  });

  it("is refused also when it was refused before: what was decided once is not asked again", async () => {
    const stack = await start({ authorization: { policies: TENANT_POLICIES } });
    const body = { ciphertext: toBase64(await kms.encrypt(SECRET)), encryptionContext: { tenant: "b" } };
    const first = await seal(stack, { path: "/v1/decrypt", body, fields: good() });
    expect(await sendSealed(stack, first)).toEqual(refused("ERR_NOT_AUTHORIZED"));
    expect(await sendSealed(stack, first)).toEqual(refused("ERR_REPLAYED"));
  });

  it("is refused for as long as its date fits, to the end of the window", async () => {
    const clock = new TestClock();
    const stack = await startSealed({ windowSeconds: 60 }, { clock });
    const fields = [...without("date"), dated((await timeOf(stack)) + 60_000)]; // as late as can be
    const first = await seal(stack, { ...RANDOM, fields });
    expect(await sendSealed(stack, first)).toMatchObject({ status: 200 });
    clock.advance(119_000);
    expect(await sendSealed(stack, first)).toEqual(refused("ERR_REPLAYED"));
    const third = await seal(stack, { ...RANDOM, fields });
    clock.advance(2_000);
    expect(await sendSealed(stack, third)).toEqual(refused("ERR_CLOCK_SKEW")); // and now the date alone refuses it
  });

  it("cannot be made room for: when as many are remembered as can be, new ones are refused, and forgotten in time", async () => {
    const clock = new TestClock();
    const stack = await startSealed({ maxRemembered: 1_000, windowSeconds: 60 }, { clock });
    const malformed = { ...RANDOM, body: {} };
    const many = async (changes: InnerChanges) => {
      const statuses = new Set<number>();
      for (let batch = 0; batch < 20; batch++) {
        const answers = Array.from({ length: 50 }, () => callSealed(stack, { ...malformed, ...changes }));
        for (const { status } of await Promise.all(answers)) statuses.add(status);
      }
      return [...statuses];
    };
    expect(await many({ fields: without("authorization") })).toEqual([401]); // who shows no token fills nothing
    expect(await many({ fields: good() })).toEqual([400]);
    expect(await random(stack)).toEqual(refused("ERR_BUSY"));
    clock.advance(180_001);
    const later = [...without("date"), dated(await timeOf(stack))];
    expect(await random(stack, { fields: later })).toMatchObject({ status: 200 });
  });
});

const ohttp = (body: Uint8Array) => ({ body, headers: { "content-type": "message/ohttp-req" } });

const codesIn = (stack: Stack): unknown[] => stack.log.entries.map(({ fields }) => fields.code);

describe("keys", () => {
  it("are bound by the attestation, from a rotation on the new ones", async () => {
    const stack = await start();
    const policy = await policyOf(stack);
    const { trustAnchor } = kms.simulation;
    const options = { trustAnchor, policy, token: kms.token };
    for (let round = 0; round < 2; round++) {
      const enclave = await connectEnclave("http://parent.test", { ...options, fetch: fetchTo(stack) });
      expect(await enclave.random(4)).toHaveLength(4);
      await stack.enclave.rotateSealedKeys();
    }
    const own = await generateKeyPair(KEM_X25519_HKDF_SHA256, 0);
    const substituting: typeof fetch = async (input, init) => {
      const answer = await fetchTo(stack)(input, init);
      const keyConfigurations = toBase64(encodeKeyConfigurations([own.configuration]));
      return Response.json({ ...(await answer.json()), keyConfigurations });
    };
    const outcome = connectEnclave("http://parent.test", { ...options, fetch: substituting });
    await expect(outcome).rejects.toThrowCode("ERR_USER_DATA_MISMATCH");
  });

  it("that are retired open requests for the overlap, and are unknown afterwards", async () => {
    const clock = new TestClock();
    const stack = await startSealed({ keyMaxAgeSeconds: 600, overlapSeconds: 30 }, { clock });
    const [configuration] = await publishedBy(stack);
    await stack.enclave.rotateSealedKeys();
    const [fresh] = await publishedBy(stack);
    expect(fresh.keyId).not.toBe(configuration.keyId);
    clock.advance(29_999);
    expect(await random(stack, { configuration })).toMatchObject({ sealed: true, status: 200 });
    clock.advance(1);
    expect(await random(stack, { configuration })).toEqual(refusedInTheClear("ERR_KEY_CONFIGURATION"));
    expect(await random(stack, { configuration: fresh })).toMatchObject({ sealed: true, status: 200 });
  });

  it("are rotated by age, and a client attests anew by itself when its key is gone", async () => {
    const clock = new TestClock();
    const stack = await startSealed({ keyMaxAgeSeconds: 60, overlapSeconds: 0, windowSeconds: 300 }, { clock });
    const requests: string[] = [];
    const recording: typeof fetch = (input, init) => {
      requests.push(new URL(String(input)).pathname);
      return fetchTo(stack)(input, init);
    };
    const { trustAnchor } = kms.simulation;
    const options = { trustAnchor, policy: await policyOf(stack), token: kms.token, fetch: recording };
    const enclave = await connectEnclave("http://parent.test", options);
    const [before] = await publishedBy(stack);
    clock.advance(60_000);
    await expect.poll(async () => (await publishedBy(stack))[0].keyId).not.toBe(before.keyId);
    expect(await enclave.random(4)).toHaveLength(4);
    expect(requests).toEqual(["/attestation", "/v1/sealed", "/attestation", "/v1/sealed"]);
  });

  it("that nobody has are unknown, in the clear, with the problem type of RFC 9458", async () => {
    const stack = await startKept();
    const stranger = await generateKeyPair(KEM_X25519_HKDF_SHA256, 200);
    const answer = await random(stack, { configuration: stranger.configuration });
    expect(answer).toEqual(refusedInTheClear("ERR_KEY_CONFIGURATION"));
  });

  it("of somebody else under a known name open nothing", async () => {
    const stack = await startKept();
    const [{ keyId }] = await publishedBy(stack);
    const stranger = await generateKeyPair(KEM_X25519_HKDF_SHA256, keyId);
    const answer = await random(stack, { configuration: stranger.configuration });
    expect(answer).toEqual(refusedInTheClear("ERR_DECRYPTION_FAILED"));
  });
});

describe("what cannot be opened is refused in the clear", () => {
  const HEADER = 7;
  const X25519_BYTES = 32;

  it.each<[string, (bytes: Uint8Array) => Uint8Array, ErrorCode]>([
    ["another key identifier", (bytes) => flipped(bytes, 0, 0x80), "ERR_KEY_CONFIGURATION"],
    ["another KEM", (bytes) => flipped(bytes, 2, 0x30), "ERR_KEY_CONFIGURATION"],
    ["a KEM that there is not", (bytes) => flipped(bytes, 1, 0xff), "ERR_KEY_CONFIGURATION"],
    ["another KDF", (bytes) => flipped(bytes, 4, 0x02), "ERR_KEY_CONFIGURATION"],
    ["another AEAD", (bytes) => flipped(bytes, 6, 0x03), "ERR_DECRYPTION_FAILED"],
    ["an AEAD that there is not", (bytes) => flipped(bytes, 6, 0x40), "ERR_KEY_CONFIGURATION"],
    ["a bit of the encapsulated key flipped", (bytes) => flipped(bytes, HEADER), "ERR_DECRYPTION_FAILED"],
    ["a bit of the ciphertext flipped", (bytes) => flipped(bytes, HEADER + X25519_BYTES), "ERR_DECRYPTION_FAILED"],
    ["a bit of the tag flipped", (bytes) => flipped(bytes, bytes.length - 1), "ERR_DECRYPTION_FAILED"],
    ["its last byte missing", (bytes) => bytes.subarray(0, -1), "ERR_DECRYPTION_FAILED"],
    ["a byte more", (bytes) => Uint8Array.of(...bytes, 0), "ERR_DECRYPTION_FAILED"],
    [
      "an encapsulated key of low order",
      (bytes) => copyBytes(bytes).fill(0, HEADER, HEADER + X25519_BYTES),
      "ERR_DECRYPTION_FAILED",
    ],
    ["nothing after the encapsulated key", (bytes) => bytes.subarray(0, HEADER + X25519_BYTES), "ERR_OHTTP_MALFORMED"],
    ["half an encapsulated key", (bytes) => bytes.subarray(0, HEADER + 16), "ERR_OHTTP_MALFORMED"],
    ["half a header", (bytes) => bytes.subarray(0, 3), "ERR_OHTTP_MALFORMED"],
    ["nothing at all", () => new Uint8Array(), "ERR_OHTTP_MALFORMED"],
    ["random bytes in its place", () => Uint8Array.of(0, 0xff, 0xff, ...randomBytes(200)), "ERR_KEY_CONFIGURATION"],
  ])("with %s", async (_, change, code) => {
    const stack = await startKept();
    const { bytes, openResponse } = await seal(stack, { ...RANDOM, fields: good() });
    expect(bytes[2]).toBe(KEM_X25519_HKDF_SHA256); // what the places above are of
    const calls = kmsCalls().length;
    const answer = await sendSealed(stack, { bytes: copyBytes(change(bytes)), openResponse });
    expect(answer).toEqual(refusedInTheClear(code));
    expect(kmsCalls()).toHaveLength(calls);
  });

  it("of another media type, or by another method", async () => {
    const stack = await startKept();
    const { bytes } = await seal(stack, { ...RANDOM, fields: good() });
    const headers = { "content-type": "application/octet-stream" };
    expect((await stack.request("POST", "/v1/sealed", { body: bytes, headers })).status).toBe(415);
    expect((await stack.request("GET", "/v1/sealed")).status).toBe(405);
  });

  it("pitfall 15: beyond its limit, before it is read", async () => {
    const stack = await startKept();
    const answer = await stack.request("POST", "/v1/sealed", ohttp(new Uint8Array(MAX_SEALED_BYTES + 1)));
    expect(answer.status).toBe(413);
    expect((await stack.request("POST", "/v1/sealed", ohttp(new Uint8Array(MAX_SEALED_BYTES)))).status).toBe(400);
  });
});

describe("what is inside", () => {
  it.each<[string, Uint8Array]>([
    ["nothing", new Uint8Array()],
    ["random bytes", Uint8Array.of(7, ...randomBytes(50))],
    ["JSON", utf8('{"numberOfBytes":4}')],
    ["a response", encodeBinaryResponse({ status: 200, fields: [], content: new Uint8Array(), trailers: [] })],
  ])("is Binary HTTP: %s is refused under the seal", async (_, inner) => {
    const stack = await startKept();
    expect(await sendSealed(stack, await sealBytes(stack, inner))).toEqual(refused("ERR_BHTTP_MALFORMED"));
  });

  it("pitfall 15: is within the operation's limit, or refused under the seal", async () => {
    const stack = await startKept();
    const spaces = (length: number) => new Uint8Array(length).fill(0x20);
    expect(await random(stack, { body: spaces(64 * 1024) })).toEqual(refused("ERR_MESSAGE_MALFORMED"));
    expect(await random(stack, { body: spaces(64 * 1024 + 1) })).toEqual(refused("ERR_MESSAGE_TOO_LARGE"));
    const message = { path: "/v1/messages/decrypt", body: spaces(1024 * 1024 + 1) };
    expect(await random(stack, message)).toEqual(refused("ERR_MESSAGE_TOO_LARGE"));
  });

  it("may be a whole message of the largest size", async () => {
    const stack = await start();
    const plaintext = new Uint8Array(500_000).fill(0x61);
    const body = { message: toBase64(await messageOf(kms, plaintext, CONTEXT)) };
    const answer = await callSealed(stack, { path: "/v1/messages/decrypt", body, fields: good() });
    expect(answer.status).toBe(200);
    expect(fromBase64(String(answer.body.plaintext))).toEqual(plaintext);
  });
});

describe("who asks", () => {
  const withToken = (authorization: string, ...more: Field[]): InnerChanges => ({
    fields: [...without("authorization"), ["authorization", authorization], ...more],
  });

  /** A token that is bound to a key, and a maker of proofs with any key. */
  async function bound() {
    const key = await generateProofKey();
    const boundTo = await thumbprintOf(key.publicKey);
    const token = await kms.issuer.issue({ subject: "bob", lifetimeSeconds: 3600, boundTo });
    const proof = (changes: Partial<Parameters<typeof createProof>[0]> = {}) =>
      createProof({ key, method: "POST", path: "/v1/random", token, now: new Date(), ...changes });
    return { token, proof };
  }

  it.each<[string, () => Promise<InnerChanges>, ErrorCode]>([
    ["nobody", async () => ({ fields: without("authorization") }), "ERR_TOKEN_MISSING"],
    ["what is no token", async () => withToken("Bearer x"), "ERR_TOKEN_MALFORMED"],
    ["another scheme", async () => withToken("Basic YTpi"), "ERR_TOKEN_MALFORMED"],
    [
      "a token of another issuer",
      async () => withToken(`Bearer ${await (await createTokenIssuer()).issue({ subject: "alice" })}`),
      "ERR_TOKEN_UNTRUSTED",
    ],
    [
      "a token for another audience",
      async () => withToken(`Bearer ${await kms.issuer.issue({ subject: "alice", claims: { aud: "else" } })}`),
      "ERR_TOKEN_UNTRUSTED",
    ],
    [
      "a token that has ended",
      async () => withToken(`Bearer ${await kms.issuer.issue({ subject: "alice", lifetimeSeconds: -60 })}`),
      "ERR_TOKEN_TIME",
    ],
    ["a bound token without proof", async () => withToken(`DPoP ${(await bound()).token}`), "ERR_TOKEN_BINDING"],
    ["a bound token as another", async () => withToken(`Bearer ${(await bound()).token}`), "ERR_TOKEN_BINDING"],
    [
      "pitfall 13: a stolen bound token, with a proof of the thief's own key",
      async () => {
        const { token, proof } = await bound();
        return withToken(`DPoP ${token}`, ["dpop", await proof({ key: await generateProofKey() })]);
      },
      "ERR_TOKEN_BINDING",
    ],
    [
      "a proof for another path",
      async () => {
        const { token, proof } = await bound();
        return withToken(`DPoP ${token}`, ["dpop", await proof({ path: "/v1/decrypt" })]);
      },
      "ERR_TOKEN_BINDING",
    ],
    [
      "a proof for another token",
      async () => {
        const { token, proof } = await bound();
        return withToken(`DPoP ${token}`, ["dpop", await proof({ token: kms.token })]);
      },
      "ERR_TOKEN_BINDING",
    ],
    [
      "a proof of an hour ago",
      async () => {
        const { token, proof } = await bound();
        return withToken(`DPoP ${token}`, ["dpop", await proof({ now: new Date(Date.now() - 3_600_000) })]);
      },
      "ERR_TOKEN_BINDING",
    ],
  ])("is refused under the seal: %s", async (_, changes, code) => {
    const stack = await startKept();
    const calls = kmsCalls().length;
    expect(await random(stack, await changes())).toEqual(refused(code));
    expect(kmsCalls()).toHaveLength(calls);
  });

  it("with a bound token is served with its proof, once", async () => {
    const stack = await start();
    const { token, proof } = await bound();
    const once = withToken(`DPoP ${token}`, ["dpop", await proof()]);
    expect(await random(stack, once)).toMatchObject({ sealed: true, status: 200 });
    expect(await random(stack, once)).toEqual(refused("ERR_REPLAYED")); // a request of its own, with the same proof
    const another = withToken(`DPoP ${token}`, ["dpop", await proof()]);
    expect(await random(stack, another)).toMatchObject({ status: 200 });
  });
});

describe("the client", () => {
  it("with a bound token makes a proof for every call", async () => {
    const stack = await start();
    const proofKey = await generateProofKey();
    const boundTo = await thumbprintOf(proofKey.publicKey);
    const token = await kms.issuer.issue({ subject: "bob", boundTo });
    const enclave = await connect(stack, { token, proofKey });
    const [one, two] = await Promise.all([enclave.random(4), enclave.random(4)]);
    expect([one?.length, two?.length]).toEqual([4, 4]);
    const stolen = await connect(stack, { token });
    await expect(stolen.random(4)).rejects.toThrowCode("ERR_TOKEN_BINDING");
  });

  it("pitfall 33: does not take an answer that somebody else has sealed", async () => {
    const stack = await start();
    const own = await generateKeyPair(KEM_X25519_HKDF_SHA256, 0);
    const forging: typeof fetch = async (input, init) => {
      if (init?.method !== "POST") return fetchTo(stack)(input, init);
      const { bytes } = await sealBytes(stack, utf8("x"), own.configuration);
      const { sealResponse } = await openRequest(own, bytes);
      const forged = encodeBinaryResponse({
        ...{ status: 200, trailers: [], fields: [["content-type", "application/json"]] },
        content: utf8(JSON.stringify({ random: "AAAAAA==" })),
      });
      return new Response(await sealResponse(forged), { headers: { "content-type": "message/ohttp-res" } });
    };
    const enclave = await connect(stack, { fetch: forging });
    await expect(enclave.random(4)).rejects.toThrowCode("ERR_DECRYPTION_FAILED");
  });

  it("has refusals of the enclave with their codes", async () => {
    const stack = await start({ authorization: { policies: TENANT_POLICIES } });
    const ciphertext = await kms.encrypt(SECRET);
    const enclave = await connect(stack);
    await expect(enclave.decrypt({ ciphertext, encryptionContext: { tenant: "b" } })).rejects.toThrowCode(
      "ERR_NOT_AUTHORIZED",
    );
    expect(await enclave.decrypt({ ciphertext, encryptionContext: CONTEXT })).toEqual({
      plaintext: SECRET,
      keyId: kms.keyArn,
    });
  });
});

async function policyOf(stack: Stack): Promise<ConnectOptions["policy"]> {
  const { pcrs } = kms.simulation;
  const image = { 0: pcrs[0] ?? "", 1: pcrs[1] ?? "", 2: pcrs[2] ?? "" };
  return {
    pcrs: [{ ...image, 16: toHex(await pcr16OfConfiguration(stack.configuration)) }],
    configuration: "pinned",
    freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
    debug: "reject",
  };
}

async function connect(stack: Stack, changes: Partial<ConnectOptions> = {}) {
  const { trustAnchor } = kms.simulation;
  const options = { trustAnchor, policy: await policyOf(stack), token: kms.token, fetch: fetchTo(stack) };
  return connectEnclave("http://parent.test", { ...options, ...changes });
}

/** `bytes` with these bits of one byte flipped. */
const flipped = (bytes: Uint8Array, at: number, bits = 1): Uint8Array =>
  bytes.map((byte, index) => (index === at ? byte ^ bits : byte));

/** The operations of a connected enclave: bytes here, base64 there, and answers that are held to their form. */
import { describe, expect, it } from "vitest";
import type { ConnectOptions } from "../../client/connect.js";
import { connectEnclave } from "../../client/connect.js";
import { utf8 } from "../../shared/bytes.js";
import { generateProofKey, hashOfToken } from "../../shared/proof-of-possession.js";
import { base64Of } from "../../shared/wire.js";
import { createDocumentMaker } from "../../simulator/nsm/document.js";
import { INSTANCE_ID, NOW, testPki } from "../simulator/fixtures.js";
import type { FakeParentOptions, Inner, Opened } from "./parent.js";
import { EXAMPLE_POLICY, fakeParent, refusal } from "./parent.js";

const KEY = "arn:aws:kms:us-east-1:111122223333:key/12345678-1234-1234-1234-123456789012";
const pki = await testPki();
const maker = await createDocumentMaker({ pki, instanceId: INSTANCE_ID });

/** A connected enclave whose operations `serve` answers, and what it found in the requests. */
async function connected(serve: NonNullable<FakeParentOptions["serve"]>, options: Partial<ConnectOptions> = {}) {
  const { fetch, sent, opened } = fakeParent({ maker, serve });
  const { trustAnchor } = pki;
  const given = { trustAnchor, policy: EXAMPLE_POLICY, clock: () => NOW, fetch, ...options };
  const enclave = await connectEnclave("http://parent.test", given);
  return { enclave, sent, operations: () => opened };
}

const honest = {
  "/v1/decrypt": { plaintext: base64Of(utf8("hello")), keyId: KEY },
  "/v1/data-keys": { plaintext: base64Of(new Uint8Array(32)), ciphertext: base64Of(utf8("sealed")), keyId: KEY },
  "/v1/random": { random: base64Of(utf8("1234")) },
  "/v1/messages/decrypt": { plaintext: base64Of(utf8("hello")), encryptionContext: { tenant: "acme" } },
  "/v1/messages/encrypt": { message: base64Of(utf8("new")), encryptionContext: { tenant: "acme" } },
  "/v1/messages/re-encrypt": { message: base64Of(utf8("new")), encryptionContext: { tenant: "acme" } },
  "/v1/caches/wipe": {},
  "/v1/functions/score": { output: { score: 7 } },
} as const;
const answerHonestly = ({ path }: Opened): Inner => ({ body: honest[path as keyof typeof honest] });

describe("operations", () => {
  it("decrypt sends what it was given and returns bytes", async () => {
    const { enclave, operations } = await connected(answerHonestly);
    const input = { ciphertext: utf8("sealed"), keyId: KEY, encryptionContext: { tenant: "acme" } };
    expect(await enclave.decrypt(input)).toEqual({ plaintext: utf8("hello"), keyId: KEY });
    expect(operations()).toMatchObject([
      { path: "/v1/decrypt", body: { ...input, ciphertext: base64Of(input.ciphertext) } },
    ]);
  });

  it("generateDataKey returns the key and its ciphertext", async () => {
    const { enclave, operations } = await connected(answerHonestly);
    const input = { keyId: KEY, keySpec: "AES_256" } as const;
    const output = { plaintext: new Uint8Array(32), ciphertext: utf8("sealed"), keyId: KEY };
    expect(await enclave.generateDataKey(input)).toEqual(output);
    expect(operations()).toMatchObject([{ path: "/v1/data-keys", body: input }]);
  });

  it("random returns bytes", async () => {
    const { enclave, operations } = await connected(answerHonestly);
    expect(await enclave.random(4)).toEqual(utf8("1234"));
    expect(operations()).toMatchObject([{ path: "/v1/random", body: { numberOfBytes: 4 } }]);
  });

  it("decryptMessage returns the plaintext and the whole context", async () => {
    const { enclave, operations } = await connected(answerHonestly);
    const output = { plaintext: utf8("hello"), encryptionContext: { tenant: "acme" } };
    expect(await enclave.decryptMessage({ message: utf8("message") })).toEqual(output);
    expect(operations()).toMatchObject([
      { path: "/v1/messages/decrypt", body: { message: base64Of(utf8("message")) } },
    ]);
  });
});

describe("messages that the enclave makes", () => {
  const wanted = { keyIds: [KEY, "alias/other"], encryptionContext: { tenant: "acme" }, signed: false };
  const made = { message: utf8("new"), encryptionContext: { tenant: "acme" } };

  it("encryptMessage sends plaintext, keys and context, and returns the message with its whole context", async () => {
    const { enclave, operations } = await connected(answerHonestly);
    expect(await enclave.encryptMessage({ ...wanted, plaintext: utf8("hello") })).toEqual(made);
    expect(await enclave.encryptMessage({ plaintext: new Uint8Array() })).toEqual(made);
    expect(operations().map(({ path, body }) => [path, body])).toEqual([
      ["/v1/messages/encrypt", { ...wanted, plaintext: base64Of(utf8("hello")) }],
      ["/v1/messages/encrypt", { plaintext: "" }],
    ]);
  });

  it("reEncryptMessage sends the message and what the new one is to be like", async () => {
    const { enclave, operations } = await connected(answerHonestly);
    expect(await enclave.reEncryptMessage({ ...wanted, message: utf8("old") })).toEqual(made);
    expect(operations().map(({ path, body }) => [path, body])).toEqual([
      ["/v1/messages/re-encrypt", { ...wanted, message: base64Of(utf8("old")) }],
    ]);
  });

  it("wipeCaches sends an empty object and returns nothing", async () => {
    const { enclave, operations } = await connected(answerHonestly);
    expect(await enclave.wipeCaches()).toBeUndefined();
    expect(operations()).toMatchObject([{ path: "/v1/caches/wipe", body: {} }]);
  });

  it("may have a context of as many pairs as one can choose, and that of its signature", async () => {
    const pairs = Object.fromEntries(Array.from({ length: 257 }, (_, index) => [`${index}`, ""]));
    const { enclave } = await connected(() => ({
      body: { ...honest["/v1/messages/encrypt"], encryptionContext: pairs },
    }));
    expect((await enclave.encryptMessage({ plaintext: utf8("x") })).encryptionContext).toEqual(pairs);
  });

  it.each<[string, (enclave: Awaited<ReturnType<typeof connected>>["enclave"]) => Promise<unknown>]>([
    [
      "a plaintext that is too large",
      (enclave) => enclave.encryptMessage({ plaintext: new Uint8Array(640 * 1024 + 1) }),
    ],
    ["no keys in the list", (enclave) => enclave.encryptMessage({ plaintext: utf8("x"), keyIds: [] })],
    ["an empty message", (enclave) => enclave.reEncryptMessage({ message: new Uint8Array() })],
  ])("are not asked for with %s: nothing is sent", async (_, ask) => {
    const { enclave, operations } = await connected(answerHonestly);
    await expect(ask(enclave)).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
    expect(operations()).toEqual([]);
  });

  it.each<[string, unknown]>([
    ["no message", { encryptionContext: {} }],
    ["an empty message", { message: "", encryptionContext: {} }],
    ["no context", { message: "AAAA" }],
    ["a plaintext beside it", { ...honest["/v1/messages/encrypt"], plaintext: "AAAA" }],
  ])("are refused when the answer has %s", async (_, body) => {
    const { enclave } = await connected(() => ({ body }));
    await expect(enclave.encryptMessage({ plaintext: utf8("x") })).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
    await expect(enclave.reEncryptMessage({ message: utf8("x") })).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
  });

  it("tell the enclave's refusal by its code", async () => {
    const { enclave } = await connected(() => refusal("ERR_NOT_AUTHORIZED"));
    await expect(enclave.encryptMessage({ plaintext: utf8("x") })).rejects.toThrowCode("ERR_NOT_AUTHORIZED");
    await expect(enclave.reEncryptMessage({ message: utf8("x") })).rejects.toThrowCode("ERR_NOT_AUTHORIZED");
    await expect(enclave.wipeCaches()).rejects.toThrowCode("ERR_NOT_AUTHORIZED");
  });
});

describe("functions", () => {
  it("are called by name, with a ciphertext, a message or neither, and an input", async () => {
    const { enclave, operations } = await connected(answerHonestly);
    const ciphertext = utf8("sealed");
    const output = await enclave.callFunction("score", { ciphertext, keyId: KEY, input: { limit: 3 } });
    expect(output).toEqual({ score: 7 });
    await enclave.callFunction("score", { message: utf8("message"), encryptionContext: { tenant: "acme" } });
    await enclave.callFunction("score", {});
    expect(operations()).toMatchObject([
      { path: "/v1/functions/score", body: { ciphertext: base64Of(ciphertext), keyId: KEY, input: { limit: 3 } } },
      { path: "/v1/functions/score", body: { message: base64Of(utf8("message")) } },
      { path: "/v1/functions/score", body: {} },
    ]);
  });
});

describe("who calls", () => {
  const token = "header.claims.signature";

  it("is told inside the sealed request and nowhere else", async () => {
    const { enclave, operations, sent } = await connected(answerHonestly, { token });
    await enclave.random(4);
    expect(operations()[0]?.fields).toEqual({
      "content-type": "application/json",
      date: NOW.toUTCString(),
      enclave: enclave.attestation.attestation.moduleId,
      authorization: `Bearer ${token}`,
    });
    const outer = JSON.stringify(sent.map(({ path, init }) => [path, init.headers]));
    expect(outer).not.toContain(token);
    for (const { body } of sent) expect(Buffer.from(body ?? "").includes(token)).toBe(false);
  });

  it("is asked for with every call", async () => {
    let asked = 0;
    const { enclave, operations } = await connected(answerHonestly, { token: async () => `token-${asked++}` });
    await enclave.random(4);
    await enclave.random(4);
    expect(operations().map(({ fields }) => fields.authorization)).toEqual(["Bearer token-0", "Bearer token-1"]);
  });

  it("with a bound token comes with a proof for each request, of this token and this path", async () => {
    const proofKey = await generateProofKey();
    const { enclave, operations } = await connected(answerHonestly, { token, proofKey });
    await enclave.random(4);
    await enclave.decrypt({ ciphertext: utf8("x") });
    const proofs = operations().map(({ fields }) => {
      expect(fields.authorization).toBe(`DPoP ${token}`);
      return JSON.parse(Buffer.from(fields.dpop?.split(".")[1] ?? "", "base64url").toString());
    });
    const common = { htm: "POST", ath: await hashOfToken(token), iat: Math.floor(NOW.getTime() / 1000) };
    expect(proofs).toMatchObject([
      { ...common, htu: "https://enclave.invalid/v1/random" },
      { ...common, htu: "https://enclave.invalid/v1/decrypt" },
    ]);
    expect(proofs[0].jti).not.toBe(proofs[1].jti);
  });

  it("a source of tokens that fails is told as it is, and nothing is sent", async () => {
    const failure = new Error("the identity provider is down");
    const { enclave, sent } = await connected(answerHonestly, { token: () => Promise.reject(failure) });
    await expect(enclave.random(4)).rejects.toBe(failure);
    expect(sent).toHaveLength(1);
  });
});

describe("refusals", () => {
  it("requests that no enclave would take are not sent", async () => {
    const { enclave, operations } = await connected(answerHonestly);
    const wrong = [
      () => enclave.decrypt({ ciphertext: new Uint8Array() }),
      () => enclave.decrypt({ ciphertext: new Uint8Array(6145) }),
      () => enclave.random(0),
      () => enclave.random(1025),
      () => enclave.generateDataKey({ keyId: "", keySpec: "AES_256" }),
      () => enclave.callFunction("score", { ciphertext: new Uint8Array() }),
    ];
    for (const call of wrong) await expect(call()).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
    expect(operations()).toEqual([]);
  });

  it("a refusal of the enclave arrives with its code", async () => {
    for (const code of ["ERR_KMS_DENIED", "ERR_NOT_AUTHORIZED", "ERR_FUNCTION_REFUSED", "ERR_REPLAYED"] as const) {
      const { enclave } = await connected(() => refusal(code));
      await expect(enclave.decrypt({ ciphertext: utf8("x") })).rejects.toThrowCode(code);
    }
  });

  it("an answer that lacks a field, has one more, or is not base64 is refused", async () => {
    const { keyId: _keyId, ...lacking } = honest["/v1/decrypt"];
    for (const body of [lacking, { ...honest["/v1/decrypt"], more: 1 }, { plaintext: "a", keyId: KEY }]) {
      const { enclave } = await connected(() => ({ body }));
      await expect(enclave.decrypt({ ciphertext: utf8("x") })).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
    }
  });

  it("pitfall 15: an answer over its limit is refused, and one without an end given up", async () => {
    const large = await connected(() => ({ body: new Uint8Array(33 * 1024) })); // within what its sealed form may have
    await expect(large.enclave.random(1)).rejects.toThrowCode("ERR_MESSAGE_TOO_LARGE");
    const larger = await connected(() => ({ body: new Uint8Array(66 * 1024) }));
    await expect(larger.enclave.random(1)).rejects.toThrowCode("ERR_MESSAGE_TOO_LARGE");
    const slow = await connected(() => new Promise(() => undefined), { deadlineMs: 50 });
    await expect(slow.enclave.random(1)).rejects.toThrowCode("ERR_TIMEOUT");
  });

  it("a call that its caller gave up rejects with the caller's reason", async () => {
    const { enclave, operations } = await connected(answerHonestly);
    const reason = new Error("no longer needed");
    await expect(enclave.random(1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(operations()).toEqual([]);
  });

  it("a token that does not come is waited for no longer than a call may take", async () => {
    const token = () => new Promise<string>(() => undefined);
    const { enclave, operations } = await connected(answerHonestly, { deadlineMs: 50, token });
    await expect(enclave.random(1)).rejects.toThrowCode("ERR_TIMEOUT");
    const reason = new Error("no longer needed");
    const leaving = new AbortController();
    const call = enclave.random(1, { signal: leaving.signal });
    leaving.abort(reason);
    await expect(call).rejects.toBe(reason);
    expect(operations()).toEqual([]);
  });
});

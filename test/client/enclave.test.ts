/** The operations of a connected enclave: bytes here, base64 there, and answers that are held to their form. */
import { describe, expect, it } from "vitest";
import { connectEnclave } from "../../client/connect.js";
import { utf8 } from "../../shared/bytes.js";
import { base64Of, problemOf } from "../../shared/wire.js";
import { createDocumentMaker } from "../../simulator/nsm/document.js";
import { INSTANCE_ID, NOW, testPki } from "../simulator/fixtures.js";
import type { Sent } from "./parent.js";
import { EXAMPLE_POLICY, fakeParent, json, streamed } from "./parent.js";

const KEY = "arn:aws:kms:us-east-1:111122223333:key/12345678-1234-1234-1234-123456789012";
const pki = await testPki();
const maker = await createDocumentMaker({ pki, instanceId: INSTANCE_ID });

/** A connected enclave whose operations `answer` answers, and what was sent to them. */
async function connected(answer: (sent: Sent) => Response | Promise<Response>, deadlineMs = 5_000) {
  const { fetch, sent } = fakeParent({
    maker,
    answer: (request) => (request.method === "POST" ? answer(request) : undefined),
  });
  const { trustAnchor } = pki;
  const options = { trustAnchor, policy: EXAMPLE_POLICY, clock: () => NOW, fetch, deadlineMs };
  const enclave = await connectEnclave("http://parent.test", options);
  return { enclave, operations: () => sent.slice(1) };
}

const honest = {
  "/v1/decrypt": { plaintext: base64Of(utf8("hello")), keyId: KEY },
  "/v1/data-keys": { plaintext: base64Of(new Uint8Array(32)), ciphertext: base64Of(utf8("sealed")), keyId: KEY },
  "/v1/random": { random: base64Of(utf8("1234")) },
  "/v1/messages/decrypt": { plaintext: base64Of(utf8("hello")), encryptionContext: { tenant: "acme" } },
} as const;
const answerHonestly = ({ path }: Sent): Response => json(honest[path as keyof typeof honest]);

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

describe("refusals", () => {
  it("requests that no enclave would take are not sent", async () => {
    const { enclave, operations } = await connected(answerHonestly);
    const wrong = [
      () => enclave.decrypt({ ciphertext: new Uint8Array() }),
      () => enclave.decrypt({ ciphertext: new Uint8Array(6145) }),
      () => enclave.random(0),
      () => enclave.random(1025),
      () => enclave.generateDataKey({ keyId: "", keySpec: "AES_256" }),
    ];
    for (const call of wrong) await expect(call()).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
    expect(operations()).toEqual([]);
  });

  it("a refusal of the enclave arrives with its code", async () => {
    const { enclave } = await connected(() => json(problemOf("ERR_KMS_DENIED", "r-1"), 403));
    await expect(enclave.decrypt({ ciphertext: utf8("x") })).rejects.toThrowCode("ERR_KMS_DENIED");
  });

  it("an answer that lacks a field, has one more, or is not base64 is refused", async () => {
    const { keyId: _keyId, ...lacking } = honest["/v1/decrypt"];
    for (const body of [lacking, { ...honest["/v1/decrypt"], more: 1 }, { plaintext: "a", keyId: KEY }]) {
      const { enclave } = await connected(() => json(body));
      await expect(enclave.decrypt({ ciphertext: utf8("x") })).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
    }
  });

  it("pitfall 15: an answer over its limit is refused, and one without an end given up", async () => {
    const large = await connected(() => streamed([new Uint8Array(33 * 1024)], "ends"));
    await expect(large.enclave.random(1)).rejects.toThrowCode("ERR_MESSAGE_TOO_LARGE");
    const slow = await connected(() => streamed([utf8("{")], "hangs"), 50);
    await expect(slow.enclave.random(1)).rejects.toThrowCode("ERR_TIMEOUT");
  });

  it("a call that its caller gave up rejects with the caller's reason", async () => {
    const { enclave, operations } = await connected(answerHonestly);
    const reason = new Error("no longer needed");
    await expect(enclave.random(1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(operations()).toEqual([]);
  });
});

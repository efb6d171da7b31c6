/** Simulated platform, enclave, parent and client together, in one process: what works, and what each of them refuses. */
import { DecryptCommand } from "@aws-sdk/client-kms";
import { describe, expect, it } from "vitest";
import { AWS_NITRO_ENCLAVES_ROOT_G1, connectEnclave } from "../../client/index.js";
import { utf8 } from "../../shared/bytes.js";
import type { ErrorCode } from "../../shared/errors.js";
import { base64Of, PROBLEM_JSON } from "../../shared/wire.js";
import { TENANT_POLICIES } from "../support/authorization.js";
import type { Stack } from "./stack.js";
import { ALIAS, CONTEXT, messageFor, startStack } from "./stack.js";

const SECRET = utf8("only the enclave sees this");

/** A request over the plain channel, as an application without the client would make it. */
async function plain({ parent, token }: Stack, operation: string, body: object) {
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  const response = await fetch(`${parent.url}/v1/${operation}`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

describe("an enclave that reaches KMS through the tunnel", () => {
  it("decrypts what the plain AWS SDK encrypted, by key ARN, by alias and without either", async () => {
    const stack = await startStack();
    const enclave = await stack.connect();
    const ciphertext = await stack.encrypt(SECRET);
    for (const named of [{ keyId: stack.keyArn }, { keyId: ALIAS }, {}]) {
      const output = await enclave.decrypt({ ciphertext, encryptionContext: CONTEXT, ...named });
      expect(output).toEqual({ plaintext: SECRET, keyId: stack.keyArn });
    }
  });

  it("makes data keys that open again, and random bytes", async () => {
    const stack = await startStack();
    const enclave = await stack.connect();
    for (const [keySpec, length] of [
      ["AES_128", 16],
      ["AES_256", 32],
    ] as const) {
      const dataKey = await enclave.generateDataKey({ keyId: stack.keyArn, keySpec, encryptionContext: CONTEXT });
      expect(dataKey.plaintext).toHaveLength(length);
      const { plaintext } = await enclave.decrypt({ ciphertext: dataKey.ciphertext, encryptionContext: CONTEXT });
      expect(plaintext).toEqual(dataKey.plaintext);
    }
    const [a, b] = await Promise.all([enclave.random(32), enclave.random(32)]);
    expect([a.length, b.length]).toEqual([32, 32]);
    expect(a).not.toEqual(b);
  });

  it("opens a message of the AWS Encryption SDK", async () => {
    const stack = await startStack();
    const enclave = await stack.connect();
    const output = await enclave.decryptMessage({
      message: await messageFor(stack, SECRET),
      encryptionContext: CONTEXT,
    });
    expect(output.plaintext).toEqual(SECRET);
    expect(output.encryptionContext).toMatchObject(CONTEXT);
  });

  it("becomes ready once KMS has answered an attested call", async () => {
    const { parent } = await startStack();
    const ready = await fetch(`${parent.url}/readyz`);
    expect(ready.status).toBe(200);
    expect((await fetch(`${parent.url}/healthz`)).status).toBe(200);
  });

  it("answers many at once", async () => {
    const stack = await startStack();
    const enclave = await stack.connect();
    const secrets = Array.from({ length: 20 }, (_, index) => utf8(`secret ${index}`));
    const ciphertexts = await Promise.all(secrets.map((secret) => stack.encrypt(secret)));
    const opened = await Promise.all(
      ciphertexts.map((ciphertext) => enclave.decrypt({ ciphertext, encryptionContext: CONTEXT })),
    );
    expect(opened.map(({ plaintext }) => plaintext)).toEqual(secrets);
  });

  it("pitfall 25: leaves no plaintext, and all that attests it, in the audit log of KMS", async () => {
    const stack = await startStack();
    const ciphertext = await stack.encrypt(SECRET);
    await (await stack.connect()).decrypt({ ciphertext, encryptionContext: CONTEXT });
    const { records } = stack.simulation.kms.auditLog;
    const decrypt = records.filter(({ eventName }) => eventName === "Decrypt").at(-1);
    expect(decrypt).toMatchObject({
      userIdentity: { type: "AssumedRole" },
      requestParameters: { encryptionContext: CONTEXT },
      additionalEventData: { recipient: { attestationDocumentEnclaveImageDigest: stack.policy.pcrs[0][0] } },
    });
    expect(decrypt?.errorCode).toBeUndefined();
    expect(JSON.stringify(records)).not.toContain("only the enclave");
  });
});

describe("refusals", () => {
  it("pitfall 5: a wrong context is refused, by the key policy or by the ciphertext", async () => {
    const stack = await startStack();
    const enclave = await stack.connect();
    const ciphertext = await stack.encrypt(SECRET);
    await enclave.decrypt({ ciphertext, encryptionContext: CONTEXT });
    const contexts: readonly [ErrorCode, Readonly<Record<string, string>>][] = [
      ["ERR_KMS_DENIED", {}],
      ["ERR_KMS_DENIED", { ...CONTEXT, tenant: "globex" }],
      ["ERR_KMS_REFUSED", { ...CONTEXT, record: "43" }],
      ["ERR_KMS_REFUSED", { tenant: "acme" }],
    ];
    for (const [code, encryptionContext] of contexts) {
      await expect(enclave.decrypt({ ciphertext, encryptionContext })).rejects.toThrowCode(code);
    }
  });

  it("pitfall 4: a key that the configuration does not name is refused before KMS is asked", async () => {
    const stack = await startStack();
    const enclave = await stack.connect();
    const ciphertext = await stack.encrypt(SECRET);
    const calls = stack.simulation.kms.auditLog.records.length;
    const other = stack.keyArn.replace(/[0-9a-f]{12}$/, "000000000000");
    for (const keyId of [other, "alias/other"]) {
      const input = { ciphertext, encryptionContext: CONTEXT, keyId };
      await expect(enclave.decrypt(input)).rejects.toThrowCode("ERR_KMS_KEY");
    }
    expect(stack.simulation.kms.auditLog.records).toHaveLength(calls);
  });

  it("a changed ciphertext is refused", async () => {
    const stack = await startStack();
    const enclave = await stack.connect();
    const ciphertext = await stack.encrypt(SECRET);
    const changed = ciphertext.map((byte, index) => (index === ciphertext.length - 1 ? byte ^ 1 : byte));
    const input = { ciphertext: changed, encryptionContext: CONTEXT };
    await expect(enclave.decrypt(input)).rejects.toThrowCode("ERR_KMS_REFUSED");
  });

  it("the parent's role and the key's administrator get nothing decrypted without the enclave", async () => {
    const stack = await startStack();
    const CiphertextBlob = await stack.encrypt(SECRET);
    for (const client of [stack.role, stack.operator]) {
      const command = new DecryptCommand({ CiphertextBlob, EncryptionContext: CONTEXT });
      await expect(client.send(command)).rejects.toMatchObject({ name: "AccessDeniedException" });
    }
  });

  it("pitfall 22: the simulated enclave is nobody under AWS's root", async () => {
    const { parent, policy } = await startStack();
    const trustAnchor = AWS_NITRO_ENCLAVES_ROOT_G1;
    await expect(connectEnclave(parent.url, { trustAnchor, policy })).rejects.toThrowCode("ERR_TRUST_ANCHOR");
  });

  it("pitfall 7: the client refuses it for one PCR that differs", async () => {
    const { parent, policy, simulation } = await startStack();
    const { trustAnchor } = simulation;
    const [reference] = policy.pcrs;
    for (const index of [0, 1, 2, 16]) {
      const pcrs = [{ ...reference, [index]: "ab".repeat(48) }] as const;
      const outcome = connectEnclave(parent.url, { trustAnchor, policy: { ...policy, pcrs } });
      await expect(outcome).rejects.toThrowCode("ERR_PCR_MISMATCH");
    }
  });

  it("the plain channel is closed but for what the configuration opens; sealed requests pass", async () => {
    const stack = await startStack({ openToParent: ["random"] });
    const enclave = await stack.connect();
    const ciphertext = await stack.encrypt(SECRET);
    await expect(enclave.decrypt({ ciphertext, encryptionContext: CONTEXT })).resolves.toMatchObject({
      plaintext: SECRET,
    });
    const body = { ciphertext: base64Of(ciphertext), encryptionContext: CONTEXT };
    const refusal = await plain(stack, "decrypt", body);
    expect(refusal).toMatchObject({ status: 403, body: { code: "ERR_CHANNEL_CLOSED" } });
    expect(await plain(stack, "random", { numberOfBytes: 1 })).toMatchObject({ status: 200 });
  });

  it("who has no token, or may not, gets nothing; KMS is not asked for him", async () => {
    const stack = await startStack({ authorization: { policies: TENANT_POLICIES } });
    const ciphertext = await stack.encrypt(SECRET);
    const calls = stack.simulation.kms.auditLog.records.length;
    const input = { ciphertext, encryptionContext: CONTEXT };
    const { trustAnchor } = stack.simulation;
    const nobody = await connectEnclave(stack.parent.url, { trustAnchor, policy: stack.policy });
    await expect(nobody.decrypt(input)).rejects.toThrowCode("ERR_TOKEN_MISSING");
    const stranger = await stack.connect(); // of tenant a, the context is acme's
    await expect(stranger.decrypt(input)).rejects.toThrowCode("ERR_NOT_AUTHORIZED");
    expect(stack.simulation.kms.auditLog.records).toHaveLength(calls);
  });

  it("pitfall 14: what passes through the parent holds nothing of a request or its answer", async () => {
    const stack = await startStack();
    const carried: Uint8Array[] = [];
    const recording: typeof fetch = async (input, init) => {
      if (init?.body instanceof Uint8Array) carried.push(init.body);
      const response = await fetch(input, init);
      carried.push(new Uint8Array(await response.clone().arrayBuffer()));
      return response;
    };
    const { trustAnchor } = stack.simulation;
    const options = { trustAnchor, policy: stack.policy, token: stack.token, fetch: recording };
    const enclave = await connectEnclave(stack.parent.url, options);
    const ciphertext = await stack.encrypt(SECRET);
    const { plaintext } = await enclave.decrypt({ ciphertext, encryptionContext: CONTEXT });
    expect(plaintext).toEqual(SECRET);
    const seen = carried.map((bytes) => Buffer.from(bytes).toString("latin1")).join();
    for (const text of [stack.token, base64Of(ciphertext), base64Of(SECRET), "only the enclave", CONTEXT.tenant]) {
      expect(seen).not.toContain(text);
    }
    expect(carried.length).toBe(3); // the document; the sealed request and its answer
  });

  it("every refusal is a problem document with a code and a request id", async () => {
    const { parent, token } = await startStack({ openToParent: ["decrypt", "random"] });
    const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
    const requests: readonly [ErrorCode, string, RequestInit][] = [
      ["ERR_NOT_FOUND", "/v1/nothing", { method: "POST", headers, body: "{}" }],
      ["ERR_MESSAGE_MALFORMED", "/v1/random", { method: "POST", headers, body: "{}" }],
      ["ERR_MESSAGE_MALFORMED", "/v1/random", { method: "POST", headers, body: "{" }],
      ["ERR_MESSAGE_MALFORMED", "/v1/random", { method: "POST", headers, body: '{"numberOfBytes":1,"debug":true}' }],
      ["ERR_MESSAGE_MALFORMED", "/attestation?nonce=short", {}],
      ["ERR_MESSAGE_TOO_LARGE", "/v1/decrypt", { method: "POST", headers, body: " ".repeat(70_000) }],
    ];
    for (const [code, path, init] of requests) {
      const response = await fetch(parent.url + path, init);
      expect(response.headers.get("content-type")).toContain(PROBLEM_JSON);
      const problem = { type: `urn:nitro-decrypt:error:${code}`, code, status: response.status };
      expect(await response.json()).toMatchObject({ ...problem, requestId: expect.stringMatching(/./) });
    }
  });
});

describe("an enclave that reaches KMS through the gateway", () => {
  it("opens messages with key commitment, and refuses every operation whose answer could be forged", async () => {
    const stack = await startStack({ transport: "gateway" });
    const enclave = await stack.connect();
    const { plaintext } = await enclave.decryptMessage({
      message: await messageFor(stack, SECRET),
      encryptionContext: CONTEXT,
    });
    expect(plaintext).toEqual(SECRET);
    const ciphertext = await stack.encrypt(SECRET);
    const calls = [
      () => enclave.decrypt({ ciphertext, encryptionContext: CONTEXT }),
      () => enclave.generateDataKey({ keyId: stack.keyArn, keySpec: "AES_256", encryptionContext: CONTEXT }),
      () => enclave.random(1),
    ];
    for (const call of calls) await expect(call()).rejects.toThrowCode("ERR_GATEWAY_REFUSED");
  });
});

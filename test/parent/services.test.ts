import { statSync } from "node:fs";
import { KMSClient } from "@aws-sdk/client-kms";
import { describe, expect, test } from "vitest";
import type { AwsCredentials } from "../../parent/credentials.js";
import { createCredentialsSource } from "../../parent/credentials.js";
import type { TlsCertificateSource } from "../../parent/services.js";
import type { ErrorCode } from "../../shared/errors.js";
import { ERRORS } from "../../shared/errors.js";
import { MAX_REQUEST_BYTES, PROBLEM_JSON } from "../../shared/wire.js";
import type { AddressResponse } from "../../transport/http.js";
import { requestOver } from "../../transport/http.js";
import { openParent } from "./fakes.js";

const NOW = new Date("2026-01-02T03:04:05Z");
const IN_AN_HOUR = new Date("2026-01-02T04:04:05Z");
const CREDENTIALS: AwsCredentials = {
  accessKeyId: "AKIDSECRET",
  secretAccessKey: "the-secret-key",
  sessionToken: "the-secret-token",
  expiration: IN_AN_HOUR,
};

const answering: Parameters<typeof openParent>[0] = (_request, response) => void response.end("{}");

const get = (address: string, path: string): Promise<AddressResponse> =>
  requestOver(address, { method: "GET", path, deadlineMs: 5_000, maxResponseBytes: 100_000 });

const post = (address: string, path: string, body: string, type = "application/json"): Promise<AddressResponse> =>
  requestOver(address, {
    method: "POST",
    path,
    headers: { "content-type": type },
    body: new TextEncoder().encode(body),
    deadlineMs: 5_000,
    maxResponseBytes: 100_000,
  });

const jsonOf = ({ body }: AddressResponse): unknown => JSON.parse(new TextDecoder().decode(body));

function expectProblem(answer: AddressResponse, code: ErrorCode): void {
  expect(jsonOf(answer)).toMatchObject({ code });
  expect(answer.status).toBe(ERRORS[code].status);
  expect(answer.headers["content-type"]).toContain(PROBLEM_JSON);
}

describe("GET /tls-certificate", () => {
  const OFFER = { chain: ["leaf", "intermediate"], privateKeyCiphertext: Uint8Array.of(1, 2, 3) };
  const offering = (tlsCertificate: TlsCertificateSource) => openParent(answering, { tlsCertificate });

  test("offers what its source gives, the private key's ciphertext in base64", async () => {
    const { servicesAddress } = await offering(async () => OFFER);
    const answer = await get(servicesAddress, "/tls-certificate");
    expect(answer.status).toBe(200);
    expect(jsonOf(answer)).toEqual({ chain: ["leaf", "intermediate"], privateKeyCiphertext: "AQID" });
  });

  test("asks its source each time, so that what was renewed is offered", async () => {
    let count = 0;
    const { servicesAddress } = await offering(async () => ({ ...OFFER, chain: [`leaf ${++count}`] }));
    await get(servicesAddress, "/tls-certificate");
    expect(jsonOf(await get(servicesAddress, "/tls-certificate"))).toMatchObject({ chain: ["leaf 2"] });
  });

  test("is not found where there is no source, or nothing in it", async () => {
    const without = await openParent(answering);
    expectProblem(await get(without.servicesAddress, "/tls-certificate"), "ERR_NOT_FOUND");
    const empty = await offering(async () => undefined);
    expectProblem(await get(empty.servicesAddress, "/tls-certificate"), "ERR_NOT_FOUND");
  });

  test("says that the source failed, and not how", async () => {
    const { servicesAddress } = await offering(() => Promise.reject(new Error("no file at /etc/secret")));
    const refusal = await get(servicesAddress, "/tls-certificate");
    expectProblem(refusal, "ERR_CERTIFICATE");
    expect(new TextDecoder().decode(refusal.body)).not.toContain("secret");
  });

  test("is for the enclave: clients of the API do not find it", async () => {
    const { url } = await offering(async () => OFFER);
    expect((await fetch(`${url}/tls-certificate`)).status).toBe(404);
  });
});

describe("GET /credentials", () => {
  const serving = (credentials: () => Promise<AwsCredentials>, now = NOW, limits = {}) =>
    openParent(answering, { credentials, clock: () => now, limits });

  test("hands over what the provider chain gives", async () => {
    const { servicesAddress } = await serving(async () => CREDENTIALS);
    const answer = await get(servicesAddress, "/credentials");
    expect(answer.status).toBe(200);
    expect(answer.headers["cache-control"]).toBe("no-store");
    expect(jsonOf(answer)).toEqual({ ...CREDENTIALS, expiration: "2026-01-02T04:04:05.000Z" });
  });

  test("leaves out what credentials without a session or term do not have", async () => {
    const { accessKeyId, secretAccessKey } = CREDENTIALS;
    const { servicesAddress } = await serving(async () => ({ accessKeyId, secretAccessKey, sessionToken: undefined }));
    expect(jsonOf(await get(servicesAddress, "/credentials"))).toEqual({ accessKeyId, secretAccessKey });
  });

  test("asks the chain each time, so that renewed credentials are handed over", async () => {
    let count = 0;
    const { servicesAddress } = await serving(async () => ({ ...CREDENTIALS, accessKeyId: `AKID${++count}` }));
    await get(servicesAddress, "/credentials");
    expect(jsonOf(await get(servicesAddress, "/credentials"))).toMatchObject({ accessKeyId: "AKID2" });
  });

  test("refuses when the chain fails, shows it in health, and recovers", async () => {
    const outcomes = [async () => Promise.reject(new Error("no role: the-secret-key")), async () => CREDENTIALS];
    const next = (): Promise<AwsCredentials> => (outcomes.shift() ?? (async () => CREDENTIALS))();
    const { url, servicesAddress } = await serving(next);
    const health = async () => (await (await fetch(`${url}/healthz`)).json()).parent;
    const refusal = await get(servicesAddress, "/credentials");
    expectProblem(refusal, "ERR_CREDENTIALS");
    expect(new TextDecoder().decode(refusal.body)).not.toContain("secret-key");
    expect(await health()).toMatchObject({ credentialsFailing: true, credentialsAgeSeconds: null });
    expect((await get(servicesAddress, "/credentials")).status).toBe(200);
    expect(await health()).toMatchObject({ credentialsFailing: false, credentialsAgeSeconds: 0 });
  });

  test("refuses credentials whose term is over, to the millisecond", async () => {
    const before = await serving(async () => CREDENTIALS, new Date(IN_AN_HOUR.getTime() - 1));
    expect((await get(before.servicesAddress, "/credentials")).status).toBe(200);
    const after = await serving(async () => CREDENTIALS, IN_AN_HOUR);
    expectProblem(await get(after.servicesAddress, "/credentials"), "ERR_CREDENTIALS");
  });

  test("does not wait for a chain that hangs", async () => {
    const { servicesAddress } = await serving(() => new Promise(() => undefined), NOW, { awsDeadlineMs: 30 });
    expectProblem(await get(servicesAddress, "/credentials"), "ERR_CREDENTIALS");
  });

  test("tells the age of what it handed over", async () => {
    let now = NOW;
    const source = createCredentialsSource(
      async () => CREDENTIALS,
      1_000,
      () => now,
    );
    expect(source.ageSeconds()).toBeUndefined();
    await source.take();
    now = new Date(NOW.getTime() + 90_000);
    expect(source.ageSeconds()).toBe(90);
  });

  test("pitfall 25: nothing of the credentials is logged or counted, and the socket is its owner's alone", async () => {
    const { url, servicesAddress, log } = await serving(async () => CREDENTIALS);
    await get(servicesAddress, "/credentials");
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('nitro_parent_credentials_total{code="OK"} 1');
    expect(metrics).toContain("nitro_parent_credentials_age_seconds 0");
    expect(log.text()).toContain('"route":"/credentials"');
    expect(log.text() + metrics).not.toMatch(/AKIDSECRET|the-secret/);
    expect(statSync(servicesAddress.slice("unix:".length)).mode & 0o777).toBe(0o600);
  });
});

interface KmsRequest {
  readonly target: string | undefined;
  readonly body: unknown;
}

/** The SDK's own client, with KMS replaced below it: it answers `status` and `body` to everything. */
function fakeKms(status: number, body: string) {
  const requests: KmsRequest[] = [];
  const client = new KMSClient({
    region: "us-east-1",
    credentials: { accessKeyId: "AKID", secretAccessKey: "secret" },
    maxAttempts: 1,
    requestHandler: {
      handle: async (request: { headers: Record<string, string>; body: Uint8Array }) => {
        requests.push({
          target: request.headers["x-amz-target"],
          body: JSON.parse(new TextDecoder().decode(request.body)),
        });
        if (status === 0) throw new Error("connection refused");
        const headers = { "content-type": "application/x-amz-json-1.1" };
        return { response: { statusCode: status, headers, body: new TextEncoder().encode(body) } };
      },
      destroy: () => undefined,
      updateHttpClientConfig: () => undefined,
      httpHandlerConfigs: () => ({}),
    },
  });
  return { client, requests };
}

describe("POST /kms", () => {
  const Recipient = { KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_256", AttestationDocument: "hEShATgioA==" };
  const decrypt = { CiphertextBlob: "AQIDBA==", EncryptionContext: { tenant: "a" }, KeyId: "alias/k", Recipient };
  const call = (body: object, target = "TrentService.Decrypt"): string => JSON.stringify({ target, body });
  const ANSWER = {
    CiphertextForRecipient: "MIAG",
    EncryptionAlgorithm: "SYMMETRIC_DEFAULT",
    KeyId: "arn:aws:kms:us-east-1:111122223333:key/k",
  };

  async function withGateway(status = 200, body: string = JSON.stringify(ANSWER)) {
    const kms = fakeKms(status, body);
    const { servicesAddress, log } = await openParent(answering, { gateway: { client: kms.client } });
    return { kms, log, ask: (text: string, type?: string) => post(servicesAddress, "/kms", text, type) };
  }

  test("is not there unless the gateway is configured", async () => {
    const { servicesAddress } = await openParent(answering);
    expectProblem(await post(servicesAddress, "/kms", call(decrypt)), "ERR_NOT_FOUND");
  });

  test("makes the Decrypt call as the enclave gave it, and hands KMS's answer on", async () => {
    const { kms, ask } = await withGateway();
    const answer = await ask(call(decrypt));
    expect(answer.status).toBe(200);
    expect(jsonOf(answer)).toEqual({ status: 200, body: ANSWER });
    expect(kms.requests).toEqual([{ target: "TrentService.Decrypt", body: decrypt }]);
  });

  test("makes the GenerateRandom call of the enclave's readiness", async () => {
    const { kms, ask } = await withGateway(200, '{"CiphertextForRecipient":"MIAG"}');
    const body = { NumberOfBytes: 32, Recipient };
    const answer = await ask(call(body, "TrentService.GenerateRandom"));
    expect(jsonOf(answer)).toEqual({ status: 200, body: { CiphertextForRecipient: "MIAG" } });
    expect(kms.requests).toEqual([{ target: "TrentService.GenerateRandom", body }]);
  });

  test("hands on what KMS refuses, with its status and type", async () => {
    const { ask } = await withGateway(400, '{"__type":"AccessDeniedException","message":"not you"}');
    const refusal = { status: 400, body: { __type: "AccessDeniedException", message: "not you" } };
    expect(jsonOf(await ask(call(decrypt)))).toEqual(refusal);
  });

  test("pitfall 2: hands a plaintext on for the enclave to see and refuse, rather than hide it", async () => {
    const { ask } = await withGateway(200, JSON.stringify({ ...ANSWER, Plaintext: "c2VjcmV0" }));
    expect(jsonOf(await ask(call(decrypt)))).toMatchObject({ body: { Plaintext: "c2VjcmV0" } });
  });

  test("says that KMS cannot be reached", async () => {
    const { ask } = await withGateway(0);
    expectProblem(await ask(call(decrypt)), "ERR_KMS_UNAVAILABLE");
  });

  const { Recipient: _dropped, ...withoutRecipient } = decrypt;
  test.each([
    ["no Recipient", call(withoutRecipient), "ERR_GATEWAY_REFUSED"],
    ["a null Recipient", call({ ...decrypt, Recipient: null }), "ERR_GATEWAY_REFUSED"],
    ["a Recipient without a document", call({ ...decrypt, Recipient: {} }), "ERR_MESSAGE_MALFORMED"],
    [
      "an empty document",
      call({ ...decrypt, Recipient: { ...Recipient, AttestationDocument: "" } }),
      "ERR_MESSAGE_MALFORMED",
    ],
    [
      "another key encryption",
      call({ ...decrypt, Recipient: { ...Recipient, KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_1" } }),
      "ERR_MESSAGE_MALFORMED",
    ],
    [
      "random bytes without Recipient",
      call({ NumberOfBytes: 32 }, "TrentService.GenerateRandom"),
      "ERR_GATEWAY_REFUSED",
    ],
  ] as const)("pitfall 2: does not call KMS with %s", async (_what, text, code) => {
    const { kms, ask } = await withGateway();
    expectProblem(await ask(text), code);
    expect(kms.requests).toEqual([]);
  });

  test.each([
    "TrentService.GenerateDataKey",
    "TrentService.GenerateDataKeyPair",
    "TrentService.DeriveSharedSecret",
    "TrentService.Encrypt",
    "TrentService.PutKeyPolicy",
    "Decrypt",
    "constructor",
  ])("does not call KMS for %s", async (target) => {
    const { kms, ask } = await withGateway();
    expectProblem(await ask(call(decrypt, target)), "ERR_GATEWAY_REFUSED");
    expect(kms.requests).toEqual([]);
  });

  test.each([
    ["what is not JSON", "{", "ERR_MESSAGE_MALFORMED"],
    ["an unknown field", call({ ...decrypt, DryRun: true }), "ERR_MESSAGE_MALFORMED"],
    ["a ciphertext that is not base64", call({ ...decrypt, CiphertextBlob: "*" }), "ERR_MESSAGE_MALFORMED"],
    ["no ciphertext", call({ Recipient }), "ERR_MESSAGE_MALFORMED"],
    [
      "an unknown field beside the body",
      JSON.stringify({ target: "TrentService.Decrypt", body: decrypt, x: 1 }),
      "ERR_MESSAGE_MALFORMED",
    ],
    ["no body", "", "ERR_MESSAGE_MALFORMED"],
    ["more than the limit", " ".repeat(MAX_REQUEST_BYTES + 1), "ERR_MESSAGE_TOO_LARGE"],
  ] as const)("refuses %s", async (_what, text, code) => {
    const { kms, ask } = await withGateway();
    expectProblem(await ask(text), code);
    expect(kms.requests).toEqual([]);
  });

  test("refuses another media type than JSON", async () => {
    const { ask } = await withGateway();
    expectProblem(await ask(call(decrypt), "text/plain"), "ERR_CONTENT_TYPE");
  });

  test("pitfall 25: nothing of the call is logged", async () => {
    const { ask, log } = await withGateway();
    await ask(call(decrypt));
    await ask(call(decrypt)); // by now the line of the first one has been written
    expect(log.text()).toContain('"route":"/kms"');
    expect(log.text()).not.toMatch(/AQIDBA|MIAG|tenant/);
  });
});

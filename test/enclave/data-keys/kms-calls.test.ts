/** The three calls to KMS for data keys: which client makes them, and what becomes of their failures. */
import type { KMSClient } from "@aws-sdk/client-kms";
import { describe, expect, it } from "vitest";
import { kmsCalls } from "../../../enclave/data-keys/kms-calls.js";
import { KmsHealth } from "../../../enclave/health.js";
import type { RegionalKms } from "../../../enclave/kms/regional-kms.js";
import { toBase64, utf8 } from "../../../shared/bytes.js";
import { ServiceError } from "../../../shared/errors.js";
import type { Json } from "../fakes.js";
import { fakeKms, KEY_ARN, TestClock, testKeys } from "../fakes.js";
import { regionalKms } from "../regional.js";

const over = (client: KMSClient): RegionalKms => regionalKms([{ region: "us-east-1", client }]).kms;

const request = { KeyId: KEY_ARN, EncryptionContext: { tenant: "a" } };

function setUp(answer: () => Json | Promise<Json> = () => ({ KeyId: KEY_ARN })) {
  const [opening, making] = [fakeKms(answer), fakeKms(answer)];
  const health = new KmsHealth(new TestClock());
  const [openingKms, makingKms] = [opening, making].map(({ client }) => over(client)) as [RegionalKms, RegionalKms];
  const callsOf = (make: () => RegionalKms = () => makingKms) =>
    kmsCalls({ opening: openingKms, openingKeys: testKeys(), making: make, makingKeys: testKeys(), health });
  return { opening, making, health, callsOf };
}

describe("calls for data keys", () => {
  it("are made by the client for what they do, with what the keyring asked", async () => {
    const { opening, making, callsOf } = setUp();
    const kms = callsOf()(undefined);
    await kms.decrypt({ ...request, CiphertextBlob: utf8("wrapped") });
    await kms.generateDataKey({ ...request, NumberOfBytes: 32 });
    await kms.encrypt({ ...request, Plaintext: utf8("key") });
    expect(opening.calls).toEqual([
      { operation: "Decrypt", body: { ...request, CiphertextBlob: toBase64(utf8("wrapped")) } },
    ]);
    expect(making.calls.map(({ operation }) => operation)).toEqual(["GenerateDataKey", "Encrypt"]);
  });

  it("pitfall 1: make no data key where the transport makes none", async () => {
    const { making, callsOf } = setUp();
    const kms = callsOf(() => {
      throw new ServiceError("ERR_GATEWAY_REFUSED", "not over the gateway");
    })(undefined);
    await expect(kms.generateDataKey(request)).rejects.toThrowCode("ERR_GATEWAY_REFUSED");
    await expect(kms.encrypt({ ...request, Plaintext: utf8("key") })).rejects.toThrowCode("ERR_GATEWAY_REFUSED");
    await expect(kms.decrypt({ ...request, CiphertextBlob: utf8("x") })).resolves.toBeDefined();
    expect(making.calls).toEqual([]);
  });

  it("that fail are told by code, and health sees them", async () => {
    const { health, callsOf } = setUp(() => ({ $status: 500, __type: "KMSInternalException" }));
    await expect(callsOf()(undefined).generateDataKey(request)).rejects.toThrowCode("ERR_KMS_UNAVAILABLE");
    expect(health.state).toMatchObject({ status: "failed", failure: "ERR_KMS_UNAVAILABLE" });
  });

  it("are given up when nobody waits any more", async () => {
    const leaving = new AbortController();
    const handle = (_: unknown, { abortSignal }: { abortSignal?: AbortSignal } = {}) =>
      new Promise<never>((_resolve, reject) => {
        abortSignal?.addEventListener("abort", () => reject(Object.assign(new Error("gone"), { name: "AbortError" })));
        leaving.abort();
      });
    const { client } = fakeKms(() => ({}), { requestHandler: { handle, metadata: { handlerProtocol: "http/1.1" } } });
    const keys = { openingKeys: testKeys(), makingKeys: testKeys() };
    const kms = over(client);
    const calls = kmsCalls({ opening: kms, making: () => kms, ...keys, health: new KmsHealth(new TestClock()) });
    const asked = calls(leaving.signal).decrypt({ ...request, CiphertextBlob: utf8("x") });
    await expect(asked).rejects.toThrowCode("ERR_TIMEOUT");
  });
});

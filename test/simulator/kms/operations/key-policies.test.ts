/** Key policies as documents, through the unmodified AWS SDK: names, lengths, and the check against locking everybody out. */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  GetKeyPolicyCommand,
  ListKeyPoliciesCommand,
  PutKeyPolicyCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../../shared/attestation/trust-anchor.js";
import type { SimulatedKms } from "../../../../simulator/endpoint/server.js";
import { startKms } from "../../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../../support/simulated-kms.js";
import { clockAt } from "../../fixtures.js";

const clock = clockAt();
let kms: SimulatedKms;
let client: KMSClient;
let KeyId: string;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  client = kmsClient(kms, clock);
  KeyId = await newKey();
});

afterAll(async () => {
  client.destroy();
  await kms.close();
});

const newKey = async (options: ConstructorParameters<typeof CreateKeyCommand>[0] = {}): Promise<string> =>
  (await client.send(new CreateKeyCommand(options))).KeyMetadata?.Arn ?? "";
const put = (Policy: string, options: object = {}) =>
  client.send(new PutKeyPolicyCommand({ KeyId, Policy, ...options }));

const OPEN = { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" };
const policyOf = (...Statement: readonly object[]) => JSON.stringify({ Version: "2012-10-17", Statement });
const open = (Condition: object) => policyOf({ ...OPEN, Condition });
const LOCKED_OUT = {
  name: "MalformedPolicyDocumentException",
  message: "The new key policy will not allow you to update the key policy in the future.",
};

describe("ListKeyPolicies", () => {
  it("lists the one that every key has", async () => {
    const { PolicyNames, Truncated, NextMarker } = await client.send(new ListKeyPoliciesCommand({ KeyId, Limit: 1 }));
    expect([PolicyNames, Truncated, NextMarker]).toEqual([["default"], false, undefined]);
    const elsewhere = client.send(new ListKeyPoliciesCommand({ KeyId, Marker: "default" }));
    expect(await errorNameOf(elsewhere)).toBe("InvalidMarkerException");
  });
});

describe("GetKeyPolicy and PutKeyPolicy", () => {
  it.each([
    ["another name", { PolicyName: "other" }, "NotFoundException", "No such policy exists"],
    ["an alias", { KeyId: "alias/a" }, "InvalidArnException", "Key Aliases are not supported for this operation."],
  ])("refuse %s", async (_, changes, name, message) => {
    expect(await errorOf(client.send(new GetKeyPolicyCommand({ KeyId, ...changes })))).toEqual({ name, message });
    expect(await errorOf(put(policyOf(OPEN), changes))).toEqual({ name, message });
  });

  it("take 32 KiB and no more, and CreateKey does not either", async () => {
    const filled = (bytes: number) => policyOf(OPEN).padEnd(bytes, " ");
    await put(filled(32_768));
    expect(await errorNameOf(put(filled(32_769)))).toBe("LimitExceededException");
    expect(await errorNameOf(put(policyOf(OPEN).replace("*", "\u00E9".repeat(16_384))))).toBe("LimitExceededException");
    expect(await errorNameOf(newKey({ Policy: filled(32_769) }))).toBe("LimitExceededException");
    expect((await client.send(new GetKeyPolicyCommand({ KeyId }))).Policy).toBe(filled(32_768));
  });
});

describe("the check against locking everybody out", () => {
  it.each<[string, object, boolean]>([
    ["what holds of the key", { StringEquals: { "kms:KeySpec": "SYMMETRIC_DEFAULT" } }, true],
    ["what does not hold of the key", { StringEquals: { "kms:KeySpec": "RSA_2048" } }, false],
    ["that the check is not bypassed", { Bool: { "kms:BypassPolicyLockoutSafetyCheck": "false" } }, true],
    ["that it is", { Bool: { "kms:BypassPolicyLockoutSafetyCheck": "true" } }, false],
    ["where the caller is", { IpAddress: { "aws:SourceIp": "127.0.0.1" } }, true],
    ["where the caller is not", { IpAddress: { "aws:SourceIp": "192.0.2.1" } }, false],
  ])("weighs a condition on %s", async (_, condition, passes) => {
    const policy = open(condition);
    const none = { name: "no error", message: "" };
    expect(await errorOf(newKey({ Policy: policy }))).toEqual(passes ? none : LOCKED_OUT);
    KeyId = await newKey();
    expect(await errorOf(put(policy))).toEqual(passes ? none : LOCKED_OUT);
    await newKey({ Policy: policy, BypassPolicyLockoutSafetyCheck: true });
    KeyId = await newKey();
    await put(policy, { BypassPolicyLockoutSafetyCheck: true });
  });

  it("looks at the key policy alone: who may only make keys can make one", async () => {
    const policies = [JSON.stringify({ Statement: { Effect: "Allow", Action: "kms:CreateKey", Resource: "*" } })];
    const maker = kmsClient(kms, clock, kms.principals.addUser({ name: "maker", policies }));
    await maker.send(new CreateKeyCommand({}));
    maker.destroy();
  });

  it("can be held to by policy", async () => {
    KeyId = await newKey();
    const bypassed = { Bool: { "kms:BypassPolicyLockoutSafetyCheck": "true" } };
    await put(policyOf(OPEN, { ...OPEN, Effect: "Deny", Action: "kms:PutKeyPolicy", Condition: bypassed }));
    expect(await errorNameOf(put(policyOf(OPEN), { BypassPolicyLockoutSafetyCheck: true }))).toBe(
      "AccessDeniedException",
    );
    await put(policyOf(OPEN));
  });
});

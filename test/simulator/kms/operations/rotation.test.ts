/** Rotation through the unmodified AWS SDK, at times that the test sets: schedules, on demand, what the old material still does. */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CancelKeyDeletionCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  DisableKeyRotationCommand,
  EnableKeyCommand,
  EnableKeyRotationCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GetKeyRotationStatusCommand,
  ListKeyRotationsCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
} from "@aws-sdk/client-kms";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../../shared/bytes.js";
import type { SimulatedKms } from "../../../../simulator/endpoint/server.js";
import { startKms } from "../../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../../support/simulated-kms.js";
import type { SetClock } from "../../fixtures.js";
import { clockAt, DAY } from "../../fixtures.js";

const Plaintext = utf8("a secret");
let clock: SetClock;
let kms: SimulatedKms;
let client: KMSClient;
let KeyId: string;

beforeEach(async () => {
  clock = clockAt();
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  client = kmsClient(kms, clock);
  KeyId = await newKey();
});

afterEach(async () => {
  client.destroy();
  await kms.close();
});

async function newKey(options: object = {}): Promise<string> {
  const command = new CreateKeyCommand({});
  Object.assign(command.input, options);
  return (await client.send(command)).KeyMetadata?.Arn ?? "";
}

/** Lets time pass. The SDK's clock goes with it. */
function pass(days: number): void {
  clock.advance(days * DAY);
  client.destroy();
  client = kmsClient(kms, clock);
}

/** Dates on the wire are whole milliseconds. */
const daysLater = (days: number, from = clock()) => new Date(from.getTime() + days * DAY);

const enable = (RotationPeriodInDays?: number, key = KeyId) =>
  client.send(new EnableKeyRotationCommand({ KeyId: key, RotationPeriodInDays }));
const disable = (key = KeyId) => client.send(new DisableKeyRotationCommand({ KeyId: key }));
const rotate = (key = KeyId) => client.send(new RotateKeyOnDemandCommand({ KeyId: key }));
const encrypt = async () => (await client.send(new EncryptCommand({ KeyId, Plaintext }))).CiphertextBlob;
const decrypt = (CiphertextBlob: Uint8Array | undefined) => client.send(new DecryptCommand({ CiphertextBlob }));

async function statusOf(key = KeyId) {
  const { $metadata: _, ...status } = await client.send(new GetKeyRotationStatusCommand({ KeyId: key }));
  return status;
}

async function rotationsOf(options: object = {}) {
  const command = new ListKeyRotationsCommand({ KeyId });
  Object.assign(command.input, options);
  return (await client.send(command)).Rotations ?? [];
}

const currentIdOf = async () =>
  (await client.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.CurrentKeyMaterialId ?? "";

describe("automatic rotation", () => {
  it("is off at first, has a year as its period, and ends when it is disabled", async () => {
    expect(await statusOf()).toEqual({ KeyId, KeyRotationEnabled: false });
    await enable();
    expect(await statusOf()).toEqual({
      ...{ KeyId, KeyRotationEnabled: true, RotationPeriodInDays: 365 },
      NextRotationDate: daysLater(365),
    });
    await disable();
    expect(await statusOf()).toEqual({ KeyId, KeyRotationEnabled: false });
    pass(400);
    expect(await rotationsOf()).toEqual([]);
  });

  it("makes new material at its date; the old one still decrypts", async () => {
    const [start, first, old] = [clock(), await currentIdOf(), await encrypt()];
    await enable(90);
    pass(89);
    expect(await currentIdOf()).toBe(first);
    pass(1);
    const second = await currentIdOf();
    expect(second).toMatch(/^[0-9a-f]{64}$/);
    expect(second).not.toBe(first);
    expect(await decrypt(old)).toMatchObject({ Plaintext, KeyMaterialId: first });
    expect(await decrypt(await encrypt())).toMatchObject({ Plaintext, KeyMaterialId: second });
    expect((await client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256" }))).KeyMaterialId).toBe(second);
    expect(await rotationsOf()).toEqual([
      {
        ...{ KeyId, KeyMaterialId: second, KeyMaterialState: "CURRENT", RotationType: "AUTOMATIC" },
        RotationDate: daysLater(90, start),
      },
    ]);
    expect((await statusOf()).NextRotationDate).toEqual(daysLater(180, start));
    const again = await client.send(new ReEncryptCommand({ CiphertextBlob: old, DestinationKeyId: KeyId }));
    expect(again).toMatchObject({ SourceKeyMaterialId: first, DestinationKeyMaterialId: second });
  });

  it("catches up with every period that nobody looked in", async () => {
    const start = clock();
    await enable(100);
    pass(1050);
    const dates = (await rotationsOf()).map(({ RotationDate }) => RotationDate);
    expect(dates).toEqual(Array.from({ length: 10 }, (_, index) => daysLater(100 * (index + 1), start)));
    expect(await rotationsOf({ IncludeKeyMaterial: "ALL_KEY_MATERIAL" })).toHaveLength(11);
    expect((await statusOf()).NextRotationDate).toEqual(daysLater(1100, start));
  });

  it("rests while the key is disabled, and then comes once and at once", async () => {
    await enable(90);
    await client.send(new DisableKeyCommand({ KeyId }));
    pass(400);
    expect(await rotationsOf()).toEqual([]);
    expect((await statusOf()).KeyRotationEnabled).toBe(true);
    await client.send(new EnableKeyCommand({ KeyId }));
    expect((await rotationsOf()).map(({ RotationDate }) => RotationDate)).toEqual([clock()]);
    expect((await statusOf()).NextRotationDate).toEqual(daysLater(90));
  });

  it("is off for a key that is to go, and on again when it stays", async () => {
    await enable(90);
    await client.send(new ScheduleKeyDeletionCommand({ KeyId }));
    expect(await statusOf()).toEqual({ KeyId, KeyRotationEnabled: false });
    await client.send(new CancelKeyDeletionCommand({ KeyId }));
    expect((await statusOf()).KeyRotationEnabled).toBe(true);
  });

  it.each([
    [
      89,
      "Value '89' at 'rotationPeriodInDays' failed to satisfy constraint: Member must have value greater than or equal to 90",
    ],
    [
      2561,
      "Value '2561' at 'rotationPeriodInDays' failed to satisfy constraint: Member must have value less than or equal to 2560",
    ],
  ])("refuses a period of %i days", async (days, text) => {
    await enable(90);
    await enable(2560);
    expect(await errorOf(enable(days))).toEqual({
      name: "ValidationException",
      message: `1 validation error detected: ${text}`,
    });
  });

  it("refuses keys of other kinds and in other states in AWS's words", async () => {
    const rsa = await newKey({ KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" });
    expect(await errorNameOf(enable(90, rsa))).toBe("UnsupportedOperationException");
    expect(await errorNameOf(disable(rsa))).toBe("no error");
    expect(await statusOf(rsa)).toEqual({ KeyId: rsa, KeyRotationEnabled: false });
    const external = await newKey({ Origin: "EXTERNAL" });
    for (const attempt of [() => enable(90, external), () => disable(external)]) {
      expect(await errorOf(attempt())).toEqual({
        name: "UnsupportedOperationException",
        message: `${external} origin is EXTERNAL which is not valid for this operation.`,
      });
    }
    await client.send(new DisableKeyCommand({ KeyId }));
    for (const attempt of [() => enable(), () => disable()]) {
      expect(await errorOf(attempt())).toEqual({ name: "DisabledException", message: `${KeyId} is disabled.` });
    }
    await client.send(new ScheduleKeyDeletionCommand({ KeyId }));
    expect(await errorOf(enable())).toEqual({
      name: "KMSInvalidStateException",
      message: `${KeyId} is pending deletion.`,
    });
  });

  it("tells policies the period", async () => {
    await limitPeriod("180");
    await enable(180);
    expect(await errorNameOf(enable(181))).toBe("AccessDeniedException");
    expect(await errorNameOf(enable())).toBe("AccessDeniedException");
  });
});

async function limitPeriod(days: string): Promise<void> {
  const open = { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" };
  const Condition = { NumericGreaterThan: { "kms:RotationPeriodInDays": days } };
  const deny = { ...open, Effect: "Deny", Action: "kms:EnableKeyRotation", Condition };
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [open, deny] });
  await client.send(new PutKeyPolicyCommand({ KeyId, Policy }));
}

describe("RotateKeyOnDemand", () => {
  it("makes new material now, and leaves the schedule alone", async () => {
    await enable();
    const [first, old, status] = [await currentIdOf(), await encrypt(), await statusOf()];
    expect((await rotate()).KeyId).toBe(KeyId);
    expect(await statusOf()).toEqual(status);
    const second = await currentIdOf();
    expect(await decrypt(old)).toMatchObject({ Plaintext, KeyMaterialId: first });
    expect(await rotationsOf({ IncludeKeyMaterial: "ALL_KEY_MATERIAL" })).toEqual([
      { KeyId, KeyMaterialId: first, KeyMaterialState: "NON_CURRENT" },
      {
        ...{ KeyId, KeyMaterialId: second, KeyMaterialState: "CURRENT", RotationType: "ON_DEMAND" },
        RotationDate: clock(),
      },
    ]);
  });

  it("happens 25 times; every material decrypts what it encrypted", async () => {
    const sealed = [await encrypt()];
    for (let count = 0; count < 25; count += 1) {
      await rotate();
      sealed.push(await encrypt());
    }
    expect(await errorOf(rotate())).toEqual({
      name: "LimitExceededException",
      message: `The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: ${KeyId}`,
    });
    const used = await Promise.all(sealed.map(async (blob) => (await decrypt(blob)).KeyMaterialId));
    expect(new Set(used).size).toBe(26);
  });

  it("does not come close to an automatic rotation", async () => {
    await enable(90);
    pass(90 - 20 / (24 * 60));
    expect(await errorNameOf(rotate())).toBe("ConflictException");
    pass(1);
    expect(await errorNameOf(rotate())).toBe("no error");
  });

  it("refuses keys of other kinds and in other states in AWS's words", async () => {
    const rsa = await newKey({ KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" });
    expect(await errorNameOf(rotate(rsa))).toBe("UnsupportedOperationException");
    await client.send(new DisableKeyCommand({ KeyId: rsa }));
    expect(await errorOf(rotate(rsa))).toEqual({ name: "DisabledException", message: `${rsa} is disabled.` });
    const external = await newKey({ Origin: "EXTERNAL" });
    expect(await errorOf(rotate(external))).toEqual({
      name: "KMSInvalidStateException",
      message: `${external} is pending import.`,
    });
    await client.send(new ScheduleKeyDeletionCommand({ KeyId }));
    expect(await errorOf(rotate())).toEqual({
      name: "KMSInvalidStateException",
      message: `${KeyId} is pending deletion.`,
    });
  });
});

describe("ListKeyRotations", () => {
  it("comes in pages, oldest first", async () => {
    for (let count = 0; count < 3; count += 1) await rotate();
    const all = await rotationsOf();
    const first = await client.send(new ListKeyRotationsCommand({ KeyId, Limit: 2 }));
    expect(first).toMatchObject({ Rotations: all.slice(0, 2), Truncated: true });
    const rest = await client.send(new ListKeyRotationsCommand({ KeyId, Limit: 2, Marker: first.NextMarker }));
    expect(rest).toMatchObject({ Rotations: all.slice(2), Truncated: false });
    expect(rest.NextMarker).toBeUndefined();
  });

  it("is for symmetric keys", async () => {
    const hmac = await newKey({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" });
    const attempt = client.send(new ListKeyRotationsCommand({ KeyId: hmac }));
    expect(await errorNameOf(attempt)).toBe("UnsupportedOperationException");
  });
});

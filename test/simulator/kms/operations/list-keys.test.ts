/** ListKeys, UpdateKeyDescription and the switches, through the unmodified AWS SDK. */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  ListKeysCommand,
  paginateListKeys,
  UpdateKeyDescriptionCommand,
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
const keys: { KeyId: string; KeyArn: string }[] = [];

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  client = kmsClient(kms, clock);
  for (let n = 0; n < 7; n += 1) {
    const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
    keys.push({ KeyId: KeyMetadata?.KeyId ?? "", KeyArn: KeyMetadata?.Arn ?? "" });
  }
  keys.sort((a, b) => (a.KeyId < b.KeyId ? -1 : 1));
});

afterAll(async () => {
  client.destroy();
  await kms.close();
});

const list = (input: ConstructorParameters<typeof ListKeysCommand>[0] = {}, from = client) =>
  from.send(new ListKeysCommand(input));

describe("ListKeys", () => {
  it("lists every key by id, in as many pages as asked", async () => {
    expect((await list()).Keys).toEqual(keys);
    const pages: unknown[] = [];
    for await (const { Keys } of paginateListKeys({ client, pageSize: 3 }, {})) pages.push(Keys);
    expect(pages).toEqual([keys.slice(0, 3), keys.slice(3, 6), keys.slice(6)]);
  });

  it("goes on where it was, though keys come in between", async () => {
    const { NextMarker: Marker } = await list({ Limit: 6 });
    const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
    const rest = (await list({ Marker })).Keys?.map(({ KeyId }) => KeyId) ?? [];
    const added = KeyMetadata?.KeyId ?? "";
    expect(rest.filter((id) => id !== added)).toEqual([keys[6]?.KeyId]);
    expect(rest.includes(added)).toBe(added > (keys[5]?.KeyId ?? ""));
  });

  it("shares nothing between accounts", async () => {
    const stranger = kmsClient(kms, clock, kms.principals.addRoot({ accountId: "444455556666" }));
    const { NextMarker: Marker } = await list({ Limit: 1 });
    expect((await list({}, stranger)).Keys).toEqual([]);
    expect(await errorNameOf(list({ Marker }, stranger))).toBe("InvalidMarkerException");
    stranger.destroy();
  });

  it.each([
    [
      { Limit: 0 },
      "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ],
    [
      { Limit: 1001 },
      "1 validation error detected: Value '1001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 1000",
    ],
  ])("refuses %j", async (input, message) => {
    expect(await errorOf(list(input))).toEqual({ name: "ValidationException", message });
  });
});

describe("UpdateKeyDescription, EnableKey and DisableKey", () => {
  const described = async (KeyId: string) => (await client.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata;

  it("change the key, and do so twice without a word", async () => {
    const { KeyId = "" } = keys[0] ?? {};
    for (const Description of ["new", "new", ""]) {
      await client.send(new UpdateKeyDescriptionCommand({ KeyId, Description }));
      expect((await described(KeyId))?.Description).toBe(Description);
    }
    await client.send(new DisableKeyCommand({ KeyId }));
    await client.send(new DisableKeyCommand({ KeyId }));
    expect(await described(KeyId)).toMatchObject({ Enabled: false, KeyState: "Disabled" });
    await client.send(new EnableKeyCommand({ KeyId }));
    await client.send(new EnableKeyCommand({ KeyId }));
    expect(await described(KeyId)).toMatchObject({ Enabled: true, KeyState: "Enabled" });
  });

  it("take no aliases, and 8192 characters", async () => {
    const refused = { name: "InvalidArnException", message: "Key Aliases are not supported for this operation." };
    const KeyId = "alias/none";
    expect(await errorOf(client.send(new UpdateKeyDescriptionCommand({ KeyId, Description: "" })))).toEqual(refused);
    expect(await errorOf(client.send(new EnableKeyCommand({ KeyId })))).toEqual(refused);
    expect(await errorOf(client.send(new DisableKeyCommand({ KeyId })))).toEqual(refused);
    const long = (length: number) => ({ KeyId: keys[0]?.KeyId ?? "", Description: "d".repeat(length) });
    await client.send(new UpdateKeyDescriptionCommand(long(8192)));
    expect(await errorNameOf(client.send(new UpdateKeyDescriptionCommand(long(8193))))).toBe("ValidationException");
  });
});

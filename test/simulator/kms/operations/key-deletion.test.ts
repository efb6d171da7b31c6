/**
 * The states of keys through the unmodified AWS SDK: what each operation does in each state (KMS Developer Guide, "Key states
 * of AWS KMS keys"), and how a key goes at its date.
 */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DeleteAliasCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GetKeyPolicyCommand,
  ListAliasesCommand,
  ListKeyPoliciesCommand,
  ListKeysCommand,
  ListResourceTagsCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  ScheduleKeyDeletionCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateAliasCommand,
  UpdateKeyDescriptionCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../../shared/bytes.js";
import type { SimulatedKms } from "../../../../simulator/endpoint/server.js";
import { startKms } from "../../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../../support/simulated-kms.js";
import { clockAt, DAY } from "../../fixtures.js";

const clock = clockAt();
let kms: SimulatedKms;
let client: KMSClient;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  client = kmsClient(kms, clock);
});

afterAll(async () => {
  client.destroy();
  await kms.close();
});

const newKey = async (): Promise<string> => (await client.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "";
const schedule = (KeyId: string, PendingWindowInDays?: number) =>
  client.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays }));
const cancel = (KeyId: string) => client.send(new CancelKeyDeletionCommand({ KeyId }));
const metadataOf = async (KeyId: string) => (await client.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata;

type State = "Enabled" | "Disabled" | "PendingDeletion";

let aliases = 0;

/** Operations on one key, and what it encrypted before it came into its state. Other uses of keys have tests of their own. */
const ATTEMPTS: Readonly<Record<string, (KeyId: string, sealed: Uint8Array) => Promise<unknown>>> = {
  CancelKeyDeletion: cancel,
  CreateAlias: (TargetKeyId) => {
    aliases += 1;
    return client.send(new CreateAliasCommand({ AliasName: `alias/state-${aliases}`, TargetKeyId }));
  },
  Decrypt: (_, CiphertextBlob) => client.send(new DecryptCommand({ CiphertextBlob })),
  DescribeKey: (KeyId) => client.send(new DescribeKeyCommand({ KeyId })),
  DisableKey: (KeyId) => client.send(new DisableKeyCommand({ KeyId })),
  EnableKey: (KeyId) => client.send(new EnableKeyCommand({ KeyId })),
  Encrypt: (KeyId) => client.send(new EncryptCommand({ KeyId, Plaintext: utf8("x") })),
  GenerateDataKey: (KeyId) => client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256" })),
  GetKeyPolicy: (KeyId) => client.send(new GetKeyPolicyCommand({ KeyId })),
  ListAliases: (KeyId) => client.send(new ListAliasesCommand({ KeyId })),
  ListKeyPolicies: (KeyId) => client.send(new ListKeyPoliciesCommand({ KeyId })),
  ListResourceTags: (KeyId) => client.send(new ListResourceTagsCommand({ KeyId })),
  PutKeyPolicy: async (KeyId) => {
    const { Policy } = await client.send(new GetKeyPolicyCommand({ KeyId }));
    return client.send(new PutKeyPolicyCommand({ KeyId, Policy }));
  },
  ReEncrypt: (DestinationKeyId, CiphertextBlob) =>
    client.send(new ReEncryptCommand({ CiphertextBlob, DestinationKeyId })),
  ScheduleKeyDeletion: (KeyId) => schedule(KeyId),
  TagResource: (KeyId) => client.send(new TagResourceCommand({ KeyId, Tags: [{ TagKey: "a", TagValue: "b" }] })),
  UntagResource: (KeyId) => client.send(new UntagResourceCommand({ KeyId, TagKeys: ["a"] })),
  UpdateKeyDescription: (KeyId) => client.send(new UpdateKeyDescriptionCommand({ KeyId, Description: "new" })),
};

async function encryptedUnder(KeyId: string): Promise<Uint8Array> {
  const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId, Plaintext: utf8("x") }));
  return CiphertextBlob ?? new Uint8Array();
}

const DISABLED = ["DisabledException", "is disabled."];
const PENDING = ["KMSInvalidStateException", "is pending deletion."];
const NOT_PENDING = ["KMSInvalidStateException", "is not pending deletion."];
const USES = ["Decrypt", "Encrypt", "GenerateDataKey", "ReEncrypt"];
const READS = ["DescribeKey", "GetKeyPolicy", "ListAliases", "ListKeyPolicies", "ListResourceTags", "PutKeyPolicy"];

/** The table of the Developer Guide: which error an operation ends with in a state, if any. */
function expectedIn(state: State, operation: string): readonly string[] | undefined {
  if (operation === "CancelKeyDeletion") return state === "PendingDeletion" ? undefined : NOT_PENDING;
  if (READS.includes(operation) || state === "Enabled") return undefined;
  if (state === "PendingDeletion") return PENDING;
  return USES.includes(operation) ? DISABLED : undefined;
}

describe.each<State>(["Enabled", "Disabled", "PendingDeletion"])("of a key that is %s", (state) => {
  it.each(Object.keys(ATTEMPTS))("%s succeeds or fails as in AWS's table", async (operation) => {
    const KeyId = await newKey();
    const sealed = await encryptedUnder(KeyId);
    if (state === "Disabled") await client.send(new DisableKeyCommand({ KeyId }));
    if (state === "PendingDeletion") await schedule(KeyId);
    const [name = "no error", text] = expectedIn(state, operation) ?? [];
    const attempt = ATTEMPTS[operation]?.(KeyId, sealed) ?? Promise.reject(new Error(operation));
    expect(await errorOf(attempt)).toEqual({ name, message: text === undefined ? "" : `${KeyId} ${text}` });
  });
});

describe("aliases of a key that is pending deletion", () => {
  it("may be given to another key and deleted; none may be given to it", async () => {
    const [AliasName, pending, other] = ["alias/of-pending", await newKey(), await newKey()];
    await client.send(new CreateAliasCommand({ AliasName, TargetKeyId: pending }));
    await schedule(pending);
    await client.send(new UpdateAliasCommand({ AliasName, TargetKeyId: other }));
    expect(await errorOf(client.send(new UpdateAliasCommand({ AliasName, TargetKeyId: pending })))).toEqual({
      name: "KMSInvalidStateException",
      message: `${pending} is pending deletion.`,
    });
    await client.send(new DeleteAliasCommand({ AliasName }));
  });
});

describe("ScheduleKeyDeletion", () => {
  it.each([
    [undefined, 30],
    [7, 7],
    [30, 30],
  ])(
    "given %s days, tells the date in %s days, and DescribeKey does as long as the key is pending",
    async (given, days) => {
      const KeyId = await newKey();
      const DeletionDate = new Date(clock().getTime() + days * DAY);
      const { $metadata: _, ...answer } = await schedule(KeyId, given);
      expect(answer).toEqual({ KeyId, DeletionDate, KeyState: "PendingDeletion", PendingWindowInDays: days });
      const pending = await metadataOf(KeyId);
      expect(pending).toMatchObject({ KeyState: "PendingDeletion", Enabled: false, DeletionDate });
      expect(pending).not.toHaveProperty("PendingDeletionWindowInDays"); // of multi-Region primary keys alone
      expect((await cancel(KeyId)).KeyId).toBe(KeyId);
      expect(await metadataOf(KeyId)).toMatchObject({ KeyState: "Disabled", Enabled: false });
      expect(await metadataOf(KeyId)).not.toHaveProperty("DeletionDate");
    },
  );

  it.each([
    [6, "PendingWindowInDays must be between 7 and 30"],
    [31, "PendingWindowInDays must be between 7 and 30"],
    [
      0,
      "1 validation error detected: Value '0' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ],
    [
      366,
      "1 validation error detected: Value '366' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value less than or equal to 365",
    ],
  ])("refuses %s days", async (days, message) => {
    expect(await errorOf(schedule(await newKey(), days))).toEqual({ name: "ValidationException", message });
  });

  it("lets the key go at its date, with its aliases and what it encrypted, and not before", async () => {
    const [KeyId, AliasName] = [await newKey(), "alias/to-go"];
    const sealed = await encryptedUnder(KeyId);
    await client.send(new CreateAliasCommand({ AliasName, TargetKeyId: KeyId }));
    await schedule(KeyId, 7);
    clock.advance(7 * DAY - 1);
    const before = kmsClient(kms, clock);
    expect((await before.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.KeyState).toBe("PendingDeletion");
    clock.advance(1);
    const gone = { name: "NotFoundException", message: `Key '${KeyId}' does not exist` };
    expect(await errorOf(before.send(new DescribeKeyCommand({ KeyId })))).toEqual(gone);
    expect(await errorOf(before.send(new CancelKeyDeletionCommand({ KeyId })))).toEqual(gone);
    expect(await errorNameOf(before.send(new DescribeKeyCommand({ KeyId: AliasName })))).toBe("NotFoundException");
    expect(await errorNameOf(before.send(new DecryptCommand({ CiphertextBlob: sealed })))).toBe(
      "AccessDeniedException",
    );
    const { Keys } = await before.send(new ListKeysCommand({ Limit: 1000 }));
    expect(Keys?.map(({ KeyArn }) => KeyArn)).not.toContain(KeyId);
    before.destroy();
    client.destroy();
    client = kmsClient(kms, clock);
  });

  it("can be held to a waiting period by policy, the one that there is without a word as well", async () => {
    const KeyId = await newKey();
    const shorterThan = (days: string) => ({ NumericLessThan: { "kms:ScheduleKeyDeletionPendingWindowInDays": days } });
    const deny = (condition: object) => policyOf({ Action: "kms:ScheduleKeyDeletion", Condition: condition });
    await client.send(new PutKeyPolicyCommand({ KeyId, Policy: deny(shorterThan("14")) }));
    expect(await errorNameOf(schedule(KeyId, 13))).toBe("AccessDeniedException");
    await schedule(KeyId, 14);
    await cancel(KeyId);
    await client.send(new PutKeyPolicyCommand({ KeyId, Policy: deny(shorterThan("31")) }));
    expect(await errorNameOf(schedule(KeyId))).toBe("AccessDeniedException");
  });
});

function policyOf(denied: object): string {
  const open = { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" };
  const Statement = [open, { Effect: "Deny", Principal: "*", Resource: "*", ...denied }];
  return JSON.stringify({ Version: "2012-10-17", Statement });
}

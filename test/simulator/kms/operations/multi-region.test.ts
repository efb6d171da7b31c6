/**
 * Multi-Region keys through the unmodified AWS SDK, a client per Region: what related keys share and what they do not, in each
 * state; who becomes the primary; how they go; rotation and imported material in all of them.
 */
import { randomBytes } from "node:crypto";
import type { KeyMetadata, KMSClient } from "@aws-sdk/client-kms";
import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DeleteImportedKeyMaterialCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EnableKeyRotationCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateMacCommand,
  GetKeyPolicyCommand,
  GetKeyRotationStatusCommand,
  GetParametersForImportCommand,
  GetPublicKeyCommand,
  ImportKeyMaterialCommand,
  ListKeyRotationsCommand,
  ListResourceTagsCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  ReplicateKeyCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
  UpdatePrimaryRegionCommand,
  VerifyMacCommand,
} from "@aws-sdk/client-kms";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../../shared/bytes.js";
import type { SimulatedKms } from "../../../../simulator/endpoint/server.js";
import { startKms } from "../../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../../support/simulated-kms.js";
import { wrapMaterial } from "../../../support/wrapped-material.js";
import type { SetClock } from "../../fixtures.js";
import { clockAt, DAY } from "../../fixtures.js";

const Plaintext = utf8("a secret");
const [VIRGINIA, IRELAND, TOKYO] = ["us-east-1", "eu-west-1", "ap-northeast-1"] as const;
let clock: SetClock;
let kms: SimulatedKms;
let clients: Map<string, KMSClient>;
/** The key id. */
let id: string;

beforeEach(async () => {
  clock = clockAt();
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  clients = new Map();
  id = await newKey();
});

afterEach(async () => {
  pass(0);
  await kms.close();
});

function pass(days: number): void {
  clock.advance(days * DAY);
  for (const client of clients.values()) client.destroy();
  clients.clear();
}

function at(region: string): KMSClient {
  const client = clients.get(region) ?? kmsClient({ ...kms, region }, clock);
  clients.set(region, client);
  return client;
}

async function newKey(options: object = {}): Promise<string> {
  const command = new CreateKeyCommand({ MultiRegion: true });
  Object.assign(command.input, options);
  return (await at(VIRGINIA).send(command)).KeyMetadata?.KeyId ?? "";
}

const arnIn = (region: string, keyId = id) => `arn:aws:kms:${region}:${kms.accountId}:key/${keyId}`;

function replicate(ReplicaRegion: string, options: object = {}, KeyId = id) {
  const command = new ReplicateKeyCommand({ KeyId, ReplicaRegion });
  Object.assign(command.input, options);
  return at(VIRGINIA).send(command);
}

const metadataIn = async (region: string, KeyId = id): Promise<Partial<KeyMetadata>> =>
  (await at(region).send(new DescribeKeyCommand({ KeyId }))).KeyMetadata ?? {};
const stateIn = async (region: string, KeyId = id) => (await metadataIn(region, KeyId)).KeyState;
const encryptIn = async (region: string, KeyId = id) =>
  (await at(region).send(new EncryptCommand({ KeyId, Plaintext }))).CiphertextBlob ?? new Uint8Array();
const decryptIn = (region: string, CiphertextBlob: Uint8Array) =>
  at(region).send(new DecryptCommand({ CiphertextBlob }));
const scheduleIn = (region: string, PendingWindowInDays = 7) =>
  at(region).send(new ScheduleKeyDeletionCommand({ KeyId: id, PendingWindowInDays }));
const makePrimary = (PrimaryRegion: string, from: string = VIRGINIA, KeyId = id) =>
  at(from).send(new UpdatePrimaryRegionCommand({ KeyId, PrimaryRegion }));

/** A policy under which everybody may do everything but what `denied` says. */
async function denyIn(region: string, denied: object): Promise<void> {
  const open = { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" };
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [open, { ...open, Effect: "Deny", ...denied }] });
  await at(region).send(new PutKeyPolicyCommand({ KeyId: id, Policy }));
}

describe("CreateKey with MultiRegion", () => {
  it("makes a primary without replicas", async () => {
    expect(id).toMatch(/^mrk-[0-9a-f]{32}$/);
    expect(await metadataIn(VIRGINIA)).toMatchObject({
      MultiRegion: true,
      MultiRegionConfiguration: {
        MultiRegionKeyType: "PRIMARY",
        PrimaryKey: { Arn: arnIn(VIRGINIA), Region: VIRGINIA },
        ReplicaKeys: [],
      },
    });
    expect(await errorOf(metadataIn(IRELAND))).toEqual({
      name: "NotFoundException",
      message: `Key '${arnIn(IRELAND)}' does not exist`,
    });
  });
});

describe("ReplicateKey", () => {
  it("answers that it is making the replica, and has made it by the next call", async () => {
    const { ReplicaKeyMetadata, ReplicaPolicy, ReplicaTags } = await replicate(IRELAND, {
      ...{ Description: "the other", Tags: [{ TagKey: "tier", TagValue: "2" }] },
    });
    const MultiRegionConfiguration = {
      MultiRegionKeyType: "REPLICA",
      PrimaryKey: { Arn: arnIn(VIRGINIA), Region: VIRGINIA },
      ReplicaKeys: [{ Arn: arnIn(IRELAND), Region: IRELAND }],
    };
    expect(ReplicaKeyMetadata).toMatchObject({ KeyState: "Creating", Enabled: false, MultiRegionConfiguration });
    expect(ReplicaKeyMetadata).not.toHaveProperty("CurrentKeyMaterialId");
    expect(JSON.parse(ReplicaPolicy ?? "")).toMatchObject({ Id: "key-default-1" });
    expect(ReplicaTags).toEqual([{ TagKey: "tier", TagValue: "2" }]);
    const [primary, replica] = [await metadataIn(VIRGINIA), await metadataIn(IRELAND)];
    expect(replica).toMatchObject({
      ...{ KeyId: id, Arn: arnIn(IRELAND), KeyState: "Enabled", Enabled: true, Description: "the other" },
      ...{ CurrentKeyMaterialId: primary.CurrentKeyMaterialId, MultiRegionConfiguration },
    });
    expect(primary.MultiRegionConfiguration).toEqual({ ...MultiRegionConfiguration, MultiRegionKeyType: "PRIMARY" });
    expect(primary.Description).toBe("");
    const { Tags } = await at(IRELAND).send(new ListResourceTagsCommand({ KeyId: id }));
    expect(Tags).toEqual([{ TagKey: "tier", TagValue: "2" }]);
  });

  it("refuses in AWS's words what cannot be replicated", async () => {
    await replicate(IRELAND);
    expect(await errorOf(at(IRELAND).send(new ReplicateKeyCommand({ KeyId: id, ReplicaRegion: TOKYO })))).toEqual({
      name: "UnsupportedOperationException",
      message: `${arnIn(IRELAND)} is not a multi-region primary key.`,
    });
    const single = await newKey({ MultiRegion: false });
    expect(await errorOf(replicate(IRELAND, {}, single))).toEqual({
      name: "UnsupportedOperationException",
      message: `${arnIn(VIRGINIA, single)} is not a multi-region primary key.`,
    });
    for (const region of [IRELAND, VIRGINIA]) {
      expect(await errorNameOf(replicate(region))).toBe("AlreadyExistsException");
    }
    for (const region of ["cn-north-1", "Nowhere"])
      expect(await errorNameOf(replicate(region))).toBe("ValidationException");
    await at(VIRGINIA).send(new DisableKeyCommand({ KeyId: id }));
    expect(await errorOf(replicate(TOKYO))).toEqual({
      name: "DisabledException",
      message: `${arnIn(VIRGINIA)} is disabled.`,
    });
  });

  it("needs ReplicateKey on the primary, where policies see the Region, and CreateKey and TagResource", async () => {
    await denyIn(VIRGINIA, {
      Action: "kms:ReplicateKey",
      Condition: { StringEquals: { "kms:ReplicaRegion": IRELAND, "kms:MultiRegionKeyType": "PRIMARY" } },
    });
    expect(await errorNameOf(replicate(IRELAND))).toBe("AccessDeniedException");
    await replicate(TOKYO);
    await denyIn(VIRGINIA, { Action: "kms:Sign" });
    const user = (name: string, ...actions: readonly string[]) => {
      const Statement = [{ Effect: "Allow", Action: actions, Resource: "*" }];
      const policies = [JSON.stringify({ Version: "2012-10-17", Statement })];
      return kmsClient(kms, clock, kms.principals.addUser({ name, policies }));
    };
    const Tags = [{ TagKey: "a", TagValue: "b" }];
    const attempt = async (client: KMSClient, options: object) => {
      const command = new ReplicateKeyCommand({
        KeyId: id,
        ReplicaRegion: IRELAND,
        BypassPolicyLockoutSafetyCheck: true,
      });
      Object.assign(command.input, options);
      const name = await errorNameOf(client.send(command));
      client.destroy();
      return name;
    };
    expect(await attempt(user("replicator", "kms:ReplicateKey"), {})).toBe("AccessDeniedException");
    expect(await attempt(user("maker", "kms:ReplicateKey", "kms:CreateKey"), { Tags })).toBe("AccessDeniedException");
    expect(await attempt(user("tagger", "kms:ReplicateKey", "kms:CreateKey", "kms:TagResource"), { Tags })).toBe(
      "no error",
    );
  });

  it("asks for CreateKey and TagResource in the replica's Region", async () => {
    const replicator = (name: string, region: string) => {
      const inRegion = { StringEquals: { "aws:RequestedRegion": region } };
      const Statement = [
        { Effect: "Allow", Action: "kms:ReplicateKey", Resource: "*" },
        { Effect: "Allow", Action: ["kms:CreateKey", "kms:TagResource"], Resource: "*", Condition: inRegion },
      ];
      const policies = [JSON.stringify({ Version: "2012-10-17", Statement })];
      return kmsClient(kms, clock, kms.principals.addUser({ name, policies }));
    };
    const outcomes: string[] = [];
    for (const client of [replicator("at-home", VIRGINIA), replicator("there", IRELAND)]) {
      const options = { BypassPolicyLockoutSafetyCheck: true, Tags: [{ TagKey: "a", TagValue: "b" }] };
      const command = new ReplicateKeyCommand({ KeyId: id, ReplicaRegion: IRELAND, ...options });
      outcomes.push(await errorNameOf(client.send(command)));
      client.destroy();
    }
    expect(outcomes).toEqual(["AccessDeniedException", "no error"]);
  });

  it("refuses a policy that locks out whoever replicates", async () => {
    const Statement = [
      { Effect: "Allow", Principal: { AWS: "arn:aws:iam::444455556666:root" }, Action: "kms:*", Resource: "*" },
    ];
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
    expect(await errorNameOf(replicate(IRELAND, { Policy }))).toBe("MalformedPolicyDocumentException");
    await replicate(IRELAND, { Policy, BypassPolicyLockoutSafetyCheck: true });
  });
});

describe("related keys", () => {
  beforeEach(async () => {
    await replicate(IRELAND);
  });

  it("decrypt each other's ciphertexts, and data keys, and re-encrypt them", async () => {
    expect(await decryptIn(IRELAND, await encryptIn(VIRGINIA))).toMatchObject({ Plaintext, KeyId: arnIn(IRELAND) });
    expect(await decryptIn(VIRGINIA, await encryptIn(IRELAND))).toMatchObject({ Plaintext, KeyId: arnIn(VIRGINIA) });
    const dataKey = await at(VIRGINIA).send(new GenerateDataKeyCommand({ KeyId: id, KeySpec: "AES_256" }));
    const opened = await decryptIn(IRELAND, dataKey.CiphertextBlob ?? new Uint8Array());
    expect(opened.Plaintext).toEqual(dataKey.Plaintext);
    const local = (await at(IRELAND).send(new CreateKeyCommand({}))).KeyMetadata?.KeyId ?? "";
    const CiphertextBlob = await encryptIn(VIRGINIA);
    const moved = await at(IRELAND).send(new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: local }));
    expect(moved.SourceKeyId).toBe(arnIn(IRELAND));
    expect(await errorNameOf(decryptIn(TOKYO, CiphertextBlob))).toBe("AccessDeniedException");
  });

  it("have aliases, policies and states of their own", async () => {
    await at(VIRGINIA).send(new CreateAliasCommand({ AliasName: "alias/here", TargetKeyId: id }));
    expect(await errorNameOf(metadataIn(IRELAND, "alias/here"))).toBe("NotFoundException");
    const sealed = await encryptIn(VIRGINIA);
    await denyIn(IRELAND, {
      Action: "kms:Decrypt",
      Condition: { StringEquals: { "kms:MultiRegionKeyType": "REPLICA" } },
    });
    expect(await errorNameOf(decryptIn(IRELAND, sealed))).toBe("AccessDeniedException");
    expect((await decryptIn(VIRGINIA, sealed)).Plaintext).toEqual(Plaintext);
    const { Policy } = await at(VIRGINIA).send(new GetKeyPolicyCommand({ KeyId: id }));
    expect(JSON.parse(Policy ?? "")).toMatchObject({ Id: "key-default-1" });
    await at(VIRGINIA).send(new DisableKeyCommand({ KeyId: id }));
    expect(await errorNameOf(decryptIn(VIRGINIA, sealed))).toBe("DisabledException");
    expect(await stateIn(IRELAND)).toBe("Enabled");
  });

  it("are a pair, or an HMAC key, in every Region alike", async () => {
    const pair = await newKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" });
    const mac = await newKey({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" });
    for (const key of [pair, mac]) await replicate(IRELAND, {}, key);
    const publicKeyIn = async (region: string) =>
      (await at(region).send(new GetPublicKeyCommand({ KeyId: pair }))).PublicKey;
    expect(await publicKeyIn(IRELAND)).toEqual(await publicKeyIn(VIRGINIA));
    const message = { KeyId: mac, Message: Plaintext, MacAlgorithm: "HMAC_SHA_256" } as const;
    const { Mac } = await at(VIRGINIA).send(new GenerateMacCommand(message));
    expect((await at(IRELAND).send(new VerifyMacCommand({ ...message, Mac }))).MacValid).toBe(true);
  });

  it("has one date, whichever of the keys is enabled again", async () => {
    await at(VIRGINIA).send(new EnableKeyRotationCommand({ KeyId: id, RotationPeriodInDays: 90 }));
    const dateIn = async (region: string) =>
      (await at(region).send(new GetKeyRotationStatusCommand({ KeyId: id }))).NextRotationDate;
    for (const region of [VIRGINIA, IRELAND]) await at(region).send(new DisableKeyCommand({ KeyId: id }));
    pass(100);
    const missed = await dateIn(VIRGINIA);
    await at(IRELAND).send(new EnableKeyCommand({ KeyId: id }));
    expect([await dateIn(IRELAND), await dateIn(VIRGINIA)]).toEqual([missed, missed]);
    await at(VIRGINIA).send(new EnableKeyCommand({ KeyId: id }));
    expect(await dateIn(IRELAND)).toEqual(new Date(clock().getTime() + 90 * DAY));
    expect(await dateIn(VIRGINIA)).toEqual(await dateIn(IRELAND));
  });

  it("are rotated with their primary, on demand and by its schedule", async () => {
    const currentIn = async (region: string) => (await metadataIn(region)).CurrentKeyMaterialId;
    const [first, old] = [await currentIn(IRELAND), await encryptIn(IRELAND)];
    await at(VIRGINIA).send(new RotateKeyOnDemandCommand({ KeyId: id }));
    const second = await currentIn(IRELAND);
    expect(second).not.toBe(first);
    await at(VIRGINIA).send(new EnableKeyRotationCommand({ KeyId: id, RotationPeriodInDays: 90 }));
    const status = await at(IRELAND).send(new GetKeyRotationStatusCommand({ KeyId: id }));
    expect(status).toMatchObject({ KeyRotationEnabled: true, RotationPeriodInDays: 90 });
    pass(90);
    const third = await currentIn(IRELAND); // nobody has looked into the primary's Region since
    expect(new Set([first, second, third]).size).toBe(3);
    expect(await currentIn(VIRGINIA)).toBe(third);
    expect(await decryptIn(VIRGINIA, old)).toMatchObject({ Plaintext, KeyMaterialId: first });
    const attempts = [
      () => at(IRELAND).send(new RotateKeyOnDemandCommand({ KeyId: id })),
      () => at(IRELAND).send(new EnableKeyRotationCommand({ KeyId: id })),
    ];
    for (const attempt of attempts) expect(await errorNameOf(attempt())).toBe("UnsupportedOperationException");
  });
});

describe("UpdatePrimaryRegion", () => {
  it("changes the primary and the replica over, and with them who can be replicated", async () => {
    await replicate(IRELAND);
    await makePrimary(IRELAND);
    expect((await metadataIn(VIRGINIA)).MultiRegionConfiguration).toEqual({
      MultiRegionKeyType: "REPLICA",
      PrimaryKey: { Arn: arnIn(IRELAND), Region: IRELAND },
      ReplicaKeys: [{ Arn: arnIn(VIRGINIA), Region: VIRGINIA }],
    });
    expect(await errorNameOf(replicate(TOKYO))).toBe("UnsupportedOperationException");
    await at(IRELAND).send(new ReplicateKeyCommand({ KeyId: id, ReplicaRegion: TOKYO }));
    expect((await decryptIn(TOKYO, await encryptIn(VIRGINIA))).Plaintext).toEqual(Plaintext);
  });

  it("wants a primary, and a replica where it is to be", async () => {
    await replicate(IRELAND);
    expect(await errorOf(makePrimary(TOKYO))).toEqual({
      name: "NotFoundException",
      message: `Key '${arnIn(TOKYO)}' does not exist`,
    });
    expect(await errorOf(makePrimary(VIRGINIA, IRELAND))).toEqual({
      name: "UnsupportedOperationException",
      message: `${arnIn(IRELAND)} is not a multi-region primary key.`,
    });
    await at(IRELAND).send(new DisableKeyCommand({ KeyId: id }));
    expect(await errorOf(makePrimary(IRELAND))).toEqual({
      name: "DisabledException",
      message: `${arnIn(IRELAND)} is disabled.`,
    });
  });

  it("needs permission on both, and tells policies the Region", async () => {
    await replicate(IRELAND);
    const denied = {
      Action: "kms:UpdatePrimaryRegion",
      Condition: { StringEquals: { "kms:PrimaryRegion": IRELAND } },
    };
    for (const region of [VIRGINIA, IRELAND]) {
      await denyIn(region, denied);
      expect(await errorNameOf(makePrimary(IRELAND))).toBe("AccessDeniedException");
      await denyIn(region, { Action: "kms:Sign" });
    }
    await makePrimary(IRELAND);
  });
});

describe("deletion", () => {
  it("of a primary waits for its replicas, and then for its own time", async () => {
    await replicate(IRELAND);
    const { $metadata: _, ...answer } = await scheduleIn(VIRGINIA, 10);
    expect(answer).toEqual({ KeyId: arnIn(VIRGINIA), KeyState: "PendingReplicaDeletion", PendingWindowInDays: 10 });
    const waiting = await metadataIn(VIRGINIA);
    expect(waiting).toMatchObject({ KeyState: "PendingReplicaDeletion", PendingDeletionWindowInDays: 10 });
    expect(waiting).not.toHaveProperty("DeletionDate");
    pass(30);
    expect(await stateIn(VIRGINIA)).toBe("PendingReplicaDeletion");
    expect(await stateIn(IRELAND)).toBe("Enabled");
    const end = clock().getTime() + 7 * DAY;
    await scheduleIn(IRELAND, 7);
    pass(8);
    expect(await errorNameOf(metadataIn(IRELAND))).toBe("NotFoundException");
    const last = await metadataIn(VIRGINIA);
    expect(last).toMatchObject({ KeyState: "PendingDeletion", DeletionDate: new Date(end + 10 * DAY) });
    expect(last).not.toHaveProperty("PendingDeletionWindowInDays");
    pass(9);
    expect(await errorNameOf(metadataIn(VIRGINIA))).toBe("NotFoundException");
  });

  it("of all of them happens in order even if nobody looks", async () => {
    await replicate(IRELAND);
    await scheduleIn(VIRGINIA);
    await scheduleIn(IRELAND);
    pass(14);
    for (const region of [VIRGINIA, IRELAND]) expect(await errorNameOf(metadataIn(region))).toBe("NotFoundException");
  });

  it("of a primary can be cancelled while it waits; meanwhile it cannot be used", async () => {
    await replicate(IRELAND);
    await scheduleIn(VIRGINIA);
    expect(await errorNameOf(encryptIn(VIRGINIA))).toBe("KMSInvalidStateException");
    expect(await errorNameOf(scheduleIn(VIRGINIA))).toBe("KMSInvalidStateException");
    await at(VIRGINIA).send(new CancelKeyDeletionCommand({ KeyId: id }));
    const saved = await metadataIn(VIRGINIA);
    expect(saved.KeyState).toBe("Disabled");
    expect(saved).not.toHaveProperty("PendingDeletionWindowInDays");
  });

  it("of a replica leaves the primary, which can be replicated there again", async () => {
    await replicate(IRELAND);
    const sealed = await encryptIn(IRELAND);
    await scheduleIn(IRELAND);
    pass(7);
    expect((await metadataIn(VIRGINIA)).MultiRegionConfiguration?.ReplicaKeys).toEqual([]);
    await replicate(IRELAND);
    expect((await decryptIn(IRELAND, sealed)).Plaintext).toEqual(Plaintext);
  });
});

describe("imported material in a multi-Region key", () => {
  const NEW = { ImportType: "NEW_KEY_MATERIAL" };

  async function importIn(region: string, material: Uint8Array, terms: object = {}) {
    const { ImportToken, PublicKey = new Uint8Array() } = await at(region).send(
      new GetParametersForImportCommand({
        ...{ KeyId: id, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" },
      }),
    );
    const EncryptedKeyMaterial = wrapMaterial("RSAES_OAEP_SHA_256", PublicKey, material);
    const command = new ImportKeyMaterialCommand({ KeyId: id, ImportToken, EncryptedKeyMaterial });
    Object.assign(command.input, { ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE", ...terms });
    return (await at(region).send(command)).KeyMaterialId;
  }

  async function statesIn(region: string) {
    const command = new ListKeyRotationsCommand({ KeyId: id, IncludeKeyMaterial: "ALL_KEY_MATERIAL" });
    const { Rotations = [] } = await at(region).send(command);
    return Rotations.map(({ KeyMaterialState, ImportState }) => [KeyMaterialState, ImportState]);
  }

  beforeEach(async () => {
    id = await newKey({ Origin: "EXTERNAL" });
  });

  it("has to be imported, the same, into each", async () => {
    const material = randomBytes(32);
    const imported = await importIn(VIRGINIA, material);
    await replicate(IRELAND);
    expect(await stateIn(IRELAND)).toBe("PendingImport");
    expect(await errorNameOf(importIn(IRELAND, randomBytes(32)))).toBe("IncorrectKeyMaterialException");
    expect(await importIn(IRELAND, material)).toBe(imported);
    const sealed = await encryptIn(VIRGINIA);
    expect((await decryptIn(IRELAND, sealed)).Plaintext).toEqual(Plaintext);
    await at(VIRGINIA).send(new DeleteImportedKeyMaterialCommand({ KeyId: id }));
    expect(await stateIn(VIRGINIA)).toBe("PendingImport");
    expect((await decryptIn(IRELAND, sealed)).Plaintext).toEqual(Plaintext);
  });

  it("that is new goes into the primary first, then into every replica, and then is rotated to in all", async () => {
    const [one, two] = [randomBytes(32), randomBytes(32)];
    await importIn(VIRGINIA, one);
    await replicate(IRELAND);
    await importIn(IRELAND, one);
    expect(await errorNameOf(importIn(IRELAND, two, NEW))).toBe("UnsupportedOperationException");
    await importIn(VIRGINIA, two, NEW);
    expect((await statesIn(VIRGINIA))[1]).toEqual(["PENDING_MULTI_REGION_IMPORT_AND_ROTATION", "IMPORTED"]);
    expect(await errorNameOf(at(VIRGINIA).send(new RotateKeyOnDemandCommand({ KeyId: id })))).toBe(
      "KMSInvalidStateException",
    );
    await importIn(IRELAND, two);
    for (const region of [VIRGINIA, IRELAND]) {
      expect((await statesIn(region))[1]).toEqual(["PENDING_ROTATION", "IMPORTED"]);
    }
    const old = await encryptIn(IRELAND);
    await at(VIRGINIA).send(new RotateKeyOnDemandCommand({ KeyId: id }));
    for (const region of [VIRGINIA, IRELAND]) {
      expect(await statesIn(region)).toEqual([
        ["NON_CURRENT", "IMPORTED"],
        ["CURRENT", "IMPORTED"],
      ]);
    }
    expect((await decryptIn(VIRGINIA, old)).Plaintext).toEqual(Plaintext);
  });

  it("is taken from the replicas with the primary, if it was not rotated to yet", async () => {
    await importIn(VIRGINIA, randomBytes(32));
    await replicate(IRELAND);
    const two = randomBytes(32);
    const KeyMaterialId = await importIn(VIRGINIA, two, NEW);
    await importIn(IRELAND, two);
    await at(IRELAND).send(new DeleteImportedKeyMaterialCommand({ KeyId: id, KeyMaterialId }));
    expect((await statesIn(IRELAND))[1]).toEqual(["PENDING_ROTATION", "PENDING_IMPORT"]);
    expect((await statesIn(VIRGINIA))[1]).toEqual(["PENDING_MULTI_REGION_IMPORT_AND_ROTATION", "IMPORTED"]);
    await at(VIRGINIA).send(new DeleteImportedKeyMaterialCommand({ KeyId: id, KeyMaterialId }));
    for (const region of [VIRGINIA, IRELAND]) expect(await statesIn(region)).toHaveLength(1);
  });
});

/** What callers learn of keys of other accounts: whether there is one, no answer and no record tells. */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  ListAliasesCommand,
  ReEncryptCommand,
  RetireGrantCommand,
  RevokeGrantCommand,
  SignCommand,
  TagResourceCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { utf8 } from "../../../shared/bytes.js";
import { ADMINISTRATOR_POLICY } from "../../../simulator/iam/principals.js";
import { errorOf, kmsClient } from "../../support/simulated-kms.js";
import type { GrantedKms } from "./grants/granted-kms.js";
import { FOREIGN_ACCOUNT, startGrantedKms } from "./grants/granted-kms.js";

const OUTSIDER = `arn:aws:iam::${FOREIGN_ACCOUNT}:user/outsider`;
const Plaintext = utf8("a secret");
const UNKNOWN_KEY =
  "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.";
const hidden = (action: string) => ({
  name: "AccessDeniedException",
  message: `User: ${OUTSIDER} is not authorized to perform: kms:${action} on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access`,
});

let granted: GrantedKms;
/** May do whatever is up to its own account. */
let outsider: KMSClient;
/** Of the account 111122223333: one that is there, one that is not, and the same of its aliases. */
let [present, missing, alias, noAlias] = ["", "", "", ""];

beforeAll(async () => {
  granted = await startGrantedKms();
  const user = { name: "outsider", accountId: FOREIGN_ACCOUNT, policies: [ADMINISTRATOR_POLICY] };
  outsider = granted.client(granted.kms.principals.addUser(user));
  present = await granted.newKey();
  missing = present.replace(/[0-9a-f]{12}$/, (end) => (end === "0".repeat(12) ? "1".repeat(12) : "0".repeat(12)));
  await granted.operator.send(new CreateAliasCommand({ AliasName: "alias/present", TargetKeyId: present }));
  alias = present.replace(/key\/.*/, "alias/present");
  noAlias = present.replace(/key\/.*/, "alias/missing");
});
afterAll(() => granted[Symbol.asyncDispose]());

describe("another account's key", () => {
  const GrantId = "0".repeat(64);
  const Tags = [{ TagKey: "a", TagValue: "b" }];
  it.each<[action: string, call: (KeyId: string) => Promise<unknown>]>([
    ["DescribeKey", (KeyId) => outsider.send(new DescribeKeyCommand({ KeyId }))],
    ["Encrypt", (KeyId) => outsider.send(new EncryptCommand({ KeyId, Plaintext }))],
    ["GenerateDataKey", (KeyId) => outsider.send(new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256" }))],
    ["TagResource", (KeyId) => outsider.send(new TagResourceCommand({ KeyId, Tags }))],
    ["RevokeGrant", (KeyId) => outsider.send(new RevokeGrantCommand({ KeyId, GrantId }))],
    ["RetireGrant", (KeyId) => outsider.send(new RetireGrantCommand({ KeyId, GrantId }))],
    [
      "Sign",
      (KeyId) => outsider.send(new SignCommand({ KeyId, Message: Plaintext, SigningAlgorithm: "ECDSA_SHA_256" })),
    ],
    [
      "ReEncryptFrom",
      (KeyId) =>
        outsider.send(
          new ReEncryptCommand({
            ...{ CiphertextBlob: new Uint8Array(512), SourceEncryptionAlgorithm: "RSAES_OAEP_SHA_256" },
            ...{ SourceKeyId: KeyId, DestinationKeyId: KeyId },
          }),
        ),
    ],
  ])("is refused for %s as one that is not there", async (action, call) => {
    expect(await errorOf(call(present))).toEqual(hidden(action));
    expect(await errorOf(call(missing))).toEqual(hidden(action));
  });

  it("is refused by its alias as by one that is not there", async () => {
    for (const KeyId of [alias, noAlias]) {
      expect(await errorOf(outsider.send(new DescribeKeyCommand({ KeyId })))).toEqual(hidden("DescribeKey"));
    }
  });

  it("is refused in another Region, whether it is there or not", async () => {
    for (const arn of [present, missing, alias]) {
      const KeyId = arn.replace("us-east-1", "eu-west-1");
      expect(await errorOf(outsider.send(new DescribeKeyCommand({ KeyId })))).toEqual(hidden("DescribeKey"));
    }
  });

  it("has no aliases to list", async () => {
    for (const KeyId of [present, missing]) {
      expect(await errorOf(outsider.send(new ListAliasesCommand({ KeyId })))).toEqual({
        name: "NotFoundException",
        message: `Key '${KeyId}' does not exist`,
      });
    }
  });

  it("is refused where a grant token is wrong, as one that is not there", async () => {
    const outcomes = [present, missing].map((KeyId) =>
      errorOf(outsider.send(new DescribeKeyCommand({ KeyId, GrantTokens: ["none"] }))),
    );
    const [one, other] = await Promise.all(outcomes);
    expect(one).toEqual({ name: "InvalidGrantTokenException", message: expect.any(String) });
    expect(other).toEqual(one);
  });

  it("is in no record of a refused call", async () => {
    const { records } = granted.kms.auditLog;
    for (const KeyId of [present, alias]) {
      await errorOf(outsider.send(new DescribeKeyCommand({ KeyId })));
      expect(granted.kms.auditLog.records.at(-1)).toMatchObject({
        ...{ errorCode: "AccessDeniedException", requestParameters: { keyId: KeyId }, resources: [] },
        recipientAccountId: FOREIGN_ACCOUNT,
      });
    }
    expect(granted.kms.auditLog.records.length).toBe(records.length + 2);
  });
});

describe("a ciphertext of another account's key", () => {
  const decrypt = (CiphertextBlob: Uint8Array, client = outsider) =>
    client.send(new DecryptCommand({ CiphertextBlob }));

  it("is refused as one of a key that is not there", async () => {
    const sealed = await granted.encrypted(present);
    const unknown = Uint8Array.from(sealed);
    unknown[5] = (unknown[5] ?? 0) ^ 1; // the first byte of the key id
    const denying = JSON.stringify({
      Version: "2012-10-17",
      Statement: { Effect: "Deny", Action: "kms:Decrypt", Resource: "*" },
    });
    const accountId = FOREIGN_ACCOUNT;
    const denied = granted.client(granted.kms.principals.addUser({ name: "denied", accountId, policies: [denying] }));
    const refused = { name: "AccessDeniedException", message: UNKNOWN_KEY };
    for (const client of [outsider, denied, granted.stranger]) {
      expect(await errorOf(decrypt(sealed, client))).toEqual(refused);
      expect(await errorOf(decrypt(unknown, client))).toEqual(refused);
    }
    for (const CiphertextBlob of [sealed, unknown]) {
      const command = new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: present });
      expect(await errorOf(outsider.send(command))).toEqual(refused);
    }
  });

  it("is refused with a key that the request names, whether it is there or not", async () => {
    const [{ KeyMetadata: own }, rsa] = [
      await outsider.send(new CreateKeyCommand({})),
      await granted.newKey({ KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" }),
    ];
    const mine = await outsider.send(new EncryptCommand({ KeyId: own?.KeyId, Plaintext }));
    for (const CiphertextBlob of [await granted.encrypted(present), mine.CiphertextBlob]) {
      for (const KeyId of [present, missing, alias, noAlias, rsa]) {
        const call = outsider.send(new DecryptCommand({ KeyId, CiphertextBlob }));
        expect(await errorOf(call)).toEqual(hidden("Decrypt"));
      }
    }
  });

  it("is refused in the key's account in the words of the policy that does not allow it", async () => {
    const action = "is not authorized to perform: kms:Decrypt on resource:";
    expect((await errorOf(decrypt(await granted.encrypted(present), granted.alice))).message).toContain(action);
  });
});

it("another Region's client gets the same answer", async () => {
  const { kms, clock } = granted;
  const credentials = kms.principals.addUser({ name: "ireland", accountId: FOREIGN_ACCOUNT });
  const client = kmsClient({ ...kms, region: "eu-west-1" }, clock, credentials);
  const { message } = await errorOf(client.send(new DescribeKeyCommand({ KeyId: present })));
  client.destroy();
  expect(message).toBe(hidden("DescribeKey").message.replace("outsider", "ireland"));
});

describe("RetireGrant in the key's account", () => {
  it("tells whoever may retire that there is no such grant", async () => {
    const GrantId = "0".repeat(64);
    expect(await errorOf(granted.operator.send(new RetireGrantCommand({ KeyId: present, GrantId })))).toEqual({
      name: "NotFoundException",
      message: `Grant ID ${GrantId} not found`,
    });
    const { name } = await errorOf(granted.alice.send(new RetireGrantCommand({ KeyId: present, GrantId })));
    expect(name).toBe("AccessDeniedException");
  });
});

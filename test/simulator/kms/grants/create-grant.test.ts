/** CreateGrant through the unmodified AWS SDK: its answer, and every grant that KMS refuses to make. */
import type { CreateGrantCommandInput } from "@aws-sdk/client-kms";
import {
  CreateAliasCommand,
  CreateGrantCommand,
  DisableKeyCommand,
  GrantOperation,
  ListGrantsCommand,
  ScheduleKeyDeletionCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { errorNameOf, errorOf } from "../../../support/simulated-kms.js";
import type { GrantedKms } from "./granted-kms.js";
import { ALICE, BOB, FOREIGN_ACCOUNT, notAllowed, ROOT, startGrantedKms } from "./granted-kms.js";

let world: GrantedKms;
let key: string;

beforeAll(async () => {
  world = await startGrantedKms();
  key = await world.newKey();
});
afterAll(() => world[Symbol.asyncDispose]());

const create = (changes: Partial<CreateGrantCommandInput> = {}, caller = world.operator) =>
  caller.send(
    new CreateGrantCommand({ KeyId: key, GranteePrincipal: ALICE, Operations: ["Decrypt", "DescribeKey"], ...changes }),
  );

const list = async (KeyId: string) => (await world.operator.send(new ListGrantsCommand({ KeyId }))).Grants ?? [];

describe("CreateGrant", () => {
  it("answers with an id and a token in AWS's form", async () => {
    const { GrantId, GrantToken } = await create();
    expect(GrantId).toMatch(/^[0-9a-f]{64}$/);
    expect(GrantToken).toMatch(/^AQpA[A-Za-z0-9_-]{100,}$/);
  });

  it("keeps every term of the grant", async () => {
    const KeyId = await world.newKey();
    const terms = {
      ...{ GranteePrincipal: ALICE, RetiringPrincipal: BOB, Name: "a/name" },
      ...{ Operations: ["Encrypt", "Decrypt"], Constraints: { EncryptionContextSubset: { Tenant: "a" } } },
    } satisfies Partial<CreateGrantCommandInput>;
    const { GrantId } = await create({ KeyId, ...terms });
    expect(await list(KeyId)).toEqual([
      { KeyId, GrantId, ...terms, IssuingAccount: ROOT, CreationDate: world.clock() },
    ]);
  });

  it("takes a service principal with the resource that it works for", async () => {
    const KeyId = await world.newKey();
    const SourceArn = `arn:aws:dynamodb:us-east-1:${"1".repeat(12)}:table/example`;
    const terms = {
      ...{ GranteeServicePrincipal: "dynamodb.amazonaws.com", RetiringServicePrincipal: "dynamodb.amazonaws.com" },
      ...{ Operations: ["Encrypt"], Constraints: { SourceArn } },
    } satisfies Partial<CreateGrantCommandInput>;
    await create({ KeyId, GranteePrincipal: undefined, ...terms });
    expect(await list(KeyId)).toMatchObject([terms]);
  });

  it.each(["user/a", "role/path/a", "root"])("takes arn:aws:iam::ACCOUNT:%s as a grantee", async (resource) => {
    await create({ GranteePrincipal: `arn:aws:iam::${FOREIGN_ACCOUNT}:${resource}` });
  });

  it.each(["assumed-role/a/session", "federated-user/a"])("takes arn:aws:sts::ACCOUNT:%s as a grantee", async (one) => {
    await create({ GranteePrincipal: `arn:aws:sts::${FOREIGN_ACCOUNT}:${one}`, RetiringPrincipal: ROOT });
  });

  it("is recorded with its terms and without tokens", async () => {
    const { GrantToken = "" } = await create();
    await create({
      ...{ GrantTokens: [GrantToken], Constraints: { EncryptionContextEquals: { Tenant: "a" } } },
    });
    expect(world.kms.auditLog.records.at(-1)?.requestParameters).toEqual({
      ...{ keyId: key, granteePrincipal: ALICE, operations: ["Decrypt", "DescribeKey"] },
      constraints: { encryptionContextEquals: { Tenant: "a" } },
    });
  });
});

describe("a request for a grant with a name", () => {
  it("that is made again gives the same grant, and another token of it", async () => {
    const KeyId = await world.newKey();
    const terms = { KeyId, Name: "once", Constraints: { EncryptionContextSubset: { a: "1", b: "2" } } };
    const first = await create(terms);
    const turned = { Operations: ["DescribeKey" as const, "Decrypt" as const] };
    const again = await create({ ...terms, ...turned, Constraints: { EncryptionContextSubset: { b: "2", a: "1" } } });
    expect(again.GrantId).toBe(first.GrantId);
    expect(again.GrantToken).not.toBe(first.GrantToken);
    expect(await list(KeyId)).toHaveLength(1);
  });

  it.each<[string, Partial<CreateGrantCommandInput>]>([
    ["another grantee", { GranteePrincipal: BOB }],
    ["another retiring principal", { RetiringPrincipal: BOB }],
    ["other operations", { Operations: ["Decrypt"] }],
    ["a constraint", { Constraints: { EncryptionContextSubset: { a: "1" } } }],
    ["another name", { Name: "other" }],
    ["no name", { Name: undefined }],
  ])("with %s gives another grant", async (_, change) => {
    const first = await create({ Name: "same" });
    expect((await create({ Name: "same", ...change })).GrantId).not.toBe(first.GrantId);
  });
});

const invalidPrincipal = (text: string) => ({
  name: "InvalidArnException",
  message: `ARN does not refer to a valid principal: ${text}`,
});
const invalid = (message: string) => ({ name: "ValidationException", message });
const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, "v"]));

describe("CreateGrant refuses", () => {
  it.each([
    "alice",
    "sns.amazonaws.com",
    "arn:aws:iam::111122223333:group/admins",
    "arn:aws:iam::1111:user/alice",
    "arn:aws-cn:iam::111122223333:user/alice",
    "arn:aws:iam:us-east-1:111122223333:user/alice",
    "arn:aws:sts::111122223333:assumed-role/a",
    "arn:aws:s3:::bucket",
  ])("%s as a grantee or retiring principal", async (principal) => {
    expect(await errorOf(create({ GranteePrincipal: principal }))).toEqual(invalidPrincipal(principal));
    expect(await errorOf(create({ RetiringPrincipal: principal }))).toEqual(invalidPrincipal(principal));
  });

  const service = "a.amazonaws.com";
  it.each<[string, Partial<CreateGrantCommandInput>, string]>([
    [
      "no grantee",
      { GranteePrincipal: undefined },
      "You must specify either GranteePrincipal or GranteeServicePrincipal, but not both.",
    ],
    [
      "two grantees",
      { GranteeServicePrincipal: service },
      "You must specify either GranteePrincipal or GranteeServicePrincipal, but not both.",
    ],
    [
      "two retiring principals",
      { RetiringPrincipal: BOB, RetiringServicePrincipal: service },
      "You can specify either RetiringPrincipal or RetiringServicePrincipal, but not both.",
    ],
    [
      "a service without the resource that it works for",
      { GranteePrincipal: undefined, GranteeServicePrincipal: service, RetiringPrincipal: BOB },
      "A grant with a GranteeServicePrincipal needs a SourceArn constraint and a RetiringPrincipal or RetiringServicePrincipal.",
    ],
    ["no operation", { Operations: [] }, "Operations must not be empty."],
    [
      "CreateGrant alone",
      { Operations: ["CreateGrant", "CreateGrant"] },
      "Grants must not contain only the CreateGrant operation.",
    ],
    [
      "an operation that there is not",
      { Operations: ["Destroy" as GrantOperation] },
      `1 validation error detected: Value '[Destroy]' at 'operations' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [Decrypt, Encrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext, ReEncryptFrom, ReEncryptTo, Sign, Verify, GetPublicKey, CreateGrant, RetireGrant, DescribeKey, GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext, GenerateMac, VerifyMac, DeriveSharedSecret, Encapsulate, Decapsulate]]`,
    ],
    [
      "nine pairs in a constraint",
      { Constraints: { EncryptionContextSubset: pairs(9) } },
      "A grant constraint can have at most 8 encryption context pairs.",
    ],
    [
      "a value of 385 characters in a constraint",
      { Constraints: { EncryptionContextEquals: { a: "x".repeat(385) } } },
      "An encryption context value in a grant constraint cannot exceed 384 characters.",
    ],
  ])("%s", async (_, change, message) => {
    expect(await errorOf(create(change))).toEqual(invalid(message));
  });

  it("takes eight pairs of 384 characters", async () => {
    await create({ Constraints: { EncryptionContextSubset: { ...pairs(7), long: "x".repeat(384) } } });
  });

  it("an alias, a key that is not there, a disabled key and one that is pending deletion", async () => {
    const KeyId = await world.newKey();
    await world.operator.send(new CreateAliasCommand({ AliasName: "alias/granted", TargetKeyId: KeyId }));
    for (const alias of ["alias/granted", KeyId.replace(/key\/.*/, "alias/granted")]) {
      expect(await errorOf(create({ KeyId: alias }))).toEqual({
        name: "InvalidArnException",
        message: "Key Aliases are not supported for this operation.",
      });
    }
    expect(await errorNameOf(create({ KeyId: KeyId.replace(/.$/, "x") }))).toBe("NotFoundException");
    await world.operator.send(new DisableKeyCommand({ KeyId }));
    expect(await errorOf(create({ KeyId }))).toEqual({ name: "DisabledException", message: `${KeyId} is disabled.` });
    await world.operator.send(new ScheduleKeyDeletionCommand({ KeyId }));
    expect(await errorOf(create({ KeyId }))).toEqual({
      name: "KMSInvalidStateException",
      message: `${KeyId} is pending deletion.`,
    });
  });

  it("whoever may not make grants", async () => {
    expect(await errorOf(create({}, world.alice))).toEqual({
      name: "AccessDeniedException",
      message: notAllowed(ALICE, "CreateGrant", key),
    });
  });

  it("a dry run, and makes nothing", async () => {
    const KeyId = await world.newKey();
    expect(await errorNameOf(create({ KeyId, DryRun: true }))).toBe("DryRunOperationException");
    expect(await list(KeyId)).toEqual([]);
    expect(await errorNameOf(create({ KeyId, DryRun: true, Operations: ["CreateGrant"] }))).toBe("ValidationException");
  });
});

const COMMON = ["CreateGrant", "DescribeKey", "RetireGrant"];

describe("a grant on a key of", () => {
  it.each<[string, string, string[]]>([
    [
      "SYMMETRIC_DEFAULT",
      "ENCRYPT_DECRYPT",
      [
        ...["Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"],
        ...["GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"],
      ],
    ],
    ["RSA_2048", "ENCRYPT_DECRYPT", ["Decrypt", "Encrypt", "GetPublicKey", "ReEncryptFrom", "ReEncryptTo"]],
    ["ECC_NIST_P256", "KEY_AGREEMENT", ["DeriveSharedSecret", "GetPublicKey"]],
    ["HMAC_256", "GENERATE_VERIFY_MAC", ["GenerateMac", "VerifyMac"]],
    ["ECC_NIST_P256", "SIGN_VERIFY", ["GetPublicKey", "Sign", "Verify"]],
    ["ML_KEM_768", "ENCAPSULATE_DECAPSULATE", ["Decapsulate", "Encapsulate", "GetPublicKey"]],
  ])("%s with %s can allow what the key can do", async (KeySpec, KeyUsage, operations) => {
    const KeyId = await world.newKey({ KeySpec, KeyUsage });
    const allowed = [];
    for (const operation of Object.values(GrantOperation)) {
      const Operations = operation === "CreateGrant" ? [operation, "DescribeKey" as const] : [operation];
      const error = await errorOf(create({ KeyId, Operations }));
      if (error.name === "no error") allowed.push(operation);
      else
        expect(error).toEqual(
          invalid(
            `Grant operations [${operation}] are not supported on ${KeyId}, whose key spec is ${KeySpec} and key usage is ${KeyUsage}.`,
          ),
        );
    }
    expect(allowed.sort()).toEqual([...operations, ...COMMON].sort());
  });

  it("any other kind than symmetric encryption cannot have an encryption context", async () => {
    const KeyId = await world.newKey({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" });
    const Constraints = { EncryptionContextSubset: { a: "1" } };
    expect(await errorOf(create({ KeyId, Operations: ["GenerateMac"], Constraints }))).toEqual(
      invalid("Encryption context grant constraints are supported only on symmetric encryption KMS keys."),
    );
    const SourceArn = "arn:aws:s3:us-east-1:111122223333:bucket";
    await create({ KeyId, Operations: ["GenerateMac"], Constraints: { SourceArn } });
  });
});

/** Grants in use: callers that have no permission of their own call with what a grant allows them, and with no more. */
import type { CreateGrantCommandInput, KMSClient } from "@aws-sdk/client-kms";
import {
  DecryptCommand,
  DeriveSharedSecretCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairCommand,
  GenerateDataKeyPairWithoutPlaintextCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GenerateMacCommand,
  GetKeyPolicyCommand,
  GetPublicKeyCommand,
  ListGrantsCommand,
  ReEncryptCommand,
  VerifyMacCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { utf8 } from "../../../../shared/bytes.js";
import { ADMINISTRATOR_POLICY } from "../../../../simulator/iam/principals.js";
import { errorNameOf, errorOf } from "../../../support/simulated-kms.js";
import type { GrantedKms } from "./granted-kms.js";
import {
  ACCOUNT,
  ALICE,
  FOREIGN_ACCOUNT,
  notAllowed,
  OWN_ACCOUNT,
  ROOT,
  STRANGER,
  startGrantedKms,
} from "./granted-kms.js";

let world: GrantedKms;
let key: string;
const Plaintext = utf8("a secret");

beforeAll(async () => {
  world = await startGrantedKms();
  key = await world.newKey();
});
afterAll(() => world[Symbol.asyncDispose]());

const describeKey = (caller: KMSClient, KeyId: string) => errorNameOf(caller.send(new DescribeKeyCommand({ KeyId })));

describe("an operation of a grant", () => {
  const uses: [NonNullable<CreateGrantCommandInput["Operations"]>[number], (KeyId: string) => Promise<unknown>][] = [
    ["DescribeKey", (KeyId) => world.alice.send(new DescribeKeyCommand({ KeyId }))],
    ["Encrypt", (KeyId) => world.alice.send(new EncryptCommand({ KeyId, Plaintext }))],
    [
      "Decrypt",
      async (KeyId) => world.alice.send(new DecryptCommand({ CiphertextBlob: await world.encrypted(KeyId) })),
    ],
    ["GenerateDataKey", (KeyId) => world.alice.send(new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256" }))],
    [
      "GenerateDataKeyWithoutPlaintext",
      (KeyId) => world.alice.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId, KeySpec: "AES_256" })),
    ],
    [
      "GenerateDataKeyPair",
      (KeyId) => world.alice.send(new GenerateDataKeyPairCommand({ KeyId, KeyPairSpec: "ECC_NIST_P256" })),
    ],
    [
      "GenerateDataKeyPairWithoutPlaintext",
      (KeyId) =>
        world.alice.send(new GenerateDataKeyPairWithoutPlaintextCommand({ KeyId, KeyPairSpec: "ECC_NIST_P256" })),
    ],
  ];

  it.each(uses)("%s is allowed to the grantee, and nothing else is", async (operation, use) => {
    const KeyId = await world.newKey();
    expect(await errorOf(use(KeyId))).toEqual({
      name: "AccessDeniedException",
      message: notAllowed(ALICE, operation, KeyId),
    });
    await world.grant(KeyId, { Operations: [operation] });
    await use(KeyId);
    for (const [other, useOther] of uses) {
      if (other !== operation) expect(await errorNameOf(useOther(KeyId)), other).toBe("AccessDeniedException");
    }
  });

  it("ReEncryptFrom and ReEncryptTo are two permissions, each on its key", async () => {
    const [from, to] = [await world.newKey(), await world.newKey()];
    const CiphertextBlob = await world.encrypted(from);
    const use = () => world.alice.send(new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: to }));
    await world.grant(from, { Operations: ["ReEncryptTo", "Decrypt"] });
    await world.grant(to, { Operations: ["ReEncryptTo", "Encrypt"] });
    expect(await errorOf(use())).toMatchObject({ message: notAllowed(ALICE, "ReEncryptFrom", from) });
    await world.grant(from, { Operations: ["ReEncryptFrom"] });
    await use();
  });

  it("is one on HMAC keys, RSA keys and keys for key agreement as well", async () => {
    const mac = await world.newKey({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" });
    const rsa = await world.newKey({ KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
    const ecdh = await world.newKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" });
    await world.grant(mac, { Operations: ["GenerateMac"] });
    await world.grant(rsa, { Operations: ["GetPublicKey"] });
    await world.grant(ecdh, { Operations: ["DeriveSharedSecret"] });
    const macOf = { KeyId: mac, Message: Plaintext, MacAlgorithm: "HMAC_SHA_256" } as const;
    const { Mac } = await world.alice.send(new GenerateMacCommand(macOf));
    expect(await errorNameOf(world.alice.send(new VerifyMacCommand({ ...macOf, Mac })))).toBe("AccessDeniedException");
    await world.alice.send(new GetPublicKeyCommand({ KeyId: rsa }));
    const { PublicKey } = await world.operator.send(new GetPublicKeyCommand({ KeyId: ecdh }));
    await world.alice.send(new DeriveSharedSecretCommand({ KeyId: ecdh, PublicKey, KeyAgreementAlgorithm: "ECDH" }));
    expect(await errorNameOf(world.alice.send(new GetPublicKeyCommand({ KeyId: ecdh })))).toBe("AccessDeniedException");
  });

  it("does not let in operations that no grant can allow", async () => {
    await world.grant(key, { Operations: ["DescribeKey", "Decrypt", "CreateGrant", "RetireGrant"] });
    for (const command of [new GetKeyPolicyCommand({ KeyId: key }), new ListGrantsCommand({ KeyId: key })]) {
      expect(await errorNameOf(world.alice.send(command as GetKeyPolicyCommand))).toBe("AccessDeniedException");
    }
  });

  it("is on the one key of the grant", async () => {
    const [KeyId, other] = [await world.newKey(), await world.newKey()];
    await world.grant(KeyId);
    expect(await describeKey(world.alice, other)).toBe("AccessDeniedException");
  });
});

describe("a grantee that is", () => {
  it("a role gives to its sessions; a session gives to that one alone", async () => {
    const { principals } = world.kms;
    const roleArn = principals.addRole({ name: "worker" });
    const session = (sessionName: string) =>
      world.client(principals.issueSession({ roleArn, sessionName, durationSeconds: 900 }));
    const [one, other] = [session("one"), session("other")];
    const [byRole, bySession] = [await world.newKey(), await world.newKey()];
    await world.grant(byRole, { GranteePrincipal: roleArn });
    await world.grant(bySession, { GranteePrincipal: `arn:aws:sts::${ACCOUNT}:assumed-role/worker/one` });
    expect([await describeKey(one, byRole), await describeKey(other, byRole)]).toEqual(["no error", "no error"]);
    expect([await describeKey(one, bySession), await describeKey(other, bySession)]).toEqual([
      ...["no error", "AccessDeniedException"],
    ]);
  });

  it("a principal of another account needs no permission there", async () => {
    const KeyId = await world.newKey();
    expect(await describeKey(world.stranger, KeyId)).toBe("AccessDeniedException");
    await world.grant(KeyId, { GranteePrincipal: STRANGER });
    expect(await describeKey(world.stranger, KeyId)).toBe("no error");
    expect(await describeKey(world.alice, KeyId)).toBe("AccessDeniedException");
  });

  it("an account leaves it to the account's IAM policies", async () => {
    const { principals } = world.kms;
    const foreign = (name: string, ...policies: readonly string[]) =>
      world.client(principals.addUser({ name, policies, accountId: FOREIGN_ACCOUNT }));
    const [administrator, nobody] = [foreign("administrator", ADMINISTRATOR_POLICY), foreign("nobody")];
    const root = world.client(principals.addRoot({ accountId: FOREIGN_ACCOUNT }));
    const KeyId = await world.newKey();
    expect(await describeKey(administrator, KeyId)).toBe("AccessDeniedException");
    await world.grant(KeyId, { GranteePrincipal: `arn:aws:iam::${FOREIGN_ACCOUNT}:root` });
    const answers = await Promise.all([administrator, root, nobody].map((caller) => describeKey(caller, KeyId)));
    expect(answers).toEqual(["no error", "no error", "AccessDeniedException"]);
  });

  it("another one's name as a beginning is another principal", async () => {
    const KeyId = await world.newKey();
    await world.grant(KeyId, { GranteePrincipal: `${ALICE}2` });
    expect(await describeKey(world.alice, KeyId)).toBe("AccessDeniedException");
  });
});

describe("an explicit deny wins over a grant", () => {
  it("in the key policy", async () => {
    const KeyId = await world.newKey();
    await world.grant(KeyId);
    expect(await describeKey(world.alice, KeyId)).toBe("no error");
    const deny = { Effect: "Deny", Principal: { AWS: ALICE }, Action: "kms:DescribeKey", Resource: "*" };
    await world.putPolicy(KeyId, OWN_ACCOUNT, deny);
    expect(await errorOf(world.alice.send(new DescribeKeyCommand({ KeyId })))).toEqual({
      name: "AccessDeniedException",
      message: `User: ${ALICE} is not authorized to perform: kms:DescribeKey on resource: ${KeyId} with an explicit deny in a resource-based policy`,
    });
  });

  it("in an identity policy", async () => {
    const KeyId = await world.newKey();
    const Statement = [{ Effect: "Deny", Action: "kms:*", Resource: "*" }];
    const policies = [JSON.stringify({ Version: "2012-10-17", Statement })];
    const denied = world.client(world.kms.principals.addUser({ name: "denied", policies }));
    await world.grant(KeyId, { GranteePrincipal: `arn:aws:iam::${ACCOUNT}:user/denied` });
    expect(await errorOf(denied.send(new DescribeKeyCommand({ KeyId })))).toMatchObject({
      message: expect.stringMatching(/with an explicit deny in an identity-based policy$/),
    });
  });

  it("but a key policy that is silent does not", async () => {
    const KeyId = await world.newKey();
    const administration = { ...OWN_ACCOUNT, Principal: { AWS: `arn:aws:iam::${ACCOUNT}:user/operator` } };
    await world.putPolicy(KeyId, administration);
    await world.grant(KeyId);
    expect(await describeKey(world.alice, KeyId)).toBe("no error");
  });
});

describe("an encryption context constraint", () => {
  const encrypt = (KeyId: string, EncryptionContext?: Record<string, string>) =>
    errorNameOf(world.alice.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext })));
  const constrained = async (Constraints: CreateGrantCommandInput["Constraints"]) => {
    const KeyId = await world.newKey();
    await world.grant(KeyId, { Operations: ["Encrypt", "Decrypt", "DescribeKey"], Constraints });
    return (context?: Record<string, string>) => encrypt(KeyId, context);
  };
  const [YES, NO] = ["no error", "AccessDeniedException"];

  it.each<[string, Record<string, string> | undefined, string, string]>([
    ["the very context", { Department: "IT", Tenant: "a" }, YES, YES],
    ["the context and another pair", { Department: "IT", Tenant: "a", more: "1" }, YES, NO],
    ["names in another case", { department: "IT", TENANT: "a" }, YES, YES],
    ["a value in another case", { Department: "it", Tenant: "a" }, NO, NO],
    ["another value", { Department: "HR", Tenant: "a" }, NO, NO],
    ["a pair too few", { Department: "IT" }, NO, NO],
    ["no context", undefined, NO, NO],
    ["a name twice that differs by case", { Department: "IT", department: "HR", Tenant: "a" }, YES, NO],
    ["name and value changed over", { IT: "Department", a: "Tenant" }, NO, NO],
  ])("with %s", async (_, context, subset, equals) => {
    const wanted = { Department: "IT", Tenant: "a" };
    const byBoth = [
      await constrained({ EncryptionContextSubset: wanted }),
      await constrained({ EncryptionContextEquals: wanted }),
    ];
    expect(await Promise.all(byBoth.map((attempt) => attempt(context)))).toEqual([subset, equals]);
  });

  it("that is empty: Equals wants no context, Subset wants nothing", async () => {
    const equals = await constrained({ EncryptionContextEquals: {} });
    const subset = await constrained({ EncryptionContextSubset: {} });
    expect([await equals(), await equals({ a: "1" })]).toEqual([YES, NO]);
    expect([await subset(), await subset({ a: "1" })]).toEqual([YES, YES]);
  });

  it("on both sides must hold on both", async () => {
    const both = await constrained({
      EncryptionContextSubset: { a: "1" },
      EncryptionContextEquals: { a: "1", b: "2" },
    });
    expect([await both({ a: "1", b: "2" }), await both({ a: "1" }), await both({ b: "2" })]).toEqual([YES, NO, NO]);
  });

  it("does not bind DescribeKey", async () => {
    const KeyId = await world.newKey();
    await world.grant(KeyId, { Constraints: { EncryptionContextSubset: { a: "1" } } });
    expect(await describeKey(world.alice, KeyId)).toBe(YES);
  });

  it("is looked for in each grant by itself", async () => {
    const KeyId = await world.newKey();
    await world.grant(KeyId, { Operations: ["Encrypt"], Constraints: { EncryptionContextSubset: { a: "1" } } });
    await world.grant(KeyId, { Operations: ["Encrypt"], Constraints: { EncryptionContextSubset: { b: "2" } } });
    expect([await encrypt(KeyId, { a: "1" }), await encrypt(KeyId, { b: "2" })]).toEqual([YES, YES]);
    expect(await encrypt(KeyId, { a: "2", b: "1" })).toBe(NO);
  });

  it("binds each side of ReEncrypt to its own context", async () => {
    const [from, to] = [await world.newKey(), await world.newKey()];
    const Constraints = { EncryptionContextEquals: { side: "to" } };
    await world.grant(from, { Operations: ["ReEncryptFrom"] });
    await world.grant(to, { Operations: ["ReEncryptTo"], Constraints });
    const SourceEncryptionContext = { side: "from" };
    const CiphertextBlob = await world.encrypted(from, SourceEncryptionContext);
    const reEncrypt = (DestinationEncryptionContext: Record<string, string>) =>
      errorNameOf(
        world.alice.send(
          new ReEncryptCommand({
            ...{ CiphertextBlob, DestinationKeyId: to, SourceEncryptionContext, DestinationEncryptionContext },
          }),
        ),
      );
    expect([await reEncrypt({ side: "to" }), await reEncrypt({ side: "from" })]).toEqual([YES, NO]);
  });
});

describe("a source ARN constraint", () => {
  it("refuses what is not asked on behalf of a resource, but DescribeKey", async () => {
    const KeyId = await world.newKey();
    const SourceArn = "arn:aws:s3:us-east-1:111122223333:bucket";
    await world.grant(KeyId, { Operations: ["Encrypt", "DescribeKey"], Constraints: { SourceArn } });
    const encrypt = world.alice.send(new EncryptCommand({ KeyId, Plaintext }));
    expect(await errorNameOf(encrypt)).toBe("AccessDeniedException");
    expect(await describeKey(world.alice, KeyId)).toBe("no error");
  });
});

describe("a grant", () => {
  it("of the account's root lets in whom the account's policies let in", async () => {
    const KeyId = await world.newKey();
    await world.putPolicy(KeyId, { ...OWN_ACCOUNT, Principal: { AWS: `arn:aws:iam::${ACCOUNT}:user/operator` } });
    const policies = [ADMINISTRATOR_POLICY];
    const administrator = world.client(world.kms.principals.addUser({ name: "administrator", policies }));
    expect(await describeKey(administrator, KeyId)).toBe("AccessDeniedException");
    await world.grant(KeyId, { GranteePrincipal: ROOT });
    expect(await describeKey(administrator, KeyId)).toBe("no error");
    expect(await describeKey(world.alice, KeyId)).toBe("AccessDeniedException");
  });
});

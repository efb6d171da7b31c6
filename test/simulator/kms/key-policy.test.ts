/** Key policies in force: put through the SDK, felt by callers with real credentials. */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateRandomCommand,
  GetKeyPolicyCommand,
  PutKeyPolicyCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../shared/bytes.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";

const clock = clockAt();
const Plaintext = utf8("a secret");
const ACCOUNT = "111122223333";
const FOREIGN_ACCOUNT = "444455556666";
const USER = `arn:aws:iam::${ACCOUNT}:user/application`;

let kms: SimulatedKms;
let operator: KMSClient;
/** A user without identity policies: only key policies can let it in. */
let application: KMSClient;
let KeyId: string;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  operator = kmsClient(kms, clock);
  application = kmsClient(kms, clock, kms.principals.addUser({ name: "application" }));
  KeyId = (await operator.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "";
});

afterAll(async () => {
  operator.destroy();
  application.destroy();
  await kms.close();
});

const administration = { Effect: "Allow", Principal: { AWS: ACCOUNT }, Action: "kms:*", Resource: "*" };
const policyOf = (...statements: readonly object[]) => JSON.stringify({ Version: "2012-10-17", Statement: statements });
const put = (...statements: readonly object[]) =>
  operator.send(new PutKeyPolicyCommand({ KeyId, Policy: policyOf(administration, ...statements) }));
const letIn = (Condition?: object) =>
  put({ Effect: "Allow", Principal: { AWS: USER }, Action: "kms:*", Resource: "*", Condition });

const encrypt = (EncryptionContext?: Record<string, string>, client = application) =>
  client.send(new EncryptCommand({ KeyId, Plaintext, ...(EncryptionContext && { EncryptionContext }) }));
const outcome = async (EncryptionContext?: Record<string, string>) => errorNameOf(encrypt(EncryptionContext));

describe("AccessDenied says why, in AWS's words", () => {
  const who = (action: string, resource: string) =>
    `User: ${USER} is not authorized to perform: kms:${action} on resource: ${resource}`;

  it("no resource-based policy allows it", async () => {
    await operator.send(
      new PutKeyPolicyCommand({
        KeyId,
        Policy: policyOf({ ...administration, Principal: { AWS: `arn:aws:iam::${ACCOUNT}:user/operator` } }),
      }),
    );
    const message = `${who("Encrypt", KeyId)} because no resource-based policy allows the kms:Encrypt action`;
    expect(await errorOf(encrypt())).toEqual({ name: "AccessDeniedException", message });
  });

  it("no identity-based policy allows it", async () => {
    await put();
    const message = `${who("Encrypt", KeyId)} because no identity-based policy allows the kms:Encrypt action`;
    expect(await errorOf(encrypt())).toEqual({ name: "AccessDeniedException", message });
    const create = `${who("CreateKey", "*")} because no identity-based policy allows the kms:CreateKey action`;
    expect(await errorOf(application.send(new CreateKeyCommand({})))).toEqual({
      name: "AccessDeniedException",
      message: create,
    });
    expect(await errorNameOf(application.send(new GenerateRandomCommand({ NumberOfBytes: 1 })))).toBe(
      "AccessDeniedException",
    );
  });

  it("an explicit deny", async () => {
    await put(
      { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" },
      { Effect: "Deny", Principal: { AWS: USER }, Action: "kms:Enc*", Resource: "*" },
    );
    const message = `${who("Encrypt", KeyId)} with an explicit deny in a resource-based policy`;
    expect(await errorOf(encrypt())).toEqual({ name: "AccessDeniedException", message });
    expect(await errorNameOf(application.send(new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256" })))).toBe(
      "no error",
    );
  });
});

describe("conditions on the encryption context", () => {
  it("pitfall 5: hold the context to a value", async () => {
    await letIn({ StringEquals: { "kms:EncryptionContext:tenant": "a" } });
    expect(await outcome({ tenant: "a" })).toBe("no error");
    expect(await outcome({ tenant: "a", more: "b" })).toBe("no error");
    expect(await outcome({ tenant: "b" })).toBe("AccessDeniedException");
    expect(await outcome()).toBe("AccessDeniedException");
  });

  it("hold the names to a list", async () => {
    await letIn({
      "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": ["tenant", "purpose"] },
      Null: { "kms:EncryptionContextKeys": "false" },
    });
    expect(await outcome({ tenant: "a" })).toBe("no error");
    expect(await outcome({ tenant: "a", purpose: "b" })).toBe("no error");
    expect(await outcome({ tenant: "a", more: "b" })).toBe("AccessDeniedException");
    expect(await outcome()).toBe("AccessDeniedException");
  });

  it("apply to Decrypt alike", async () => {
    const { CiphertextBlob } = await encrypt({ tenant: "b" }, operator);
    await letIn({ StringEquals: { "kms:EncryptionContext:tenant": "a" } });
    const call = application.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: { tenant: "b" } }));
    expect(await errorNameOf(call)).toBe("AccessDeniedException");
  });
});

describe("conditions on the caller and the request", () => {
  it.each<[string, object, object]>([
    ["the caller's account", { "kms:CallerAccount": ACCOUNT }, { "kms:CallerAccount": FOREIGN_ACCOUNT }],
    ["the principal's account", { "aws:PrincipalAccount": ACCOUNT }, { "aws:PrincipalAccount": FOREIGN_ACCOUNT }],
    ["the principal's ARN", { "aws:PrincipalArn": USER }, { "aws:PrincipalArn": `${USER}2` }],
    ["the user's name", { "aws:username": "application" }, { "aws:username": "other" }],
    [
      "the algorithm",
      { "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT" },
      { "kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256" },
    ],
    ["the Region", { "aws:RequestedRegion": "us-east-1" }, { "aws:RequestedRegion": "eu-west-1" }],
    ["the key's spec", { "kms:KeySpec": "SYMMETRIC_DEFAULT" }, { "kms:KeySpec": "RSA_2048" }],
    ["TLS", { "aws:SecureTransport": "true" }, { "aws:SecureTransport": "false" }],
  ])("know %s", async (_what, right, wrong) => {
    await letIn({ StringEquals: right });
    expect(await outcome()).toBe("no error");
    await letIn({ StringEquals: wrong });
    expect(await outcome()).toBe("AccessDeniedException");
  });

  it("know the time of the injected clock", async () => {
    await letIn({ DateLessThan: { "aws:CurrentTime": clock().toISOString() } });
    expect(await outcome()).toBe("AccessDeniedException");
    await letIn({ DateLessThanEquals: { "aws:CurrentTime": clock().toISOString() } });
    expect(await outcome()).toBe("no error");
  });

  it("find no service in between", async () => {
    await letIn({ StringEquals: { "kms:ViaService": "s3.us-east-1.amazonaws.com" } });
    expect(await outcome()).toBe("AccessDeniedException");
  });
});

describe("identity policies", () => {
  const clientWith = (name: string, policy: string, accountId = ACCOUNT) =>
    kmsClient(kms, clock, kms.principals.addUser({ name, policies: [policy], accountId }));
  const allow = (Action: string, Resource = "*") => policyOf({ Effect: "Allow", Action, Resource });

  it("decide where the key policy names the account, and only for the key that they name", async () => {
    await put();
    const named = clientWith("named-key", allow("kms:Encrypt", KeyId));
    const other = clientWith("other-key", allow("kms:Encrypt", `${KeyId.slice(0, -1)}x`));
    expect(await errorNameOf(encrypt(undefined, named))).toBe("no error");
    expect(await errorNameOf(encrypt(undefined, other))).toBe("AccessDeniedException");
  });

  it("of another account need the key policy too, and the other way round", async () => {
    const permitted = clientWith("permitted", allow("kms:*"), FOREIGN_ACCOUNT);
    const not = clientWith("not", allow("s3:*"), FOREIGN_ACCOUNT);
    await put();
    expect(await errorNameOf(encrypt(undefined, permitted))).toBe("AccessDeniedException");
    await put({ Effect: "Allow", Principal: { AWS: FOREIGN_ACCOUNT }, Action: "kms:Encrypt", Resource: "*" });
    expect(await errorNameOf(encrypt(undefined, permitted))).toBe("no error");
    expect(await errorNameOf(encrypt(undefined, not))).toBe("AccessDeniedException");
  });

  it("do not bind the account's root user", async () => {
    await put();
    expect(await errorNameOf(encrypt(undefined, kmsClient(kms, clock, kms.principals.addRoot())))).toBe("no error");
  });

  it("must allow an alias besides the key", async () => {
    await letIn();
    const command = () => new CreateAliasCommand({ AliasName: "alias/theirs", TargetKeyId: KeyId });
    expect(await errorOf(application.send(command()))).toEqual({
      name: "AccessDeniedException",
      message: `User: ${USER} is not authorized to perform: kms:CreateAlias on resource: arn:aws:kms:us-east-1:${ACCOUNT}:alias/theirs because no identity-based policy allows the kms:CreateAlias action`,
    });
    expect(await errorNameOf(operator.send(command()))).toBe("no error");
  });
});

describe("PutKeyPolicy", () => {
  it("keeps the text as it was put", async () => {
    const Policy = ` ${policyOf(administration)}\n`;
    await operator.send(new PutKeyPolicyCommand({ KeyId, Policy, PolicyName: "default" }));
    expect((await operator.send(new GetKeyPolicyCommand({ KeyId }))).Policy).toBe(Policy);
  });

  it("pitfall 23: is itself under the key policy", async () => {
    await put({ Effect: "Allow", Principal: { AWS: USER }, Action: "kms:Encrypt", Resource: "*" });
    const call = application.send(new PutKeyPolicyCommand({ KeyId, Policy: policyOf(administration) }));
    expect(await errorNameOf(call)).toBe("AccessDeniedException");
  });

  it("refuses a policy that locks its caller out, unless told to", async () => {
    const before = (await operator.send(new GetKeyPolicyCommand({ KeyId }))).Policy;
    const made = (await operator.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "";
    const Policy = policyOf({ ...administration, Action: ["kms:Decrypt", "kms:GetKeyPolicy"] });
    expect(await errorOf(operator.send(new PutKeyPolicyCommand({ KeyId, Policy })))).toEqual({
      name: "MalformedPolicyDocumentException",
      message: "The new key policy will not allow you to update the key policy in the future.",
    });
    expect((await operator.send(new GetKeyPolicyCommand({ KeyId }))).Policy).toBe(before);
    const BypassPolicyLockoutSafetyCheck = true;
    await operator.send(new PutKeyPolicyCommand({ KeyId: made, Policy, BypassPolicyLockoutSafetyCheck }));
    const again = operator.send(new PutKeyPolicyCommand({ KeyId: made, Policy: policyOf(administration) }));
    expect(await errorNameOf(again)).toBe("AccessDeniedException");
  });

  it("takes a statement without an action or a resource, which has no effect", async () => {
    for (const element of [{ Action: "*" }, { Resource: "*" }, {}]) {
      await put({ Effect: "Allow", Principal: { AWS: USER }, ...element });
      expect(await errorNameOf(encrypt())).toBe("AccessDeniedException");
      await put({ Effect: "Deny", Principal: "*", ...element });
    }
    expect(await errorNameOf(operator.send(new GetKeyPolicyCommand({ KeyId })))).toBe("no error");
  });

  it("refuses a malformed policy and keeps the one before", async () => {
    await put();
    expect(await errorOf(put({ Effect: "Permit", Principal: "*", Action: "*", Resource: "*" }))).toEqual({
      name: "MalformedPolicyDocumentException",
      message: "Syntax errors in policy.",
    });
    expect((await operator.send(new GetKeyPolicyCommand({ KeyId }))).Policy).toBe(policyOf(administration));
  });
});

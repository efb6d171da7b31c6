/** What a call can cost: how large its encryption context is, how much of it is remembered, how long many grants take. */
import {
  CreateGrantCommand,
  DecryptCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairCommand,
  GenerateDataKeyPairWithoutPlaintextCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  ReEncryptCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { utf8 } from "../../../shared/bytes.js";
import { AuditLog } from "../../../simulator/cloudtrail/audit-log.js";
import { authorize } from "../../../simulator/iam/authorization.js";
import { Decisions } from "../../../simulator/iam/decisions.js";
import { conditionValues } from "../../../simulator/iam/request-context.js";
import { satisfiedBy } from "../../../simulator/kms/grant-constraints.js";
import { errorNameOf, errorOf } from "../../support/simulated-kms.js";
import { NOW } from "../fixtures.js";
import type { PolicyCase } from "../iam/cases/case.js";
import { allow, deny, requestOf } from "../iam/cases/case.js";
import { EVALUATION } from "../iam/cases/sources.js";
import type { GrantedKms } from "./grants/granted-kms.js";
import { ALICE, startGrantedKms } from "./grants/granted-kms.js";

const Plaintext = utf8("a secret");
/** 8,192 bytes of names and values; a letter of two bytes among them. */
const LARGEST = { ä: "x".repeat(8190) };
const TOO_LARGE = { ä: "x".repeat(8191) };

let granted: GrantedKms;
let KeyId: string;
let CiphertextBlob: Uint8Array;
beforeAll(async () => {
  granted = await startGrantedKms();
  KeyId = await granted.newKey();
  CiphertextBlob = await granted.encrypted(KeyId, LARGEST);
});
afterAll(() => granted[Symbol.asyncDispose]());

describe("an encryption context", () => {
  const grant = { KeyId, GranteePrincipal: ALICE, Operations: ["Decrypt" as const] };
  it.each<[operation: string, member: string, call: (context: Record<string, string>) => Promise<unknown>]>([
    [
      "Encrypt",
      "encryptionContext",
      (EncryptionContext) => granted.operator.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext })),
    ],
    [
      "Decrypt",
      "encryptionContext",
      (EncryptionContext) => granted.operator.send(new DecryptCommand({ CiphertextBlob, EncryptionContext })),
    ],
    [
      "GenerateDataKey",
      "encryptionContext",
      (EncryptionContext) =>
        granted.operator.send(new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256", EncryptionContext })),
    ],
    [
      "GenerateDataKeyWithoutPlaintext",
      "encryptionContext",
      (EncryptionContext) =>
        granted.operator.send(
          new GenerateDataKeyWithoutPlaintextCommand({ KeyId, KeySpec: "AES_256", EncryptionContext }),
        ),
    ],
    [
      "GenerateDataKeyPair",
      "encryptionContext",
      (EncryptionContext) =>
        granted.operator.send(
          new GenerateDataKeyPairCommand({ KeyId, KeyPairSpec: "ECC_NIST_P256", EncryptionContext }),
        ),
    ],
    [
      "GenerateDataKeyPairWithoutPlaintext",
      "encryptionContext",
      (EncryptionContext) =>
        granted.operator.send(
          new GenerateDataKeyPairWithoutPlaintextCommand({ KeyId, KeyPairSpec: "ECC_NIST_P256", EncryptionContext }),
        ),
    ],
    [
      "ReEncrypt",
      "sourceEncryptionContext",
      (SourceEncryptionContext) =>
        granted.operator.send(
          new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: KeyId, SourceEncryptionContext }),
        ),
    ],
    [
      "ReEncrypt",
      "destinationEncryptionContext",
      (DestinationEncryptionContext) =>
        granted.operator.send(
          new ReEncryptCommand({
            CiphertextBlob,
            DestinationKeyId: KeyId,
            SourceEncryptionContext: LARGEST,
            DestinationEncryptionContext,
          }),
        ),
    ],
  ])("of %s has 8,192 bytes at most as %s", async (_operation, member, call) => {
    expect(await errorNameOf(call(LARGEST))).toBe("no error");
    expect(await errorOf(call(TOO_LARGE))).toEqual({
      name: "ValidationException",
      message: `1 validation error detected: Value at '${member}' failed to satisfy constraint: Member must have length less than or equal to 8192`,
    });
  });

  it.each(["EncryptionContextSubset", "EncryptionContextEquals"])(
    "in %s of a grant is bounded as well",
    async (name) => {
      const constraint = name.replace("E", "e");
      const call = granted.operator.send(
        new CreateGrantCommand({ ...grant, KeyId, Constraints: { [name]: TOO_LARGE } }),
      );
      expect(await errorOf(call)).toEqual({
        name: "ValidationException",
        message: `1 validation error detected: Value at 'constraints.${constraint}' failed to satisfy constraint: Member must have length less than or equal to 8192`,
      });
    },
  );
});

describe("what is remembered of calls", () => {
  const MIB = 1024 ** 2;

  it("is 32 MiB of records at most in memory, the newest", () => {
    const log = new AuditLog({ region: "us-east-1", accountId: "111122223333" });
    const call = {
      eventName: "PutKeyPolicy",
      readOnly: false,
      now: NOW,
      sourceIp: "",
      userAgent: "",
      error: undefined,
    };
    const trace = { parameters: { Policy: "x".repeat(32 * 1024) }, resources: [], recipient: undefined };
    for (let i = 0; i < 5000; i++) log.append({ ...call, requestId: `${i}`, trace });
    expect(log.records.at(-1)?.requestID).toBe("4999");
    expect(log.records.length).toBeGreaterThan(400);
    expect(log.records.length).toBeLessThan(1024);
  });

  it("is 32 MiB of questions at most, the newest", () => {
    const decisions = new Decisions();
    const values = new Map([["kms:encryptioncontext:a", ["x".repeat(MIB)]]]);
    const question = { ...requestOf({ name: "", source: EVALUATION, ends: "allowed" }), values };
    const { accountId } = question.principal;
    const call = { eventName: "Decrypt", eventTime: NOW, accountId, questions: [question] };
    for (let i = 0; i < 100; i++) decisions.remember({ ...call, requestId: `${i}` });
    const kept = Array.from({ length: 100 }, (_, i) => decisions.explain(accountId, `${i}`) !== undefined);
    expect(kept.lastIndexOf(false)).toBe(68);
    expect(kept.filter(Boolean).length).toBe(31);
  });
});

it("names that differ by case alone are put together in one pass", () => {
  const values = Array.from({ length: 200_000 }, (_, i) => ["kms:EncryptionContext:a", [String(i)]] as const);
  expect(conditionValues(values).get("kms:encryptioncontext:a")?.length).toBe(200_000);
});

describe("many grants of one grantee on one key", () => {
  it("are held against what is made of the request once", () => {
    let walks = 0;
    const values = new (class extends Map<string, readonly string[]> {
      override [Symbol.iterator]() {
        walks += 1;
        return super[Symbol.iterator]();
      }
    })([["kms:encryptioncontext:tenant", ["a"]]]);
    const satisfied = satisfiedBy("Decrypt", values);
    const of = (tenant: string) => ({ encryptionContextEquals: new Map([["tenant", tenant]]) });
    expect(Array.from({ length: 1000 }, (_, i) => satisfied(of(`${i}`))).some(Boolean)).toBe(false);
    expect(satisfied(of("a"))).toBe(true);
    expect(walks).toBe(1);
  });

  it("are not looked at where policies have allowed, nor where they deny", () => {
    let looks = 0;
    const asked = (changes: Partial<PolicyCase>): string => {
      const request = requestOf({ name: "", source: EVALUATION, ends: "allowed", ...changes });
      const grants = () => Number.isInteger(++looks);
      return authorize({ ...request, resource: { ...request.resource, grants } }).reason;
    };
    expect(asked({ identityPolicies: [allow()] })).toBe("allowed");
    expect(asked({ keyPolicy: deny({ Principal: "*" }) })).toBe("denied-by-key-policy");
    expect(looks).toBe(0);
    expect(asked({})).toBe("allowed");
    expect(looks).toBe(1);
  });
});

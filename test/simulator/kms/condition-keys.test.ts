/** Condition keys that tell of a key's usage and of what a call asks for, each the one thing that a permission hangs on. */
import { generateKeyPairSync } from "node:crypto";
import type { CreateKeyCommandInput, DataKeyPairSpec, KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DeriveSharedSecretCommand,
  DescribeKeyCommand,
  GenerateDataKeyPairCommand,
  GenerateDataKeyPairWithoutPlaintextCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { errorNameOf, kmsClient } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";

const clock = clockAt();
const clients: KMSClient[] = [];
let kms: SimulatedKms;
let operator: KMSClient;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock, protocol: "http" });
  operator = kmsClient(kms, clock);
});
afterAll(async () => {
  for (const client of [operator, ...clients]) client.destroy();
  await kms.close();
});

/** A user who has one permission, under one condition. */
function userWhere(Action: string, key: string, value: string, effect: "Allow" | "Deny" = "Allow"): KMSClient {
  const Condition = { StringEquals: { [key]: value } };
  const conditional = { Effect: effect, Action, Resource: "*", Condition };
  const Statement = effect === "Allow" ? [conditional] : [{ Effect: "Allow", Action, Resource: "*" }, conditional];
  const policies = [JSON.stringify({ Version: "2012-10-17", Statement })];
  const client = kmsClient(kms, clock, kms.principals.addUser({ name: `user-${clients.length}`, policies }));
  clients.push(client);
  return client;
}

const newKey = async (input: CreateKeyCommandInput = {}): Promise<string> =>
  (await operator.send(new CreateKeyCommand(input))).KeyMetadata?.Arn ?? "";

const [ALLOWED, REFUSED] = ["no error", "AccessDeniedException"];

describe("kms:KeyUsage", () => {
  const MAC = { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" } as const;

  it.each([
    ["Allow", REFUSED, ALLOWED],
    ["Deny", ALLOWED, REFUSED],
  ] as const)("lets a policy %s the making of keys of one usage", async (effect, encryption, mac) => {
    const user = userWhere("kms:CreateKey", "kms:KeyUsage", "GENERATE_VERIFY_MAC", effect);
    expect(await errorNameOf(user.send(new CreateKeyCommand({})))).toBe(encryption);
    expect(await errorNameOf(user.send(new CreateKeyCommand(MAC)))).toBe(mac);
  });

  it("tells of the key that is used", async () => {
    const user = userWhere("kms:DescribeKey", "kms:KeyUsage", "GENERATE_VERIFY_MAC");
    const describing = async (input?: CreateKeyCommandInput) =>
      errorNameOf(user.send(new DescribeKeyCommand({ KeyId: await newKey(input) })));
    expect([await describing(MAC), await describing()]).toEqual([ALLOWED, REFUSED]);
  });
});

describe("kms:DataKeyPairSpec", () => {
  it.each([
    ["GenerateDataKeyPair", GenerateDataKeyPairCommand],
    ["GenerateDataKeyPairWithoutPlaintext", GenerateDataKeyPairWithoutPlaintextCommand],
  ])("tells which pair %s is to make", async (name, Command) => {
    const KeyId = await newKey();
    const outcomes = async (user: KMSClient) => {
      const pair = (KeyPairSpec: DataKeyPairSpec) => errorNameOf(user.send(new Command({ KeyId, KeyPairSpec })));
      return [await pair("ECC_NIST_P256"), await pair("ECC_NIST_P384")];
    };
    const allowed = userWhere(`kms:${name}`, "kms:DataKeyPairSpec", "ECC_NIST_P256");
    expect(await outcomes(allowed)).toEqual([ALLOWED, REFUSED]);
    const denied = userWhere(`kms:${name}`, "kms:DataKeyPairSpec", "ECC_NIST_P256", "Deny");
    expect(await outcomes(denied)).toEqual([REFUSED, ALLOWED]);
  });
});

describe("kms:KeyAgreementAlgorithm", () => {
  it.each([
    ["Allow", "ECDH", ALLOWED],
    ["Allow", "another", REFUSED],
    ["Deny", "ECDH", REFUSED],
    ["Deny", "another", ALLOWED],
  ] as const)("lets a policy %s DeriveSharedSecret by %s", async (effect, algorithm, outcome) => {
    const KeyId = await newKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" });
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const PublicKey = publicKey.export({ type: "spki", format: "der" });
    const user = userWhere("kms:DeriveSharedSecret", "kms:KeyAgreementAlgorithm", algorithm, effect);
    const command = new DeriveSharedSecretCommand({ KeyId, PublicKey, KeyAgreementAlgorithm: "ECDH" });
    expect(await errorNameOf(user.send(command))).toBe(outcome);
  });
});

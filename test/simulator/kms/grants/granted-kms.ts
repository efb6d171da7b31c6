/** A KMS with principals that have no permission of their own, so that whatever they may do a grant has given them. */
import type { CreateGrantCommandInput, KMSClient } from "@aws-sdk/client-kms";
import { CreateGrantCommand, CreateKeyCommand, EncryptCommand, PutKeyPolicyCommand } from "@aws-sdk/client-kms";
import { trustAnchorFromSha256 } from "../../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../../shared/bytes.js";
import type { KmsOptions, SimulatedKms } from "../../../../simulator/endpoint/server.js";
import { startKms } from "../../../../simulator/endpoint/server.js";
import type { Credentials } from "../../../support/simulated-kms.js";
import { kmsClient } from "../../../support/simulated-kms.js";
import type { SetClock } from "../../fixtures.js";
import { clockAt } from "../../fixtures.js";

export const ACCOUNT = "111122223333";
export const FOREIGN_ACCOUNT = "444455556666";
export const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
export const ALICE = `arn:aws:iam::${ACCOUNT}:user/alice`;
export const BOB = `arn:aws:iam::${ACCOUNT}:user/bob`;
export const STRANGER = `arn:aws:iam::${FOREIGN_ACCOUNT}:user/stranger`;

export interface GrantedKms extends AsyncDisposable {
  readonly kms: SimulatedKms;
  readonly clock: SetClock;
  /** May do everything in the key's account. */
  readonly operator: KMSClient;
  readonly alice: KMSClient;
  readonly bob: KMSClient;
  /** Of another account. */
  readonly stranger: KMSClient;
  /** A client of those credentials. */
  client(credentials: Credentials): KMSClient;
  /** A new key's ARN. */
  newKey(options?: object): Promise<string>;
  /** The operator grants; DescribeKey to alice, unless `terms` say otherwise. */
  grant(KeyId: string, terms?: Partial<CreateGrantCommandInput>): Promise<{ GrantId: string; GrantToken: string }>;
  encrypted(KeyId: string, EncryptionContext?: Record<string, string>): Promise<Uint8Array>;
  putPolicy(KeyId: string, ...Statement: readonly object[]): Promise<void>;
}

export async function startGrantedKms(options: Partial<KmsOptions> = {}): Promise<GrantedKms> {
  const clock = clockAt();
  const kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock, ...options });
  const { principals } = kms;
  const clients: KMSClient[] = [];
  const client = (credentials: Credentials): KMSClient => {
    const made = kmsClient(kms, clock, credentials);
    clients.push(made);
    return made;
  };
  const operator = client(kms.operator);
  return {
    ...{ kms, clock, operator, client },
    alice: client(principals.addUser({ name: "alice" })),
    bob: client(principals.addUser({ name: "bob" })),
    stranger: client(principals.addUser({ name: "stranger", accountId: FOREIGN_ACCOUNT })),
    newKey: async (keyOptions = {}) => {
      const { KeyMetadata } = await operator.send(new CreateKeyCommand(keyOptions));
      return KeyMetadata?.Arn ?? "";
    },
    grant: async (KeyId, terms = {}) => {
      const command = new CreateGrantCommand({ KeyId, GranteePrincipal: ALICE, Operations: ["DescribeKey"], ...terms });
      const { GrantId = "", GrantToken = "" } = await operator.send(command);
      return { GrantId, GrantToken };
    },
    encrypted: async (KeyId, EncryptionContext) => {
      const command = new EncryptCommand({ KeyId, EncryptionContext, Plaintext: utf8("a secret") });
      return (await operator.send(command)).CiphertextBlob ?? new Uint8Array();
    },
    putPolicy: async (KeyId, ...Statement) => {
      const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
      await operator.send(new PutKeyPolicyCommand({ KeyId, PolicyName: "default", Policy }));
    },
    [Symbol.asyncDispose]: async () => {
      for (const one of clients) one.destroy();
      await kms.close();
    },
  };
}

/** The default key policy's statement: the account's IAM policies decide. */
export const OWN_ACCOUNT = { Effect: "Allow", Principal: { AWS: ROOT }, Action: "kms:*", Resource: "*" };

/** The message of an AccessDeniedException where nothing allows the call. */
export const notAllowed = (caller: string, action: string, keyArn: string, policy = "identity") =>
  `User: ${caller} is not authorized to perform: kms:${action} on resource: ${keyArn} because no ${policy}-based policy allows the kms:${action} action`;

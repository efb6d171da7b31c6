/**
 * What becomes of data when KMS keys change, through a whole enclave: rotation, which KMS does by itself and nobody has to act
 * on, and rollover, where an alias of the configuration means another key from now on.
 */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DecryptCommand,
  EnableKeyRotationCommand,
  EncryptCommand,
  ListKeyRotationsCommand,
  RotateKeyOnDemandCommand,
  UpdateAliasCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { fromBase64, toBase64, utf8 } from "../../shared/bytes.js";
import { createTokenIssuer } from "../../simulator/token-issuer.js";
import type { SetClock } from "../simulator/fixtures.js";
import { clockAt, DAY } from "../simulator/fixtures.js";
import type { Json } from "./fakes.js";
import { TestClock } from "./fakes.js";
import type { Kms, Stack } from "./stack.js";
import { ALIAS, CONTEXT, messageOf, policyOf, startKmsForTest, startStack } from "./stack.js";

const SECRET = utf8("a secret that outlives its key material");
const plaintext = toBase64(SECRET);

const opens = async (stack: Stack, path: string, body: Json): Promise<void> =>
  expect(await stack.json("POST", path, body)).toMatchObject({ status: 200, body: { plaintext } });

/** A ciphertext and messages of `kms`'s key, as its operator and as the enclave make them now. */
async function dataOf(kms: Kms, stack: Stack, keyIds?: readonly string[]) {
  const context = { encryptionContext: CONTEXT };
  const made = await stack.json("POST", "/v1/messages/encrypt", { plaintext, ...context, ...(keyIds && { keyIds }) });
  expect(made.status).toBe(200);
  const { keyArn: keyId } = kms;
  const ciphertext = { ciphertext: toBase64(await kms.encrypt(SECRET)), keyId, ...context };
  const messages = [made.body.message, toBase64(await messageOf(kms, SECRET, CONTEXT))];
  return { ciphertext, messages };
}

async function opensAll(stack: Stack, { ciphertext, messages }: Awaited<ReturnType<typeof dataOf>>): Promise<void> {
  await opens(stack, "/v1/decrypt", ciphertext);
  for (const message of messages) await opens(stack, "/v1/messages/decrypt", { message });
}

describe("rotation", () => {
  /** The id of the key material that a ciphertext is under. */
  async function materialOf(operator: KMSClient, { ciphertext }: { readonly ciphertext: string }) {
    const CiphertextBlob = fromBase64(ciphertext) ?? new Uint8Array();
    return (await operator.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: CONTEXT }))).KeyMaterialId;
  }

  it("on demand changes nothing for an enclave that runs: new data is under the new material, old data still opens", async () => {
    const kms = await startKmsForTest();
    onTestFinished(() => kms.simulation.close());
    const stack = await startStack(kms);
    const before = await dataOf(kms, stack);
    await kms.operator.send(new RotateKeyOnDemandCommand({ KeyId: kms.keyArn }));
    const after = await dataOf(kms, stack);
    const materials = [before, after].map(({ ciphertext }) => materialOf(kms.operator, ciphertext));
    expect(new Set(await Promise.all(materials)).size).toBe(2);
    await opensAll(stack, before);
    await opensAll(stack, after);
  });

  it("on a schedule needs nothing from the user: the same configuration opens what is of before and of after", async () => {
    const clock = clockAt(new Date());
    const kms = { ...(await startKmsForTest({ clock })), issuer: await createTokenIssuer({ clock }) };
    onTestFinished(() => kms.simulation.close());
    await kms.operator.send(new EnableKeyRotationCommand({ KeyId: kms.keyArn, RotationPeriodInDays: 90 }));
    const first = await enclaveAt(kms, clock);
    const before = await dataOf(kms, first);
    clock.advance(91 * DAY);
    const { Rotations } = await kms.operator.send(new ListKeyRotationsCommand({ KeyId: kms.keyArn }));
    expect(Rotations).toMatchObject([{ RotationType: "AUTOMATIC" }]);
    const second = await enclaveAt(kms, clock);
    const after = await dataOf(kms, second);
    const materials = [before, after].map(({ ciphertext }) => materialOf(kms.operator, ciphertext));
    expect(new Set(await Promise.all(materials)).size).toBe(2);
    await opensAll(second, before);
    await opensAll(second, after);
    expect(second.configuration).toEqual(first.configuration);
  });

  /** An enclave of `kms`, with a caller whose token is fresh, that live at the time of the simulation. */
  async function enclaveAt(kms: Kms, now: SetClock): Promise<Stack> {
    const token = await kms.issuer.issue({ subject: "alice", lifetimeSeconds: 3_600, claims: { tenant: "a" } });
    return startStack({ ...kms, token }, { clock: Object.assign(new TestClock(), { now }) });
  }
});

describe("rollover by alias", () => {
  let kms: Kms;
  beforeAll(async () => {
    kms = await startKmsForTest();
  });
  afterAll(() => kms.simulation.close());

  it("new data is under the alias's new key, and old data still opens; so it does while both configurations run", async () => {
    const oldConfiguration = await startStack(kms);
    const old = await dataOf(kms, oldConfiguration, [ALIAS]);
    const successor = await rollOver(kms);
    const keys = [
      { arn: successor.keyArn, aliases: [ALIAS] },
      { arn: kms.keyArn, aliases: [] },
    ];
    const stack = await startStack(kms, { kms: { keys } });
    const fresh = await dataOf(successor, stack, [ALIAS]);
    expect(keysIn(fresh.messages[0])).toEqual([successor.keyArn]);
    expect(keysIn(old.messages[0])).toEqual([kms.keyArn]);
    await opensAll(stack, old);
    await opensAll(stack, fresh);
    const dataKey = { keyId: ALIAS, keySpec: "AES_256", encryptionContext: CONTEXT };
    expect((await stack.json("POST", "/v1/data-keys", dataKey)).body.keyId).toBe(successor.keyArn);
    // The enclave of before still serves what it served, and nothing that is newer than its configuration.
    await opensAll(oldConfiguration, old);
    const [message] = fresh.messages;
    expect(await oldConfiguration.json("POST", "/v1/messages/decrypt", { message })).toMatchObject({
      status: 403,
      body: { code: "ERR_KMS_KEY" },
    });
  });

  it("pitfall 4: an alias that is moved in KMS alone moves nothing in the enclave", async () => {
    const stack = await startStack(kms);
    await rollOver(kms);
    const { messages } = await dataOf(kms, stack, [ALIAS]);
    expect(keysIn(messages[0])).toEqual([kms.keyArn]);
  });

  /** A new key that the alias means from now on, in KMS. */
  async function rollOver(before: Kms): Promise<Kms> {
    const { operator, simulation } = before;
    const Policy = policyOf(simulation, { StringEquals: { "kms:EncryptionContext:tenant": CONTEXT.tenant } });
    const { KeyMetadata } = await operator.send(new CreateKeyCommand({ Policy }));
    const keyArn = KeyMetadata?.Arn ?? "";
    await operator.send(new UpdateAliasCommand({ AliasName: ALIAS, TargetKeyId: keyArn }));
    const encrypt: Kms["encrypt"] = async (bytes, context = CONTEXT) => {
      const command = new EncryptCommand({ KeyId: ALIAS, Plaintext: bytes, EncryptionContext: context });
      return (await operator.send(command)).CiphertextBlob ?? new Uint8Array();
    };
    return { ...before, keyArn, encrypt };
  }

  /** The key ARNs that stand in a message's header. */
  const keysIn = (message: unknown): string[] =>
    Buffer.from(String(message), "base64")
      .toString("latin1")
      .match(/arn:aws:kms:[a-z0-9-]+:\d{12}:key\/[0-9a-f-]{36}/g) ?? [];
});

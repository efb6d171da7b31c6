/**
 * Callers that change the state of a KMS as fast as it lets them, and know what was acknowledged to each. Each has keys of
 * its own, so that what it knows of them is the whole truth but for the one call that may be under way.
 */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
} from "@aws-sdk/client-kms";

const CALLERS = 16;
const PLAINTEXT = new TextEncoder().encode("acknowledged");
/** How many of the keys of earlier rounds are looked at again after each kill. */
const SAMPLE = 20;

/** A key as its caller knows it. */
export interface KnownKey {
  readonly arn: string;
  readonly description: string;
  /** Undefined while a call that changes it is under way, and for good if that was never answered. */
  enabled: boolean | undefined;
  alias: string | undefined;
  ciphertext: Uint8Array | undefined;
}

/** What has been acknowledged, over all rounds. */
export interface Acknowledged {
  readonly keys: KnownKey[];
  /** Of answers that arrived: each has to be in the audit log. */
  readonly requestIds: string[];
}

/** Lets the callers call until the server is gone. */
export async function load(client: KMSClient, acknowledged: Acknowledged, round: number): Promise<void> {
  const callers = Array.from({ length: CALLERS }, async (_, caller) => {
    for (let i = 0; ; i++) await liveOfAKey(client, acknowledged, `${round}-${caller}-${i}`);
  });
  const ends = await Promise.allSettled(callers);
  for (const end of ends) {
    if (end.status === "rejected" && !isConnectionError(end.reason)) throw end.reason;
  }
}

async function liveOfAKey(client: KMSClient, { keys, requestIds }: Acknowledged, name: string): Promise<void> {
  const noted = <Answer extends { readonly $metadata: { readonly requestId?: string | undefined } }>(
    answer: Answer,
  ) => {
    requestIds.push(answer.$metadata.requestId ?? "");
    return answer;
  };
  const { KeyMetadata } = noted(await client.send(new CreateKeyCommand({ Description: name })));
  const KeyId = KeyMetadata?.Arn ?? "";
  const key: KnownKey = { arn: KeyId, description: name, enabled: true, alias: undefined, ciphertext: undefined };
  keys.push(key);
  noted(await client.send(new CreateAliasCommand({ AliasName: `alias/${name}`, TargetKeyId: KeyId })));
  key.alias = `alias/${name}`;
  key.ciphertext = noted(await client.send(new EncryptCommand({ KeyId, Plaintext: PLAINTEXT }))).CiphertextBlob;
  for (const enabled of [false, true, false]) {
    key.enabled = undefined;
    noted(await client.send(enabled ? new EnableKeyCommand({ KeyId }) : new DisableKeyCommand({ KeyId })));
    key.enabled = enabled;
  }
}

/** The end of the server, as its callers see it. */
function isConnectionError(error: unknown): boolean {
  const codes = ["ECONNRESET", "ECONNREFUSED", "EPIPE"];
  return (
    error instanceof Error &&
    (codes.some((code) => "code" in error && error.code === code) || /socket hang up/.test(error.message))
  );
}

/** Compares what the server has with what was acknowledged: all of the newest keys, and a sample or all of the older. */
export async function verify(
  client: KMSClient,
  { keys }: Acknowledged,
  { from, all = false }: { readonly from: number; readonly all?: boolean },
): Promise<number> {
  const older = keys.slice(0, from);
  const step = all ? 1 : Math.max(1, Math.floor(older.length / SAMPLE));
  const chosen = [...older.filter((_, i) => i % step === 0), ...keys.slice(from)];
  const left = [...chosen];
  const worker = async (): Promise<void> => {
    for (let key = left.pop(); key !== undefined; key = left.pop()) await verifyKey(client, key);
  };
  await Promise.all(Array.from({ length: CALLERS }, worker));
  return chosen.length;
}

async function verifyKey(client: KMSClient, key: KnownKey): Promise<void> {
  const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId: key.alias ?? key.arn }));
  const { Arn, Description, Enabled } = KeyMetadata ?? {};
  if (Arn !== key.arn || Description !== key.description) throw new Error(`${key.arn} is not what it was: ${Arn}`);
  if (key.enabled !== undefined && Enabled !== key.enabled) throw new Error(`${key.arn}: enabled is ${Enabled}`);
  if (key.ciphertext === undefined) return;
  if (Enabled === false) await client.send(new EnableKeyCommand({ KeyId: key.arn }));
  const { Plaintext } = await client.send(new DecryptCommand({ CiphertextBlob: key.ciphertext }));
  if (Buffer.compare(Plaintext ?? new Uint8Array(), PLAINTEXT) !== 0)
    throw new Error(`${key.arn} opens to something else`);
  key.enabled = true;
}

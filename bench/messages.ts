/**
 * AWS Encryption SDK messages made and opened as the enclave does it, one after another, beside the same cryptography on bare
 * `node:crypto` (bare-messages.ts): with a data key from a KMS for each message, with data key caching, and with branch keys.
 * KMS is a process of its own, reached through the parent's tunnel. What is measured is `Messages`, without channels and policies.
 *
 * Rounds of all stand side by side, in turning order, and each round has its ratios to the bare one.
 */
import { randomBytes } from "node:crypto";
import { systemClock } from "../enclave/clock.js";
import type { DataKeysConfiguration } from "../enclave/configuration.js";
import { createDataKeys } from "../enclave/data-keys/create-data-keys.js";
import type { ServicesClient } from "../enclave/kms/services.js";
import { Messages } from "../enclave/messages/messages.js";
import { makeBare, openBare } from "./bare-messages.js";
import type { AttestedClient } from "./kms.js";
import { attestedClient } from "./kms.js";
import { createBranchKeys } from "./measure/branch-keys.js";
import { noServices } from "./measure/measured-enclave.js";
import { ownRegion } from "./own-region.js";
import { startPlatform } from "./stack.js";
import type { Row } from "./table.js";
import { median } from "./table.js";

const KIBIBYTE = 1_024;
const CASES = [
  { size: "256 B", bytes: 256, signed: false, calls: 100 },
  { size: "4 KiB", bytes: 4 * KIBIBYTE, signed: false, calls: 100 },
  { size: "64 KiB", bytes: 64 * KIBIBYTE, signed: false, calls: 40 },
  { size: "1 MiB", bytes: 1_024 * KIBIBYTE, signed: false, calls: 8 },
  { size: "4 KiB", bytes: 4 * KIBIBYTE, signed: true, calls: 40 },
] as const;
type Case = (typeof CASES)[number];

const LONG_SECONDS = 86_400;
const CONTEXT = { tenant: "bench" };
const CACHED: DataKeysConfiguration = {
  ...{ kind: "cached", maxAgeSeconds: LONG_SECONDS, maxMessages: 2 ** 32, capacity: 1_000 },
  maxBytes: Number.MAX_SAFE_INTEGER,
};

/** A message made, and one opened, by each contender. */
interface Contender {
  readonly name: string;
  make(plaintext: Uint8Array, signed: boolean): Promise<unknown>;
  /** A call that opens a message of the contender's own, again and again. */
  opening(plaintext: Uint8Array, signed: boolean): Promise<() => Promise<Uint8Array>>;
}

const PEER = "bare node:crypto";

export async function run({ smoke }: { readonly smoke: boolean }): Promise<Row[]> {
  const platform = await startPlatform();
  const client = attestedClient(platform);
  const branchKeys = await createBranchKeys(platform, [CONTEXT.tenant]);
  try {
    const { settings, services } = branchKeys;
    const branch = { kind: "branchKeys", maxAgeSeconds: LONG_SECONDS, capacity: 1_000, ...settings } as const;
    const contenders = [
      bareContender(),
      contender("branch keys", messagesOf(client, branch, services), client),
      contender("data key caching", messagesOf(client, CACHED, noServices), client),
      contender("a KMS call each", messagesOf(client, { kind: "perMessage" }, noServices), client),
    ];
    const rows: Row[] = [];
    for (const one of smoke ? CASES.slice(0, 2) : CASES) {
      rows.push(...(await measure(one, contenders, smoke ? 2 : 11)));
    }
    return rows;
  } finally {
    client.close();
    await branchKeys.close();
    await platform.close();
  }
}

function messagesOf(
  { attested, region, keys }: AttestedClient,
  dataKeys: DataKeysConfiguration,
  services: Pick<ServicesClient, "request">,
): Messages {
  const messages = { requiredPairs: [], tenantPair: "tenant", refusalSeconds: 5, dataKeys };
  const { calls } = ownRegion({ client: attested, region, keys, clock: systemClock });
  const sources = createDataKeys({ configuration: { messages }, keys, kms: calls, clock: systemClock, services });
  return new Messages({ ...messages, ...sources, maxEncryptedDataKeys: 4 });
}

function contender(name: string, messages: Messages, { keys }: AttestedClient): Contender {
  const caller = { authorize: () => undefined, principalClass: "bench", signal: undefined };
  const make: Contender["make"] = (plaintext, signed) =>
    messages.make(plaintext, { ...caller, keys: [keys.resolveOrOnly(undefined)], encryptionContext: CONTEXT, signed });
  return {
    name,
    make,
    async opening(plaintext, signed) {
      const { message } = Object(await make(plaintext, signed));
      return async () => (await messages.open(message, { ...caller, expectedContext: CONTEXT })).plaintext;
    },
  };
}

function bareContender(): Contender {
  const dataKey = randomBytes(32);
  return {
    name: PEER,
    make: async (plaintext, signed) => makeBare(dataKey, plaintext, signed),
    async opening(plaintext, signed) {
      const message = makeBare(dataKey, plaintext, signed);
      return async () => openBare(dataKey, message);
    },
  };
}

async function measure(one: Case, contenders: readonly Contender[], rounds: number): Promise<Row[]> {
  const { size, bytes, signed, calls } = one;
  const plaintext = randomBytes(bytes);
  const makers = contenders.map(({ name, make }) => ({ name, call: () => make(plaintext, signed) }));
  const openers: typeof makers = [];
  for (const { name, opening } of contenders) {
    const open = await opening(plaintext, signed);
    if (!plaintext.equals(await open())) throw new Error(`${name}: the plaintext is not what was encrypted`);
    openers.push({ name, call: open });
  }
  const what = `${size}, ${signed ? "signed" : "unsigned"}`;
  return [
    ...rowsOf(`encrypt ${what}`, await alternate(makers, { calls, rounds })),
    ...rowsOf(`decrypt ${what}`, await alternate(openers, { calls, rounds })),
  ];
}

interface Timed {
  readonly name: string;
  readonly call: () => Promise<unknown>;
}

/** Calls per second of each, one figure for each round. A round before them is for the compiler. */
async function alternate(contenders: readonly Timed[], { calls, rounds }: { calls: number; rounds: number }) {
  const figures = contenders.map(({ name }) => ({ name, perSecond: [] as number[] }));
  for (let round = -1; round < rounds; round++) {
    const order = [...contenders.keys()];
    for (const index of round % 2 === 0 ? order : order.reverse()) {
      const perSecond = await sequentially(contenders[index]?.call ?? noCall, calls);
      if (round >= 0) figures[index]?.perSecond.push(perSecond);
    }
  }
  return figures;
}

const noCall = async (): Promise<void> => undefined;

/** Calls per second, one after another: they are the processor's work, except for KMS's part. */
async function sequentially(call: () => Promise<unknown>, calls: number): Promise<number> {
  const startedAt = performance.now();
  for (let i = 0; i < calls; i++) await call();
  return (calls * 1_000) / (performance.now() - startedAt);
}

function rowsOf(what: string, figures: Awaited<ReturnType<typeof alternate>>): Row[] {
  const [bare, ...others] = figures;
  const row = (name: string, perSecond: readonly number[]): Row => ({
    ...{ name: `${what}: ${name}`, median: median(perSecond), unit: "messages/s" },
  });
  const ratio = (perSecond: readonly number[]): number =>
    median(perSecond.map((figure, round) => figure / (bare?.perSecond[round] ?? Number.NaN)));
  return [
    row(PEER, bare?.perSecond ?? []),
    ...others.map(({ name, perSecond }) => ({ ...row(name, perSecond), ratio: ratio(perSecond), peer: PEER })),
  ];
}

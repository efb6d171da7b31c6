/**
 * Which seed an enclave of a fleet begins with, and how the next one comes about. The first to put a seed of an epoch has
 * made the one that all use; whoever comes second takes the first one's.
 *
 * A seed counts for as long as its keys do, by the enclave's trusted time: one that is older, or of the future, is not used
 * again, whoever offers it (PITFALLS 12, 27). Epochs are counted from those that are genuine: a record that is no seed is
 * passed over where it is a little ahead, and further ahead it is refused, or one lie would use up all epochs.
 */
import type { ErrorCode } from "../../shared/errors.js";
import { ServiceError, toServiceError } from "../../shared/errors.js";
import type { SealingSeed } from "../../shared/sealing-seed.js";
import type { Clock } from "../clock.js";
import { withinDeadline } from "../deadline.js";
import type { Logger } from "../log.js";
import type { SealedKeysLimits } from "./sealed-keys.js";
import type { OpenedSeed, SealingSeeds } from "./sealing-seeds.js";
import { DISTINCT_EPOCHS } from "./seed-keys.js";
import type { SeedStore } from "./seed-store.js";

export interface SeedContext {
  readonly seeds: Pick<SealingSeeds, "make" | "open">;
  readonly store: Pick<SeedStore, "list" | "put">;
  /** The enclave's own time, in milliseconds since 1970. */
  readonly nowMs: () => number;
  readonly clock: Clock;
  readonly limits: SealedKeysLimits;
  readonly log: Logger;
}

export interface FirstSeeds {
  readonly held: OpenedSeed;
  /** The epoch before, while it opens requests, and for how long. */
  readonly retired: { readonly seed: OpenedSeed; readonly leftMs: number } | undefined;
}

/** The store and KMS have this long for one round. */
export const ROUND_MS = 30_000;
/** Between rounds at the start. */
const DELAYS_MS = [500, 1_000, 2_000, 4_000, 8_000, 8_000] as const;
/** Epochs that records which are no seeds can make the fleet pass over at once: there are 2^31 in all, and none comes back. */
export const MAX_EPOCHS_AHEAD = 256;
/** How far the makers' time may be ahead: NSMs of several hosts. */
const SKEW_MS = 60_000;

/** What may have passed when it is tried again. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  "ERR_BUSY",
  "ERR_CREDENTIALS",
  "ERR_KMS_UNAVAILABLE",
  "ERR_SEALING_SEED",
  "ERR_TIMEOUT",
]);

/**
 * The seed to begin with: the newest one that is kept, or a new one where there is none to use.
 * @throws ServiceError ERR_SEALING_SEED (the store), or of KMS, once all rounds have failed; at once what does not pass.
 */
export async function openFirstSeeds(context: SeedContext): Promise<FirstSeeds> {
  const { clock, log } = context;
  const deadline = { clock, deadlineMs: ROUND_MS, what: "the first sealing seed" };
  for (let round = 0; ; round++) {
    try {
      return await withinDeadline(deadline, () => firstSeeds(context));
    } catch (error) {
      const { code, message } = toServiceError(error);
      const delayMs = DELAYS_MS[round];
      if (delayMs === undefined || !PASSING.has(code)) throw error;
      log.warn({ code, reason: message }, "no sealing seed yet, it is tried again");
      await new Promise<void>((resolve) => void clock.after(delayMs, resolve));
    }
  }
}

async function firstSeeds(context: SeedContext): Promise<FirstSeeds> {
  const listed = await context.store.list();
  const [newest, before] = listed;
  const found = newest && (await unlessRefused(newest, context));
  if (found === undefined) return { held: await nextSeed(context, listed, undefined), retired: undefined };
  const leftMs = found.createdMs + context.limits.overlapSeconds * 1_000 - context.nowMs();
  const isDistinct = before !== undefined && found.record.epoch - before.epoch < DISTINCT_EPOCHS;
  const seed = isDistinct && leftMs > 0 ? await unlessFailed(before, context) : undefined;
  return { held: found, retired: seed && { seed, leftMs } };
}

async function unlessRefused(record: SealingSeed, context: SeedContext): Promise<OpenedSeed | undefined> {
  try {
    return await openSeed(record, context);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    context.log.warn({ epoch: record.epoch, reason: error.message }, "the newest sealing seed is not used");
    return undefined;
  }
}

/** Without the epoch before, clients that have its keys attest anew: no reason not to start. */
async function unlessFailed(record: SealingSeed, context: SeedContext): Promise<OpenedSeed | undefined> {
  try {
    return await openSeed(record, context);
  } catch (error) {
    const { code, message } = toServiceError(error);
    context.log.warn({ code, epoch: record.epoch, reason: message }, "the sealing seed before the newest is not used");
    return undefined;
  }
}

/** A record that is no seed to use, whatever KMS and the store do meanwhile. */
export const isRefusal = (error: unknown): error is ServiceError =>
  error instanceof ServiceError && error.code === "ERR_SEALING_SEED";

/** A seed that somebody else has made. @throws ServiceError ERR_SEALING_SEED: not one of this fleet, or not one of this time; else of KMS. */
export async function openSeed(record: SealingSeed, { seeds, nowMs, limits }: SeedContext): Promise<OpenedSeed> {
  const ageMs = nowMs() - Date.parse(record.created);
  const { keyMaxAgeSeconds, overlapSeconds } = limits;
  if (ageMs < -SKEW_MS) throw new ServiceError("ERR_SEALING_SEED", "expected a seed of the past, it is of the future");
  if (ageMs >= (keyMaxAgeSeconds + overlapSeconds) * 1_000) {
    throw new ServiceError("ERR_SEALING_SEED", "expected a seed whose keys still open requests, it is too old");
  }
  return seeds.open(record);
}

/**
 * The seed of the epoch after all that are `listed` or `held`: one that is made now, or the one of whoever was first.
 * @throws ServiceError ERR_SEALING_SEED: records that are no seeds have taken too many epochs; else as the store, KMS and `openSeed`.
 */
export async function nextSeed(
  context: SeedContext,
  listed: readonly SealingSeed[],
  held: OpenedSeed | undefined,
): Promise<OpenedSeed> {
  const epoch = await nextEpoch(context, listed, held?.record.epoch);
  // Always after the one before: an enclave takes no later epoch of an earlier time.
  const createdMs = Math.max(Math.floor(context.nowMs()), (held?.createdMs ?? 0) + 1);
  const made = await context.seeds.make(epoch, createdMs);
  const kept = await context.store.put(made.record);
  if (kept.ciphertext !== made.record.ciphertext) return openSeed(kept, context);
  context.log.info({ epoch }, "made the sealing seed of an epoch");
  return made;
}

/** @throws ServiceError ERR_SEALING_SEED: further than `MAX_EPOCHS_AHEAD` after all that are known to be genuine; else of KMS. */
async function nextEpoch(
  { seeds }: SeedContext,
  listed: readonly SealingSeed[],
  held: number | undefined,
): Promise<number> {
  const next = epochAfter(listed[0]?.epoch ?? 0, held);
  if (next - (held ?? 0) <= MAX_EPOCHS_AHEAD) return next;
  const genuine = await newestGenuine(seeds, listed, held ?? 0);
  if (next - genuine <= MAX_EPOCHS_AHEAD) return next;
  throw new ServiceError(
    "ERR_SEALING_SEED",
    `expected an epoch within ${MAX_EPOCHS_AHEAD} of a genuine one, ${genuine}, it would be ${next}`,
  );
}

/** The newest epoch after `known` that the fleet has made, however old its seed is; `known` where there is none. @throws ServiceError of KMS. */
async function newestGenuine(
  seeds: SeedContext["seeds"],
  listed: readonly SealingSeed[],
  known: number,
): Promise<number> {
  for (const record of listed.filter(({ epoch }) => epoch > known)) {
    try {
      return (await seeds.open(record)).record.epoch;
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }
  return known;
}

/** The first after both whose keys can have identifiers beside those that are `held`: records that are no seeds may have taken any epochs. */
function epochAfter(newest: number, held: number | undefined): number {
  const next = Math.max(newest, held ?? 0) + 1;
  return held !== undefined && (next - held) % DISTINCT_EPOCHS === 0 ? next + 1 : next;
}

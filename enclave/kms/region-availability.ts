/**
 * Which Regions of AWS KMS answer, as far as the calls themselves tell. A Region that failed rests: calls go to others while
 * there are any. When its rest is over one call asks it again, and the others come back once that one was answered.
 *
 * Times are of the monotonic clock. Nothing is asked here, and nothing secret is known.
 */
import type { ErrorCode } from "../../shared/errors.js";
import { ServiceError } from "../../shared/errors.js";
import type { Clock } from "../clock.js";
import type { Logger } from "../log.js";

/** How a Region stands, for health. */
export interface RegionState {
  readonly region: string;
  readonly status: "ok" | "resting";
  /** Why it rests. */
  readonly failure: ErrorCode | undefined;
  /** Until it is asked again. */
  readonly restSeconds: number | undefined;
}

/** One call to a Region, to be told how it ended. */
export interface RegionAttempt {
  readonly region: string;
  /** It was answered. */
  answered(): void;
  /** It was not. True when another Region may do better: `error` speaks of the Region, or of the way to it. */
  failed(error: unknown): boolean;
  /** It was given up by whoever wanted it, which says nothing. */
  abandoned(): void;
}

interface Rest {
  readonly untilMs: number;
  readonly failure: ErrorCode;
  /** Whether a call asks the Region at this moment. */
  probed: boolean;
}

export interface RegionAvailabilityOptions {
  readonly regions: readonly string[];
  readonly restSeconds: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What says that a Region, or the way to it, is down. Refusals never do: another Region would refuse as well, or should not be asked to disagree. */
const OUTAGES: ReadonlySet<ErrorCode> = new Set(["ERR_KMS_UNAVAILABLE", "ERR_TIMEOUT"]);
/** What KMS itself says, so that it is there. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(["ERR_KMS_DENIED", "ERR_KMS_REFUSED"]);

export class RegionAvailability {
  readonly #options: RegionAvailabilityOptions;
  readonly #resting = new Map<string, Rest>();

  constructor(options: RegionAvailabilityOptions) {
    this.#options = options;
  }

  /** Begins a call in the first of `regions` that does not rest, or whose rest is over; where all rest, in the first. */
  begin(regions: readonly [string, ...string[]]): RegionAttempt {
    const now = this.#options.clock.monotonicMs();
    const region = regions.find((one) => this.#mayAsk(one, now)) ?? regions[0];
    const rest = this.#resting.get(region);
    const isProbe = rest !== undefined && isOver(rest, now);
    if (isProbe) rest.probed = true;
    const abandoned = (): void => {
      if (isProbe) rest.probed = false;
    };
    return {
      region,
      answered: () => this.#noteAnswer(region),
      failed: (error) => this.#noteFailure(region, error, abandoned),
      abandoned,
    };
  }

  /** In the order of the configuration. */
  get state(): readonly RegionState[] {
    const now = this.#options.clock.monotonicMs();
    return this.#options.regions.map((region) => {
      const rest = this.#resting.get(region);
      if (rest === undefined) return { region, status: "ok", failure: undefined, restSeconds: undefined };
      const restSeconds = Math.max(0, Math.ceil((rest.untilMs - now) / 1_000));
      return { region, status: "resting", failure: rest.failure, restSeconds };
    });
  }

  #mayAsk(region: string, now: number): boolean {
    const rest = this.#resting.get(region);
    return rest === undefined || isOver(rest, now);
  }

  #noteAnswer(region: string): void {
    if (this.#resting.delete(region)) this.#options.log.info({ region }, "AWS KMS in this Region answers again");
  }

  #noteFailure(region: string, error: unknown, saysNothing: () => void): boolean {
    const code = error instanceof ServiceError ? error.code : undefined;
    if (code !== undefined && OUTAGES.has(code)) {
      this.#rest(region, code);
      return true;
    }
    if (code !== undefined && REFUSALS.has(code)) this.#noteAnswer(region);
    else saysNothing();
    return false;
  }

  #rest(region: string, code: ErrorCode): void {
    const { clock, restSeconds, log } = this.#options;
    const isNew = !this.#resting.has(region);
    const untilMs = clock.monotonicMs() + restSeconds * 1_000;
    this.#resting.set(region, { untilMs, failure: code, probed: false });
    if (isNew) log.warn({ region, code }, "AWS KMS in this Region does not answer, and rests");
  }
}

/** Whether the next call may ask the Region again. */
const isOver = ({ untilMs, probed }: Rest, now: number): boolean => now >= untilMs && !probed;

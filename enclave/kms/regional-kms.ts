/**
 * Calls to AWS KMS in the enclave's own Region, and when that is down, with the related key in another one (KMS Developer
 * Guide, "Multi-Region keys in AWS KMS"). A Region that does not answer within its attempt rests, and is asked again later
 * (region-availability.ts). While the own Region answers no other one is called.
 *
 * Only what says that a Region is down moves a call on: no answer, no connection, throttling, a fault of KMS. A refusal
 * stands, so that nobody finds a Region whose key policy is laxer. Policies of this enclave are asked about the key of the own
 * Region, wherever the call then goes.
 */
import type { KMSClient } from "@aws-sdk/client-kms";
import type { Clock } from "../clock.js";
import { withinDeadline } from "../deadline.js";
import type { Logger } from "../log.js";
import { kmsErrorOf } from "./kms-errors.js";
import type { PinnedKey } from "./pinned-keys.js";
import { arnIn } from "./pinned-keys.js";
import type { RegionAvailability } from "./region-availability.js";

/** A Region's client. */
export interface RegionClient {
  readonly region: string;
  /** Attested, for the keys of its Region. */
  readonly client: KMSClient;
}

export interface RegionalKmsOptions {
  /** The own Region first. */
  readonly regions: readonly [RegionClient, ...RegionClient[]];
  /** How long a Region has for its answer while there is another one to ask. */
  readonly attemptSeconds: number;
  readonly availability: RegionAvailability;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What a call is about. */
export interface RegionalCall {
  /** The key as the configuration names it; undefined where the operation uses none, and any Region will do. */
  readonly key: PinnedKey | undefined;
  /** Fires when nobody waits for the answer any more. */
  readonly signal?: AbortSignal | undefined;
}

/** Where a call goes this time. */
export interface CallPlace {
  readonly client: KMSClient;
  /** The ARN of the key in the Region of the client; empty where the call has none. */
  readonly keyId: string;
  readonly abortSignal: AbortSignal;
}

type Places = readonly [RegionClient, ...RegionClient[]];

export class RegionalKms {
  readonly #options: RegionalKmsOptions;

  constructor(options: RegionalKmsOptions) {
    this.#options = options;
  }

  /** The client of the own Region, by itself: what it is asked goes nowhere else. */
  get own(): KMSClient {
    return this.#options.regions[0].client;
  }

  /**
   * Makes a call, which `send` may be asked to repeat elsewhere: it must do no harm twice.
   * @throws ServiceError what `kmsErrorOf` makes of the failure; of the last Region asked, where several failed.
   */
  async call<T>({ key, signal = new AbortController().signal }: RegionalCall, send: (place: CallPlace) => Promise<T>) {
    const places = this.#placesOf(key);
    const to = ({ client, region }: RegionClient, abortSignal: AbortSignal): Promise<T> =>
      send({ client, keyId: key === undefined ? "" : arnIn(key, region), abortSignal });
    try {
      if (places.length === 1) return await to(places[0], signal);
      return await this.#callOneOf(places, signal, to);
    } catch (error) {
      throw kmsErrorOf(error);
    }
  }

  /** Asks one of `places` after the other, until one does not seem to be down. */
  async #callOneOf<T>(
    places: Places,
    signal: AbortSignal,
    to: (place: RegionClient, abortSignal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const attempt = this.#options.availability.begin(regionsOf(places));
    const place = places.find(({ region }) => region === attempt.region) ?? places[0];
    const others = places.filter((one) => one !== place);
    try {
      const answer = await (isNotEmpty(others) ? this.#soon(place, signal, to) : to(place, signal));
      attempt.answered();
      this.#noteStandIn(place);
      return answer;
    } catch (cause) {
      const error = kmsErrorOf(cause);
      if (signal.aborted) attempt.abandoned();
      if (signal.aborted || !attempt.failed(error) || !isNotEmpty(others)) throw error;
      return this.#callOneOf(others, signal, to);
    }
  }

  #noteStandIn({ region }: RegionClient): void {
    const [own] = this.#options.regions;
    if (region !== own.region) this.#options.log.info({ region }, "AWS KMS in another Region answered");
  }

  /** An attempt that leaves time for another one; the SDK's own retries are within it. */
  #soon<T>(
    place: RegionClient,
    signal: AbortSignal,
    to: (place: RegionClient, abortSignal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { clock, attemptSeconds } = this.#options;
    const deadline = { clock, deadlineMs: attemptSeconds * 1_000, what: `AWS KMS in ${place.region}` };
    return withinDeadline(deadline, (late) => to(place, AbortSignal.any([late, signal])));
  }

  /** The Regions that may answer for `key`, its own first. */
  #placesOf(key: PinnedKey | undefined): Places {
    const [own, ...others] = this.#options.regions;
    if (key === undefined) return [own, ...others];
    const { replicaRegions = [] } = key;
    return [own, ...replicaRegions.flatMap((name) => others.find(({ region }) => region === name) ?? [])];
  }
}

const isNotEmpty = (places: readonly RegionClient[]): places is Places => places.length > 0;

const regionsOf = ([first, ...more]: Places): [string, ...string[]] => [
  first.region,
  ...more.map(({ region }) => region),
];

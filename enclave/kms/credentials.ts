/**
 * The parent's short-lived role credentials, fetched over its services and refreshed ahead of their end, one refresh at
 * a time. Whoever has them can call KMS as that role, and gets nothing from it: the key policies ask for attestation.
 *
 * Lifetimes are counted down on the monotonic clock from when the credentials came. A refresh that fails is retried, and
 * visible in `state` while the old credentials still last.
 */
import { z } from "zod";
import type { ErrorCode } from "../../shared/errors.js";
import { ServiceError, toServiceError } from "../../shared/errors.js";
import { parseJson } from "../../shared/wire.js";
import type { Clock } from "../clock.js";
import type { Logger } from "../log.js";
import type { ServicesClient } from "./services.js";

const schema = z.strictObject({
  accessKeyId: z.string().min(1).max(128),
  secretAccessKey: z.string().min(1).max(512),
  sessionToken: z.string().min(1).max(16_384).optional(),
  expiration: z.iso.datetime({ offset: true }).optional(),
});

/** AWS credentials in the SDK's form. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** How the credentials stand, for health. */
export interface CredentialsState {
  readonly status: "none" | "valid" | "expired";
  readonly expiresInSeconds: number | undefined;
  /** Why the last refresh failed; undefined when it did not. */
  readonly failure: ErrorCode | undefined;
}

/** A refresh begins so long before the end; EC2 hands out new role credentials at least five minutes before it. */
const REFRESH_AHEAD_MS = 5 * 60_000;
/** How long credentials without an end of their own are used before they are asked for again. */
const NO_END_MS = 10 * 60_000;
/** Between attempts while refreshing fails, and at least between refreshes of credentials that never last longer. */
const RETRY_MS = 15_000;

interface Held {
  readonly credentials: Credentials;
  readonly expiresAtMs: number;
}

export class CredentialsCache {
  readonly #services: Pick<ServicesClient, "request">;
  readonly #clock: Clock;
  readonly #log: Logger;
  #held: Held | undefined;
  #failure: ErrorCode | undefined;
  #refreshing: Promise<Held> | undefined;
  #cancelTimer = (): void => undefined;
  #closed = false;

  constructor(options: {
    readonly services: Pick<ServicesClient, "request">;
    readonly clock: Clock;
    readonly log: Logger;
  }) {
    this.#services = options.services;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Credentials that have not ended. @throws ServiceError ERR_CREDENTIALS, ERR_TIMEOUT, ERR_BUSY. */
  async get(): Promise<Credentials> {
    const held = this.#held;
    if (held && this.#clock.monotonicMs() < held.expiresAtMs) return held.credentials;
    return (await this.#refresh()).credentials;
  }

  get state(): CredentialsState {
    const held = this.#held;
    if (held === undefined) return { status: "none", expiresInSeconds: undefined, failure: this.#failure };
    const leftMs = held.expiresAtMs - this.#clock.monotonicMs();
    return {
      status: leftMs > 0 ? "valid" : "expired",
      expiresInSeconds: Math.max(0, Math.floor(leftMs / 1_000)),
      failure: this.#failure,
    };
  }

  /** Ends the refreshing and forgets the credentials. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer();
    this.#held = undefined;
  }

  #refresh(): Promise<Held> {
    this.#refreshing ??= this.#fetch().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #fetch(): Promise<Held> {
    try {
      const held = await this.#request();
      this.#held = held;
      this.#failure = undefined;
      this.#refreshIn(Math.max(RETRY_MS, held.expiresAtMs - this.#clock.monotonicMs() - REFRESH_AHEAD_MS));
      return held;
    } catch (error) {
      const { code, message } = toServiceError(error);
      this.#failure = code;
      this.#log.warn({ code, reason: message }, "credentials were not refreshed");
      this.#refreshIn(RETRY_MS);
      throw error;
    }
  }

  async #request(): Promise<Held> {
    const askedAtMs = this.#clock.monotonicMs();
    const text = await this.#services.request({ method: "GET", path: "/credentials", failureCode: "ERR_CREDENTIALS" });
    const { expiration, sessionToken, ...keys } = parseJson(schema, text, "ERR_CREDENTIALS");
    const endMs = expiration === undefined ? undefined : new Date(expiration).getTime();
    const lifetimeMs = endMs === undefined ? NO_END_MS : endMs - this.#clock.now().getTime();
    if (lifetimeMs <= 0) throw new ServiceError("ERR_CREDENTIALS", "expected credentials that have not ended");
    const credentials = sessionToken === undefined ? keys : { ...keys, sessionToken };
    return { credentials, expiresAtMs: askedAtMs + lifetimeMs };
  }

  #refreshIn(delayMs: number): void {
    this.#cancelTimer();
    if (this.#closed) return;
    this.#cancelTimer = this.#clock.after(delayMs, () => {
      this.#refresh().catch(() => undefined); // told in `state` and in the log, and tried again
    });
  }
}

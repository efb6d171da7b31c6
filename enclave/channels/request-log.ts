/** One log line for each request that was served or refused, the same whatever carried it. */
import type { ServiceError } from "../../shared/errors.js";
import type { Channel } from "../authorization/request.js";
import type { Clock } from "../clock.js";
import type { LogFields, Logger } from "../log.js";
import type { Route } from "../operations/route.js";

/** What is known of a request when it is written down. */
export interface LoggedRequest {
  readonly requestId: string;
  readonly channel: Channel;
  readonly startedAtMs: number;
  /** Undefined where no route matched. */
  readonly route: Route | undefined;
}

export class RequestLog {
  readonly #log: Logger;
  readonly #clock: Clock;

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  served(request: LoggedRequest, keyArn: string | undefined): void {
    if (request.route?.always) return; // probes come every few seconds
    this.#log.info({ ...this.#fieldsOf(request, 200), ...(keyArn === undefined ? {} : { keyArn }) }, "served");
  }

  refused(request: LoggedRequest, refusal: ServiceError, status: number): void {
    const { code, cause, message: reason } = refusal;
    const fields = { ...this.#fieldsOf(request, status), code, reason };
    if (code !== "ERR_INTERNAL") this.#log.warn(fields, "refused");
    else this.#log.error({ ...fields, ...(cause instanceof Error ? { errorName: cause.name } : {}) }, "failed");
  }

  /** A fault that is nobody's request. */
  fault(message: string): void {
    this.#log.error({ code: "ERR_INTERNAL" }, message);
  }

  #fieldsOf({ requestId, channel, startedAtMs, route }: LoggedRequest, status: number): LogFields {
    const elapsedMs = Math.round(this.#clock.monotonicMs() - startedAtMs);
    return { requestId, channel, status, elapsedMs, ...(route ? { operation: route.name } : {}) };
  }
}

/** A deadline for silence: it fires when nothing that it watches has moved for so long. */
import { ServiceError } from "../../shared/errors.js";

export interface IdleSignal {
  readonly signal: AbortSignal;
  /** `parts`, each of which begins the deadline anew. */
  watching(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array>;
  /** Stops the clock. */
  end(): void;
}

/** Fires with ServiceError ERR_TIMEOUT after `deadlineMs` of silence, or with the reason of `given`. */
export function idleSignal(deadlineMs: number, given: AbortSignal | undefined): IdleSignal {
  const silence = new AbortController();
  const error = new ServiceError("ERR_TIMEOUT", `nothing moved for ${deadlineMs} ms`);
  const timer = setTimeout(() => silence.abort(error), deadlineMs);
  return {
    signal: given ? AbortSignal.any([given, silence.signal]) : silence.signal,
    async *watching(parts) {
      for await (const part of parts) {
        timer.refresh();
        yield part;
      }
    },
    end: () => clearTimeout(timer),
  };
}

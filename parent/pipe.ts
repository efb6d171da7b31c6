/**
 * Joins two byte streams, each the other's continuation: bytes both ways with back-pressure, the end of one direction
 * passed on by itself (half-close), an idle and a total deadline. It does not look at what passes.
 */
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ServiceError } from "../shared/errors.js";

export interface JoinOptions {
  /** Time in which at least one byte must pass, in either direction. A peer that does not read counts as idle. */
  readonly idleMs: number;
  readonly totalMs: number;
  /** Told of every chunk that passes: from `a` to `b` is "forth". */
  readonly onBytes?: (direction: "forth" | "back", count: number) => void;
}

/**
 * Resolves when both directions have ended, each after its last byte was handed over. Both streams are destroyed by then,
 * also on failure.
 * @throws ServiceError ERR_TIMEOUT (idle or total deadline); the stream's own error when either breaks.
 */
export async function joinStreams(a: Duplex, b: Duplex, options: JoinOptions): Promise<void> {
  const deadline = new AbortController();
  const expire = (what: string): void => deadline.abort(new ServiceError("ERR_TIMEOUT", `${what} deadline passed`));
  const idle = setTimeout(() => expire("idle"), options.idleMs);
  const total = setTimeout(() => expire("total"), options.totalMs);
  const watch = (stream: Duplex, direction: "forth" | "back"): void => {
    stream.on("data", (chunk: Uint8Array) => {
      idle.refresh();
      options.onBytes?.(direction, chunk.length);
    });
  };
  try {
    const { signal } = deadline;
    const both = Promise.all([pipeline(a, b, { signal }), pipeline(b, a, { signal })]);
    // After the pipelines have begun: a "data" listener makes a stream flow, and with nowhere to go its bytes are lost.
    watch(a, "forth");
    watch(b, "back");
    await both;
  } catch (error) {
    throw deadline.signal.aborted ? deadline.signal.reason : error;
  } finally {
    clearTimeout(idle);
    clearTimeout(total);
    a.destroy();
    b.destroy();
  }
}

/**
 * Watches the machine's clock against the NSM's time. The clock is the hypervisor's and the parent's to turn (PITFALLS 12):
 * nothing that protects a secret rests on it, but TLS judges certificates by it, and AWS refuses requests that it dates wrongly.
 */
import type { AttestedTime } from "../attested-time.js";
import type { Logger } from "../log.js";

/** AWS refuses requests whose date is further off (SigV4). */
const MAX_WALL_AHEAD_MS = 300_000;

/** Whether the wall clock is off so far that calls fail by it; what is not known yet is not off. */
export const isWallClockOff = ({ state }: Pick<AttestedTime, "state">): boolean =>
  Math.abs(state.wallAheadMs ?? 0) > MAX_WALL_AHEAD_MS;

/** A function to call with every document: it logs when the clock goes off, and when it is right again. */
export function watchWallClock(time: Pick<AttestedTime, "state">, log: Logger): () => void {
  let off = false;
  return () => {
    if (isWallClockOff(time) === off) return;
    off = !off;
    const wallAheadMs = time.state.wallAheadMs ?? 0;
    if (off) log.warn({ wallAheadMs }, "the machine's clock is not the NSM's time: calls to KMS will fail by it");
    else log.info({ wallAheadMs }, "the machine's clock is right again");
  };
}

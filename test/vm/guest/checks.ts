/** Runs named checks one after another, each within its deadline, and tells the host. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Result } from "../results.js";
import { formatResult } from "../results.js";

export interface Check {
  readonly name: string;
  /** Throws when what it checks does not hold. `signal` fires when its time is up; it is then not waited for. */
  run(signal: AbortSignal): Promise<void>;
  readonly deadlineMs?: number;
}

/** Without hardware virtualisation everything takes many times as long. */
const DEADLINE_MS = 40_000;
/** Whoever looks at the signal can say what he waited for. */
const GRACE_MS = 1_000;

const tell = (result: Result): void => void process.stdout.write(`${formatResult(result)}\n`);

/** Says what comes next: progress, no result. */
export const tellStep = (step: string): void => tell({ step });

export async function runChecks(checks: readonly Check[]): Promise<void> {
  for (const check of checks) {
    const startedAt = performance.now();
    const failure = await failureOf(check);
    const ms = Math.round(performance.now() - startedAt);
    tell({ name: check.name, ms, ...(failure === undefined ? {} : { failure }) });
  }
  tell({ end: true });
}

/** Why the check failed, on one line; undefined when it passed. */
async function failureOf({ run, deadlineMs = DEADLINE_MS }: Check): Promise<string | undefined> {
  const over = new AbortController();
  const late = async (): Promise<never> => {
    await sleep(deadlineMs + GRACE_MS, undefined, { signal: over.signal, ref: true });
    throw new Error(`not done within ${deadlineMs} ms`);
  };
  try {
    await Promise.race([run(AbortSignal.any([over.signal, AbortSignal.timeout(deadlineMs)])), late()]);
    return undefined;
  } catch (error) {
    return describe(error);
  } finally {
    over.abort();
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? `${error.code}: ` : "";
  const cause = error.cause === undefined ? "" : ` (${describe(error.cause)})`;
  return `${code}${error.message}`.replaceAll(/\s*\n\s*/g, " ") + cause;
}

/** Tells an application what is wrong with the encryption contexts that it uses (shared/context-lint.ts), each thing once. */
import type { ContextWarning } from "../shared/context-lint.js";
import { lintEncryptionContext } from "../shared/context-lint.js";

export interface ContextWarningOptions {
  /**
   * Told what is wrong with the encryption context of a call, before anything is sent: secrets and personal data in it,
   * since it is no secret, and missing pairs. Each code is told once for each name of a pair, and 1000 warnings at most.
   * What it throws the call throws, and nothing is sent. Unless it is given no context is looked at; a call that gives no
   * context is not looked at either.
   */
  readonly onContextWarning?: (warning: ContextWarning) => void;
  /** Pairs whose absence is a warning: those that policies rely on. It goes with `onContextWarning`. */
  readonly expectedContextPairs?: readonly string[];
}

/** Looks at the encryption context of one call, if it gives one. */
export type ContextWatch = (context: Readonly<Record<string, string>> | undefined) => void;

const MAX_TOLD = 1_000;

/** @throws TypeError when an option is not of its form. */
export function contextWatch({ onContextWarning, expectedContextPairs }: ContextWarningOptions): ContextWatch {
  if (onContextWarning === undefined) {
    if (expectedContextPairs !== undefined) throw new TypeError("expectedContextPairs goes with onContextWarning");
    return () => undefined;
  }
  if (typeof onContextWarning !== "function") throw new TypeError("onContextWarning is a function");
  const expectedPairs = [...(expectedContextPairs ?? [])];
  const told = new Set<string>();
  return (context) => {
    if (context === undefined || told.size >= MAX_TOLD) return;
    for (const warning of lintEncryptionContext(context, { expectedPairs })) {
      const id = JSON.stringify([warning.code, warning.pair ?? null]);
      if (told.has(id) || told.size >= MAX_TOLD) continue;
      told.add(id);
      onContextWarning(warning);
    }
  };
}

/** What a run of a rollover has done, and what is left. */
import type { Line } from "../report.js";
import { layOut } from "../report.js";
import { formatAmount, listFiles } from "./amounts.js";
import type { Source } from "./messages-on-disk.js";
import type { Outcome } from "./rollover-run.js";
import type { Survey } from "./survey.js";

export type RunReport = ReturnType<typeof reportOf>;

export interface Run {
  readonly before: Survey;
  readonly outcome: Outcome;
  readonly source: Source;
  /** Whether the command was told to end. */
  readonly isInterrupted: boolean;
}

export function reportOf({ before, outcome, source, isInterrupted }: Run) {
  const { done, failed, passed, stopped } = outcome;
  // In a folder there may be anything; whoever lists a file takes it for a message.
  const listed = source.kind === "list" ? before.noMessages : [];
  const left = before.toDo.length - done.messages - failed.length - passed;
  return {
    done,
    alreadyDone: { ...before.amounts.done },
    notForOldKey: { ...before.amounts.other },
    /** That were not tried: the run ended before. */
    left,
    failed: [...failed, ...before.unreadable, ...listed],
    noMessages: before.noMessages,
    skipped: before.skipped,
    interrupted: isInterrupted,
    ...(stopped === undefined ? {} : { stopped }),
  };
}

export function describeRun(report: RunReport): string {
  const { done, alreadyDone, notForOldKey, left, failed, noMessages, stopped, interrupted } = report;
  const lines: readonly Line[] = [
    ["re-encrypted", formatAmount(done)],
    ["done before", formatAmount(alreadyDone)],
    ["not for an old key", formatAmount(notForOldKey)],
    ["files that are no messages", String(noMessages.length)],
    ["failed, and as they were", String(failed.length)],
    ["not tried", String(left)],
  ];
  return [layOut(lines), ...listFiles(failed), ...nextStep(stopped?.code, interrupted, failed.length)].join("\n");
}

function nextStep(stopped: string | undefined, interrupted: boolean, failed: number): readonly string[] {
  if (stopped !== undefined)
    return ["", `The run ended with ${stopped}, which every message would get. Mend it, and run it again.`];
  if (interrupted) return ["", "The run was interrupted. Run it again with the same options, and it goes on."];
  return failed > 0 ? ["", "Run it again, and what failed is tried again."] : [];
}

/** The answer of `rollover status`: what is done and left, who uses the old key, and whether it can be disabled. */
import type { Line } from "../report.js";
import { formatSeconds, layOut } from "../report.js";
import { formatAmount, listFiles, table } from "./amounts.js";
import type { KeyUse, KeyUseReport } from "./key-use.js";
import { makesNew } from "./key-use.js";
import type { Rollover } from "./keys.js";
import type { Amount, FailedFile, Survey } from "./survey.js";

export interface StatusInput {
  readonly rollover: Rollover;
  readonly found: Survey;
  readonly failed: readonly FailedFile[];
  readonly since: Date | undefined;
  /** Undefined where no audit was given. */
  readonly use: KeyUseReport | undefined;
}

export interface Status {
  readonly from: readonly string[];
  readonly to: Rollover["to"];
  readonly done: Amount;
  readonly left: Amount;
  readonly failed: readonly FailedFile[];
  readonly unreadable: readonly FailedFile[];
  readonly noMessages: number;
  /** From when on calls count; undefined for all of the audit. */
  readonly since?: string;
  readonly auditBegins?: string;
  readonly auditEnds?: string;
  readonly uses?: readonly KeyUse[];
  /** How long the audit shows the old key. */
  readonly observedSeconds?: number;
  readonly canBeDisabled: "yes" | "no" | "unknown";
  /** Why not, each in one sentence. */
  readonly reasons: readonly string[];
}

export function statusOf(input: StatusInput): Status {
  const { rollover, found, failed, since, use } = input;
  const obstacles = obstaclesOf(input);
  const unknowns = unknownsOf(input);
  return {
    from: rollover.from,
    to: rollover.to,
    done: found.amounts.done,
    left: found.amounts.toDo,
    failed,
    unreadable: found.unreadable,
    noMessages: found.noMessages.length,
    ...(since === undefined ? {} : { since: since.toISOString() }),
    ...(use === undefined ? {} : { uses: use.uses, ...spanOf(use, since) }),
    canBeDisabled: obstacles.length > 0 ? "no" : unknowns.length > 0 ? "unknown" : "yes",
    reasons: [...obstacles, ...unknowns],
  };
}

function spanOf({ begins, ends }: KeyUseReport, since: Date | undefined) {
  if (begins === undefined || ends === undefined) return {};
  const start = Math.max(Date.parse(begins), since?.getTime() ?? 0);
  const observedSeconds = Math.max(0, Math.floor((Date.parse(ends) - start) / 1000));
  return { auditBegins: begins, auditEnds: ends, observedSeconds };
}

/** What speaks against it. */
function obstaclesOf({ found, use }: StatusInput): readonly string[] {
  const { messages } = found.amounts.toDo;
  const uses = use?.uses ?? [];
  const [making, opening] = [uses.filter(makesNew), uses.filter((one) => !makesNew(one))].map(callsOf);
  return [
    ...(messages > 0
      ? [`${messages} of the messages ${messages === 1 ? "is" : "are"} under it: run the rollover`]
      : []),
    ...(making ? [`${calls(making)} made new data under it: point the alias or the configuration at the new key`] : []),
    ...(opening ? [`${calls(opening)} used it for data that is elsewhere: find that by principal and tenant`] : []),
  ];
}

const callsOf = (uses: readonly KeyUse[]): number => uses.reduce((sum, use) => sum + use.calls, 0);
const calls = (count: number): string => (count === 1 ? "1 call" : `${count} calls`);

/** What cannot be said. */
function unknownsOf({ rollover, found, since, use }: StatusInput): readonly string[] {
  const count = found.unreadable.length;
  return [
    ...(count > 0
      ? [`${count} ${count === 1 ? "file" : "files"} could not be read: make them readable, and look again`]
      : []),
    ...(use === undefined
      ? ["who uses it is not known: give an audit (--audit, --audit-data or --audit-folder)"]
      : gapsIn(use, since)),
    ...(rollover.from.some((name) => name.startsWith("branch-key/"))
      ? ["the audit shows the use of KMS keys, and not of branch keys"]
      : []),
  ];
}

/** Records tell seconds. */
const SECOND_MS = 1_000;

/** Where the audit does not cover the time from `since` on. */
function gapsIn({ begins, ends }: KeyUseReport, since: Date | undefined): readonly string[] {
  if (begins === undefined || ends === undefined)
    return ["the audit has no records: give one that covers the time since"];
  if (since === undefined) return [];
  const from = Math.floor(since.getTime() / SECOND_MS) * SECOND_MS;
  if (Date.parse(begins) > from + SECOND_MS)
    return [`the audit begins at ${begins}, after ${since.toISOString()}: give an older one too`];
  return Date.parse(ends) < from
    ? [`the audit ends at ${ends}, before ${since.toISOString()}: give a newer one too`]
    : [];
}

export function describeStatus(status: Status): string {
  const { done, left, failed, unreadable, noMessages, since, uses, observedSeconds } = status;
  const lines: readonly Line[] = [
    ["under the new key", formatAmount(done)],
    ["left under the old key", formatAmount(left)],
    ["… of these failed", String(failed.length)],
    ["unreadable files", String(unreadable.length)],
    ["files that are no messages", String(noMessages)],
    ...(uses === undefined ? [] : ([["audit", auditLine(since, observedSeconds)]] as const)),
  ];
  return [
    layOut(lines),
    ...listFiles([...failed, ...unreadable]),
    ...(uses === undefined || uses.length === 0 ? [] : ["", useTable(uses)]),
    "",
    ...verdictOf(status),
  ].join("\n");
}

function auditLine(since: string | undefined, seconds: number | undefined): string {
  const from = since === undefined ? "all its records" : `from ${since} on`;
  return seconds === undefined ? from : `${from}, ${formatSeconds(seconds)}`;
}

function useTable(uses: readonly KeyUse[]): string {
  const rows = uses.map(({ key, operation, principal, tenant = "-", calls: count, failed, last }) => [
    ...[operation, principal, tenant, String(count), String(failed), last.replace("T", " ").replace("Z", "")],
    key.slice(key.lastIndexOf(":") + 1),
  ]);
  return table([["OPERATION", "PRINCIPAL", "TENANT", "CALLS", "FAILED", "LAST", "KEY"], ...rows], [3, 4]);
}

function verdictOf({ canBeDisabled, reasons, from, observedSeconds = 0 }: Status): readonly string[] {
  const key = from.length === 1 ? "The old key" : "The old keys";
  if (canBeDisabled === "yes") {
    return [
      `${key} can be disabled: none of the messages is under it, and no call used it in the ${formatSeconds(observedSeconds)} that the audit shows.`,
      "Disable it first (DisableKey; EnableKey takes that back), and look here again before its deletion is scheduled.",
    ];
  }
  const head =
    canBeDisabled === "no"
      ? `${key} cannot be disabled yet:`
      : `Whether ${key.toLowerCase()} can be disabled is not known:`;
  return [head, ...reasons.map((reason) => `  ${reason}`)];
}

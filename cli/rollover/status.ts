/** `nitro-decrypt rollover status`: how far a rollover has come, and what still depends on the old key. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Io } from "../command.js";
import { CommandFailure, defineCommand } from "../command.js";
import { parseSince } from "../kms/audit.js";
import type { OptionValues } from "../option-values.js";
import { optionValue } from "../option-values.js";
import { print } from "../report.js";
import { AUDIT_OPTIONS, AUDIT_USAGE, readAudit } from "./audit-records.js";
import { untilInterrupted } from "./interruption.js";
import { readJournal } from "./journal.js";
import type { EndRecord } from "./journal-records.js";
import type { KeyUseReport } from "./key-use.js";
import { keyUseIn } from "./key-use.js";
import type { Rollover } from "./keys.js";
import type { Source } from "./messages-on-disk.js";
import { KEY_USAGE, rolloverOf, SOURCE_OPTIONS, SOURCE_USAGE, sourceOf } from "./rollover-options.js";
import { describeStatus, statusOf } from "./status-report.js";
import type { FailedFile } from "./survey.js";
import { survey } from "./survey.js";

const usage = `Tells how far a rollover has come, from the messages themselves and the journal of its runs, and what still depends on
the old key, from an audit. Says plainly whether the old key can be disabled. Reads only.

Usage: nitro-decrypt rollover status --state FOLDER [options]
       nitro-decrypt rollover status (--messages FOLDER | --list FILE) --from KEY … --to KEY [options]

  --state FOLDER        the --state of the runs: it says which messages and keys
${SOURCE_USAGE}
${KEY_USAGE}
${AUDIT_USAGE}
  --since WHEN          calls of the old key from then on; a span like 12h or 7d before now, or a time like
                        2026-11-23T10:00:00Z; the last message that a run has re-encrypted unless given, whose own
                        calls then do not count
  --tenant-pair NAME    the pair of the encryption context that tells tenants apart; tenant unless given
  --json                the status as JSON
  --help                this text

Exit code 0 when the old key can be disabled, as far as messages and audit tell; 1 when it cannot, or that is not known; 2
for wrong usage.
`;

const ONCE = [...SOURCE_OPTIONS, ...AUDIT_OPTIONS, "state", "since", "tenant-pair"] as const;

export const status = defineCommand({
  name: "rollover status",
  summary: "how far a rollover has come, and what still depends on the old key",
  usage,
  async execute(argv, io) {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        ...Object.fromEntries(ONCE.map((name) => [name, { type: "string", multiple: true } as const])),
        from: { type: "string", multiple: true },
        audit: { type: "string", multiple: true },
        json: { type: "boolean" },
      },
    });
    const { source, rollover, ends } = await subjectOf(values, io);
    const found = await untilInterrupted(io, () => survey(source, rollover, io));
    const since = sinceOf(values, ends, io);
    const use = await useOf(values, { keys: rollover.from, since }, io);
    const report = statusOf({ rollover, found, failed: failedIn(ends, found.toDo), since, use });
    print(io, values.json === true, report, () => describeStatus(report));
    return report.canBeDisabled === "yes" ? 0 : 1;
  },
});

interface Subject {
  readonly source: Source;
  readonly rollover: Rollover;
  readonly ends: ReadonlyMap<string, EndRecord>;
}

async function subjectOf(values: OptionValues, io: Io): Promise<Subject> {
  const state = optionValue(values, "state");
  if (state === undefined) {
    return { source: await sourceOf(values, io), rollover: await rolloverOf(values, io), ends: new Map() };
  }
  const given = [...SOURCE_OPTIONS, "from"].filter((name) => values[name] !== undefined).map((name) => `--${name}`);
  if (given.length > 0)
    throw new CommandFailure(2, `--state says which messages and keys: leave ${given.join(", ")} out`);
  const journal = await readJournal(resolve(io.cwd, state));
  if (journal === undefined) {
    throw new CommandFailure(1, `${state} is not the --state folder of a rollover: it has no journal`);
  }
  const { head, ends } = journal;
  return { source: head.source, rollover: { from: head.from, to: head.to }, ends };
}

/** Files whose last run failed, and which still are to be re-encrypted. */
function failedIn(ends: ReadonlyMap<string, EndRecord>, toDo: readonly string[]): readonly FailedFile[] {
  return toDo.flatMap((file) => {
    const { outcome, code = "ERR_INTERNAL", message = "" } = ends.get(file) ?? {};
    return outcome === "failed" ? [{ file, code, message }] : [];
  });
}

/** What `--since` says, or the end of the last message that was done. */
function sinceOf(values: OptionValues, ends: ReadonlyMap<string, EndRecord>, io: Io): Date | undefined {
  const given = optionValue(values, "since");
  if (given !== undefined) return parseSince(given, io.now());
  const times = [...ends.values()].filter(({ outcome }) => outcome === "done").map(({ at }) => Date.parse(at));
  return times.length === 0 ? undefined : new Date(times.reduce((last, time) => Math.max(last, time)));
}

async function useOf(
  values: OptionValues,
  { keys, since }: { readonly keys: readonly string[]; readonly since: Date | undefined },
  io: Io,
): Promise<KeyUseReport | undefined> {
  const audit = await readAudit(values, io);
  if (audit === undefined) return undefined;
  const tenantPair = optionValue(values, "tenant-pair") ?? "tenant";
  const use = keyUseIn(audit.records, { keys, since, tenantPair });
  return audit.isCurrent && use.begins !== undefined ? { ...use, ends: io.now().toISOString() } : use;
}

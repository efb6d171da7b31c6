/** `nitro-decrypt kms audit`: the calls of a simulated KMS, as a table, and as they come. */
import { setTimeout as sleep } from "node:timers/promises";
import type { AuditRecord } from "../../simulator/cloudtrail/records.js";
import type { Io } from "../command.js";
import { CommandFailure, defineCommand } from "../command.js";
import { parseTimeOption } from "../option-values.js";
import { parseOptions } from "../options.js";
import { auditSource } from "./audit-source.js";
import { AuditTable } from "./audit-table.js";

const usage = `Shows the calls of a simulated KMS, oldest first: who called, with which key, how it ended, and for a call with an
attestation document the enclave that it was made for.

Usage: nitro-decrypt kms audit (--data FOLDER | --folder FOLDER) [options]

  --data FOLDER    the --data of a KMS that runs or has run: all calls that are kept
  --folder FOLDER  the --folder of a KMS that runs: the calls that it has in memory
  --lines N        the newest N calls, default 100
  --since WHEN     not before; a span like 90s, 15m, 12h or 7d before now, or a time like 2026-11-23T10:00:00Z
  --follow         goes on with the calls that come, until Ctrl-C
  --json           CloudTrail records, one a line
  --help           this text
`;

const OPTIONS = {
  data: { type: "string" },
  folder: { type: "string" },
  lines: { type: "string" },
  since: { type: "string" },
  follow: { type: "boolean" },
  json: { type: "boolean" },
} as const;

const DEFAULT_LINES = 100;
const POLL_MS = 250;

export const audit = defineCommand({
  name: "kms audit",
  summary: "the calls of a simulated KMS, as a table",
  usage,
  async execute(argv, io) {
    const options = parseOptions(argv, OPTIONS);
    const lines = options.lines === undefined ? undefined : parseLines(options.lines);
    const since = options.since === undefined ? undefined : parseSince(options.since, io.now());
    const source = await auditSource(options, io);
    const table = new AuditTable({ color: io.color, growing: options.follow === true });
    const show = options.json ? jsonLines : (records: readonly AuditRecord[]) => table.format(records);
    const few = since === undefined ? DEFAULT_LINES : Number.MAX_SAFE_INTEGER;
    io.stdout(show(await source.latest({ lines: lines ?? few, since })));
    while (options.follow && (await waited(io))) {
      const records = await source.further();
      if (records.length > 0) io.stdout(show(records));
    }
    return 0;
  },
});

const jsonLines = (records: readonly AuditRecord[]): string =>
  records.map((record) => `${JSON.stringify(record)}\n`).join("");

/** Waits a moment; false if the command is to end. */
async function waited({ interrupted }: Io): Promise<boolean> {
  await sleep(POLL_MS, undefined, { signal: interrupted }).catch((error: unknown) => {
    if (!interrupted.aborted) throw error;
  });
  return !interrupted.aborted;
}

function parseLines(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new CommandFailure(2, `--lines expects a number, got "${text}"`);
  return Number(text);
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The instant that `--since` means: so long before now, or a time. */
export function parseSince(text: string, now: Date): Date {
  const [, count, unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (count === undefined) return parseTimeOption("since", text);
  return new Date(now.getTime() - Number(count) * (UNIT_MS[unit] ?? 0));
}

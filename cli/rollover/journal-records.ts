/**
 * The lines of a rollover's journal, and their strict reader. The first line says which rollover it is; each file then has
 * a `begin`, before anything of it is written, and an `end`. A last line without its newline was cut off by a kill and means
 * nothing; anything else that is not of this form is refused, since whoever edits a journal may make a run lose a file.
 */
import { z } from "zod";
import { parseJson } from "../../shared/wire.js";
import { CommandFailure } from "../command.js";
import { isTemporary } from "./temporary-file.js";

const path = z.string().startsWith("/").max(4_096);
const time = z.iso.datetime();

const target = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("key"), arn: z.string() }),
  z.strictObject({ kind: z.literal("branchKeys") }),
]);

export const headRecord = z.strictObject({
  event: z.literal("rollover"),
  version: z.literal(1),
  at: time,
  from: z.array(z.string()).min(1),
  to: target,
  source: z.strictObject({ kind: z.enum(["folder", "list"]), path }),
});

const beginRecord = z.strictObject({
  event: z.literal("begin"),
  file: path,
  temporary: path.refine(isTemporary, "expected the name of a temporary file"),
});

/** `interrupted`: the run ended before the file was done, or was killed; it is as it was. */
const endRecord = z.strictObject({
  event: z.literal("end"),
  file: path,
  outcome: z.enum(["done", "failed", "interrupted"]),
  at: time,
  code: z.string().max(64).optional(),
  message: z.string().max(4_096).optional(),
});

const fileRecord = z.discriminatedUnion("event", [beginRecord, endRecord]);

export type HeadRecord = z.infer<typeof headRecord>;
export type EndRecord = z.infer<typeof endRecord>;
export type FileRecord = z.infer<typeof fileRecord>;

/** What a journal says. */
export interface JournalContent {
  readonly head: HeadRecord;
  /** Files that were begun and not ended, with their temporary files. */
  readonly open: ReadonlyMap<string, string>;
  /** The last end of every file. */
  readonly ends: ReadonlyMap<string, EndRecord>;
  /** Bytes up to the end of the last whole line. */
  readonly length: number;
}

/** Undefined where not even the first line is whole. @throws CommandFailure for what is no journal of this form */
export function parseJournal(bytes: Uint8Array, name: string): JournalContent | undefined {
  const length = bytes.lastIndexOf(0x0a) + 1;
  if (length === 0) return undefined;
  const [first = "", ...lines] = textOf(bytes.subarray(0, length - 1), name).split("\n");
  const head = parseLine(headRecord, first, { name, number: 1 });
  const open = new Map<string, string>();
  const ends = new Map<string, EndRecord>();
  for (const [index, line] of lines.entries()) {
    const record = parseLine(fileRecord, line, { name, number: index + 2 });
    if (record.event === "begin") open.set(record.file, record.temporary);
    else if (open.delete(record.file)) ends.set(record.file, record);
    else throw damaged(name, index + 2, "it ends a file that was not begun");
  }
  return { head, open, ends, length };
}

interface Place {
  readonly name: string;
  readonly number: number;
}

function parseLine<T>(schema: z.ZodType<T>, line: string, { name, number }: Place): T {
  try {
    return parseJson(schema, line, "ERR_MESSAGE_MALFORMED");
  } catch (error) {
    throw damaged(name, number, error instanceof Error ? error.message : String(error));
  }
}

function textOf(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new CommandFailure(1, `${name} is damaged: it is not UTF-8. ${NEXT_STEP}`);
  }
}

const NEXT_STEP = "Give a new --state: messages that are under the new key already are seen by their headers, and left";

const damaged = (name: string, line: number, what: string): CommandFailure =>
  new CommandFailure(1, `${name} is damaged in line ${line}: ${what}. ${NEXT_STEP}`);

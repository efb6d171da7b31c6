/**
 * Where `rollover status` has its audit from: files of CloudTrail records (as CloudTrail delivers them, `{"Records": […]}`,
 * gzipped or not, or one record a line), the --data folder of a simulated KMS, or one that runs.
 */
import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { z } from "zod";
import { concatBytes } from "../../shared/bytes.js";
import { parseAuditLine } from "../../simulator/cloudtrail/audit-line.js";
import type { AuditRecord } from "../../simulator/cloudtrail/records.js";
import type { Io } from "../command.js";
import { CommandFailure } from "../command.js";
import { auditSource } from "../kms/audit-source.js";
import type { OptionValues } from "../option-values.js";
import { optionValue } from "../option-values.js";
import { systemFailure } from "../system-failure.js";

export const AUDIT_USAGE = `  --audit FILE          CloudTrail records: {"Records": […]} as CloudTrail delivers them, also gzipped, or one record a line;
                        may be given several times
  --audit-data FOLDER   the --data of a simulated KMS
  --audit-folder FOLDER the --folder of a simulated KMS that runs: the calls that it has in memory`;

export const AUDIT_OPTIONS = ["audit-data", "audit-folder"] as const;

const MAX_FILE_BYTES = 256 * 1024 * 1024;

export interface Audit {
  /** In no order. */
  readonly records: readonly AuditRecord[];
  /** Whether it goes up to now, and not only to its last record. */
  readonly isCurrent: boolean;
}

/** The audit that an option names, if one does. @throws CommandFailure */
export async function readAudit(values: OptionValues, io: Io): Promise<Audit | undefined> {
  const files = [values.audit ?? []].flat().map(String);
  const [data, folder] = [optionValue(values, "audit-data"), optionValue(values, "audit-folder")];
  const given = Number(files.length > 0) + Number(data !== undefined) + Number(folder !== undefined);
  if (given === 0) return undefined;
  if (given > 1) throw new CommandFailure(2, "--audit, --audit-data and --audit-folder: give one kind of audit");
  if (files.length > 0) {
    const records = await Promise.all(files.map((file) => recordsOfFile(file, io)));
    return { records: records.flat(), isCurrent: false };
  }
  const source = await auditSource({ data, folder }, io);
  return { records: await source.latest({ lines: Number.MAX_SAFE_INTEGER, since: undefined }), isCurrent: true };
}

async function recordsOfFile(file: string, io: Io): Promise<readonly AuditRecord[]> {
  const bytes = await unpacked(file, await bytesOf(file, io));
  const texts = textsIn(file, new TextDecoder().decode(bytes));
  return texts.map((text, index) => {
    const record = parseAuditLine(text);
    if (record !== undefined) return record;
    throw new CommandFailure(1, `${file}: record ${index + 1} is no CloudTrail record`);
  });
}

async function bytesOf(file: string, io: Io): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of createReadStream(resolve(io.cwd, file))) {
      size += chunk.length;
      if (size > MAX_FILE_BYTES) throw new CommandFailure(1, `${file} is larger than ${MAX_FILE_BYTES} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw systemFailure(`--audit ${file} cannot be read`, error);
  }
  return concatBytes(...chunks);
}

/** RFC 1952 §2.3.1 */
const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

async function unpacked(file: string, bytes: Uint8Array): Promise<Uint8Array> {
  if (!isGzip(bytes)) return bytes;
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: MAX_FILE_BYTES });
  } catch (cause) {
    throw new CommandFailure(1, `${file} is no gzip file of at most ${MAX_FILE_BYTES} bytes`, { cause });
  }
}

const delivered = z.looseObject({ Records: z.array(z.looseObject({})) });

/** The records as JSON texts: of a delivered file its list, of another one its lines. */
function textsIn(file: string, text: string): readonly string[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0) throw new CommandFailure(1, `${file} is empty: expected CloudTrail records`);
  const whole = delivered.safeParse(parsed(text));
  // A record whose call was about no resource has none.
  const records = whole.success ? whole.data.Records : lines.map(parsed);
  return records.map((record) =>
    JSON.stringify(typeof record === "object" && record !== null ? { resources: [], ...record } : record),
  );
}

/** Undefined for what is no JSON, which then is no record. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

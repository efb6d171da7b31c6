/** Where `kms audit` has its records from: the files of a data folder, or a server that runs. */
import { dirname, resolve } from "node:path";
import { parseAuditLine } from "../../simulator/cloudtrail/audit-line.js";
import type { Position } from "../../simulator/cloudtrail/audit-segments.js";
import { readBackwards, readForwards, START } from "../../simulator/cloudtrail/audit-segments.js";
import type { AuditRecord } from "../../simulator/cloudtrail/records.js";
import { CONTROL_SERVICE, CONTROL_TARGET_PREFIX } from "../../simulator/control/control-service.js";
import { auditFolderOf } from "../../simulator/endpoint/state.js";
import { hasCode } from "../../simulator/storage/storage-error.js";
import type { Io } from "../command.js";
import { CommandFailure } from "../command.js";
import type { Connection } from "./connection.js";
import { call, readConnection } from "./connection.js";

/** Which records to begin with. */
export interface Selection {
  /** The newest ones. */
  readonly lines: number;
  readonly since: Date | undefined;
}

export interface AuditSource {
  /** What there is, oldest first. */
  latest(selection: Selection): Promise<readonly AuditRecord[]>;
  /** What has come since the last question, oldest first. */
  further(): Promise<readonly AuditRecord[]>;
}

interface Values {
  readonly data?: string | undefined;
  readonly folder?: string | undefined;
}

/** The source that the options name. @throws CommandFailure */
export async function auditSource({ data, folder }: Values, io: Io): Promise<AuditSource> {
  if ((data === undefined) === (folder === undefined)) {
    throw new CommandFailure(2, "one of --data and --folder is required: the one that the KMS was started with");
  }
  if (data !== undefined) return new FileSource(auditFolderOf(resolve(io.cwd, data)));
  return new ServerSource(await readConnection(folder, io), io);
}

const isSince = (record: AuditRecord, since: Date | undefined): boolean =>
  since === undefined || Date.parse(record.eventTime) >= since.getTime();

/** All records of a data folder, oldest first. @throws CommandFailure if it is none */
export async function* recordsIn(
  folder: string,
  from: Position,
): AsyncGenerator<{ record: AuditRecord; next: Position }> {
  try {
    for await (const { text, next } of readForwards(folder, from)) {
      const record = parseAuditLine(text);
      if (record !== undefined) yield { record, next };
    }
  } catch (cause) {
    throw withoutRecords(folder, cause);
  }
}

function withoutRecords(folder: string, cause: unknown): unknown {
  if (!hasCode(cause, "ENOENT") && !hasCode(cause, "ENOTDIR")) return cause;
  const message = `${dirname(folder)} is not the --data folder of a KMS: it has no audit records`;
  return new CommandFailure(1, message, { cause });
}

class FileSource implements AuditSource {
  readonly #folder: string;
  #read: Position = START;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async latest({ lines, since }: Selection): Promise<readonly AuditRecord[]> {
    const newestFirst: AuditRecord[] = [];
    try {
      for await (const { text, next } of readBackwards(this.#folder)) {
        if (newestFirst.length === 0) this.#read = next;
        const record = parseAuditLine(text);
        if (record === undefined) continue;
        if (!isSince(record, since) || newestFirst.length === lines) break;
        newestFirst.push(record);
      }
    } catch (cause) {
      throw withoutRecords(this.#folder, cause);
    }
    return newestFirst.reverse();
  }

  async further(): Promise<readonly AuditRecord[]> {
    const records: AuditRecord[] = [];
    for await (const { record, next } of recordsIn(this.#folder, this.#read)) {
      records.push(record);
      this.#read = next;
    }
    return records;
  }
}

class ServerSource implements AuditSource {
  readonly #connection: Connection;
  readonly #io: Io;
  #last: AuditRecord | undefined;

  constructor(connection: Connection, io: Io) {
    this.#connection = connection;
    this.#io = io;
  }

  async latest({ lines, since }: Selection): Promise<readonly AuditRecord[]> {
    const records = await this.#ask({ limit: Math.min(lines, 10_000) });
    return records.filter((record) => isSince(record, since));
  }

  further(): Promise<readonly AuditRecord[]> {
    return this.#ask(this.#last === undefined ? {} : { after: this.#last.eventID });
  }

  async #ask(input: object): Promise<readonly AuditRecord[]> {
    const operation = { service: CONTROL_SERVICE, target: `${CONTROL_TARGET_PREFIX}GetAuditRecords` };
    const answer = (await call(this.#connection, operation, input, this.#io)) as { readonly records: AuditRecord[] };
    this.#last = answer.records.at(-1) ?? this.#last;
    return answer.records;
  }
}

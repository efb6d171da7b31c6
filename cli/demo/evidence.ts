/**
 * What the parties themselves recorded: the audit log of KMS and the logs of the processes, as they come in. The demo
 * asks here who saw what, so that it shows records and not claims.
 */
import { ServiceError } from "../../shared/errors.js";
import type { AuditRecord } from "../../simulator/cloudtrail/records.js";

export interface LogLine {
  /** Which process wrote it. */
  readonly label: string;
  readonly text: string;
}

/** A record is written before or after the answer to which it belongs; it comes through a pipe in any case. */
const ARRIVAL_DEADLINE_MS = 3_000;

export class Evidence {
  readonly #calls: AuditRecord[] = [];
  readonly #lines: LogLine[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #arrivalDeadlineMs: number;

  constructor(arrivalDeadlineMs = ARRIVAL_DEADLINE_MS) {
    this.#arrivalDeadlineMs = arrivalDeadlineMs;
  }

  addCall(record: AuditRecord): void {
    this.#calls.push(record);
    this.#wake();
  }

  addLine(label: string, text: string): void {
    this.#lines.push({ label, text });
    this.#wake();
  }

  /** Everything that was recorded so far, as text. */
  get everything(): string {
    return [...this.#calls.map((record) => JSON.stringify(record)), ...this.#lines.map(({ text }) => text)].join("\n");
  }

  /** What is recorded from now on. */
  mark(): Since {
    const [calls, lines] = [this.#calls.length, this.#lines.length];
    return {
      call: (matches) => this.#await(() => this.#calls.slice(calls).find(matches), "a record of KMS"),
      line: (label, matches) =>
        this.#await(
          () =>
            this.#lines
              .slice(lines)
              .filter((line) => line.label === label)
              .map(({ text }) => fieldsOf(text))
              .find(matches),
          `a log line of ${label}`,
        ),
    };
  }

  async #await<T>(look: () => T | undefined, what: string): Promise<T> {
    const endMs = performance.now() + this.#arrivalDeadlineMs;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      const remainingMs = endMs - performance.now();
      if (remainingMs <= 0) throw new ServiceError("ERR_TIMEOUT", `expected ${what}, none came`);
      await this.#change(remainingMs);
    }
  }

  /** Resolves when something new was recorded, or after a while. */
  #change(atMostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, atMostMs);
      this.#waiting.add(wake);
    });
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

/** The records from some moment on; each waits until what is asked for is there. */
export interface Since {
  call(matches: (record: AuditRecord) => boolean): Promise<AuditRecord>;
  line(label: string, matches: (fields: LogFields) => boolean): Promise<LogFields>;
}

export type LogFields = Readonly<Record<string, unknown>>;

function fieldsOf(line: string): LogFields {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {}; // a warning of Node itself, say: it has no fields
  }
}

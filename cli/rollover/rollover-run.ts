/**
 * A run over all messages that are still under an old key, so many at a time. Each is begun in the journal before anything
 * is written, and ended there after its new file has its place; one that fails is left as it was and the others go on,
 * unless the failure is one that all would have.
 */
import { rm } from "node:fs/promises";
import type { ErrorCode } from "../../shared/errors.js";
import { isErrorCode } from "../../shared/errors.js";
import { CommandFailure } from "../command.js";
import type { Failure } from "./failure.js";
import { failureOf } from "./failure.js";
import type { Inspected } from "./inspection.js";
import type { Journal } from "./journal.js";
import type { JournalContent } from "./journal-records.js";
import type { MessageWork } from "./one-message.js";
import { rollOver } from "./one-message.js";
import type { Amount, FailedFile } from "./survey.js";
import { temporaryFor } from "./temporary-file.js";

export interface RunOptions extends MessageWork {
  readonly journal: Journal;
  readonly concurrency: number;
  readonly now: () => Date;
  /** Told after every message. */
  readonly onProgress: (outcome: Outcome) => void;
}

export interface Outcome {
  readonly done: Amount;
  readonly failed: readonly FailedFile[];
  /** Files that needed nothing any more when their turn came. */
  readonly passed: number;
  /** What ended the run before all files had their turn. */
  readonly stopped: Failure | undefined;
}

/** Failures that every message would have. */
const STOPPING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "ERR_TOKEN_MISSING",
  "ERR_TOKEN_MALFORMED",
  "ERR_TOKEN_UNTRUSTED",
  "ERR_TOKEN_TIME",
  "ERR_TOKEN_BINDING",
  "ERR_NOT_FOUND",
  "ERR_CHANNEL_CLOSED",
  "ERR_ENCLAVE_UNAVAILABLE",
  "ERR_PCR_MISMATCH",
  "ERR_DEBUG_ENCLAVE",
  "ERR_TRUST_ANCHOR",
  "ERR_USER_DATA_MISMATCH",
]);

/** Removes what a run that was killed has left, and ends in the journal what it had begun. */
export async function clearInterrupted({ open }: JournalContent, journal: Journal, now: () => Date): Promise<number> {
  for (const [file, temporary] of open) {
    await rm(temporary, { force: true });
    await journal.append({ event: "end", file, outcome: "interrupted", at: now().toISOString() });
  }
  return open.size;
}

export class RolloverRun {
  readonly #options: RunOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #failed: FailedFile[] = [];
  #done: Amount = { messages: 0, bytes: 0 };
  #passed = 0;
  #stopped: Failure | undefined;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
  }

  /** Returns when every file had its turn, or the run was stopped. @throws what the journal throws */
  async run(paths: readonly string[]): Promise<Outcome> {
    const turns = paths.values();
    const work = async (): Promise<void> => {
      for (const path of turns) {
        if (this.#signal.aborted) return;
        await this.#one(path);
      }
    };
    const workers = await Promise.allSettled(Array.from({ length: this.#options.concurrency }, work));
    const broken = workers.find((worker) => worker.status === "rejected");
    if (broken !== undefined) throw broken.reason;
    return this.#outcome();
  }

  async #one(path: string): Promise<void> {
    const { journal, now } = this.#options;
    let isBegun = false;
    const begin = async (): Promise<string> => {
      const temporary = temporaryFor(path);
      await this.#written(journal.append({ event: "begin", file: path, temporary }));
      isBegun = true;
      return temporary;
    };
    const end = async (outcome: "done" | "failed" | "interrupted", failure: Partial<Failure> = {}): Promise<void> => {
      if (!isBegun && outcome === "failed") await begin();
      if (!isBegun) return;
      const record = { event: "end", file: path, outcome, at: now().toISOString(), ...failure } as const;
      await this.#written(journal.append(record));
    };
    try {
      const found = await rollOver(path, { ...this.#options, signal: this.#signal }, begin);
      if (isBegun) await end("done");
      this.#add(found, isBegun);
    } catch (error) {
      if (error instanceof CommandFailure) throw error;
      await this.#fail(path, error, end);
    }
    this.#options.onProgress(this.#outcome());
  }

  /** What cannot be written down ends the whole run: another failure of a file does not. */
  async #written(record: Promise<void>): Promise<void> {
    await record.catch((cause: unknown) => {
      this.#stop.abort(new Error("the journal cannot be written"));
      throw new CommandFailure(1, `the journal cannot be written: ${String(cause)}`, { cause });
    });
  }

  #add(found: Inspected, isDone: boolean): void {
    if (!isDone || found.kind !== "message") {
      this.#passed++;
      return;
    }
    this.#done = { messages: this.#done.messages + 1, bytes: this.#done.bytes + found.bytes };
  }

  async #fail(
    path: string,
    error: unknown,
    end: (outcome: "failed" | "interrupted", failure?: Failure) => Promise<void>,
  ): Promise<void> {
    if (this.#signal.aborted) return end("interrupted"); // whatever was thrown is the end's doing
    const failure = failureOf(error);
    await end("failed", failure);
    this.#failed.push({ file: path, ...failure });
    if (!isErrorCode(failure.code) || !STOPPING.has(failure.code)) return;
    this.#stopped ??= failure;
    this.#stop.abort(error);
  }

  #outcome(): Outcome {
    return { done: this.#done, failed: this.#failed, passed: this.#passed, stopped: this.#stopped };
  }
}

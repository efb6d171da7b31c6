/** All messages of a source, counted by the keys that they are under and by what a rollover has to do with them. */
import type { Io } from "../command.js";
import type { Failure } from "./failure.js";
import type { Inspected, InspectedMessage } from "./inspection.js";
import { inspect } from "./inspection.js";
import type { MessageState, Rollover } from "./keys.js";
import { isNew, isOld } from "./keys.js";
import type { Source } from "./messages-on-disk.js";
import { filesOf } from "./messages-on-disk.js";
import { MAX_WHOLE_BYTES } from "./one-message.js";

export interface Amount {
  readonly messages: number;
  readonly bytes: number;
}

/** Messages that are under the same keys. */
export interface KeyLine extends Amount {
  readonly keys: readonly string[];
  readonly state: MessageState;
}

export interface FailedFile extends Failure {
  readonly file: string;
}

export interface Survey {
  readonly lines: readonly KeyLine[];
  readonly amounts: Readonly<Record<MessageState, Amount>>;
  /** Paths to re-encrypt. */
  readonly toDo: readonly string[];
  /** Of those to re-encrypt: more than a sealed request carries. */
  readonly large: Amount;
  /** Of those to re-encrypt: without key commitment, which no enclave opens. */
  readonly uncommitted: Amount;
  /** Of those to re-encrypt: under keys besides the old and the new one, which then open them no more. */
  readonly losingKeys: Amount;
  readonly noMessages: readonly FailedFile[];
  readonly unreadable: readonly FailedFile[];
  /** Symbolic links, and what is neither a file nor a folder. */
  readonly skipped: number;
  /** New files of a run that is under way, or that was killed and whose state folder has not been used since. */
  readonly temporary: number;
}

/** Reads the header of every file. @throws CommandFailure if the source cannot be read; the reason of `io.interrupted` */
export async function survey(source: Source, rollover: Rollover, io: Io): Promise<Survey> {
  const counted = new Counted(rollover);
  for await (const file of filesOf(source, io)) {
    io.interrupted.throwIfAborted();
    counted.add(await inspect(file, rollover));
  }
  return counted;
}

const NONE: Amount = { messages: 0, bytes: 0 };
const plus = ({ messages, bytes }: Amount, more: number): Amount => ({ messages: messages + 1, bytes: bytes + more });

class Counted implements Survey {
  readonly #rollover: Rollover;
  readonly #lines = new Map<string, KeyLine>();
  readonly amounts: Record<MessageState, Amount> = { done: NONE, toDo: NONE, other: NONE };
  readonly toDo: string[] = [];
  readonly noMessages: FailedFile[] = [];
  readonly unreadable: FailedFile[] = [];
  large = NONE;
  uncommitted = NONE;
  losingKeys = NONE;
  skipped = 0;
  temporary = 0;

  constructor(rollover: Rollover) {
    this.#rollover = rollover;
  }

  /** The most messages first. */
  get lines(): readonly KeyLine[] {
    return [...this.#lines.values()].sort(
      (a, b) => b.messages - a.messages || (a.keys.join() < b.keys.join() ? -1 : 1),
    );
  }

  add(found: Inspected): void {
    if (found.kind === "message") this.#addMessage(found);
    else if ("failure" in found) {
      const files = found.kind === "noMessage" ? this.noMessages : this.unreadable;
      files.push({ file: found.path, ...found.failure });
    } else this[found.kind]++;
  }

  #addMessage({ path, bytes, keys, state, header }: InspectedMessage): void {
    const id = JSON.stringify(keys);
    this.#lines.set(id, { keys, state, ...plus(this.#lines.get(id) ?? NONE, bytes) });
    this.amounts[state] = plus(this.amounts[state], bytes);
    if (state !== "toDo") return;
    this.toDo.push(path);
    if (bytes > MAX_WHOLE_BYTES) this.large = plus(this.large, bytes);
    if (!header.suite.commits) this.uncommitted = plus(this.uncommitted, bytes);
    const further = keys.filter((name) => !isOld(name, this.#rollover) && !isNew(name, this.#rollover));
    if (further.length > 0) this.losingKeys = plus(this.losingKeys, bytes);
  }
}

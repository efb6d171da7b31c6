/** A whole run: takes the state folder, clears what a killed run has left, looks at all files, re-encrypts, lets go. */
import type { Io } from "../command.js";
import { openJournal } from "./journal.js";
import type { Source } from "./messages-on-disk.js";
import type { ReEncrypt } from "./re-encrypt.js";
import type { Pauses } from "./retries.js";
import type { WantedRollover } from "./rollover-options.js";
import type { Outcome } from "./rollover-run.js";
import { clearInterrupted, RolloverRun } from "./rollover-run.js";
import type { Survey } from "./survey.js";
import { survey } from "./survey.js";

export interface Connection {
  readonly reEncrypt: ReEncrypt;
  close(): void;
}

export interface WholeRun {
  readonly source: Source;
  readonly rollover: WantedRollover;
  /** The state folder. */
  readonly state: string;
  readonly concurrency: number;
  readonly pauses: Pauses;
  /** Asked for when there is something to do, and closed. */
  readonly connect: () => Promise<Connection>;
  /** Told of how many messages how many are done. */
  readonly onProgress: (outcome: Outcome, of: number) => void;
}

export interface WholeOutcome {
  /** As it was before the run. */
  readonly before: Survey;
  readonly outcome: Outcome;
}

const NOTHING: Outcome = { done: { messages: 0, bytes: 0 }, failed: [], passed: 0, stopped: undefined };

/** @throws CommandFailure (state folder, source), and what `connect` throws */
export async function runRollover(whole: WholeRun, io: Io): Promise<WholeOutcome> {
  const { source, rollover, state } = whole;
  const now = (): Date => io.now();
  const keys = { from: [...rollover.from], to: rollover.to };
  const head = { event: "rollover", version: 1, at: now().toISOString(), ...keys, source } as const;
  const { journal, content } = await openJournal(state, head);
  try {
    await clearInterrupted(content, journal, now);
    const before = await survey(source, rollover, io);
    if (before.toDo.length === 0) return { before, outcome: NOTHING };
    const { reEncrypt, close } = await whole.connect();
    try {
      const { concurrency, pauses, onProgress } = whole;
      const work = { rollover, keyIds: rollover.keyIds, reEncrypt, pauses, signal: io.interrupted };
      const told = (outcome: Outcome): void => onProgress(outcome, before.toDo.length);
      const run = new RolloverRun({ ...work, journal, concurrency, now, onProgress: told });
      return { before, outcome: await run.run(before.toDo) };
    } finally {
      close();
    }
  } finally {
    await journal.close();
  }
}

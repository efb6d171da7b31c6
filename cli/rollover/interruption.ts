/** What is said when a command was told to end before it had anything to report. */
import type { Io } from "../command.js";
import { CommandFailure } from "../command.js";

/** The outcome of `work`. @throws CommandFailure where it fails because the command was told to end; what it throws */
export async function untilInterrupted<T>({ interrupted }: Io, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!interrupted.aborted || error !== interrupted.reason) throw error;
    throw new CommandFailure(1, "interrupted; run it again with the same options", { cause: error });
  }
}

/** Faults of the simulator itself, for whoever runs it: what failed, and what to do about it. */
import type { Logger } from "pino";
import { StorageError } from "../../simulator/storage/storage-error.js";

const AFTER_STORAGE = "see that the disk of the data folder works and has room, then start the simulator anew";
const AFTER_DEFECT = "this is a defect of the simulator: report it with this line and the call";

/** What logs them, each as one line. */
export const internalErrorLog =
  (log: Logger) =>
  (err: unknown): void => {
    const next = err instanceof StorageError ? AFTER_STORAGE : AFTER_DEFECT;
    log.error({ err, next }, "a call was answered with an internal error");
  };

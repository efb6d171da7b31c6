/** Why a data folder cannot be opened, read or written. The message names the file and is for whoever runs the simulator. */
export class StorageError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = "StorageError";
  }
}

/** Whether a system call failed with that code. */
export const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;

/** The options of `kms` about a data folder, and its errors as a person at the terminal reads them. */
import { resolve } from "node:path";
import type { DataOptions } from "../../simulator/endpoint/state.js";
import { StorageError } from "../../simulator/storage/storage-error.js";
import type { Io } from "../command.js";
import { CommandFailure } from "../command.js";
import { systemFailure } from "../system-failure.js";

export const DATA_OPTIONS = {
  data: { type: "string" },
  "master-key": { type: "string" },
  "audit-size": { type: "string" },
} as const;

/** Their part of a help text. */
export const DATA_USAGE = `  --data FOLDER      where keys and audit records are kept; without it they end with the process
  --master-key FILE  what key material in FOLDER is wrapped under; default FOLDER.master-key, made with the folder
  --audit-size MIB   what the audit records in FOLDER may take, default 1024; the oldest go first
`;

interface Values {
  readonly data?: string | undefined;
  readonly "master-key"?: string | undefined;
  readonly "audit-size"?: string | undefined;
}

const MEBIBYTE = 1024 ** 2;

/** What the options say; undefined without `--data`. */
export function dataOptions(values: Values, io: Io): DataOptions | undefined {
  const { data, "master-key": masterKey, "audit-size": auditSize } = values;
  if (data === undefined) {
    if (masterKey === undefined && auditSize === undefined) return undefined;
    throw new CommandFailure(2, "--master-key and --audit-size belong to --data");
  }
  if (auditSize !== undefined && !/^[1-9]\d{0,6}$/.test(auditSize)) {
    throw new CommandFailure(2, "--audit-size is a number of MiB");
  }
  return {
    folder: resolve(io.cwd, data),
    ...(masterKey === undefined ? {} : { masterKeyFile: resolve(io.cwd, masterKey) }),
    ...(auditSize === undefined ? {} : { auditBytes: Number(auditSize) * MEBIBYTE }),
  };
}

/** The failure of the command if `error` is of its data folder, and otherwise `error` itself. */
export function dataFailure(error: unknown, folder = ""): unknown {
  if (error instanceof StorageError) return new CommandFailure(1, error.message, { cause: error });
  return systemFailure(`--data ${folder} cannot be used`, error);
}

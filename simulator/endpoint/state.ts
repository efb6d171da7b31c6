/** What a KMS remembers: its Regions and its audit log, in memory alone or in a data folder as well. */
import { join } from "node:path";
import { AuditFile } from "../cloudtrail/audit-file.js";
import { AuditLog } from "../cloudtrail/audit-log.js";
import type { Home } from "../cloudtrail/records.js";
import type { DataFolderOptions } from "../kms/data-folder.js";
import { openDataFolder } from "../kms/data-folder.js";
import type { RegionsOptions } from "../kms/regions.js";
import { Regions } from "../kms/regions.js";

export interface DataOptions extends DataFolderOptions {
  /** What the audit records may take on disk; 1 GiB if left out. The oldest go first. */
  readonly auditBytes?: number;
}

export interface State {
  readonly regions: Regions;
  readonly auditLog: AuditLog;
  close(): Promise<void>;
}

/** Where in a data folder the audit records are. */
export const auditFolderOf = (folder: string): string => join(folder, "audit");

export interface StateOptions extends Omit<RegionsOptions, "persistence" | "importTokenKey"> {
  readonly data?: DataOptions | undefined;
  /** Told of what is wrong in the folder and yet no reason not to open it. */
  readonly onInternalError: (error: unknown) => void;
}

/** The state that is in the data folder; an empty one without such a folder. @throws StorageError */
export async function openState(home: Home, { data, onInternalError, ...options }: StateOptions): Promise<State> {
  if (data === undefined) {
    const close = async (): Promise<void> => undefined;
    return { ...withUsesNoted(new Regions(home.region, options), new AuditLog(home)), close };
  }
  const folder = await openDataFolder(data);
  try {
    folder.settle(home);
    const { importTokenKey } = folder;
    const regions = new Regions(home.region, { ...options, persistence: folder, importTokenKey });
    for (const change of folder.changes()) regions.restore(change);
    const file = new AuditFile(auditFolderOf(data.folder), data.auditBytes);
    const close = async (): Promise<void> => {
      file.close();
      await folder.close();
    };
    return { ...withUsesNoted(regions, new AuditLog(home, { file, onInternalError })), close };
  } catch (error) {
    await folder.close();
    throw error;
  }
}

/** The uses of keys are noted as they are recorded. */
function withUsesNoted(regions: Regions, auditLog: AuditLog): Pick<State, "regions" | "auditLog"> {
  auditLog.subscribe((record) => regions.keyUses.note(record, (arn) => regions.find(arn) !== undefined));
  return { regions, auditLog };
}

/** What a key store has, by branch key: which version is active, and which there are. */
import type { JsonItem } from "../../parent/branch-key-folder.js";

export interface BranchKeyVersion {
  /** UUID. */
  readonly version: string;
  readonly createTime: string;
}

export interface BranchKeySummary {
  readonly id: string;
  /** UUID; undefined when the active record is missing. */
  readonly activeVersion: string | undefined;
  readonly kmsArn: string;
  /** The newest first. */
  readonly versions: readonly BranchKeyVersion[];
}

const VERSION_PREFIX = "branch:version:";
export const ACTIVE_TYPE = "branch:ACTIVE";

const textOf = (item: JsonItem, name: string): string => String(item[name]?.S ?? "");

/** The branch keys of which `items` are the records, by their ids. */
export function inventoryOf(items: readonly JsonItem[]): readonly BranchKeySummary[] {
  const byId = new Map<string, JsonItem[]>();
  for (const item of items) {
    const id = textOf(item, "branch-key-id");
    byId.set(id, [...(byId.get(id) ?? []), item]);
  }
  return [...byId].sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, records]) => summaryOf(id, records));
}

function summaryOf(id: string, records: readonly JsonItem[]): BranchKeySummary {
  const active = records.find((record) => textOf(record, "type") === ACTIVE_TYPE);
  const versions = records
    .filter((record) => textOf(record, "type").startsWith(VERSION_PREFIX))
    .map((record) => ({
      version: textOf(record, "type").slice(VERSION_PREFIX.length),
      createTime: textOf(record, "create-time"),
    }))
    .sort((a, b) => (a.createTime < b.createTime ? 1 : -1));
  return {
    id,
    activeVersion: active && textOf(active, "version").slice(VERSION_PREFIX.length),
    kmsArn: textOf(active ?? records[0] ?? {}, "kms-arn"),
    versions,
  };
}

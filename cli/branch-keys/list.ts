/** `nitro-decrypt branch-keys list`: which branch keys a key store has. */
import { defineCommand } from "../command.js";
import { parseOptions } from "../options.js";
import { print, printable } from "../report.js";
import type { BranchKeySummary } from "./inventory.js";
import { inventoryOf } from "./inventory.js";
import { keyTableOf, TABLE_OPTIONS, TABLE_USAGE } from "./key-table.js";

const usage = `Lists the branch keys of a key store, with their versions. What the records say is not verified here: AWS KMS does
that when a key is used.

Usage: nitro-decrypt branch-keys list --table NAME [--folder PATH] [--id TENANT] [--json]

${TABLE_USAGE}  --id TENANT          this branch key alone
  --json               the list as JSON
  --help               this text
`;

const OPTIONS = { ...TABLE_OPTIONS, id: { type: "string" }, json: { type: "boolean" } } as const;

export const list = defineCommand({
  name: "branch-keys list",
  summary: "which branch keys a key store has",
  usage,
  async execute(argv, io) {
    const options = parseOptions(argv, OPTIONS);
    const table = await keyTableOf(options, io);
    const branchKeys = inventoryOf(await table.list(options.id));
    print(io, options.json ?? false, { branchKeys }, () => describe(branchKeys));
    return 0;
  },
});

function describe(branchKeys: readonly BranchKeySummary[]): string {
  if (branchKeys.length === 0) return "There are no branch keys.";
  const rows = [["ID", "VERSION", "CREATED", ""], ...branchKeys.flatMap(rowsOf)];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  return rows
    .map((cells) =>
      cells
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const rowsOf = ({ id, activeVersion, versions }: BranchKeySummary): readonly string[][] =>
  versions.map(({ version, createTime }, index) => [
    index === 0 ? printable(id) : "",
    printable(version),
    printable(createTime),
    version === activeVersion ? "active" : "",
  ]);

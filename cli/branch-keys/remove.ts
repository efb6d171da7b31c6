/** `nitro-decrypt branch-keys remove`: a tenant's branch key, all versions of it. */
import { CommandFailure, defineCommand } from "../command.js";
import { parseOptions, required } from "../options.js";
import { layOut, print, printable } from "../report.js";
import { keyOf } from "./folder-table.js";
import { ACTIVE_TYPE } from "./inventory.js";
import { keyTableOf, TABLE_OPTIONS, TABLE_USAGE } from "./key-table.js";

const usage = `Removes a tenant's branch key with all its versions. What was encrypted under it opens nowhere any more, unless somebody
kept the records: an enclave that has a key in memory uses it for maxAgeSeconds of its configuration at most.

Usage: nitro-decrypt branch-keys remove --id TENANT --confirm TENANT --table NAME [--folder PATH] [--json]

${TABLE_USAGE}  --id TENANT          the branch key's id
  --confirm TENANT     the same once more
  --json               the result as JSON
  --help               this text
`;

const OPTIONS = {
  ...TABLE_OPTIONS,
  id: { type: "string" },
  confirm: { type: "string" },
  json: { type: "boolean" },
} as const;

export const remove = defineCommand({
  name: "branch-keys remove",
  summary: "remove a tenant's branch key",
  usage,
  async execute(argv, io) {
    const options = parseOptions(argv, OPTIONS);
    const id = required(options.id, "id");
    if (options.confirm !== id)
      throw new CommandFailure(2, "--confirm repeats the id: what is removed does not come back");
    const table = await keyTableOf(options, io);
    const keys = (await table.list(id)).map(keyOf);
    if (keys.length === 0) {
      throw new CommandFailure(1, `there is no branch key ${printable(id)} in the table ${table.name}`);
    }
    // The active record first: whatever stops this midway, nothing new is encrypted under the key.
    const isActive = ({ type }: { type: string }): boolean => type === ACTIVE_TYPE;
    await table.delete([...keys.filter(isActive), ...keys.filter((key) => !isActive(key))]);
    print(io, options.json ?? false, { id, removedRecords: keys.length }, () =>
      layOut([
        ["removed the branch key", id],
        ["its records", String(keys.length)],
      ]),
    );
    return 0;
  },
});

/** `nitro-decrypt branch-keys version`: a new version of a tenant's branch key. */
import { KMSClient } from "@aws-sdk/client-kms";
import { CommandFailure, defineCommand } from "../command.js";
import { parseOptions, required } from "../options.js";
import { layOut, print, printable } from "../report.js";
import { inventoryOf } from "./inventory.js";
import { keyStoreOf, readably, STORE_OPTIONS, STORE_USAGE, storeNamesOf } from "./key-store.js";
import { keyTableOf, TABLE_USAGE } from "./key-table.js";

const usage = `Makes a new version of a tenant's branch key the active one, with the official key store of the AWS Encryption SDK.
Messages under older versions still open. An enclave encrypts under the new one when the one in its memory has reached
maxAgeSeconds of its configuration, or its caches are wiped.

Usage: nitro-decrypt branch-keys version --id TENANT --kms-key ARN --logical-name NAME --table NAME [--folder PATH]

${STORE_USAGE}${TABLE_USAGE}  --json               the result as JSON
  --help               this text
`;

export const version = defineCommand({
  name: "branch-keys version",
  summary: "a new version of a tenant's branch key",
  usage,
  async execute(argv, io) {
    const options = parseOptions(argv, STORE_OPTIONS);
    const id = required(options.id, "id");
    const names = storeNamesOf(options);
    const table = await keyTableOf(options, io);
    const [before] = inventoryOf(await table.list(id));
    if (before?.activeVersion === undefined) {
      throw new CommandFailure(1, `there is no branch key ${printable(id)} in the table ${table.name}`);
    }
    const store = keyStoreOf(table, names, new KMSClient({ region: names.region }));
    const conflict = `somebody else made a new version of ${printable(id)} at the same time; nothing was changed here`;
    await readably(conflict, () => store.versionKey({ branchKeyIdentifier: id }));
    const [after] = inventoryOf(await table.list(id));
    print(io, options.json ?? false, after, () =>
      layOut([
        ["branch key", id],
        ["its version was", before.activeVersion ?? "-"],
        ["it is", after?.activeVersion ?? "-"],
      ]),
    );
    return 0;
  },
});

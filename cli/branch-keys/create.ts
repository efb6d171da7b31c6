/** `nitro-decrypt branch-keys create`: a tenant's first branch key. */
import { KMSClient } from "@aws-sdk/client-kms";
import { defineCommand } from "../command.js";
import { parseOptions, required } from "../options.js";
import { layOut, print, printable } from "../report.js";
import { inventoryOf } from "./inventory.js";
import { keyStoreOf, readably, STORE_OPTIONS, STORE_USAGE, storeNamesOf } from "./key-store.js";
import { keyTableOf, TABLE_USAGE } from "./key-table.js";

const usage = `Makes a tenant's branch key, with the official key store of the AWS Encryption SDK.

Usage: nitro-decrypt branch-keys create --id TENANT --kms-key ARN --logical-name NAME --table NAME [--folder PATH]

${STORE_USAGE}${TABLE_USAGE}  --tenant-pair NAME   tenantPair of the enclave's configuration (default tenant); bound to the key as custom context
  --json               the result as JSON
  --help               this text

No plaintext key is ever here: AWS KMS makes it encrypted (GenerateDataKeyWithoutPlaintext) and encrypts it anew for the
active record (ReEncrypt). Whoever runs this needs these two permissions on the key, and dynamodb:PutItem and
dynamodb:Query on the table.
`;

const OPTIONS = { ...STORE_OPTIONS, "tenant-pair": { type: "string", default: "tenant" } } as const;

export const create = defineCommand({
  name: "branch-keys create",
  summary: "a tenant's first branch key",
  usage,
  async execute(argv, io) {
    const options = parseOptions(argv, OPTIONS);
    const id = required(options.id, "id");
    const names = storeNamesOf(options);
    const table = await keyTableOf(options, io);
    const store = keyStoreOf(table, names, new KMSClient({ region: names.region }));
    const pair = required(options["tenant-pair"], "tenant-pair");
    const conflict = `there is a branch key ${printable(id)} already; "branch-keys version" gives it a new version`;
    await readably(conflict, () => store.createKey({ branchKeyIdentifier: id, encryptionContext: { [pair]: id } }));
    const [made] = inventoryOf(await table.list(id));
    print(io, options.json ?? false, made, () =>
      layOut([
        ["made the branch key", id],
        ["its version", made?.activeVersion ?? "-"],
      ]),
    );
    return 0;
  },
});

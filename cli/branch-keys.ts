/** `nitro-decrypt branch-keys`: making and removing the branch keys of tenants. */
import type { Command, Io } from "./command.js";
import { CommandFailure, defineCommand } from "./command.js";

/** Subcommands, each loaded when it is asked for. */
const SUBCOMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ["create", async () => (await import("./branch-keys/create.js")).create],
  ["version", async () => (await import("./branch-keys/version.js")).version],
  ["list", async () => (await import("./branch-keys/list.js")).list],
  ["remove", async () => (await import("./branch-keys/remove.js")).remove],
]);

const usage = `Makes, lists and removes branch keys: keys of tenants, each encrypted by AWS KMS, under which an enclave encrypts the data
keys of messages without a KMS call for each. In the format of the AWS Encryption SDK's hierarchical keyring.

Usage: nitro-decrypt branch-keys create  --id TENANT --kms-key ARN --logical-name NAME --table NAME [--folder PATH]
       nitro-decrypt branch-keys version --id TENANT --kms-key ARN --logical-name NAME --table NAME [--folder PATH]
       nitro-decrypt branch-keys list    --table NAME [--folder PATH] [--id TENANT]
       nitro-decrypt branch-keys remove  --id TENANT --confirm TENANT --table NAME [--folder PATH]

Each has its own --help, and takes --json for output that machines read. Which permissions to give to whom is in docs/branch-keys.md.
`;

const overview = defineCommand({
  name: "branch-keys",
  summary: "make, list and remove the branch keys of tenants",
  usage,
  async execute([name = "nothing"]) {
    throw new CommandFailure(2, `expected create, version, list or remove, got ${name}`);
  },
});

export const branchKeys: Command = {
  ...overview,
  run: async (argv: readonly string[], io: Io): Promise<number> => {
    const load = SUBCOMMANDS.get(argv[0] ?? "");
    return load === undefined ? overview.run(argv, io) : (await load()).run(argv.slice(1), io);
  },
};

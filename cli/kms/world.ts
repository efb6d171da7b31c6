/** `nitro-decrypt kms world`: an example of a world.json, its schema, or what is wrong with one. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { DEFAULT_ACCOUNT_ID } from "../../simulator/endpoint/server.js";
import { worldJsonSchema } from "../../simulator/world/schema.js";
import type { World } from "../../simulator/world/world.js";
import { assertNoOperator, readWorld } from "../../simulator/world/world.js";
import { WorldError } from "../../simulator/world/world-error.js";
import type { Io } from "../command.js";
import { CommandFailure, defineCommand } from "../command.js";
import { parseOptions } from "../options.js";
import { readJsonFile } from "./json-file.js";
import { parseRegion } from "./serve-options.js";

const usage = `Prints an example of a world.json: the accounts, organisation, roles, access keys, MFA devices and VPC endpoints around
the keys of a simulated KMS, which "nitro-decrypt kms --world FILE" runs in.

Usage: nitro-decrypt kms world [--check FILE | --schema]

  --check FILE      say what is wrong with a file instead
  --schema          print the JSON Schema instead, for editors
  --region REGION   which says the partition of its ARNs, default us-east-1
  --account ID      the account of the KMS, default 111122223333
  --json            with --check, the answer as JSON; the example and the schema are JSON in any case
  --help            this text
`;

const OPTIONS = {
  check: { type: "string" },
  schema: { type: "boolean" },
  region: { type: "string", default: "us-east-1" },
  account: { type: "string", default: DEFAULT_ACCOUNT_ID },
  json: { type: "boolean" },
} as const;

/** Among the documents, which the package has; as seen from dist/cli/kms. */
const EXAMPLE = new URL("../../../docs/examples/world.json", import.meta.url);

export const world = defineCommand({
  name: "kms world",
  summary: "accounts, roles and networks around a simulated KMS",
  usage,
  async execute(argv, io) {
    const { check, schema, json, account: accountId, ...options } = parseOptions(argv, OPTIONS);
    if (check !== undefined && schema) throw new CommandFailure(2, "--check and --schema exclude each other");
    if (check !== undefined) {
      await readWorldFile("--check", check, { region: parseRegion(options.region), accountId }, io);
      io.stdout(json ? `${JSON.stringify({ file: check, valid: true })}\n` : `${check} is a world\n`);
      return 0;
    }
    io.stdout(
      schema ? `${JSON.stringify(worldJsonSchema(), null, 2)}\n` : await readFile(fileURLToPath(EXAMPLE), "utf8"),
    );
    return 0;
  },
});

/** Where the KMS in the world is. */
interface Home {
  readonly region: string;
  readonly accountId: string;
}

/** The world in the file that an option names. */
export async function readWorldFile(option: string, file: string, home: Home, io: Io): Promise<World> {
  const json = await readJsonFile(option, file, io);
  try {
    const read = readWorld(json, home);
    assertNoOperator(read, home.accountId);
    return read;
  } catch (error) {
    if (error instanceof WorldError) throw new CommandFailure(1, `${file} is no world:\n${error.message}`);
    throw error;
  }
}

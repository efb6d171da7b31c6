/** `nitro-decrypt kms world`: an example of a world.json, its schema, or what is wrong with one. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { parseJson } from "../../shared/wire.js";
import { worldJsonSchema } from "../../simulator/world/schema.js";
import type { World } from "../../simulator/world/world.js";
import { readWorld } from "../../simulator/world/world.js";
import { WorldError } from "../../simulator/world/world-error.js";
import type { Io } from "../command.js";
import { CommandFailure, defineCommand } from "../command.js";
import { parseOptions } from "../options.js";

const usage = `Prints an example of a world.json: the accounts, organisation, roles, access keys, MFA devices and VPC endpoints around
the keys of a simulated KMS, which "nitro-decrypt kms --world FILE" runs in.

Usage: nitro-decrypt kms world [--check FILE | --schema]

  --check FILE      say what is wrong with a file instead
  --schema          print the JSON Schema instead, for editors
  --region REGION   which says the partition of its ARNs, default us-east-1
  --help            this text
`;

const OPTIONS = {
  check: { type: "string" },
  schema: { type: "boolean" },
  region: { type: "string", default: "us-east-1" },
} as const;

/** Among the documents, which the package has; as seen from dist/cli/kms. */
const EXAMPLE = new URL("../../../docs/examples/world.json", import.meta.url);

export const world = defineCommand({
  name: "kms world",
  summary: "accounts, roles and networks around a simulated KMS",
  usage,
  async execute(argv, io) {
    const { check, schema, region } = parseOptions(argv, OPTIONS);
    if (check !== undefined && schema) throw new CommandFailure(2, "--check and --schema exclude each other");
    if (check !== undefined) {
      await readWorldFile(check, region, io);
      io.stdout(`${check} is a world\n`);
      return 0;
    }
    io.stdout(
      schema ? `${JSON.stringify(worldJsonSchema(), null, 2)}\n` : await readFile(fileURLToPath(EXAMPLE), "utf8"),
    );
    return 0;
  },
});

/** The world in a file. */
export async function readWorldFile(file: string, region: string, io: Io): Promise<World> {
  const text = await readFile(resolve(io.cwd, file), "utf8");
  try {
    return readWorld(parseJson(z.unknown(), text, "ERR_CONFIGURATION"), { region });
  } catch (error) {
    if (error instanceof WorldError) throw new CommandFailure(1, `${file} is no world:\n${error.message}`);
    throw error;
  }
}

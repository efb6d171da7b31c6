/** `nitro-decrypt rollover`: messages move from an old key to a new one, and what is left is told. */
import type { Command, Io } from "./command.js";
import { CommandFailure, defineCommand } from "./command.js";

/** Subcommands, each loaded when it is asked for. */
const SUBCOMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ["plan", async () => (await import("./rollover/plan.js")).plan],
  ["run", async () => (await import("./rollover/run.js")).run],
  ["status", async () => (await import("./rollover/status.js")).status],
]);

const usage = `Rolls data over to a new key: new data is made under the alias's new target, old data opens as before, and is re-encrypted
in its own time, inside an enclave.

Usage: nitro-decrypt rollover COMMAND [options]

  plan    under which keys messages are, and what a rollover would do and cost
  run     re-encrypt messages under the new key; goes on where it was cut off
  status  how far it has come, what still depends on the old key, and whether that can be disabled

"nitro-decrypt rollover COMMAND --help" tells the options of a command. Each takes --json.
`;

const group = defineCommand({
  name: "rollover",
  summary: "move messages from an old key to a new one inside an enclave, and tell what depends on the old one",
  usage,
  async execute([name]) {
    throw new CommandFailure(2, `expected plan, run or status, got ${name === undefined ? "nothing" : `"${name}"`}`);
  },
});

export const rollover: Command = {
  ...group,
  run: async (argv: readonly string[], io: Io): Promise<number> => {
    const load = SUBCOMMANDS.get(argv[0] ?? "");
    return load === undefined ? group.run(argv, io) : (await load()).run(argv.slice(1), io);
  },
};

/** `nitro-decrypt kms`: the simulated AWS KMS, and the commands that speak with one that runs. */
import type { Command, Io } from "./command.js";
import { serve } from "./kms/serve.js";

/** Subcommands, each loaded when it is asked for. */
const SUBCOMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ["audit", async () => (await import("./kms/audit.js")).audit],
  ["cost", async () => (await import("./kms/cost.js")).cost],
  ["explain", async () => (await import("./kms/explain.js")).explain],
  ["faults", async () => (await import("./kms/faults.js")).faults],
  ["world", async () => (await import("./kms/world.js")).world],
]);

export const kms: Command = {
  ...serve,
  run: async (argv: readonly string[], io: Io): Promise<number> => {
    const load = SUBCOMMANDS.get(argv[0] ?? "");
    return load === undefined ? serve.run(argv, io) : (await load()).run(argv.slice(1), io);
  },
};

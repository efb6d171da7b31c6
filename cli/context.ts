/** `nitro-decrypt context`: what is in encryption contexts, and what is wrong with it. */
import type { Command, Io } from "./command.js";
import { CommandFailure, defineCommand } from "./command.js";
import { lint } from "./context/lint.js";

const usage = `Tells what is wrong with an encryption context, which is no secret.

Usage: nitro-decrypt context lint [NAME=VALUE …] [options]

"nitro-decrypt context lint --help" tells its options, --json among them.
`;

const group = defineCommand({
  name: "context",
  summary: "what is wrong with an encryption context: secrets in clear, pairs that policy relies on missing",
  usage,
  async execute([name]) {
    const given = name === undefined ? "nothing" : `"${name}"`;
    throw new CommandFailure(2, `expected lint, got ${given}`);
  },
});

export const context: Command = {
  ...group,
  run: (argv: readonly string[], io: Io): Promise<number> =>
    argv[0] === "lint" ? lint.run(argv.slice(1), io) : group.run(argv, io),
};

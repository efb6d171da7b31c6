/** From the arguments to a command: `nitro-decrypt COMMAND …`, `--help`, `--version`. */
import type { Io } from "./command.js";
import type { CommandEntry } from "./commands.js";

export interface CliOptions {
  readonly commands: readonly CommandEntry[];
  readonly version: string;
}

/** Runs what `argv` asks for and returns the exit code: 2 when there is no such command. */
export async function runCli(argv: readonly string[], io: Io, { commands, version }: CliOptions): Promise<number> {
  const [name, ...rest] = argv;
  if (name === "--version" || name === "-V") {
    io.stdout(`${version}\n`);
    return 0;
  }
  if (name === "--help" || name === "-h" || name === "help") {
    io.stdout(helpOf(commands));
    return 0;
  }
  const entry = commands.find((command) => command.name === name);
  if (entry === undefined) {
    io.stderr(name === undefined ? helpOf(commands) : unknownCommand(name));
    return 2;
  }
  const command = await entry.load();
  return command.run(rest, io);
}

const unknownCommand = (name: string): string =>
  `nitro-decrypt: there is no command "${name}"\nRun "nitro-decrypt --help" for the list.\n`;

function helpOf(commands: readonly CommandEntry[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    "Decrypts inside an AWS Nitro Enclave and nowhere else.",
    "",
    "Usage: nitro-decrypt COMMAND [options]",
    "",
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    '"nitro-decrypt COMMAND --help" tells the options of a command. Every command takes --json.',
    "Exit codes: 0 success, 1 refused or failed (the code is on stderr), 2 wrong usage.",
    "",
  ].join("\n");
}

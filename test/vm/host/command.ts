/** Commands of the host's system that the harness needs, each run to its end. */
import { spawn } from "node:child_process";

export interface CommandResult {
  /** The exit code; -1 when it could not be started or did not end in time. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly deadlineMs?: number;
}

const DEADLINE_MS = 180_000;

/** Runs a command without input. Never rejects. */
export function attempt(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { cwd, deadlineMs: timeout = DEADLINE_MS } = options;
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
      stdio: ["ignore", "pipe", "pipe"],
      killSignal: "SIGKILL",
      timeout,
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    child.once("error", (error) => resolve({ status: -1, stdout, stderr: error.message }));
    child.once("close", (status) => resolve({ status: status ?? -1, stdout, stderr }));
  });
}

/**
 * What the command wrote to stdout.
 * @throws Error with the end of what it wrote to stderr, when it failed.
 */
export async function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await attempt(command, args, options);
  if (status === 0) return stdout;
  throw new Error(`${[command, ...args].join(" ")}: status ${status}: ${stderr.trim().split("\n").at(-1)}`);
}

/** Starting and killing the server of these checks. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { KMSClient } from "@aws-sdk/client-kms";
import { OPERATOR } from "./operator.js";

/** The compiled program: a kill needs a process of its own. */
const SERVER = fileURLToPath(new URL("../../dist/test/durability/server.js", import.meta.url.replace("/dist/", "/")));
/** So short that the log is compacted many times. */
const COMPACT_AT_BYTES = "65536";

export interface ServerProcess {
  readonly client: KMSClient;
  /** What it has written to stderr. */
  errors(): string;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
}

/** Starts it over the folder. With `maxFileBlocks` no file may become longer: the disk is full, as far as it can see. */
export async function startServer(folder: string, maxFileBlocks?: number): Promise<ServerProcess> {
  const program = [process.execPath, SERVER, folder, COMPACT_AT_BYTES];
  // SIGXFSZ ends a process that writes beyond the limit, unless it is ignored: then write(2) fails with EFBIG.
  const limited = ["sh", "-c", `trap '' XFSZ; ulimit -f ${maxFileBlocks}; exec "$@"`, "sh", ...program];
  const [command = "", ...args] = maxFileBlocks === undefined ? program : limited;
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const line = await firstLine(child.stdout);
  if (line === undefined) throw new Error(`the server did not start: ${errors}`);
  const { endpoint } = JSON.parse(line) as { endpoint: string };
  const client = new KMSClient({ region: "us-east-1", endpoint, credentials: OPERATOR, maxAttempts: 1 });
  const kill = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, "close");
      child.kill("SIGKILL");
      await gone;
    }
    client.destroy();
  };
  return { client, errors: () => errors, kill };
}

async function firstLine(output: Readable): Promise<string | undefined> {
  for await (const line of createInterface({ input: output })) return line;
  return undefined;
}

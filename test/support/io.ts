/** An `Io` that records what a command says. */
import type { Io } from "../../cli/command.js";

export interface RecordedIo extends Io {
  /** All that went to stdout, as text. */
  readonly out: string;
  readonly outBytes: Uint8Array;
  readonly err: string;
  /** The first thing that goes to stdout: for a service, that it is ready. */
  readonly firstOutput: Promise<string>;
  /** What SIGINT does. */
  interrupt(): void;
}

export function recordedIo(
  overrides: Partial<Pick<Io, "env" | "cwd" | "color" | "now">> & { readonly input?: Uint8Array } = {},
): RecordedIo {
  const out: Uint8Array[] = [];
  let err = "";
  const controller = new AbortController();
  const { input, ...given } = overrides;
  let announce: (output: string) => void = () => undefined;
  const firstOutput = new Promise<string>((resolve) => {
    announce = resolve;
  });
  return {
    stdout: (output) => {
      out.push(typeof output === "string" ? Buffer.from(output) : output);
      announce(String(output));
    },
    write: async (output) => {
      out.push(new Uint8Array(output));
      announce(String(output));
    },
    stderr: (text) => {
      err += text;
    },
    async *stdin() {
      if (input !== undefined) yield input;
    },
    now: () => new Date("2026-11-23T12:00:00Z"),
    env: {},
    cwd: process.cwd(),
    color: false,
    watched: false,
    interrupted: controller.signal,
    ...given,
    firstOutput,
    get out() {
      return Buffer.concat(out).toString("utf8");
    },
    get outBytes() {
      return new Uint8Array(Buffer.concat(out));
    },
    get err() {
      return err;
    },
    interrupt: () => controller.abort(new Error("SIGINT")),
  };
}

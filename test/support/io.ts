/** An `Io` that records what a command says. */
import type { Io } from "../../cli/command.js";

export interface RecordedIo extends Io {
  /** All that went to stdout, as text. */
  readonly out: string;
  readonly outBytes: Uint8Array;
  readonly err: string;
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
  return {
    stdout: (output) => void out.push(typeof output === "string" ? Buffer.from(output) : output),
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
    interrupted: controller.signal,
    ...given,
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

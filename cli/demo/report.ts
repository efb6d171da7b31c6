/**
 * What the demo prints: for people, or one JSON line for each step and refusal. It also keeps the verdict: a step that
 * failed or a refusal that did not come as told makes the demo fail.
 */
import type { Io } from "../command.js";

export type Party = "client" | "parent" | "kms" | "enclave";

/** Something that must succeed. */
export interface Step {
  readonly id: string;
  readonly title: string;
  readonly elapsedMs: number;
  /** What each party saw of it. */
  readonly saw: Partial<Readonly<Record<Party, string>>>;
}

/** One try within a refusal: who was to refuse it with which code, and what happened. */
export interface AttemptOutcome {
  readonly what: string;
  readonly expected: { readonly by: Party; readonly code: string };
  /** `record` is what the refusing party itself wrote down about it. */
  readonly got: { readonly code: string; readonly record?: string };
  readonly ok: boolean;
}

/** A way to cheat, which must not succeed. */
export interface Refusal {
  readonly id: string;
  readonly title: string;
  readonly elapsedMs: number;
  readonly attempts: readonly AttemptOutcome[];
}

export interface Report {
  heading(text: string): void;
  step(step: Step): void;
  refusal(refusal: Refusal): void;
  /** The verdict; true when everything went as told. */
  finish(elapsedMs: number): boolean;
}

export function createReport(io: Io, json: boolean | undefined): Report {
  return json ? jsonReport(io) : textReport(io);
}

const wentAsTold = ({ attempts }: Refusal): boolean => attempts.length > 0 && attempts.every(({ ok }) => ok);

class Tally {
  steps = 0;
  refusals = 0;
  readonly unexpected: string[] = [];

  add(refusal: Refusal): void {
    this.refusals++;
    if (!wentAsTold(refusal)) this.unexpected.push(refusal.id);
  }

  get ok(): boolean {
    return this.unexpected.length === 0;
  }
}

function jsonReport(io: Io): Report {
  const tally = new Tally();
  const line = (value: object): void => io.stdout(`${JSON.stringify(value)}\n`);
  return {
    heading: () => undefined,
    step(step) {
      tally.steps++;
      line({ event: "step", ...step, elapsedMs: Math.round(step.elapsedMs), ok: true });
    },
    refusal(refusal) {
      tally.add(refusal);
      line({ event: "refusal", ...refusal, elapsedMs: Math.round(refusal.elapsedMs), ok: wentAsTold(refusal) });
    },
    finish(elapsedMs) {
      const { ok, steps, refusals, unexpected } = tally;
      line({ event: "result", ok, steps, refusals, unexpected, elapsedMs: Math.round(elapsedMs) });
      return ok;
    },
  };
}

const NAMES: Readonly<Record<Party, string>> = { client: "client", parent: "parent", kms: "KMS", enclave: "enclave" };
const WIDTH = 100;
/** The longest code and a space. */
const CODE_WIDTH = 23;

function textReport(io: Io): Report {
  const tally = new Tally();
  const paint = painter(io.color);
  const titleLine = (mark: string, title: string, elapsedMs: number): string => {
    const time = formatTime(elapsedMs);
    const gap = " ".repeat(Math.max(1, WIDTH - 4 - title.length - time.length));
    return `${mark} ${paint.bold(title)}${gap}${paint.dim(time)}\n`;
  };
  const detail = (party: Party, text: string): string =>
    `      ${paint.dim(NAMES[party].padEnd(8))} ${indented(text, 15)}\n`;
  return {
    heading: (text) => io.stdout(`\n${paint.bold(text)}\n\n`),
    step({ title, elapsedMs, saw }) {
      tally.steps++;
      io.stdout(titleLine(`${String(tally.steps).padStart(2)} `, title, elapsedMs));
      for (const party of ["client", "parent", "kms", "enclave"] as const) {
        if (saw[party] !== undefined) io.stdout(detail(party, saw[party]));
      }
    },
    refusal(refusal) {
      tally.add(refusal);
      const mark = wentAsTold(refusal) ? paint.green(" ✓ ") : paint.red(" ✗ ");
      io.stdout(titleLine(mark, refusal.title, refusal.elapsedMs));
      for (const { what, expected, got, ok } of refusal.attempts) {
        const code = ok
          ? paint.green(got.code.padEnd(CODE_WIDTH))
          : paint.red(`${got.code}, expected ${expected.code}`);
        const record = got.record === undefined ? "" : `\n${" ".repeat(CODE_WIDTH)}${paint.dim(got.record)}`;
        io.stdout(detail(expected.by, `${code}${what}${record}`));
      }
    },
    finish(elapsedMs) {
      const { ok, refusals, unexpected } = tally;
      const verdict = ok
        ? paint.green(`Everything went as told: one decryption, and ${refusals} ways to cheat refused`)
        : paint.red(`Not as told: ${unexpected.join(", ")}`);
      io.stdout(`\n${verdict}, in ${formatTime(elapsedMs)}.\n`);
      return ok;
    },
  };
}

const formatTime = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

const indented = (text: string, columns: number): string => text.replaceAll("\n", `\n${" ".repeat(columns)}`);

/** ANSI SGR sequences (ECMA-48 §8.3.117), or none. */
function painter(color: boolean) {
  const sgr = (open: number, close: number) => (text: string) => (color ? `\x1b[${open}m${text}\x1b[${close}m` : text);
  return { bold: sgr(1, 22), dim: sgr(2, 22), green: sgr(32, 39), red: sgr(31, 39) };
}

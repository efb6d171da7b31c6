/** Values of options: each given at most once, and a value that is wrong is answered with what was expected. */
import { fromHex } from "../shared/bytes.js";
import { CommandFailure } from "./command.js";

/** What `util.parseArgs` makes of options declared `multiple`, so that a repeated one can be seen. */
export type OptionValues = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

/** The value of a `multiple` option that may be given once: the last of two would win without a word. */
export function optionValue(values: OptionValues, name: string): string | undefined {
  const given = values[name];
  if (!Array.isArray(given)) return undefined;
  if (given.length > 1) throw new CommandFailure(2, `--${name} is given ${given.length} times; give it once`);
  return String(given[0]);
}

/** The one positional argument of a command. */
export function onlyPositional(positionals: readonly string[], what: string): string {
  const [value, ...more] = positionals;
  if (value === undefined || more.length > 0) {
    throw new CommandFailure(2, `expected one argument, ${what}, got ${positionals.length}`);
  }
  return value;
}

/** Bytes of a hexadecimal option. */
export function parseHexOption(name: string, text: string): Uint8Array<ArrayBuffer> {
  const bytes = fromHex(text);
  if (bytes === undefined || bytes.length === 0) {
    throw new CommandFailure(2, `--${name} expects hexadecimal digits, two for each byte`);
  }
  return bytes;
}

/** A number of seconds, not negative. */
export function parseSecondsOption(name: string, text: string): number {
  if (!/^\d{1,10}(\.\d{1,3})?$/.test(text)) {
    throw new CommandFailure(2, `--${name} expects a number of seconds, got "${text}"`);
  }
  return Number(text);
}

/** What `parseTimeOption` takes, for help texts. */
export const TIME_FORMS = [
  "ISO 8601 with a time zone (2026-11-23T10:00:00Z, 2026-11-23T11:00+01:00),",
  "a date alone, which is midnight UTC, or a number since 1970: of up to",
  "11 digits it is seconds, of 12 to 14 digits milliseconds",
] as const;

/** An instant, in one of the `TIME_FORMS`. */
export function parseTimeOption(name: string, text: string): Date {
  if (/^\d{1,11}$/.test(text)) return new Date(Number(text) * 1000);
  if (/^\d{12,14}$/.test(text)) return new Date(Number(text));
  const iso = /^(\d{4})-(\d{2})-(\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/.exec(text);
  const time = new Date(text);
  // JavaScript reads 31 February as 3 March.
  const isDay = iso !== null && Number(iso[3]) <= daysOfMonth(Number(iso[1]), Number(iso[2]));
  if (!isDay || Number.isNaN(time.getTime())) {
    throw new CommandFailure(2, `--${name} expects ${TIME_FORMS.join(" ")}; got "${text}"`);
  }
  return time;
}

const daysOfMonth = (year: number, month: number): number => new Date(Date.UTC(year, month, 0)).getUTCDate();

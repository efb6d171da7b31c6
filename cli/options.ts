/** What the commands' options have in common: `util.parseArgs` with its errors, and values of a stated form. */
import type { ParseArgsConfig } from "node:util";
import { parseArgs } from "node:util";
import { CommandFailure } from "./command.js";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** The values that `parseOptions` returns. */
export type OptionValues<T extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: T; strict: true; allowPositionals: false }>
>["values"];

/** The options in `argv`, which has nothing else. What is not known is refused (exit code 2). */
export function parseOptions<T extends Options>(argv: readonly string[], options: T): OptionValues<T> {
  return parseArgs({ args: withNegativeNumbers(argv), options, strict: true, allowPositionals: false }).values;
}

/** `--freshness -1` as `--freshness=-1`, so that the value and not the dash is what is wrong with it. */
const withNegativeNumbers = (argv: readonly string[]): string[] =>
  argv.reduce<string[]>((args, arg) => {
    const before = args.at(-1) ?? "";
    const isValue = /^-\d/.test(arg) && /^--[a-z-]+$/.test(before);
    args.push(isValue ? `${args.pop()}=${arg}` : arg);
    return args;
  }, []);

/** The value of an option that must be there. */
export function required(value: string | undefined, name: string): string {
  if (value === undefined || value === "") throw new CommandFailure(2, `--${name} is required`);
  return value;
}

/** `HOST:PORT`, where an IPv6 host stands in brackets. */
export function parseHostPort(text: string, name: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) throw new CommandFailure(2, `--${name} has the form HOST:PORT`);
  return { host, port };
}

/** An origin. Browsers send origins in one form, and they are compared literally. */
export function parseOrigin(text: string): string {
  if (URL.canParse(text) && new URL(text).origin === text) return text;
  throw new CommandFailure(2, `--allow-origin expects SCHEME://HOST or SCHEME://HOST:PORT, got "${text}"`);
}

/** A TCP port; 0 means a free one. */
export function parsePort(text: string, name: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 65_536;
  if (port > 65_535) throw new CommandFailure(2, `--${name} is a port number`);
  return port;
}

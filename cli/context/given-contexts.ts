/** Where `context lint` has its contexts from: arguments, JSON, the headers of messages. */
import { resolve } from "node:path";
import { z } from "zod";
import { withoutSignaturePair } from "../../shared/context-lint.js";
import { ServiceError } from "../../shared/errors.js";
import { decodeUtf8, parseJson } from "../../shared/wire.js";
import type { Io } from "../command.js";
import { CommandFailure } from "../command.js";
import { readInput } from "../input.js";
import { headerOf, withFile } from "../message-header.js";
import { systemFailure } from "../system-failure.js";

export interface GivenContext {
  /** For people: which one it is. */
  readonly source: string;
  readonly pairs: Readonly<Record<string, string>>;
}

const MAX_PAIRS_BYTES = 16 * 1024 * 1024;

/** @throws CommandFailure; its message has no value */
export function contextOfArguments(given: readonly string[]): GivenContext {
  const pairs = new Map<string, string>();
  for (const [index, pair] of given.entries()) {
    const at = pair.indexOf("=");
    if (at < 1) throw new CommandFailure(2, `argument ${index + 1} is no pair: expected NAME=VALUE`);
    const name = pair.slice(0, at);
    if (pairs.has(name)) throw new CommandFailure(2, `argument ${index + 1} gives a name for the second time`);
    pairs.set(name, pair.slice(at + 1));
  }
  return { source: "arguments", pairs: Object.fromEntries(pairs) };
}

const pairsSchema = z.record(z.string(), z.string());
const contextsSchema = z.union([pairsSchema, z.array(pairsSchema).min(1)], "expected a context or a list of contexts");

/** A context of a file of JSON, or each of its list. */
export async function contextsOfFile(file: string, io: Io): Promise<readonly GivenContext[]> {
  const text = decodeUtf8(await readInput(file, io, MAX_PAIRS_BYTES));
  const contexts = parseJson(contextsSchema, text, "ERR_MESSAGE_MALFORMED");
  const name = file === "-" ? "stdin" : file;
  if (!Array.isArray(contexts)) return [{ source: name, pairs: contexts }];
  return contexts.map((pairs, index) => ({ source: `${name}, ${index + 1}`, pairs }));
}

/** The context in a message's header, without what the Encryption SDK adds. */
export async function contextOfMessage(path: string, io: Io): Promise<GivenContext> {
  try {
    const { encryptionContext } = await withFile(resolve(io.cwd, path), headerOf);
    return { source: path, pairs: withoutSignaturePair(Object.fromEntries(encryptionContext)) };
  } catch (error) {
    if (error instanceof ServiceError) throw new ServiceError(error.code, `${path}: ${error.message}`);
    throw systemFailure(path, error);
  }
}

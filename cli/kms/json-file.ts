/** Files of JSON that options name. What is wrong with one is said with the option, the file and what is there. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { z } from "zod";
import { ServiceError } from "../../shared/errors.js";
import { parseJson } from "../../shared/wire.js";
import type { Io } from "../command.js";
import { CommandFailure } from "../command.js";
import { printable } from "../report.js";
import { systemFailure } from "../system-failure.js";

const SHOWN_CHARACTERS = 40;

/** The content of a file. @throws CommandFailure if it cannot be read or is no JSON */
export async function readJsonFile(option: string, file: string, io: Io): Promise<unknown> {
  const text = await readFile(resolve(io.cwd, file), "utf8").catch((error: unknown) => {
    throw systemFailure(`${option} ${file} cannot be read`, error);
  });
  try {
    return parseJson(z.unknown(), text, "ERR_CONFIGURATION");
  } catch (cause) {
    if (!(cause instanceof ServiceError)) throw cause;
    throw new CommandFailure(1, `${option} ${file}: ${cause.message}, got ${beginningOf(text)}`, { cause });
  }
}

function beginningOf(text: string): string {
  if (text.trim() === "") return "an empty file";
  const shown = text.trimStart().slice(0, SHOWN_CHARACTERS);
  return `text that begins with ${printable(JSON.stringify(shown))}`;
}

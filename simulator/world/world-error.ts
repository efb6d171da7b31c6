/** What is wrong with a world.json, and where. */
import type { z } from "zod";
import { AwsError } from "../errors.js";

/** Its message has one line for each thing that is wrong: the place, what is expected, and what is there. */
export class WorldError extends Error {
  override readonly name = "WorldError";
}

const MAX_SHOWN_ISSUES = 20;
const MAX_SHOWN_CHARACTERS = 80;
const SECRETS = ["secretAccessKey", "base32StringSeed"];

/** The failures of the form. */
export const worldErrorOf = (error: z.ZodError): WorldError =>
  new WorldError(error.issues.slice(0, MAX_SHOWN_ISSUES).map(describe).join("\n"));

function describe({ path, message, input, code }: z.core.$ZodIssue): string {
  if (code === "unrecognized_keys") return `${placeOf(path)}: ${message}`;
  const expected = message.replace(/^Invalid input: /, "").replace(/, received \w+$/, ""); // what is there follows, whole
  const isSecret = path.some((part) => SECRETS.includes(String(part)));
  const text = JSON.stringify(input) ?? "nothing";
  const shown = text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}…` : text;
  return `${placeOf(path)}: ${expected}${isSecret ? "" : `, got ${shown}`}`;
}

/** `accounts[0].users[1].name`. */
const placeOf = (path: readonly PropertyKey[]): string =>
  path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
    .join("")
    .replace(/^\./, "") || "the file";

/** What `make` returns; what it refuses is said with its place. @throws WorldError */
export function at<Value>(place: string, make: () => Value): Value {
  try {
    return make();
  } catch (error) {
    if (error instanceof AwsError || error instanceof TypeError) throw new WorldError(`${place}: ${error.message}`);
    throw error;
  }
}

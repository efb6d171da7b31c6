/**
 * The JSON of a policy. An object that has a name twice is refused, and so is `__proto__`: of both, parsers and schemas
 * drop a part without a word, and a condition must not vanish.
 */
import { malformedPolicy } from "../../errors.js";

const invalidJson = () => malformedPolicy("This policy contains invalid Json");

/** @throws AwsError MalformedPolicyDocumentException */
export function parsePolicyJson(text: string): unknown {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw invalidJson();
  }
  assertDistinctNames(text);
  return json;
}

/** A text, a bracket or comma, or anything else that is no space. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g;

/** Reads the names of a valid JSON text: a name is what stands before a colon. */
function assertDistinctNames(text: string): void {
  const open: Set<unknown>[] = [];
  let before = "";
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{") open.push(new Set());
    if (token === "}") open.pop();
    if (token === ":") addName(open.at(-1), JSON.parse(before));
    before = token;
  }
}

function addName(names: Set<unknown> | undefined, name: unknown): void {
  if (names?.has(name) === true || name === "__proto__") throw invalidJson();
  names?.add(name);
}

/**
 * The operator's policies, one by one, from their text. Static policies only: a template does nothing until something
 * links it, and nothing here does. A policy is known by its `@id("…")`, or as policyN, the Nth of the text from 0 on.
 */
import { ServiceError } from "../../shared/errors.js";
import type { ConfiguredText, PolicyJson } from "./cedar.js";
import { parsePolicy, splitPolicies } from "./cedar.js";
import type { Scope } from "./scope.js";
import { scopeOf } from "./scope.js";

const FIELD = "authorization.policies";

/** Ids stand in logs and messages. */
const POLICY_ID = /^[A-Za-z0-9][A-Za-z0-9._:/ -]{0,127}$/;

/**
 * Levels of Cedar's JSON, two for each operator (a chain of thirty), and of brackets in the text, which may mean nothing. Once
 * V8 has optimized the engine, 100 operators in a chain, or 64 brackets in one another, take the whole stack.
 */
const MAX_DEPTH = { json: 70, brackets: 24 };

export interface StaticPolicy extends ConfiguredText {
  readonly id: string;
  readonly effect: "permit" | "forbid";
  readonly scope: Scope;
  /** Whether it may tell keys apart by their aliases: false only where no alias can be in it. */
  readonly mentionsAliases: boolean;
  /** Whether it may tell callers apart by who they are, beyond their claims: false only where it names none. */
  readonly mentionsCallers: boolean;
}

/**
 * Parses policies, in the order of the text. Their meaning is not checked: see `validatePolicies`.
 * @throws ServiceError ERR_CONFIGURATION when they do not parse, one is a template, or two have the same id.
 */
export function parsePolicies(text: string): StaticPolicy[] {
  const { policies, templates } = splitPolicies({ field: FIELD, text, firstLine: 1 });
  if (templates[0] !== undefined) {
    const line = lineAt(text, text.indexOf(templates[0]));
    throw refused(line, "expected policies without slots, it has a template");
  }
  const parsed = placed(text, inTextOrder(policies)).map(parseOne);
  const lines = new Map<string, number>();
  for (const { id, firstLine } of parsed) {
    const other = lines.get(id);
    if (other !== undefined) {
      throw refused(firstLine, `expected every policy id once, "${id}" is also in line ${other}`);
    }
    lines.set(id, firstLine);
  }
  return parsed;
}

function parseOne(policy: ConfiguredText, index: number): StaticPolicy {
  const json = parsePolicy(policy);
  if (depthOf(json) > MAX_DEPTH.json || bracketsOf(policy.text) > MAX_DEPTH.brackets) {
    throw refused(policy.firstLine, "expected less depth, a chain of 30 or 24 brackets at most; sets have contains");
  }
  return {
    ...policy,
    id: idOf(json, policy.firstLine) ?? `policy${index}`,
    effect: json.effect,
    scope: scopeOf(json),
    mentionsAliases: JSON.stringify(json).includes('"Alias"'),
    mentionsCallers: mentionsCallers(json),
  };
}

/** A caller that is named, anywhere in it; the type alone (`principal is Caller`) names none. */
const mentionsCallers = (json: PolicyJson): boolean => JSON.stringify(json).includes('"type":"Caller"');

function idOf({ annotations = {} }: PolicyJson, line: number): string | undefined {
  const { id } = annotations;
  if (id === undefined) return undefined;
  if (id !== null && POLICY_ID.test(id)) return id;
  throw refused(line, "expected an @id of letters, digits, spaces and . _ : / -, at most 128 of them");
}

/** How deep objects and lists of a JSON value stand in one another. */
function depthOf(json: unknown): number {
  let depth = 0;
  for (let level = [json]; level.length > 0; depth++) {
    level = level.flatMap((value) => (typeof value === "object" && value !== null ? Object.values(value) : []));
  }
  return depth;
}

/** How deep brackets stand in one another, in a text that Cedar has parsed. */
function bracketsOf(text: string): number {
  const [strings, comments] = [/"(?:[^"\\]|\\.)*"/, /\/\/.*/];
  const bare = text.replace(new RegExp(`${strings.source}|${comments.source}`, "g"), "");
  let [depth, deepest] = [0, 0];
  for (const [bracket] of bare.matchAll(/[()[\]{}]/g)) {
    depth += "([{".includes(bracket) ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

/** Cedar numbers the policies of a text, and hands them out sorted by the text of their ids: policy0, policy1, policy10, policy2. */
function inTextOrder(policies: readonly string[]): string[] {
  const ids = policies.map((_, index) => `policy${index}`);
  const byId = new Map([...ids].sort().map((id, index) => [id, policies[index] ?? ""]));
  return ids.map((id) => byId.get(id) ?? "");
}

/** Each policy with the line in which it starts. Cedar hands out policies as they are written, but for what is no Unicode. */
function placed(text: string, policies: readonly string[]): ConfiguredText[] {
  let [end, line] = [0, 1];
  return policies.map((policy) => {
    const start = text.indexOf(policy, end);
    if (start < 0) throw refused(line, "expected policies in Unicode text, without lone surrogates");
    line += lineAt(text.slice(end, start), start - end) - 1;
    const firstLine = line;
    line += lineAt(policy, policy.length) - 1;
    end = start + policy.length;
    return { field: FIELD, text: policy, firstLine };
  });
}

/** The line of a character, from 1 on. */
const lineAt = (text: string, index: number): number => text.slice(0, index).split("\n").length;

const refused = (line: number, message: string): ServiceError =>
  new ServiceError("ERR_CONFIGURATION", `${FIELD}, line ${line}: ${message}`);

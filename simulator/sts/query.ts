/**
 * Requests of the AWS Query protocol (Smithy, "AWS Query protocol"): a form with `Action` and `Version`, nested members as
 * `Tags.member.1.Key`. What names one member twice, or as a text and as a structure, is refused.
 */
import { AwsError } from "../errors.js";

/** A parsed form: members are texts, lists or structures of them. */
export interface QueryRequest {
  readonly action: string;
  readonly version: string;
  readonly members: Members;
}

export type Member = string | readonly Member[] | Members;
export interface Members {
  readonly [name: string]: Member;
}

const MAX_PARAMETERS = 1000;
const MAX_DEPTH = 8;
const MAX_INDEX = 1000;

const syntaxError = (): AwsError =>
  new AwsError("MalformedQueryString", "The query string contains a syntax error.", 404);

/** A structure under construction; its names are whatever the client sent. */
type Tree = Map<string, string | Tree>;

/** @throws AwsError MalformedQueryString */
export function parseQuery(body: Uint8Array): QueryRequest {
  const parameters = [...new URLSearchParams(decode(body))];
  if (parameters.length > MAX_PARAMETERS) throw syntaxError();
  const root: Tree = new Map();
  for (const [name, value] of parameters) put(root, name.split("."), value);
  const text = (name: string): string => {
    const value = root.get(name);
    root.delete(name);
    return typeof value === "string" ? value : "";
  };
  return { action: text("Action"), version: text("Version"), members: structure(root) };
}

function decode(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw syntaxError(); // not UTF-8: nothing more can be said of it
  }
}

function put(root: Tree, path: readonly string[], value: string): void {
  if (path.length > MAX_DEPTH) throw syntaxError();
  let node = root;
  for (const [i, part] of path.entries()) {
    const present = node.get(part);
    if (i === path.length - 1) {
      if (present !== undefined) throw syntaxError();
      node.set(part, value);
    } else if (typeof present === "string") {
      throw syntaxError();
    } else {
      const next: Tree = present ?? new Map();
      node.set(part, next);
      node = next;
    }
  }
}

/** `member` alone makes a list, in the order of its numbers. */
function toMember(node: string | Tree): Member {
  if (typeof node === "string") return node;
  const items = node.get("member");
  return node.size === 1 && items instanceof Map ? list(items) : structure(node);
}

function list(items: Tree): readonly Member[] {
  const numbered = [...items].map(([index, item]) => {
    if (!/^[1-9]\d{0,3}$/.test(index) || Number(index) > MAX_INDEX) throw syntaxError();
    return [Number(index), toMember(item)] as const;
  });
  return numbered.sort(([a], [b]) => a - b).map(([, item]) => item);
}

/** Object.fromEntries defines members and sets none, `__proto__` included. */
const structure = (node: Tree): Members =>
  Object.fromEntries([...node].map(([name, value]) => [name, toMember(value)]));

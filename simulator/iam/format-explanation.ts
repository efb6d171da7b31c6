/** An explanation for people at a terminal: the verdict, then each policy and statement, with what did not match. */
import { isRole } from "./denial.js";
import type { AskedPolicy, Explanation } from "./explanation.js";
import type { ElementTrace, StatementTrace } from "./policy/trace.js";
import type { DecidingPolicy } from "./reason.js";

const TITLES: Readonly<Record<DecidingPolicy, string>> = {
  "resource-control-policy": "resource control policy",
  "service-control-policy": "service control policy",
  "endpoint-policy": "VPC endpoint policy",
  "key-policy": "key policy",
  "identity-policy": "identity policy",
  boundary: "permissions boundary",
  "session-policy": "session policy",
};

const ANSWERS: Readonly<Record<AskedPolicy["answer"], string>> = {
  deny: "denies",
  allow: "allows",
  role: "allows the caller's role",
  account: "hands over to the account's IAM policies",
  silent: "does not allow",
};

/** Lines, without a newline at the end. Control characters of policies and requests are escaped. */
export function formatExplanation(explanation: Explanation): string {
  const title = (kind: DecidingPolicy) =>
    kind === "key-policy" && isRole(explanation.resource) ? "trust policy" : TITLES[kind];
  const policies = explanation.policies.flatMap((policy) => policyLines(title(policy.kind), policy));
  return [...verdictLines(explanation), ...policies].map(printable).join("\n");
}

function verdictLines({ allowed, principal, action, resource, granted, message }: Explanation): readonly string[] {
  return [
    `${allowed ? "ALLOWED" : "DENIED"}  ${action}`,
    `  caller    ${principal}`,
    `  resource  ${resource}`,
    ...(granted === undefined ? [] : [`  grants    ${granted ? "one allows it" : "none allows it"}`]),
    ...(message === undefined ? [] : [`  message   ${message}`]),
  ];
}

function policyLines(title: string, { level, name, answer, statements }: AskedPolicy): readonly string[] {
  const where = level === undefined ? "" : `, level ${level}`;
  const named = name === undefined ? "" : ` ${name}`;
  return ["", `${title}${named}${where}: ${ANSWERS[answer]}`, ...statements.flatMap(statementLines)];
}

function statementLines({ index, sid, effect, matched, elements }: StatementTrace): readonly string[] {
  const which = sid === undefined || sid === "" ? `#${index}` : `#${index} "${sid}"`;
  return [`  ${mark(matched)} ${effect} ${which}`, ...elements.flatMap(elementLines)];
}

/** What matched in one line, what did not with what was wanted above what there is, so that two PCRs can be compared. */
function elementLines({ element, operator, key, matched, wanted, actual }: ElementTrace): readonly string[] {
  const title = element === "Condition" ? `${operator} ${key}` : element;
  const line = `      ${mark(matched)} ${title}`;
  if (matched && element !== "Condition") return [line];
  return [line, ...valueLines("wanted", wanted), ...valueLines("actual", actual)];
}

function valueLines(name: string, values: readonly string[]): readonly string[] {
  const shown = values.length === 0 ? ["(not in the request)"] : values;
  return shown.map((value, i) => `          ${i === 0 ? name : "      "}  ${value}`);
}

/** What comes from a policy or a request must not drive the terminal, nor look like a line of its own. */
const printable = (line: string): string =>
  line.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);

const mark = (matched: boolean): string => (matched ? "✓" : "✗");

/** The table of operations against the AWS SDK's service model: every operation, and every member of every request. */
import * as sdk from "@aws-sdk/client-kms";
import { describe, expect, it } from "vitest";
import { AwsError } from "../../../../simulator/errors.js";
import type { Operation } from "../../../../simulator/kms/operation.js";
import { OPERATIONS } from "../../../../simulator/kms/operations/table.js";

/** The names of the SDK's commands. */
const COMMANDS = Object.keys(sdk)
  .filter((name) => name.endsWith("Command") && name !== "$Command")
  .map((name) => name.replace(/Command$/, ""))
  .sort();

/** The members of an operation's request: a structure of the SDK's schemas is [kind, namespace, name, traits, members, …]. */
function membersOf(operation: string): readonly string[] {
  const schema: unknown = Object.entries(sdk).find(([name]) => name === `${operation}Request$`)?.[1];
  const members: unknown = Array.isArray(schema) ? schema[4] : undefined;
  if (!Array.isArray(members)) throw new Error(`no schema of ${operation}`);
  return members.map(String);
}

/** The members that are dropped unread: what only a custom key store would have. */
const UNREAD = /^(CloudHsm|KeyStorePassword|TrustAnchor|CustomKeyStoreType|XksProxy)/;

/** A value of no member's type: what an operation says to it tells whether it looks. */
const ABSURD = [[[]]];

async function answerTo(operation: Operation | undefined, input: object): Promise<string> {
  const unused = undefined as never; // validation comes before everything else
  try {
    await operation?.run(input, unused, unused, { parameters: {}, resources: [], recipient: undefined, questions: [] });
  } catch (error) {
    return error instanceof AwsError ? error.type : "not looked at";
  }
  return "no such operation";
}

describe("the table of operations", () => {
  it("has every operation of the service model", () => {
    expect(COMMANDS.length).toBeGreaterThanOrEqual(53);
    expect([...OPERATIONS.keys()].sort()).toEqual(COMMANDS);
  });

  it.each([...OPERATIONS.keys()].flatMap((name) => membersOf(name).map((member) => [name, member] as const)))(
    "%s reads %s",
    async (name, member) => {
      const expected = UNREAD.test(member) ? "not looked at" : "SerializationException";
      const answer = await answerTo(OPERATIONS.get(name), { [member]: ABSURD });
      expect(UNREAD.test(member) && answer === "ValidationException" ? expected : answer).toBe(expected);
    },
  );
});

/** Sessions, more than there is room for. */
import { expect, it } from "vitest";
import { AccessKeys } from "../../../simulator/iam/access-keys.js";
import type { Principal } from "../../../simulator/iam/principal.js";
import { clockAt, HOUR } from "../fixtures.js";

const principal = (name: string, roleArn?: string): Principal => ({
  ...{ kind: roleArn === undefined ? "user" : "session", userId: name, accountId: "111122223333", policies: [] },
  arn: `arn:aws:iam::111122223333:user/${name}`,
  ...(roleArn === undefined ? {} : { roleArn }),
});

it("end with the oldest of the user or role that has most of them", () => {
  const keys = new AccessKeys(clockAt(), { maxSessions: 4 });
  const issue = (of: Principal) => keys.issue(of, {}, 900).accessKeyId;
  const honest = issue(principal("honest"));
  const greedy = [1, 2, 3, 4, 5].map((name) => issue(principal(String(name), "arn:aws:iam::111122223333:role/greedy")));
  expect(greedy.map((id) => keys.lookUp(id) !== undefined)).toEqual([false, false, true, true, true]);
  const late = issue(principal("late"));
  expect(greedy.map((id) => keys.lookUp(id) !== undefined)).toEqual([false, false, false, true, true]);
  expect([honest, late].map((id) => keys.lookUp(id)?.principal.userId)).toEqual(["honest", "late"]);
});

it("count no more when they have been forgotten", () => {
  const clock = clockAt();
  const keys = new AccessKeys(clock, { maxSessions: 2 });
  const issue = (name: string) => keys.issue(principal(name), {}, 900).accessKeyId;
  for (const name of ["before", "before"]) issue(name);
  clock.advance(3 * HOUR);
  const both = ["one", "two"].map(issue);
  expect(both.map((id) => keys.lookUp(id)?.principal.userId)).toEqual(["one", "two"]);
});

/** Names of keys, and what a rollover makes of messages that are under them. */
import { describe, expect, it } from "vitest";
import { isKeyName, isSameKey, keyNamesOf, stateOf } from "../../../cli/rollover/keys.js";
import { utf8 } from "../../../shared/bytes.js";
import { NEW, OLD, THIRD } from "./messages.js";

const MRK = "key/mrk-1234abcd12ab34cd56ef1234567890ab";
const inRegion = (region: string, account = "111122223333"): string => `arn:aws:kms:${region}:${account}:${MRK}`;

it("names keys by what the header says of them, each once", () => {
  const key = (providerId: string, info: string) => ({ providerId, providerInfo: utf8(info), ciphertext: utf8("") });
  const encryptedDataKeys = [
    ...[key("aws-kms", OLD), key("aws-kms", OLD), key("aws-kms-hierarchy", "acme"), key("namespace", "name")],
    { ...key("aws-kms", ""), providerInfo: new Uint8Array([0xff]) },
  ];
  expect(keyNamesOf({ encryptedDataKeys })).toEqual([
    ...[OLD, "branch-key/acme", "a key of the provider namespace", "aws-kms, a key without a name"],
  ]);
});

describe("isSameKey", () => {
  it("takes related multi-Region keys for one, and nothing else", () => {
    expect(isSameKey(inRegion("us-east-1"), inRegion("eu-west-1"))).toBe(true);
    expect(isSameKey(OLD, OLD)).toBe(true);
    expect(isSameKey(inRegion("us-east-1"), inRegion("us-east-1", "444455556666"))).toBe(false);
    expect(isSameKey(OLD, OLD.replace("us-east-1", "eu-west-1"))).toBe(false);
    expect(isSameKey("branch-key/a", "branch-key/b")).toBe(false);
  });
});

describe("stateOf", () => {
  const rollover = { from: [OLD, inRegion("us-east-1")], to: { kind: "key", arn: NEW } } as const;
  it.each([
    [[NEW], "done"],
    [[OLD], "toDo"],
    [[NEW, OLD], "toDo"],
    [[THIRD, OLD], "toDo"],
    [[inRegion("eu-west-1")], "toDo"],
    [[THIRD], "other"],
    [[NEW, THIRD], "other"],
  ])("%s is %s", (names, state) => {
    expect(stateOf(names, rollover)).toBe(state);
  });

  it("with branch keys as the target", () => {
    const toBranchKeys = { from: [OLD], to: { kind: "branchKeys" } } as const;
    expect(stateOf(["branch-key/acme"], toBranchKeys)).toBe("done");
    expect(stateOf(["branch-key/acme", OLD], toBranchKeys)).toBe("toDo");
  });
});

it.each([
  [OLD, true],
  ["arn:aws:kms:us-east-1:111122223333:alias/cards", true],
  ["branch-key/acme", true],
  ["branch-key/", false],
  ["alias/cards", false],
  ["1234abcd-12ab-34cd-56ef-1234567890ab", false],
  ["arn:aws:s3:us-east-1:111122223333:key/x", false],
])("isKeyName %s", (text, is) => {
  expect(isKeyName(text)).toBe(is);
});

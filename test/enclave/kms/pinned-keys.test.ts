/** Which key of the configuration a name means, in which Region, and what a discovery adds to them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { arnIn, PinnedKeys } from "../../../enclave/kms/pinned-keys.js";
import { FOREIGN_KEY_ARN, KEY_ARN, testKeys } from "../fakes.js";

const MRK_ID = "mrk-1234abcd12ab34cd56ef1234567890ab";
const mrkIn = (region: string, account = "111122223333", partition = "aws"): string =>
  `arn:${partition}:kms:${region}:${account}:key/${MRK_ID}`;
const MRK = mrkIn("us-east-1");

const keys = new PinnedKeys([
  { arn: KEY_ARN, aliases: ["alias/payments"] },
  { arn: MRK, aliases: ["alias/everywhere"], replicaRegions: ["eu-west-1", "ap-northeast-1"] },
]);

describe("relatedTo", () => {
  it("finds a key by its ARN, and a multi-Region key by that of a related one in any Region", () => {
    expect(keys.relatedTo(KEY_ARN)?.arn).toBe(KEY_ARN);
    for (const region of ["us-east-1", "eu-west-1", "sa-east-1"]) expect(keys.relatedTo(mrkIn(region))?.arn).toBe(MRK);
  });

  it.each([
    ["a single-Region key of the same id in another Region", KEY_ARN.replace("us-east-1", "eu-west-1")],
    ["a multi-Region key of the same id in another account", mrkIn("eu-west-1", "444455556666")],
    ["a multi-Region key of the same id in another partition", mrkIn("us-east-1", "111122223333", "aws-cn")],
    ["another multi-Region key", MRK.replace("abcd", "dcba")],
    ["a foreign key", FOREIGN_KEY_ARN],
    ["an alias", "alias/everywhere"],
    ["a key id", MRK_ID],
    ["an ARN with more behind it", `${MRK}\n`],
    ["nothing", ""],
  ])("pitfall 4: does not find %s", (_, arn) => {
    expect(keys.relatedTo(arn)).toBeUndefined();
  });

  it("never throws, and finds pinned keys alone", () => {
    fc.assert(
      fc.property(fc.string(), (text) => keys.relatedTo(text) === undefined || keys.arns.includes(text)),
      { numRuns: 200 },
    );
  });
});

describe("inRegion", () => {
  it("has the related keys of those with a replica there, by their ARN there, and no aliases", () => {
    const there = keys.inRegion("eu-west-1");
    expect(there?.arns).toEqual([mrkIn("eu-west-1")]);
    expect(there?.means("alias/everywhere")).toBe(false);
    expect(() => there?.resolve(MRK)).toThrowCode("ERR_KMS_KEY");
  });

  it("has none where no key has a replica", () => {
    expect(keys.inRegion("sa-east-1")).toBeUndefined();
    expect(testKeys().inRegion("eu-west-1")).toBeUndefined();
  });

  it("gives the ARN of a key in a Region", () => {
    expect(arnIn(keys.resolve(MRK_ID), "eu-west-1")).toBe(mrkIn("eu-west-1"));
    expect(arnIn(keys.resolve(MRK_ID), "us-east-1")).toBe(MRK);
  });
});

describe("withDiscovery", () => {
  const OTHER_ACCOUNT = FOREIGN_KEY_ARN.replace("111122223333", "444455556666");
  const discovering = keys.withDiscovery({ partition: "aws", accounts: ["444455556666"] });

  it("admits the keys of its accounts in the own Region, with no aliases", () => {
    expect(discovering.relatedTo(OTHER_ACCOUNT)).toEqual({ arn: OTHER_ACCOUNT, aliases: [] });
    expect(discovering.resolve(OTHER_ACCOUNT).arn).toBe(OTHER_ACCOUNT);
    expect(discovering.resolveAnswer(OTHER_ACCOUNT, discovering.resolve(OTHER_ACCOUNT)).arn).toBe(OTHER_ACCOUNT);
  });

  it("admits a multi-Region key of its accounts as the one that is related to it in the own Region", () => {
    const arn = mrkIn("us-east-1", "444455556666");
    expect(discovering.relatedTo(mrkIn("eu-west-1", "444455556666"))).toEqual({ arn, aliases: [] });
  });

  it("leaves the keys of the configuration what they are, and these keys without it", () => {
    expect(discovering.relatedTo(mrkIn("eu-west-1"))).toBe(keys.resolve(MRK));
    expect(discovering.arns).toEqual(keys.arns);
    expect(keys.relatedTo(OTHER_ACCOUNT)).toBeUndefined();
  });

  it.each([
    ["another account", FOREIGN_KEY_ARN],
    ["another Region", OTHER_ACCOUNT.replace("us-east-1", "eu-west-1")],
    ["another partition", OTHER_ACCOUNT.replace("arn:aws:", "arn:aws-cn:")],
    ["an alias of its accounts", "arn:aws:kms:us-east-1:444455556666:alias/payments"],
    ["an ARN with more behind it", `${OTHER_ACCOUNT}/x`],
  ])("admits no key of %s", (_, arn) => {
    expect(discovering.relatedTo(arn)).toBeUndefined();
    expect(() => discovering.resolve(arn)).toThrowCode("ERR_KMS_KEY");
    expect(() => discovering.resolveAnswer(arn, undefined)).toThrowCode("ERR_KMS_KEY");
  });

  it("pitfall 4: takes no answer of another key of its accounts than the one asked for", () => {
    const asked = discovering.resolve(OTHER_ACCOUNT);
    const answered = OTHER_ACCOUNT.replace("deadbeef", "beefdead");
    expect(() => discovering.resolveAnswer(OTHER_ACCOUNT, asked)).not.toThrow();
    expect(() => discovering.resolveAnswer(answered, asked)).toThrowCode("ERR_KMS_KEY");
  });

  it.each([
    ["pitfall 24: no accounts", { partition: "aws", accounts: [] }],
    ["an account that is none", { partition: "aws", accounts: ["*"] }],
    ["a partition that is none", { partition: "", accounts: ["444455556666"] }],
  ])("refuses %s", (_, discovery) => {
    expect(() => keys.withDiscovery(discovery)).toThrowCode("ERR_CONFIGURATION");
  });
});

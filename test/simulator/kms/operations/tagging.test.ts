/** Tags of keys through the unmodified AWS SDK: what they do, what policies know of them, and each wrong one with its AWS error. */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DescribeKeyCommand,
  ListResourceTagsCommand,
  PutKeyPolicyCommand,
  TagResourceCommand,
  UntagResourceCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../../shared/attestation/trust-anchor.js";
import type { SimulatedKms } from "../../../../simulator/endpoint/server.js";
import { startKms } from "../../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../../support/simulated-kms.js";
import { clockAt } from "../../fixtures.js";

const clock = clockAt();
let kms: SimulatedKms;
let client: KMSClient;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  client = kmsClient(kms, clock);
});

afterAll(async () => {
  client.destroy();
  await kms.close();
});

const tagsOf = (tags: Readonly<Record<string, string>>) =>
  Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue }));
const numbered = (from: number, to: number) =>
  tagsOf(Object.fromEntries(Array.from({ length: to - from }, (_, n) => [`tag-${100 + from + n}`, ""])));
const newKey = async (Tags = tagsOf({})): Promise<string> =>
  (await client.send(new CreateKeyCommand({ Tags }))).KeyMetadata?.Arn ?? "";
const tag = (KeyId: string, Tags: { TagKey: string; TagValue: string }[]) =>
  client.send(new TagResourceCommand({ KeyId, Tags }));
const untag = (KeyId: string, ...TagKeys: string[]) => client.send(new UntagResourceCommand({ KeyId, TagKeys }));
const list = async (KeyId: string) => (await client.send(new ListResourceTagsCommand({ KeyId }))).Tags;

describe("tags", () => {
  it("are given with the key and later, changed, taken away and listed", async () => {
    const key = await newKey(tagsOf({ b: "1", a: "2" }));
    expect(await list(key)).toEqual(tagsOf({ a: "2", b: "1" }));
    await tag(key, tagsOf({ b: "new", "c d:/=+-@_.é": "" }));
    expect(await list(key)).toEqual(tagsOf({ a: "2", b: "new", "c d:/=+-@_.é": "" }));
    await untag(key, "a", "none");
    expect(await list(key)).toEqual(tagsOf({ b: "new", "c d:/=+-@_.é": "" }));
  });

  it("are told apart by case", async () => {
    expect(await list(await newKey(tagsOf({ A: "1", a: "2" })))).toEqual(tagsOf({ A: "1", a: "2" }));
  });

  it("are listed in pages", async () => {
    const key = await newKey(numbered(0, 50));
    const first = await client.send(new ListResourceTagsCommand({ KeyId: key, Limit: 30 }));
    expect([first.Tags, first.Truncated]).toEqual([numbered(0, 30), true]);
    const Marker = first.NextMarker;
    const last = await client.send(new ListResourceTagsCommand({ KeyId: key, Limit: 1000, Marker }));
    expect([last.Tags, last.Truncated, last.NextMarker]).toEqual([numbered(30, 50), false, undefined]);
    const elsewhere = client.send(new ListResourceTagsCommand({ KeyId: await newKey(), Marker }));
    expect(await errorNameOf(elsewhere)).toBe("InvalidMarkerException");
  });
});

describe("CreateKey and TagResource", () => {
  it.each([
    ["the reserved prefix", tagsOf({ "aws:x": "" }), "TagException", "Tags beginning with aws: are reserved"],
    ["it in capitals", tagsOf({ "AWS:x": "" }), "TagException", "Tags beginning with aws: are reserved"],
    ["a key twice", [...tagsOf({ a: "1" }), ...tagsOf({ a: "1" })], "TagException", "Duplicate tag keys"],
    ["51 tags", numbered(0, 51), "TagException", "Too many tags"],
    ["characters that tags do not have", tagsOf({ a: "<b>" }), "TagException", "One or more tags are not valid."],
    [
      "a key without a character",
      tagsOf({ "": "" }),
      "ValidationException",
      "1 validation error detected: Value '' at 'tags.1.member.tagKey' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ],
    [
      "a key that is too long",
      tagsOf({ a: "", ["k".repeat(129)]: "" }),
      "ValidationException",
      `1 validation error detected: Value '${"k".repeat(129)}' at 'tags.2.member.tagKey' failed to satisfy constraint: Member must have length less than or equal to 128`,
    ],
    [
      "a value that is too long",
      tagsOf({ a: "v".repeat(257) }),
      "ValidationException",
      `1 validation error detected: Value '${"v".repeat(257)}' at 'tags.1.member.tagValue' failed to satisfy constraint: Member must have length less than or equal to 256`,
    ],
  ])("refuse %s", async (_, tags, name, message) => {
    expect(await errorOf(newKey(tags))).toEqual({ name, message });
    const key = await newKey();
    expect(await errorOf(tag(key, tags))).toEqual({ name, message });
    expect(await list(key)).toEqual([]);
  });

  it("count the tags that are there", async () => {
    const key = await newKey(numbered(0, 49));
    expect(await errorOf(tag(key, numbered(49, 51)))).toEqual({ name: "TagException", message: "Too many tags" });
    await tag(key, numbered(48, 50));
  });
});

describe("all three", () => {
  it("take no aliases", async () => {
    const refused = { name: "InvalidArnException", message: "Key Aliases are not supported for this operation." };
    for (const name of ["alias/none", "arn:aws:kms:us-east-1:111122223333:alias/none"]) {
      for (const call of [() => tag(name, tagsOf({ a: "" })), () => untag(name, "a"), () => list(name)]) {
        expect(await errorOf(call())).toEqual(refused);
      }
    }
  });

  it("have their tags in conditions", async () => {
    const key = await newKey(tagsOf({ team: "red" }));
    const open = { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" };
    const deny = (Action: string, Condition: object) => ({ ...open, Effect: "Deny", Action, Condition });
    const Statement = [
      open,
      deny("kms:TagResource", { StringEquals: { "aws:RequestTag/team": "blue" } }),
      deny("kms:*tagResource", { "ForAnyValue:StringEquals": { "aws:TagKeys": ["locked"] } }),
      deny("kms:DescribeKey", { StringNotEquals: { "aws:ResourceTag/team": "red" } }),
    ];
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
    await client.send(new PutKeyPolicyCommand({ KeyId: key, Policy }));
    await client.send(new DescribeKeyCommand({ KeyId: key }));
    expect(await errorNameOf(tag(key, tagsOf({ team: "blue" })))).toBe("AccessDeniedException");
    expect(await errorNameOf(tag(key, tagsOf({ locked: "" })))).toBe("AccessDeniedException");
    expect(await errorNameOf(untag(key, "team", "locked"))).toBe("AccessDeniedException");
    await tag(key, tagsOf({ team: "green" }));
    expect(await errorNameOf(client.send(new DescribeKeyCommand({ KeyId: key })))).toBe("AccessDeniedException");
  });

  it("are a permission of its own on a new key", async () => {
    const maker = (name: string, ...actions: string[]) => {
      const Statement = actions.map((Action) => ({
        Effect: "Allow",
        ...{ Action, Resource: Action === "kms:CreateKey" ? "*" : "arn:aws:kms:*:111122223333:key/*" },
      }));
      return kmsClient(kms, clock, kms.principals.addUser({ name, policies: [JSON.stringify({ Statement })] }));
    };
    const [plain, tagging] = [maker("plain", "kms:CreateKey"), maker("tagging", "kms:CreateKey", "kms:TagResource")];
    const tagged = new CreateKeyCommand({ Tags: tagsOf({ a: "1" }) });
    await plain.send(new CreateKeyCommand({})); // the default policy lets it change the policy, if IAM does
    expect((await errorOf(plain.send(tagged))).message).toContain("is not authorized to perform: kms:TagResource");
    await tagging.send(tagged);
    plain.destroy();
    tagging.destroy();
  });
});

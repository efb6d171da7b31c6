/** The configuration: strict, and every refusal names its field. */
import { rootCertificates } from "node:tls";
import { describe, expect, it } from "vitest";
import { parseConfiguration } from "../../enclave/configuration.js";
import { utf8 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { FOREIGN_KEY_ARN, KEY_ARN, OTHER_KEY_ARN } from "./fakes.js";

type Document = Record<string, unknown>;

const KMS = { region: "us-east-1", keys: [{ arn: KEY_ARN }], transport: "tunnel", roots: "amazon" };
const BASE: Document = { version: 1, kms: KMS, channels: { parent: "closed" } };

const parse = (document: unknown) => parseConfiguration(utf8(JSON.stringify(document)));

/** The message of the refusal, which must be ERR_CONFIGURATION. */
function refusal(document: unknown): string {
  expect(() => parse(document)).toThrowCode("ERR_CONFIGURATION");
  try {
    parse(document);
  } catch (error) {
    if (error instanceof ServiceError) return error.message;
  }
  return "";
}

describe("parseConfiguration", () => {
  it("takes the smallest configuration and fills in the rest", () => {
    const configuration = parse(BASE);
    expect(configuration.keys.arns).toEqual([KEY_ARN]);
    expect(configuration.recipient).toEqual({ maxAgeSeconds: 3600, maxUses: 10000, documentMaxAgeSeconds: 60 });
    expect(configuration.limits).toMatchObject({ maxConcurrentRequests: 256, requestDeadlineSeconds: 30 });
  });

  it("takes the largest one", () => {
    const [pem] = rootCertificates;
    const keys = [{ arn: KEY_ARN, aliases: ["alias/a", "alias/b"] }, { arn: OTHER_KEY_ARN }];
    const document = {
      ...BASE,
      kms: { ...KMS, keys, transport: "gateway", roots: [pem] },
      channels: { parent: "reveal" },
      recipient: { maxAgeSeconds: 60, maxUses: 1, documentMaxAgeSeconds: 0 },
      limits: { maxConcurrentRequests: 1, requestDeadlineSeconds: 1, maxKmsConnections: 1, maxQueuedKmsRequests: 0 },
    };
    expect(parse(document).keys.resolve("alias/b").arn).toBe(KEY_ARN);
  });

  it.each<[string, Document, string]>([
    ["an unknown field", { ...BASE, debug: true }, "debug"],
    ["an unknown field within", { ...BASE, kms: { ...KMS, endpoint: "https://evil" } }, "kms: Unrecognized key"],
    ["an unknown channel", { ...BASE, channels: { parent: "closed", back: "reveal" } }, "channels: Unrecognized key"],
    ["another version", { ...BASE, version: 2 }, "version"],
    ["no keys", { ...BASE, kms: { ...KMS, keys: [] } }, "kms.keys"],
    [
      "a key id in place of an ARN",
      { ...BASE, kms: { ...KMS, keys: [{ arn: "alias/a" }] } },
      "kms.keys.0.arn: expected",
    ],
    [
      "an alias ARN in place of a key's",
      { ...BASE, kms: { ...KMS, keys: [{ arn: KEY_ARN.replace("key/", "alias/") }] } },
      "kms.keys.0.arn",
    ],
    ["a key of another Region", { ...BASE, kms: { ...KMS, region: "eu-west-1" } }, "kms.keys.0.arn: expected"],
    ["a key that is named twice", { ...BASE, kms: { ...KMS, keys: [{ arn: KEY_ARN }, { arn: KEY_ARN }] } }, "kms.keys"],
    [
      "an alias that means two keys",
      { ...BASE, kms: { ...KMS, keys: [KEY_ARN, FOREIGN_KEY_ARN].map((arn) => ({ arn, aliases: ["alias/a"] })) } },
      "alias/a means two",
    ],
    [
      "a malformed alias",
      { ...BASE, kms: { ...KMS, keys: [{ arn: KEY_ARN, aliases: ["payments"] }] } },
      "kms.keys.0.aliases.0",
    ],
    ["a Region that is none", { ...BASE, kms: { ...KMS, region: "evil.example/" } }, "kms.region"],
    ["another transport", { ...BASE, kms: { ...KMS, transport: "http" } }, "kms.transport"],
    ["roots that are no certificates", { ...BASE, kms: { ...KMS, roots: ["root"] } }, "kms.roots"],
    [
      "two certificates in one text",
      { ...BASE, kms: { ...KMS, roots: [rootCertificates.slice(0, 2).join("\n")] } },
      "kms.roots",
    ],
    ["no roots", { ...BASE, kms: { ...KMS, roots: [] } }, "kms.roots"],
    ["no transport", { ...BASE, kms: { ...KMS, transport: undefined } }, "kms.transport"],
    ["no channels", { ...BASE, channels: undefined }, "channels"],
    ["another state of the channel", { ...BASE, channels: { parent: "open" } }, "channels.parent"],
    [
      "a document age beyond what KMS takes",
      { ...BASE, recipient: { documentMaxAgeSeconds: 241 } },
      "recipient.documentMaxAgeSeconds",
    ],
    ["no concurrency", { ...BASE, limits: { maxConcurrentRequests: 0 } }, "limits.maxConcurrentRequests"],
  ])("refuses %s, naming it", (_, document, expected) => {
    expect(() => parse(BASE)).not.toThrow();
    expect(refusal(document)).toContain(expected);
  });

  it("refuses what is no JSON, no UTF-8, or too long", () => {
    expect(() => parseConfiguration(utf8("{"))).toThrowCode("ERR_CONFIGURATION");
    expect(() => parseConfiguration(Uint8Array.of(0x22, 0xff, 0x22))).toThrowCode("ERR_CONFIGURATION");
    expect(() => parseConfiguration(utf8(JSON.stringify(BASE).padEnd(300_000)))).toThrowCode("ERR_CONFIGURATION");
  });
});

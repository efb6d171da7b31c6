/** The configuration: strict, and every refusal names its field. */
import { rootCertificates } from "node:tls";
import { describe, expect, it } from "vitest";
import { parseConfiguration } from "../../enclave/configuration.js";
import { utf8 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { createTokenIssuer } from "../../simulator/token-issuer.js";
import { authorizationFor } from "../support/authorization.js";
import { FOREIGN_KEY_ARN, KEY_ARN, OTHER_KEY_ARN } from "./fakes.js";

type Document = Record<string, unknown>;

const KMS = { region: "us-east-1", keys: [{ arn: KEY_ARN }], transport: "tunnel", roots: "amazon" };
const AUTHORIZATION = authorizationFor(await createTokenIssuer());
const [ISSUER = {}] = AUTHORIZATION.issuers as Document[];
const BASE: Document = { version: 1, kms: KMS, channels: {}, authorization: AUTHORIZATION };

const [ROOT = ""] = rootCertificates;
const MRK_ARN = `arn:aws:kms:us-east-1:111122223333:key/mrk-${"0a".repeat(16)}`;
const withReplicas = (replicaRegions: unknown, kms: Document = {}): Document => ({
  ...BASE,
  kms: { ...KMS, keys: [{ arn: MRK_ARN, replicaRegions }, { arn: KEY_ARN }], ...kms },
});

const GENERATED = { certificate: "generated" };
const PROVIDED = {
  certificate: "provided",
  chain: [ROOT],
  privateKey: { ciphertext: "AAAA", keyId: KEY_ARN, encryptionContext: { purpose: "tls" } },
  issuers: [ROOT],
};

const withSealed = (sealed: Document): Document => ({ ...BASE, channels: { sealed } });
const SHARED = { keyId: KEY_ARN, fleet: "payments" };
const withShared = (shared: Document): Document => ({ ...BASE, channels: { sealed: { shared } } });
const withTls = (tls: Document): Document => ({ ...BASE, channels: { tls } });
const withAuthorization = (changes: Document): Document => ({
  ...BASE,
  authorization: { ...AUTHORIZATION, ...changes },
});
const withIssuer = (changes: Document): Document => withAuthorization({ issuers: [{ ...ISSUER, ...changes }] });
const withBudgets = (budgets: Document): Document => withAuthorization({ budgets });

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

  it("opens nothing to the parent, serves no TLS, and seals, unless it says otherwise", () => {
    expect(parse(BASE).channels).toEqual({
      parent: [],
      sealed: { keyMaxAgeSeconds: 86_400, overlapSeconds: 3_600, windowSeconds: 60, maxRemembered: 100_000 },
    });
  });

  it("limits callers where it does not say how, and logs nothing of their contexts", () => {
    const { budgets, loggable, skewSeconds, maxTokenAgeSeconds } = parse(
      withAuthorization({ budgets: undefined }),
    ).authorization;
    expect(budgets).toEqual({
      requestsPerMinute: 600,
      bytesPerMinute: 1024 ** 3,
      maxConcurrent: 32,
      maxPrincipals: 10_000,
    });
    expect(loggable).toEqual({ encryptionContext: [] });
    expect([skewSeconds, maxTokenAgeSeconds]).toEqual([30, 3_600]);
    const { proofOfPossession: _, ...issuer } = ISSUER;
    expect(parse(withAuthorization({ issuers: [issuer] })).authorization.issuers[0]?.proofOfPossession).toBe(
      "whereBound",
    );
  });

  it("takes schema and policies as a text or as its lines", () => {
    const { policies } = parse(
      withAuthorization({ policies: ["// a", "permit(principal, action, resource);"] }),
    ).authorization;
    expect(policies).toBe("// a\npermit(principal, action, resource);");
  });

  it("asks its own Region alone, unless keys have replicas; then the Regions in the order in which they are named", () => {
    expect(parse(BASE).regions).toEqual(["us-east-1"]);
    expect(parse(BASE).kms.failover).toEqual({ attemptSeconds: 2, restSeconds: 30 });
    const other = MRK_ARN.replaceAll("0a", "0b");
    const keys = [
      { arn: MRK_ARN, replicaRegions: ["eu-west-1", "ap-northeast-1"] },
      { arn: other, replicaRegions: ["us-west-2", "eu-west-1"] },
    ];
    const failover = { attemptSeconds: 29, restSeconds: 3_600 };
    const configuration = parse({ ...BASE, kms: { ...KMS, keys, failover } });
    expect(configuration.regions).toEqual(["us-east-1", "eu-west-1", "ap-northeast-1", "us-west-2"]);
    expect(configuration.keys.inRegion("us-west-2")?.arns).toEqual([other.replace("us-east-1", "us-west-2")]);
    expect(configuration.kms.failover).toEqual(failover);
  });

  it("takes a certificate that is generated, and one that is provided", () => {
    expect(parse(withTls(GENERATED)).channels.tls).toEqual({ ...GENERATED, maxAgeSeconds: 604_800 });
    expect(parse(withTls(PROVIDED)).channels.tls).toEqual({ ...PROVIDED, renewalCheckSeconds: 3_600 });
  });

  it("takes the largest one", () => {
    const keys = [{ arn: KEY_ARN, aliases: ["alias/a", "alias/b"] }, { arn: OTHER_KEY_ARN }];
    const document = {
      ...BASE,
      kms: { ...KMS, keys, transport: "gateway", roots: [ROOT] },
      channels: {
        parent: ["decrypt", "messages/decrypt", "functions/score"],
        sealed: { keyMaxAgeSeconds: 604_800, overlapSeconds: 86_400, windowSeconds: 300, maxRemembered: 2_000_000 },
        tls: { ...GENERATED, maxAgeSeconds: 2_592_000 },
      },
      authorization: { ...AUTHORIZATION, loggable: { encryptionContext: ["tenant"] }, skewSeconds: 0 },
      recipient: { maxAgeSeconds: 60, maxUses: 1, documentMaxAgeSeconds: 0 },
      limits: { maxConcurrentRequests: 1, requestDeadlineSeconds: 1, maxKmsConnections: 1, maxQueuedKmsRequests: 0 },
    };
    expect(parse(document).keys.resolve("alias/b").arn).toBe(KEY_ARN);
  });

  it("takes one sealing identity for a fleet", () => {
    expect(parse(withShared({ ...SHARED, keyId: KEY_ARN })).channels.sealed.shared).toEqual(SHARED);
  });

  it.each<[string, Document, string]>([
    ["an unknown field", { ...BASE, debug: true }, "debug"],
    ["an unknown field within", { ...BASE, kms: { ...KMS, endpoint: "https://evil" } }, "kms: Unrecognized key"],
    ["an unknown channel", { ...BASE, channels: { back: [] } }, "channels: Unrecognized key"],
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
    [
      "replicas of a single-Region key",
      { ...BASE, kms: { ...KMS, keys: [{ arn: KEY_ARN, replicaRegions: ["eu-west-1"] }] } },
      "kms.keys.0.replicaRegions: expected none",
    ],
    ["a replica in the key's own Region", withReplicas(["us-east-1"]), "kms.keys.0.replicaRegions: expected other"],
    ["a replica twice", withReplicas(["eu-west-1", "eu-west-1"]), "kms.keys.0.replicaRegions: expected other"],
    ["a replica in a Region that is none", withReplicas(["evil.example/"]), "kms.keys.0.replicaRegions.0"],
    [
      "replicas over the gateway",
      withReplicas(["eu-west-1"], { transport: "gateway" }),
      "the gateway reaches one Region",
    ],
    ["attempts of no time", withReplicas([], { failover: { attemptSeconds: 0 } }), "kms.failover.attemptSeconds"],
    ["attempts longer than any request", withReplicas([], { failover: { attemptSeconds: 31 } }), "attemptSeconds"],
    ["no rest", withReplicas([], { failover: { restSeconds: 0 } }), "kms.failover.restSeconds"],
    ["another failover", withReplicas([], { failover: { retries: 3 } }), "kms.failover: Unrecognized key"],
    [
      "an attempt as long as a request",
      { ...withReplicas(["eu-west-1"]), limits: { requestDeadlineSeconds: 2 } },
      "kms.failover.attemptSeconds: expected less than limits.requestDeadlineSeconds",
    ],
    [
      "more Regions than tunnels",
      {
        ...BASE,
        kms: {
          ...KMS,
          keys: [0, 1].map((key) => ({
            arn: MRK_ARN.replaceAll("0a", `0${key}`),
            replicaRegions: Array.from({ length: 8 }, (_, index) => `eu-west-${1 + 8 * key + index}`),
          })),
        },
      },
      "expected at most 16 Regions",
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
    ["a state in place of operations", { ...BASE, channels: { parent: "reveal" } }, "channels.parent"],
    ["no name of an operation", { ...BASE, channels: { parent: ["decrypt", "../decrypt"] } }, "channels.parent.1"],
    ["sealed requests switched off", withSealed({ enabled: false }), "channels.sealed: Unrecognized key"],
    ["sealed keys younger than a minute", withSealed({ keyMaxAgeSeconds: 59 }), "channels.sealed.keyMaxAgeSeconds"],
    ["sealed keys older than a week", withSealed({ keyMaxAgeSeconds: 604_801 }), "channels.sealed.keyMaxAgeSeconds"],
    [
      "an overlap longer than the age of keys",
      withSealed({ keyMaxAgeSeconds: 600, overlapSeconds: 601 }),
      "channels.sealed.overlapSeconds: expected at most keyMaxAgeSeconds",
    ],
    ["a window that no clock hits", withSealed({ windowSeconds: 4 }), "channels.sealed.windowSeconds"],
    ["a window of hours", withSealed({ windowSeconds: 301 }), "channels.sealed.windowSeconds"],
    ["a replay store for nothing", withSealed({ maxRemembered: 999 }), "channels.sealed.maxRemembered"],
    ["a certificate from elsewhere", withTls({ certificate: "acme" }), "channels.tls.certificate"],
    ["a generated certificate with a chain", withTls({ ...GENERATED, chain: [] }), "channels.tls: Unrecognized key"],
    ["a generated certificate for minutes", withTls({ ...GENERATED, maxAgeSeconds: 3_599 }), "tls.maxAgeSeconds"],
    ["a provided certificate without chain", withTls({ ...PROVIDED, chain: [] }), "channels.tls.chain"],
    ["a private key in the clear", withTls({ ...PROVIDED, privateKey: ROOT }), "channels.tls.privateKey"],
    [
      "a private key under a KMS key of somebody else",
      withTls({ ...PROVIDED, privateKey: { ...PROVIDED.privateKey, keyId: OTHER_KEY_ARN } }),
      "channels.tls.privateKey.keyId: expected a key of kms.keys",
    ],
    [
      "a private key with no context of its own",
      withTls({ ...PROVIDED, privateKey: { ...PROVIDED.privateKey, encryptionContext: {} } }),
      "channels.tls.privateKey.encryptionContext: expected a context of its own",
    ],
    [
      "a private key over the gateway",
      { ...withTls(PROVIDED), kms: { ...KMS, transport: "gateway" } },
      "channels.tls: the gateway opens no private key",
    ],
    ["a fleet without a name", withShared({ ...SHARED, fleet: "" }), "channels.sealed.shared.fleet"],
    ["a fleet with a name for nobody's path", withShared({ ...SHARED, fleet: "a/b" }), "channels.sealed.shared.fleet"],
    ["a fleet's seeds under no key", withShared({ fleet: "payments" }), "channels.sealed.shared.keyId"],
    [
      "a fleet's seeds under a KMS key of somebody else",
      withShared({ ...SHARED, keyId: OTHER_KEY_ARN }),
      "channels.sealed.shared.keyId: expected a key of kms.keys",
    ],
    [
      "PITFALLS 1: a fleet's seeds over the gateway",
      { ...withShared(SHARED), kms: { ...KMS, transport: "gateway" } },
      "channels.sealed.shared: the gateway opens no seed",
    ],
    ["issuers that are no certificates", withTls({ ...PROVIDED, issuers: ["CA"] }), "channels.tls.issuers.0"],
    ["no issuers of certificates", withTls({ ...PROVIDED, issuers: [] }), "channels.tls.issuers"],
    ["a renewal check every second", withTls({ ...PROVIDED, renewalCheckSeconds: 1 }), "tls.renewalCheckSeconds"],
    ["no authorization", { ...BASE, authorization: undefined }, "authorization"],
    ["authorization switched off", { ...BASE, authorization: "none" }, "authorization"],
    ["no issuers of tokens", withAuthorization({ issuers: [] }), "authorization.issuers"],
    ["an issuer without keys", withIssuer({ jwks: { keys: [] } }), "authorization.issuers.0.jwks.keys"],
    ["an issuer whose keys are fetched", withIssuer({ jwks: "https://idp.example/jwks" }), "issuers.0.jwks"],
    ["an issuer for every audience", withIssuer({ audiences: [] }), "authorization.issuers.0.audiences"],
    ["a symmetric algorithm", withIssuer({ algorithms: ["HS256"] }), "authorization.issuers.0.algorithms.0"],
    ["the algorithm none", withIssuer({ algorithms: ["none"] }), "authorization.issuers.0.algorithms.0"],
    ["no algorithm", withIssuer({ algorithms: [] }), "authorization.issuers.0.algorithms"],
    ["an issuer whose name holds a slash", withIssuer({ name: "idp/a" }), "authorization.issuers.0.name"],
    ["another rule for proofs", withIssuer({ proofOfPossession: "never" }), "issuers.0.proofOfPossession"],
    ["tokens of any age", withAuthorization({ maxTokenAgeSeconds: 86_401 }), "authorization.maxTokenAgeSeconds"],
    ["a clock that is out by an hour", withAuthorization({ skewSeconds: 3_600 }), "authorization.skewSeconds"],
    ["no schema", withAuthorization({ schema: undefined }), "authorization.schema: expected a text"],
    ["no policies", withAuthorization({ policies: undefined }), "authorization.policies: expected a text"],
    ["policies in JSON", withAuthorization({ policies: {} }), "authorization.policies: expected a text"],
    ["no requests", withBudgets({ requestsPerMinute: 0 }), "authorization.budgets.requestsPerMinute"],
    ["no bytes", withBudgets({ bytesPerMinute: 1_023 }), "authorization.budgets.bytesPerMinute"],
    ["no place", withBudgets({ maxConcurrent: 0 }), "authorization.budgets.maxConcurrent"],
    ["no principals", withBudgets({ maxPrincipals: 0 }), "authorization.budgets.maxPrincipals"],
    ["a context that is logged whole", withAuthorization({ loggable: { encryptionContext: "*" } }), "loggable"],
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
    expect(() => parseConfiguration(utf8(JSON.stringify(BASE).padEnd(1024 * 1024 + 1)))).toThrowCode(
      "ERR_CONFIGURATION",
    );
  });
});

/** docs/authorization.md: its example parses, validates, and decides as it says. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { AuthorizationPolicy } from "../enclave/authorization/policies.js";
import type { DecisionRequest } from "../enclave/authorization/request.js";
import { projectRoot } from "./support/project.js";

const page = readFileSync(join(projectRoot, "docs/authorization.md"), "utf8");

function blockOf(marker: string): string {
  const start = page.indexOf(`<!-- ${marker} -->\n\`\`\`cedar\n`);
  expect(start, marker).toBeGreaterThan(0);
  const body = page.indexOf("cedar\n", start) + "cedar\n".length;
  return page.slice(body, page.indexOf("```", body));
}

const policy = new AuthorizationPolicy({
  schema: blockOf("schema"),
  policies: blockOf("policies"),
  actions: [
    ...["decrypt", "messages/decrypt", "messages/encrypt", "messages/re-encrypt", "data-keys"].map((name) => ({
      name,
      resources: ["Key"] as const,
    })),
    ...["random", "caches/wipe"].map((name) => ({ name, resources: ["Enclave"] as const })),
  ],
});
const REQUEST: DecisionRequest = {
  principal: { id: "idp/alice", issuer: "idp", subject: "alice", claims: { tenant: "acme", roles: ["reader"] } },
  action: "decrypt",
  key: {
    arn: "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    aliases: ["alias/cards"],
  },
  encryptionContext: { tenant: "acme", purpose: "billing" },
  channel: "sealed",
  bytes: 200,
  now: new Date("2026-11-24T12:00:00Z"),
};

describe("the example of docs/authorization.md", () => {
  it("permits a tenant's own", () => {
    expect(policy.decide(REQUEST)).toMatchObject({ allowed: true, policyIds: ["own-cards"] });
    expect(policy.decide({ ...REQUEST, action: "messages/decrypt" })).toMatchObject({ allowed: true });
  });

  it.each<[string, Partial<DecisionRequest>, readonly string[]]>([
    ["another tenant's", { encryptionContext: { tenant: "globex" } }, []],
    ["no tenant's", { encryptionContext: {} }, []],
    ["another key", { key: { arn: "arn:aws:kms:us-east-1:111122223333:key/other", aliases: [] } }, []],
    ["data keys for who does not write", { action: "data-keys" }, []],
    ["what is not of a key", { action: "random", key: undefined }, []],
    ["a pair that nobody knows", { encryptionContext: { tenant: "acme", extra: "1" } }, ["known-pairs-only"]],
    ["the parent's channel", { channel: "parent" }, ["confidential-channels-only"]],
  ])("denies %s", (_, change, policyIds) => {
    expect(policy.decide({ ...REQUEST, ...change })).toMatchObject({ allowed: false, policyIds });
  });

  it("permits writers data keys", () => {
    const principal = { ...REQUEST.principal, claims: { tenant: "acme", roles: ["writer"] } };
    expect(policy.decide({ ...REQUEST, principal, action: "data-keys" })).toMatchObject({ policyIds: ["writers"] });
  });
});

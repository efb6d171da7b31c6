/**
 * A decision of the policies beside one RSA-2048 private operation, which every attested KMS call costs anyway: at 50
 * policies no more than one, at 500 no more than two. Policies are scoped as real ones are: by key, alias, caller and
 * action. Cedar's cost grows with the policies whose scope a request does not exclude; 500 that no scope excludes are
 * shown as well, without a bound.
 */
import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt } from "node:crypto";
import { AuthorizationPolicy } from "../enclave/authorization/policies.js";
import type { PinnedKey } from "../enclave/kms/pinned-keys.js";
import { compare } from "./pairs.js";
import type { Row } from "./table.js";
import { median } from "./table.js";

const KEYS = 25;
const PEER = "bare RSA-2048 OAEP decryption";

const arnOf = (index: number): string =>
  `arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
const keyOf = (index: number): PinnedKey => ({ arn: arnOf(index), aliases: [`alias/key-${index}`] });

const SCHEMA = `entity Caller { tenant: String, roles?: Set<String> };
entity Alias;
entity Key in [Alias];
entity Enclave;
type Request = {
  encryptionContext: { tenant?: String, purpose?: String },
  encryptionContextKeys: Set<String>, channel: String, bytes: Long, time: datetime
};
action "read";
action "decrypt", "messages/decrypt" in ["read"] appliesTo { principal: Caller, resource: Key, context: Request };
action "data-keys" appliesTo { principal: Caller, resource: Key, context: Request };
action "random" appliesTo { principal: Caller, resource: Enclave, context: Request };
`;
const ACTIONS = [
  ...["decrypt", "messages/decrypt", "data-keys"].map((name) => ({ name, resources: ["Key"] as const })),
  { name: "random", resources: ["Enclave"] as const },
];

const OWN_TENANT = "context.encryptionContext has tenant && context.encryptionContext.tenant == principal.tenant";

/** The scopes that `count` policies of a service with many keys and tenants have; all of them differ. */
function scopedPolicies(count: number): string {
  return Array.from({ length: count }, (_, index) => {
    const key = index % KEYS;
    const scopes = [
      `principal, action in Action::"read", resource in Alias::"alias/key-${key}"`,
      `principal, action == Action::"data-keys", resource == Key::"${arnOf(key)}"`,
      `principal == Caller::"idp/service-${index}", action == Action::"decrypt", resource in Alias::"alias/key-${key}"`,
      `principal == Caller::"idp/service-${index}", action, resource == Key::"${arnOf(key)}"`,
    ];
    return `permit(${scopes[index % scopes.length]}) when { ${OWN_TENANT} && principal.tenant != "tenant-${index}" };`;
  }).join("\n");
}

const openPolicies = (count: number): string =>
  Array.from(
    { length: count },
    (_, index) =>
      `permit(principal, action, resource is Key) when { ${OWN_TENANT} && principal.tenant == "tenant-${index}" };`,
  ).join("\n");

export async function run({ smoke }: { readonly smoke: boolean }): Promise<Row[]> {
  const bare = bareDecryption();
  const effort = { pairs: smoke ? 150 : 400, runLength: 8 }; // the first tenth makes every slice
  const cases = [
    { name: "decision at 50 policies", policies: scopedPolicies(50), bound: 1 },
    { name: "decision at 500 policies", policies: scopedPolicies(500), bound: 0.5 },
    { name: "decision at 500 policies that no scope excludes", policies: openPolicies(500) },
  ];
  const floors: number[] = [];
  const rows = cases.map(({ name, policies, bound }): Row => {
    const { floor, ...row } = compare(bare, decider(policies), effort);
    floors.push(floor);
    return { name, ...row, unit: "µs", peer: PEER, ...(bound === undefined ? {} : { bound }) };
  });
  return [{ name: PEER, median: median(floors), unit: "µs" }, ...rows];
}

/** Decides requests of many callers for many keys, one after another; every one is permitted or denied as it must be. */
function decider(policies: string): () => void {
  const policy = new AuthorizationPolicy({ schema: SCHEMA, policies, actions: ACTIONS });
  let turn = 0;
  return () => {
    turn = (turn + 1) % (4 * KEYS);
    const tenant = `tenant-${turn}`;
    const subject = `service-${turn}`;
    const { policyIds, allowed } = policy.decide({
      principal: { id: `idp/${subject}`, issuer: "idp", subject, claims: { tenant, roles: ["reader"] } },
      action: "decrypt",
      key: keyOf(turn % KEYS),
      encryptionContext: { tenant, purpose: "billing" },
      channel: "sealed",
      bytes: 200,
      now: new Date(),
    });
    if (allowed !== policyIds.length > 0) throw new Error("a decision has no reason");
  };
}

function bareDecryption(): () => void {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const sealed = publicEncrypt({ key: publicKey, padding, oaepHash: "sha256" }, new Uint8Array(32).fill(7));
  return () => {
    if (privateDecrypt({ key: privateKey, padding, oaepHash: "sha256" }, sealed)[0] !== 7) throw new Error("wrong key");
  };
}

/** Actions, resources and their negations; allow, deny and neither. */
import type { PolicyCase, Statements } from "./case.js";
import { allow, DELEGATION, deny, KEY } from "./case.js";
import { ACTION, DEFAULT_KEY_POLICY, IAM_POLICIES, INTERPLAY, NOT_ACTION, NOT_RESOURCE, RESOURCE } from "./sources.js";

const identity = (
  source: PolicyCase["source"],
  name: string,
  statements: Statements,
  more: Partial<PolicyCase> = {},
): PolicyCase => ({ name, source, identityPolicies: [statements], ends: "not-allowed-by-identity-policy", ...more });

const allowed = { ends: "allowed" } as const;

export const STATEMENT_CASES: readonly PolicyCase[] = [
  identity(ACTION, "an action by its name", allow({ Action: "kms:Decrypt" }), allowed),
  identity(ACTION, "an action's prefix and name have no case", allow({ Action: "KMS:decrypt" }), allowed),
  identity(ACTION, "one of several actions", allow({ Action: ["kms:Encrypt", "kms:Decrypt"] }), allowed),
  identity(ACTION, "every action of the service", allow({ Action: "kms:*" }), allowed),
  identity(ACTION, "a wildcard within a name", allow({ Action: "kms:De*pt" }), allowed),
  identity(ACTION, "a question mark is one character", allow({ Action: "kms:Decryp?" }), allowed),
  identity(ACTION, "a question mark is not none", allow({ Action: "kms:Decrypt?" })),
  identity(ACTION, "another action", allow({ Action: "kms:Encrypt" })),
  identity(ACTION, "another service", allow({ Action: "s3:*" })),
  identity(NOT_ACTION, "all actions but another", allow({ NotAction: "kms:Encrypt", Action: undefined }), allowed),
  identity(NOT_ACTION, "all actions but this", allow({ NotAction: "kms:D*", Action: undefined })),
  identity(
    NOT_ACTION,
    "denies all actions but others",
    [allow(), deny({ NotAction: ["kms:Encrypt", "kms:DescribeKey"], Action: undefined })],
    { ends: "denied-by-identity-policy" },
  ),
  identity(RESOURCE, "the key by its ARN", allow({ Resource: KEY }), allowed),
  identity(RESOURCE, "another key", allow({ Resource: `${KEY}0` })),
  identity(RESOURCE, "all keys of the Region and account", allow({ Resource: KEY.replace(/key.*/, "key/*") }), allowed),
  identity(RESOURCE, "all keys of another Region", allow({ Resource: "arn:aws:kms:eu-west-1:111122223333:key/*" })),
  identity(RESOURCE, "a wildcard in each part", allow({ Resource: "arn:aws:kms:*:*:key/1234*" }), allowed),
  identity(RESOURCE, "an ARN has case", allow({ Resource: KEY.replace(":key/", ":Key/") })),
  identity(NOT_RESOURCE, "all resources but another", allow({ NotResource: `${KEY}0`, Resource: undefined }), allowed),
  identity(NOT_RESOURCE, "all resources but this", allow({ NotResource: KEY, Resource: undefined })),
  identity(INTERPLAY, "nothing is allowed that no policy allows", [], { identityPolicies: [] }),
  identity(INTERPLAY, "a deny wins over an allow of the same policy", [allow(), deny({ Action: "kms:Decrypt" })], {
    ends: "denied-by-identity-policy",
  }),
  identity(INTERPLAY, "a deny wins before the allow too", [deny({ Action: "kms:Decrypt" }), allow()], {
    ends: "denied-by-identity-policy",
  }),
  identity(INTERPLAY, "a deny of another policy wins", [], {
    identityPolicies: [allow(), deny({ Resource: KEY })],
    ends: "denied-by-identity-policy",
  }),
  identity(INTERPLAY, "a deny of another action denies nothing", [allow(), deny({ Action: "kms:Encrypt" })], allowed),
  identity(INTERPLAY, "the key policy's deny wins over identity policies", allow(), {
    keyPolicy: [DELEGATION, deny({ Principal: "*", Action: "kms:Decrypt" })],
    ends: "denied-by-key-policy",
  }),
  identity(DEFAULT_KEY_POLICY, "with the default key policy, identity policies decide", allow(), allowed),
  identity(DEFAULT_KEY_POLICY, "delegation reaches as far as its actions", allow(), {
    keyPolicy: { ...DELEGATION, Action: "kms:Encrypt" },
    ends: "not-allowed-by-key-policy",
  }),
  identity(
    IAM_POLICIES,
    "an action that is about no key: identity policies alone",
    allow({ Action: "kms:CreateKey" }),
    {
      keyPolicy: null,
      action: "kms:CreateKey",
      resource: "*",
      ...allowed,
    },
  ),
  identity(IAM_POLICIES, "which must be about all resources", allow({ Action: "kms:CreateKey", Resource: KEY }), {
    keyPolicy: null,
    action: "kms:CreateKey",
    resource: "*",
  }),
];

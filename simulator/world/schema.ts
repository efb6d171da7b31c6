/**
 * The form of world.json: the accounts around the keys, with those who may call, what limits them, and the ways in. Names
 * are those of AWS's APIs (IAM, Organizations, EC2) in lower camel case. Strict: a name that the form does not have is
 * refused, for a misspelt boundary would otherwise be none.
 */
import { z } from "zod";

/** More than any test needs; the file is read once and held in memory. */
const MAX_ENTRIES = 1000;
/** IAM User Guide, "Tags for IAM resources". */
const MAX_TAGS = 50;
const MAX_POLICY_CHARACTERS = 32_768;
/** AWS Organizations User Guide, "Quotas for AWS Organizations": OUs nest five levels deep under a root. */
const MAX_OU_LEVELS = 5;

const matching = (pattern: RegExp, expected: string) => z.string().regex(pattern, `expected ${expected}`);

const accountId = matching(/^\d{12}$/, "an account id of 12 digits");
const name = matching(/^[\w+=,.@-]{1,128}$/, "a name of letters, digits and +=,.@_-");
const path = matching(/^\/([\x21-\x2e\x30-\x7e]{1,128}\/){0,8}$/, "a path that begins and ends with /");
const managedPolicyArn = matching(/^arn:[\w-]+:iam::(\d{12}|aws):policy\/[\w+=,.@/-]{1,512}$/, "the ARN of a policy");
const servicePrincipal = matching(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, "a service principal such as logs.amazonaws.com");

/** As an object or, as the APIs have it, as text. */
const policy = z
  .union([z.string().min(1).max(MAX_POLICY_CHARACTERS), z.looseObject({})], {
    error: "expected a policy document, as an object or as text",
  })
  .meta({ id: "policy" });
/** By name, which explanations call them by. */
const policies = z
  .record(name, policy)
  .refine(...atMost(MAX_ENTRIES))
  .meta({ id: "policies" });
const tags = z
  .record(z.string().min(1).max(128), z.string().max(256))
  .refine(...atMost(MAX_TAGS))
  .refine((entries) => isDistinct(Object.keys(entries)), "expected tag keys that differ in more than case");
const listOf = <Item extends z.ZodType>(item: Item) => z.array(item).max(MAX_ENTRIES);

const isDistinct = (keys: readonly string[]): boolean =>
  new Set(keys.map((key) => key.toLowerCase())).size === keys.length;

function atMost(count: number): [(entries: Readonly<Record<string, unknown>>) => boolean, string] {
  return [(entries) => Object.keys(entries).length <= count, `expected at most ${count} entries`];
}

const accessKey = z.strictObject({
  accessKeyId: matching(/^\w{1,128}$/, "an access key id of letters, digits and _"),
  secretAccessKey: z.string().min(1).max(128),
  status: z.enum(["Active", "Inactive"]).optional(),
  /** Services that call with this key on the principal's behalf, first to last: forward access sessions. */
  calledVia: listOf(servicePrincipal).min(1).optional(),
});

const mfaDevice = z.strictObject({
  /** `arn:aws:iam::ACCOUNT:mfa/USER` if left out. */
  serialNumber: matching(/^[\w+=/:,.@-]{9,256}$/, "an MFA serial number or ARN").optional(),
  /** RFC 4648 base32, as authenticator apps take it. */
  base32StringSeed: matching(/^[A-Za-z2-7]{16,128}=*$/, "base32 of at least 16 characters"),
});

/** What users and roles have in common. */
const identity = {
  name,
  path: path.optional(),
  tags: tags.optional(),
  /** Inline ones, by name. */
  policies: policies.optional(),
  managedPolicyArns: listOf(managedPolicyArn).optional(),
  /** The ARN of a managed policy. */
  permissionsBoundary: managedPolicyArn.optional(),
};

const user = z.strictObject({
  ...identity,
  accessKeys: listOf(accessKey).optional(),
  mfaDevices: listOf(mfaDevice).optional(),
});

const role = z.strictObject({
  ...identity,
  trustPolicy: policy,
  /** In seconds; an hour if left out. */
  maxSessionDuration: z.int().min(3600).max(43_200).optional(),
});

/** FullAWSAccess alone if the service control policies are left out; RCPFullAWSAccess is attached everywhere. */
const organizationPolicies = {
  serviceControlPolicies: policies.optional(),
  resourceControlPolicies: policies.optional(),
};

const account = z.strictObject({
  id: accountId,
  name: z.string().min(1).max(50),
  ...organizationPolicies,
  rootAccessKeys: listOf(accessKey).optional(),
  /** Customer managed policies: `arn:aws:iam::ACCOUNT:policy/NAME`. */
  managedPolicies: policies.optional(),
  users: listOf(user).optional(),
  roles: listOf(role).optional(),
});

const ouId = matching(/^ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}$/, "an OU id of the form ou-<4 to 32>-<8 to 32>");

export interface OrganizationalUnitFile extends z.infer<z.ZodObject<typeof organizationPolicies>> {
  readonly id: string;
  readonly name: string;
  readonly accounts?: string[] | undefined;
  readonly organizationalUnits?: OrganizationalUnitFile[] | undefined;
}

const TOO_DEEP = z.array(z.never(`expected OUs at most ${MAX_OU_LEVELS} levels deep`));

const organizationalUnit = (level: number): z.ZodType<OrganizationalUnitFile> =>
  z.strictObject({
    id: ouId,
    name: z.string().min(1).max(128),
    ...organizationPolicies,
    accounts: listOf(accountId).optional(),
    organizationalUnits: (level < MAX_OU_LEVELS ? listOf(organizationalUnit(level + 1)) : TOO_DEEP).optional(),
  });

const organization = z.strictObject({
  id: matching(/^o-[a-z0-9]{10,32}$/, "an organisation id of the form o-<10 to 32>"),
  /** No policy of the organisation limits it. */
  managementAccount: accountId,
  root: z.strictObject({
    id: matching(/^r-[0-9a-z]{4,32}$/, "a root id of the form r-<4 to 32>"),
    ...organizationPolicies,
    accounts: listOf(accountId).optional(),
    organizationalUnits: listOf(organizationalUnit(1)).optional(),
  }),
});

const vpcEndpoint = z.strictObject({
  id: matching(/^vpce-[0-9a-f]{8,17}$/, "a VPC endpoint id of the form vpce-<8 to 17 hex>"),
  vpcId: matching(/^vpc-[0-9a-f]{8,17}$/, "a VPC id of the form vpc-<8 to 17 hex>"),
  /** Whose it is; each caller's own if left out. */
  accountId: accountId.optional(),
  serviceName: matching(/^com\.amazonaws\.[a-z0-9-]+\.(kms|sts)$/, "com.amazonaws.REGION.kms or .sts"),
  /** Allows everything if left out, as AWS's default policy does. */
  policy: policy.optional(),
  /** Where its requests come from; if left out, the Host header alone tells them. */
  sourceCidrs: listOf(z.union([z.cidrv4(), z.cidrv6()], { error: "expected a CIDR such as 10.0.0.0/16" }))
    .min(1)
    .optional(),
});

/** An AWS service that calls as itself, as key policies name it under `Service`. */
const service = z.strictObject({
  principal: servicePrincipal,
  accessKeys: listOf(accessKey.omit({ calledVia: true })).min(1),
  /** On whose resource it works (`aws:SourceAccount`, `aws:SourceArn`). */
  sourceAccount: accountId.optional(),
  sourceArn: z.string().startsWith("arn:").max(2048).optional(),
});

export const worldFile = z.strictObject({
  $schema: z.string().max(2048).optional(),
  organization: organization.optional(),
  accounts: listOf(account),
  services: listOf(service).optional(),
  vpcEndpoints: listOf(vpcEndpoint).optional(),
});

export type WorldFile = z.infer<typeof worldFile>;
export type AccountFile = z.infer<typeof account>;
export type UserFile = z.infer<typeof user>;
export type RoleFile = z.infer<typeof role>;
export type AccessKeyFile = z.infer<typeof accessKey>;
export type VpcEndpointFile = z.infer<typeof vpcEndpoint>;
export type OrganizationFile = z.infer<typeof organization>;
export type PolicyFile = z.infer<typeof policy>;

/** The JSON Schema of the form, for editors. */
export const worldJsonSchema = (): object => z.toJSONSchema(worldFile, { io: "input", unrepresentable: "throw" });

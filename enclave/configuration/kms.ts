/** `kms`: the keys, their Regions, and the way to them. */
import { z } from "zod";
import { isAliasName, regionOfKeyArn } from "../kms/pinned-keys.js";
import { caCertificate } from "./ca-certificate.js";

const region = z.string().regex(/^[a-z]{2,5}(-[a-z]+)+-\d{1,2}$/, "expected a Region name such as us-east-1");

const key = z.strictObject({
  arn: z
    .string()
    .refine((arn) => regionOfKeyArn(arn) !== undefined, "expected a key ARN, arn:aws:kms:REGION:ACCOUNT:key/ID"),
  aliases: z.array(z.string().refine(isAliasName, "expected an alias name, alias/NAME")).max(50).default([]),
  /** Of a multi-Region key: where a related key may stand in for it while the own Region is down, the preferred Region first. */
  replicaRegions: z.array(region).max(8).default([]),
});

/** `amazon`: the pinned Amazon roots. Otherwise PEM certificates, one in each text. */
const roots = z.union(
  [z.literal("amazon"), z.array(caCertificate).min(1).max(16)],
  'expected "amazon" or a list of PEM certificates, one CA certificate in each text',
);

/** What happens when a Region does not answer; of effect where `replicaRegions` names others. */
const failover = z.strictObject({
  /** How long a Region has for its answer while there is another one to ask. */
  attemptSeconds: z.int().min(1).max(30).default(2),
  /** How long calls then go elsewhere, until one of them asks it again. */
  restSeconds: z.int().min(1).max(3_600).default(30),
});

export const kms = z.strictObject({
  region,
  keys: z.array(key).min(1).max(100),
  transport: z.enum(["tunnel", "gateway"]),
  roots,
  failover: failover.prefault({}),
});

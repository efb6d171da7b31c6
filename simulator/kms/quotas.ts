/**
 * Request quotas (KMS Developer Guide, "Request quotas"): so many requests a second of each operation, or of operations that
 * share a quota, for each account and Region. The caller's account is charged, whoever owns the key. Each quota is a bucket
 * that holds one second's worth, and at least one request.
 */
import type { Clock } from "../clock.js";
import { throttled } from "../errors.js";

/** Requests a second: in most Regions, and in those that have another figure. */
interface Rate {
  readonly usual: number;
  readonly regions?: ReadonlyMap<string, number>;
}

const same = (rate: number, ...regions: readonly string[]): (readonly [string, number])[] =>
  regions.map((region) => [region, rate]);

const SYMMETRIC: Rate = {
  usual: 10_000,
  regions: new Map([
    ...same(20_000, "us-east-2", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "eu-central-1", "eu-west-2"),
    ...same(100_000, "us-east-1", "us-west-2", "eu-west-1"),
  ]),
};
const ASYMMETRIC: Rate = { usual: 1_000 };

const china = (usual: number, rate: number): Rate => ({
  usual,
  regions: new Map(same(rate, "cn-north-1", "cn-northwest-1")),
});

/** Of GenerateDataKeyPair and its sibling together, by the pair that they make. */
const PAIRS: Readonly<Record<string, Rate>> = {
  RSA_2048: china(20, 1),
  RSA_3072: china(4, 0.5),
  RSA_4096: china(1, 0.1),
  SM2: { usual: 25 },
};
const OTHER_PAIRS: Rate = { usual: 100 };

/** The cryptographic operations, which share a quota by the type of their key. */
const CRYPTOGRAPHIC = new Set([
  ...["Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateMac", "GenerateRandom"],
  ...["ReEncrypt", "VerifyMac", "Sign", "Verify", "DeriveSharedSecret"],
  ...["Encapsulate", "Decapsulate"],
]);

/** Operations that have a quota of their own. */
const BY_OPERATION: Readonly<Record<string, number>> = {
  CancelKeyDeletion: 5,
  ConnectCustomKeyStore: 5,
  CreateAlias: 5,
  CreateCustomKeyStore: 5,
  CreateGrant: 50,
  CreateKey: 5,
  DeleteAlias: 15,
  DeleteCustomKeyStore: 5,
  DeleteImportedKeyMaterial: 15,
  DescribeCustomKeyStores: 5,
  DescribeKey: 2000,
  DisableKey: 5,
  DisableKeyRotation: 5,
  DisconnectCustomKeyStore: 5,
  EnableKey: 5,
  EnableKeyRotation: 15,
  GetKeyLastUsage: 5,
  GetKeyPolicy: 1000,
  GetKeyRotationStatus: 1000,
  GetParametersForImport: 1,
  GetPublicKey: 2000,
  ImportKeyMaterial: 15,
  ListAliases: 500,
  ListGrants: 100,
  ListKeyPolicies: 100,
  ListKeyRotations: 100,
  ListKeys: 500,
  ListResourceTags: 2000,
  ListRetirableGrants: 100,
  PutKeyPolicy: 15,
  ReplicateKey: 5,
  RetireGrant: 50,
  RevokeGrant: 50,
  RotateKeyOnDemand: 5,
  ScheduleKeyDeletion: 15,
  TagResource: 10,
  UntagResource: 5,
  UpdateAlias: 5,
  UpdateCustomKeyStore: 5,
  UpdateKeyDescription: 5,
  UpdatePrimaryRegion: 5,
};

/** A request as far as quotas look at it. */
export interface QuotaRequest {
  readonly accountId: string;
  readonly region: string;
  readonly operation: string;
  /** Of the key that a cryptographic operation uses, or of the pair that it makes. */
  readonly keySpec?: string | undefined;
}

interface Quota {
  readonly name: string;
  readonly rate: Rate;
}

/** The quota that a request counts against; undefined for an operation that AWS lists none for. */
function quotaOf({ operation, keySpec = "SYMMETRIC_DEFAULT" }: QuotaRequest): Quota | undefined {
  if (operation.startsWith("GenerateDataKeyPair")) {
    return { name: `GenerateDataKeyPair (${keySpec})`, rate: PAIRS[keySpec] ?? OTHER_PAIRS };
  }
  if (!CRYPTOGRAPHIC.has(operation)) {
    const usual = BY_OPERATION[operation];
    return usual === undefined ? undefined : { name: operation, rate: { usual } };
  }
  const type = /^(RSA|ECC|SM2|ML_DSA|ML_KEM)/.exec(keySpec)?.[1];
  if (type === undefined) return { name: "Cryptographic operations (symmetric)", rate: SYMMETRIC };
  return { name: `Cryptographic operations (${type === "SM2" ? "ECC" : type})`, rate: ASYMMETRIC };
}

interface Bucket {
  tokens: number;
  filledAt: number;
}

/** What each account has left in each Region. */
export class RequestQuotas {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts a request. @throws AwsError ThrottlingException if the quota is used up */
  take(request: QuotaRequest): void {
    const quota = quotaOf(request);
    if (quota === undefined) return;
    const rate = quota.rate.regions?.get(request.region) ?? quota.rate.usual;
    const bucket = this.#bucket(`${request.accountId} ${request.region} ${quota.name}`, rate);
    if (bucket.tokens < 1) throw throttled();
    bucket.tokens -= 1;
  }

  #bucket(name: string, rate: number): Bucket {
    const now = this.#clock().getTime();
    const capacity = Math.max(1, rate);
    const bucket = this.#buckets.get(name) ?? { tokens: capacity, filledAt: now };
    const elapsedSeconds = Math.max(0, now - bucket.filledAt) / 1000;
    bucket.tokens = Math.min(capacity, bucket.tokens + elapsedSeconds * rate);
    bucket.filledAt = now;
    this.#buckets.set(name, bucket);
    return bucket;
  }
}

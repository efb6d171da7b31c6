/**
 * The KMS keys and aliases of one Region, of all its accounts, and how requests name them (KMS Developer Guide, "Key
 * identifiers"): key id, key ARN, alias name, alias ARN. Names without an account are the caller's own.
 */
import type { KeyObject } from "node:crypto";
import { createHash, createSecretKey, randomBytes, randomUUID } from "node:crypto";
import { toHex } from "../../shared/bytes.js";
import { AwsError, notFound } from "../errors.js";
import { parseArn, partitionOf } from "../iam/arn.js";
import type { Resource } from "../iam/authorization.js";
import type { KeyPolicy } from "../iam/policy/compile.js";
import type { KeySpec, KeyUsage } from "./key-specs.js";

/** Key material that never leaves this process. */
export type KeyMaterial =
  | { readonly kind: "symmetric"; readonly id: string; readonly secret: KeyObject }
  | { readonly kind: "mac"; readonly secret: KeyObject }
  | { readonly kind: "asymmetric"; readonly privateKey: KeyObject; readonly publicKey: KeyObject };

export interface KmsKey {
  readonly keyId: string;
  readonly arn: string;
  readonly accountId: string;
  readonly creationDate: Date;
  readonly description: string;
  readonly keySpec: KeySpec;
  readonly keyUsage: KeyUsage;
  readonly material: KeyMaterial;
  readonly tags: ReadonlyMap<string, string>;
  enabled: boolean;
  policy: KeyPolicy;
}

/** New AES-256 material. Its id is that of KMS: 64 hexadecimal digits that tell nothing of the secret. */
export function newSymmetricMaterial(): KeyMaterial {
  const id = createHash("sha256").update(randomBytes(32)).digest("hex");
  return { kind: "symmetric", id, secret: createSecretKey(randomBytes(32)) };
}

export const newKeyId = (): string => randomUUID();

/** The key as the policy evaluator sees it. */
export const resourceOf = (key: KmsKey): Resource => ({
  arn: key.arn,
  accountId: key.accountId,
  keyPolicy: key.policy,
});

const KEY_ID = /^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** The 16 bytes that a key id stands for. */
export const keyIdBytes = (keyId: string): Uint8Array => Buffer.from(keyId.replace(/^mrk-|-/g, ""), "hex");

export class KeyStore {
  readonly region: string;
  readonly #partition: string;
  readonly #keys = new Map<string, KmsKey>();
  readonly #byIdBytes = new Map<string, KmsKey>();
  /** Alias ARN → key id. */
  readonly #aliases = new Map<string, string>();

  constructor(region: string) {
    this.region = region;
    this.#partition = partitionOf(region);
  }

  keyArn(accountId: string, keyId: string): string {
    return `arn:${this.#partition}:kms:${this.region}:${accountId}:key/${keyId}`;
  }

  aliasArn(accountId: string, aliasName: string): string {
    return `arn:${this.#partition}:kms:${this.region}:${accountId}:${aliasName}`;
  }

  add(key: KmsKey): void {
    this.#keys.set(key.keyId, key);
    this.#byIdBytes.set(toHex(keyIdBytes(key.keyId)), key);
  }

  /** @throws AwsError AlreadyExistsException */
  addAlias(accountId: string, aliasName: string, key: KmsKey): void {
    const arn = this.aliasArn(accountId, aliasName);
    if (this.#aliases.has(arn)) {
      throw new AwsError("AlreadyExistsException", `An alias with the name ${arn} already exists`);
    }
    this.#aliases.set(arn, key.keyId);
  }

  /** The names of a key's aliases. */
  aliasesOf(key: KmsKey): readonly string[] {
    const arns = [...this.#aliases].filter(([, keyId]) => keyId === key.keyId).map(([arn]) => arn);
    return arns.map((arn) => parseArn(arn)?.resource ?? "");
  }

  /** The key whose id has these 16 bytes, as ciphertexts name it. */
  findByIdBytes(bytes: Uint8Array): KmsKey | undefined {
    return this.#byIdBytes.get(toHex(bytes));
  }

  /** The key that a request of a caller in `accountId` means by `identifier`. @throws AwsError NotFoundException */
  resolve(identifier: string, accountId: string): KmsKey {
    if (identifier.startsWith("arn:")) return this.#resolveArn(identifier);
    if (identifier.startsWith("alias/")) return this.#resolveAlias(this.aliasArn(accountId, identifier));
    if (!KEY_ID.test(identifier)) throw notFound(`Invalid keyId '${identifier}'`);
    return this.#find(this.keyArn(accountId, identifier));
  }

  #resolveArn(text: string): KmsKey {
    const arn = parseArn(text);
    if (arn?.service !== "kms" || arn.partition !== this.#partition) throw notFound(`Invalid arn ${text}`);
    if (arn.region !== this.region) throw notFound(`Invalid arn ${arn.region}`);
    if (arn.resource.startsWith("alias/")) return this.#resolveAlias(text);
    const keyId = arn.resource.replace(/^key\//, "");
    if (!arn.resource.startsWith("key/") || !KEY_ID.test(keyId)) throw notFound(`Invalid keyId '${keyId}'`);
    return this.#find(text);
  }

  #resolveAlias(arn: string): KmsKey {
    const key = this.#keys.get(this.#aliases.get(arn) ?? "");
    if (key === undefined) throw notFound(`Alias ${arn} is not found.`);
    return key;
  }

  #find(arn: string): KmsKey {
    const key = this.#keys.get(arn.slice(arn.lastIndexOf("/") + 1));
    if (key?.arn !== arn) throw notFound(`Key '${arn}' does not exist`);
    return key;
  }
}

/**
 * The KMS keys that the measured configuration names, by ARN, with the aliases under which callers may ask for them. An
 * answer of KMS counts only when its KeyId is one of these ARNs and the one that was asked for (PITFALLS 4): aliases are
 * resolved here, from the configuration, never by asking KMS.
 */
import { ServiceError } from "../../shared/errors.js";
import type { Discovery } from "./discovery.js";
import { assertDiscovery, discoveredKey } from "./discovery.js";
import { formatKeyArn, isMultiRegion, parseKeyArn } from "./key-arn.js";

/** A key of the configuration. */
export interface PinnedKey {
  /** `arn:PARTITION:kms:REGION:ACCOUNT:key/ID` */
  readonly arn: string;
  /** Alias names, `alias/NAME`, in the key's own account and Region. */
  readonly aliases: readonly string[];
  /** Of a multi-Region key: the other Regions whose related key may stand in for it, the preferred one first. None unless given. */
  readonly replicaRegions?: readonly string[];
}

const ALIAS = /^alias\/[a-zA-Z0-9/_-]{1,250}$/;

/** The Region in a key ARN, or undefined if `arn` is not one. */
export const regionOfKeyArn = (arn: string): string | undefined => parseKeyArn(arn)?.region;

/** Whether `text` is an alias name. */
export const isAliasName = (text: string): boolean => ALIAS.test(text);

/** The pinned keys; made from a configuration, immutable. */
export class PinnedKeys {
  readonly #keys: readonly PinnedKey[];
  readonly #byName = new Map<string, PinnedKey>();
  readonly #arns: readonly string[];
  readonly #discovery: Discovery | undefined;

  /**
   * @param discovery see `withDiscovery`.
   * @throws ServiceError ERR_CONFIGURATION when there is no key, an ARN or alias is malformed, or a name could mean two
   *   of the keys.
   */
  constructor(keys: readonly PinnedKey[], discovery?: Discovery) {
    if (keys.length === 0) throw new ServiceError("ERR_CONFIGURATION", "kms.keys: expected at least one key");
    this.#keys = keys;
    this.#arns = keys.map((key) => key.arn);
    this.#discovery = discovery;
    for (const key of keys) for (const name of namesOf(key)) this.#add(name, key);
  }

  #add(name: string, key: PinnedKey): void {
    if (this.#byName.has(name)) {
      throw new ServiceError("ERR_CONFIGURATION", `kms.keys: expected every name to mean one key, ${name} means two`);
    }
    this.#byName.set(name, key);
  }

  /** The key ARNs. */
  get arns(): readonly string[] {
    return this.#arns;
  }

  /**
   * These keys, and by their ARNs all keys of the discovery's accounts that are in the Region of the first of these. For the
   * data keys of messages alone: who may use a key that is found so, only policies say.
   * @throws ServiceError ERR_CONFIGURATION when the discovery names no account or is malformed (PITFALLS 24).
   */
  withDiscovery(discovery: Discovery): PinnedKeys {
    assertDiscovery(discovery);
    return new PinnedKeys(this.#keys, discovery);
  }

  /**
   * The related keys in another Region of those that may have one there stand in; undefined when none may.
   * Aliases and discovery are of the own Region and not among them.
   */
  inRegion(region: string): PinnedKeys | undefined {
    const keys = this.#keys.filter(({ replicaRegions = [] }) => replicaRegions.includes(region));
    return keys.length === 0
      ? undefined
      : new PinnedKeys(keys.map((key) => ({ arn: arnIn(key, region), aliases: [] })));
  }

  /** Whether `keyId` means one of the keys, by any of its names. */
  means(keyId: string): boolean {
    return this.#byName.has(keyId);
  }

  /**
   * The pinned key that `keyId` means: a key ARN, key id, alias name or alias ARN.
   * @throws ServiceError ERR_KMS_KEY when it means none of them.
   */
  resolve(keyId: string): PinnedKey {
    const key = this.#byName.get(keyId) ?? this.#discovered(keyId);
    if (key === undefined) {
      throw new ServiceError("ERR_KMS_KEY", "expected a key that the configuration names");
    }
    return key;
  }

  /**
   * The pinned key that opens what was encrypted under the key `arn`: that key, or the multi-Region key that is related to
   * it, whose ARN differs in the Region only. Undefined when there is none.
   */
  relatedTo(arn: string): PinnedKey | undefined {
    const wanted = parseKeyArn(arn);
    if (wanted === undefined) return undefined;
    const pinned = this.#byName.get(wanted.keyId);
    const own = isMultiRegion(wanted) ? formatKeyArn({ ...wanted, region: this.#regionOf(pinned) }) : arn;
    return pinned?.arn === own ? pinned : this.#discovered(own);
  }

  /**
   * The pinned key that a request means: the one it names, or the only one there is. Who may use it is decided before KMS
   * is asked, so a request cannot leave it to the ciphertext which of several keys is used.
   * @throws ServiceError ERR_KMS_KEY, ERR_MESSAGE_MALFORMED when it names none of several.
   */
  resolveOrOnly(keyId: string | undefined): PinnedKey {
    if (keyId !== undefined) return this.resolve(keyId);
    const [arn, ...more] = this.#arns;
    if (arn !== undefined && more.length === 0) return this.resolve(arn);
    throw new ServiceError(
      "ERR_MESSAGE_MALFORMED",
      "keyId: expected one, because the configuration names several keys",
    );
  }

  /**
   * The pinned key that answered.
   * @param answered the KeyId of KMS's answer; KMS always answers with the key ARN.
   * @param asked the key that was asked for; none where KMS finds it in the ciphertext.
   * @throws ServiceError ERR_KMS_KEY when it is not the key asked for, or not a pinned one.
   */
  resolveAnswer(answered: string | undefined, asked: PinnedKey | undefined): PinnedKey {
    const key = this.#ofArn(answered ?? "");
    if (key === undefined) {
      throw new ServiceError("ERR_KMS_KEY", "expected the answer to name the ARN of a key of the configuration");
    }
    if (asked !== undefined && asked.arn !== key.arn) {
      throw new ServiceError("ERR_KMS_KEY", "expected the answer to come from the key asked for, another one answered");
    }
    return key;
  }

  #ofArn(arn: string): PinnedKey | undefined {
    return this.#arns.includes(arn) ? this.#byName.get(arn) : this.#discovered(arn);
  }

  #discovered(arn: string): PinnedKey | undefined {
    return this.#discovery && discoveredKey(arn, this.#regionOf(undefined), this.#discovery);
  }

  /** The Region of `key`; without one that of the first key. */
  #regionOf(key: PinnedKey | undefined): string {
    return regionOfKeyArn(key?.arn ?? this.#arns[0] ?? "") ?? "";
  }
}

/** The ARN of the key that is related to `key` in `region`: its own in its own Region. */
export function arnIn({ arn }: PinnedKey, region: string): string {
  const parts = parseKeyArn(arn);
  if (parts === undefined) throw new TypeError("arnIn: a pinned key has a key ARN");
  return formatKeyArn({ ...parts, region });
}

/** Every name under which KMS knows the key: ARN, id, alias names, alias ARNs. */
function namesOf(key: PinnedKey): string[] {
  const parts = parseKeyArn(key.arn);
  if (!parts)
    throw new ServiceError("ERR_CONFIGURATION", "kms.keys: expected key ARNs, arn:aws:kms:REGION:ACCOUNT:key/ID");
  if (!key.aliases.every(isAliasName)) {
    throw new ServiceError("ERR_CONFIGURATION", "kms.keys: expected alias names of the form alias/NAME");
  }
  const { partition, region, accountId, keyId } = parts;
  const prefix = `arn:${partition}:kms:${region}:${accountId}`;
  return [key.arn, keyId, ...key.aliases, ...key.aliases.map((alias) => `${prefix}:${alias}`)];
}

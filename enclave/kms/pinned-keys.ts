/**
 * The KMS keys that the measured configuration names, by ARN, with the aliases under which callers may ask for them. An
 * answer of KMS counts only when its KeyId is one of these ARNs and the one that was asked for (PITFALLS 4): aliases are
 * resolved here, from the configuration, never by asking KMS.
 */
import { ServiceError } from "../../shared/errors.js";

/** A key of the configuration. */
export interface PinnedKey {
  /** `arn:PARTITION:kms:REGION:ACCOUNT:key/ID` */
  readonly arn: string;
  /** Alias names, `alias/NAME`, in the key's own account and Region. */
  readonly aliases: readonly string[];
}

const KEY_ARN =
  /^(arn:aws[a-z-]*:kms:([a-z0-9-]+):(\d{12})):key\/((?:mrk-[0-9a-f]{32})|(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}))$/;
const ALIAS = /^alias\/[a-zA-Z0-9/_-]{1,250}$/;

/** The Region in a key ARN, or undefined if `arn` is not one (API_DescribeKey, "Key ARN"). */
export const regionOfKeyArn = (arn: string): string | undefined => KEY_ARN.exec(arn)?.[2];

/** Whether `text` is an alias name. */
export const isAliasName = (text: string): boolean => ALIAS.test(text);

/** The pinned keys; made from a configuration, immutable. */
export class PinnedKeys {
  readonly #byName = new Map<string, PinnedKey>();
  readonly #arns: readonly string[];

  /**
   * @throws ServiceError ERR_CONFIGURATION when there is no key, an ARN or alias is malformed, or a name could mean two
   *   of the keys.
   */
  constructor(keys: readonly PinnedKey[]) {
    if (keys.length === 0) throw new ServiceError("ERR_CONFIGURATION", "kms.keys: expected at least one key");
    this.#arns = keys.map((key) => key.arn);
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

  /** Whether `keyId` means one of the keys, by any of its names. */
  means(keyId: string): boolean {
    return this.#byName.has(keyId);
  }

  /**
   * The pinned key that `keyId` means: a key ARN, key id, alias name or alias ARN.
   * @throws ServiceError ERR_KMS_KEY when it means none of them.
   */
  resolve(keyId: string): PinnedKey {
    const key = this.#byName.get(keyId);
    if (key === undefined) {
      throw new ServiceError("ERR_KMS_KEY", "expected a key that the configuration names");
    }
    return key;
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
    const key = this.#arns.includes(answered ?? "") ? this.#byName.get(answered ?? "") : undefined;
    if (key === undefined) {
      throw new ServiceError("ERR_KMS_KEY", "expected the answer to name the ARN of a key of the configuration");
    }
    if (asked !== undefined && asked !== key) {
      throw new ServiceError("ERR_KMS_KEY", "expected the answer to come from the key asked for, another one answered");
    }
    return key;
  }
}

/** Every name under which KMS knows the key: ARN, id, alias names, alias ARNs. */
function namesOf(key: PinnedKey): string[] {
  const match = KEY_ARN.exec(key.arn);
  if (!match)
    throw new ServiceError("ERR_CONFIGURATION", "kms.keys: expected key ARNs, arn:aws:kms:REGION:ACCOUNT:key/ID");
  const [, prefix, , , id] = match;
  if (!key.aliases.every(isAliasName)) {
    throw new ServiceError("ERR_CONFIGURATION", "kms.keys: expected alias names of the form alias/NAME");
  }
  return [key.arn, `${id}`, ...key.aliases, ...key.aliases.map((alias) => `${prefix}:${alias}`)];
}

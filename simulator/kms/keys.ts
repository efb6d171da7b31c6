/**
 * The KMS keys and aliases of one Region, of all its accounts, and how requests name them (KMS Developer Guide, "Key
 * identifiers"): key id, key ARN, alias name, alias ARN. Names without an account are the caller's own.
 */
import { toHex } from "../../shared/bytes.js";
import { AwsError, notFound } from "../errors.js";
import type { Arn } from "../iam/arn.js";
import { parseArn, partitionOf } from "../iam/arn.js";
import type { Alias, KeyChange, Persistence } from "./change.js";
import { dueAt } from "./due-date.js";
import type { GrantStore } from "./grants.js";
import { hiddenKey } from "./hidden-key.js";
import type { KmsKey } from "./key.js";
import { KEY_ID, keyIdBytes } from "./key.js";
import { Timetable } from "./timetable.js";

export class KeyStore {
  readonly region: string;
  readonly #partition: string;
  readonly #persistence: Persistence;
  readonly #grants: GrantStore;
  readonly #keys = new Map<string, KmsKey>();
  readonly #byIdBytes = new Map<string, KmsKey>();
  /** By alias ARN. */
  readonly #aliases = new Map<string, Alias>();
  /** Alias ARNs by key id. */
  readonly #aliasesByKey = new Map<string, Set<string>>();
  /** When time next changes a key, by key ARN. */
  readonly #timetable = new Timetable();

  /** `grants` are those on its keys. */
  constructor(region: string, persistence: Persistence, grants: GrantStore) {
    this.region = region;
    this.#partition = partitionOf(region);
    this.#persistence = persistence;
    this.#grants = grants;
  }

  keyArn(accountId: string, keyId: string): string {
    return `arn:${this.#partition}:kms:${this.region}:${accountId}:key/${keyId}`;
  }

  aliasArn(accountId: string, aliasName: string): string {
    return `arn:${this.#partition}:kms:${this.region}:${accountId}:${aliasName}`;
  }

  /** Every key of every account. */
  all(): Iterable<KmsKey> {
    return this.#keys.values();
  }

  /** The key of that ARN, if there is one. */
  find(arn: string): KmsKey | undefined {
    const key = this.#keys.get(arn.slice(arn.lastIndexOf("/") + 1));
    return key?.arn === arn ? key : undefined;
  }

  /** Every key of the account, in the order of their making. */
  keysOf(accountId: string): readonly KmsKey[] {
    return [...this.#keys.values()].filter((key) => key.accountId === accountId);
  }

  /** Adds a key, or puts its next state in place of the one before. */
  put(key: KmsKey): void {
    this.#change({ kind: "key", key });
  }

  /** Every alias of the account. */
  aliasesIn(accountId: string): readonly Alias[] {
    return [...this.#aliases.values()].filter((alias) => alias.accountId === accountId);
  }

  /** @throws AwsError AlreadyExistsException */
  addAlias(alias: Alias): void {
    if (this.#aliases.has(alias.arn)) {
      throw new AwsError("AlreadyExistsException", `An alias with the name ${alias.arn} already exists`);
    }
    this.putAlias(alias);
  }

  putAlias(alias: Alias): void {
    this.#change({ kind: "alias", alias });
  }

  removeAlias(arn: string): void {
    this.#change({ kind: "alias-gone", arn });
  }

  /** The alias that a request of a caller in `accountId` means by its name or ARN. @throws AwsError NotFoundException */
  resolveAlias(identifier: string, accountId: string): Alias {
    if (!identifier.startsWith("arn:")) return this.#aliasOf(this.aliasArn(accountId, identifier));
    this.#parseArn(identifier);
    return this.#aliasOf(identifier);
  }

  /** The names of a key's aliases. */
  aliasesOf(key: KmsKey): readonly string[] {
    return [...(this.#aliasesByKey.get(key.keyId) ?? [])].map((arn) => this.#aliasOf(arn).name);
  }

  /** The key whose id has these 16 bytes, as ciphertexts name it. */
  findByIdBytes(bytes: Uint8Array): KmsKey | undefined {
    return this.#byIdBytes.get(toHex(bytes));
  }

  /**
   * The key that a request of a caller in `accountId` means by `identifier`; a hidden one for what is not there in another
   * account. @throws AwsError NotFoundException
   */
  resolve(identifier: string, accountId: string): KmsKey {
    const arn = parseArn(identifier);
    if (arn !== undefined && arn.accountId !== accountId) return this.#resolveForeign(identifier);
    if (identifier.startsWith("arn:")) return this.#resolveArn(identifier);
    if (identifier.startsWith("alias/")) return this.#resolveAlias(this.aliasArn(accountId, identifier));
    if (!KEY_ID.test(identifier)) throw notFound(`Invalid keyId '${identifier}'`);
    return this.#find(this.keyArn(accountId, identifier));
  }

  /** Takes a key away, with its aliases and grants. */
  remove({ keyId, arn }: KmsKey): void {
    for (const alias of this.#aliasesByKey.get(keyId) ?? []) this.removeAlias(alias);
    this.#grants.removeAllOf(arn);
    this.#change({ kind: "key-gone", arn });
  }

  /** The ARNs of the keys that time has changed, or will have until `now`; each is told once per `put`. */
  takeDue(now: Date): readonly string[] {
    return this.#timetable.takeDue(now);
  }

  /** Applies a change that was recorded before, without recording it again. */
  restore(change: KeyChange): void {
    switch (change.kind) {
      case "key":
        this.#setKey(change.key);
        break;
      case "key-gone":
        this.#deleteKey(this.#find(change.arn));
        break;
      case "alias":
        this.#deleteAlias(change.alias.arn);
        this.#setAlias(change.alias);
        break;
      case "alias-gone":
        this.#deleteAlias(change.arn);
    }
  }

  #change(change: KeyChange): void {
    this.restore(change);
    this.#persistence.record(change);
  }

  #setKey(key: KmsKey): void {
    this.#keys.set(key.keyId, key);
    this.#byIdBytes.set(toHex(keyIdBytes(key.keyId)), key);
    this.#timetable.set(key.arn, dueAt(key));
  }

  #deleteKey(key: KmsKey): void {
    this.#keys.delete(key.keyId);
    this.#byIdBytes.delete(toHex(keyIdBytes(key.keyId)));
    this.#timetable.set(key.arn, undefined);
  }

  #setAlias(alias: Alias): void {
    this.#aliases.set(alias.arn, alias);
    const arns = this.#aliasesByKey.get(alias.targetKeyId) ?? new Set();
    this.#aliasesByKey.set(alias.targetKeyId, arns.add(alias.arn));
  }

  #deleteAlias(arn: string): void {
    const alias = this.#aliases.get(arn);
    if (alias === undefined) return;
    this.#aliases.delete(arn);
    const others = this.#aliasesByKey.get(alias.targetKeyId);
    others?.delete(arn);
    if (others?.size === 0) this.#aliasesByKey.delete(alias.targetKeyId);
  }

  #resolveArn(text: string): KmsKey {
    const { resource } = this.#parseArn(text);
    if (resource.startsWith("alias/")) return this.#resolveAlias(text);
    assertKeyResource(resource);
    return this.#find(text);
  }

  /** The key of an ARN of another account, which may be of another Region. */
  #resolveForeign(text: string): KmsKey {
    const { resource, accountId } = this.#parseKmsArn(text);
    if (!resource.startsWith("alias/")) assertKeyResource(resource);
    const alias = this.#aliases.get(text);
    return (alias === undefined ? this.find(text) : this.#keys.get(alias.targetKeyId)) ?? hiddenKey(text, accountId);
  }

  #resolveAlias(arn: string): KmsKey {
    const key = this.#keys.get(this.#aliasOf(arn).targetKeyId);
    if (key === undefined) throw aliasNotFound(arn);
    return key;
  }

  #aliasOf(arn: string): Alias {
    const alias = this.#aliases.get(arn);
    if (alias === undefined) throw aliasNotFound(arn);
    return alias;
  }

  /** An ARN of this Region's KMS. */
  #parseArn(text: string): Arn {
    const arn = this.#parseKmsArn(text);
    if (arn.region !== this.region) throw notFound(`Invalid arn ${arn.region}`);
    return arn;
  }

  /** An ARN of KMS in any Region. */
  #parseKmsArn(text: string): Arn {
    const arn = parseArn(text);
    if (arn?.service !== "kms" || arn.partition !== this.#partition) throw notFound(`Invalid arn ${text}`);
    return arn;
  }

  #find(arn: string): KmsKey {
    const key = this.find(arn);
    if (key === undefined) throw notFound(`Key '${arn}' does not exist`);
    return key;
  }
}

function assertKeyResource(resource: string): void {
  const keyId = resource.replace(/^key\//, "");
  if (!resource.startsWith("key/") || !KEY_ID.test(keyId)) throw notFound(`Invalid keyId ${keyId}`);
}

const aliasNotFound = (arn: string): AwsError => notFound(`Alias ${arn} is not found.`);

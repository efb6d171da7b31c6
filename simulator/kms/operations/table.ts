/** Every operation that the simulated KMS has, by name. */
import type { Operation } from "../operation.js";
import { createAlias, deleteAlias, updateAlias } from "./aliases.js";
import { createKey } from "./create-key.js";
import {
  connectCustomKeyStore,
  createCustomKeyStore,
  deleteCustomKeyStore,
  describeCustomKeyStores,
  disconnectCustomKeyStore,
  updateCustomKeyStore,
} from "./custom-key-stores.js";
import {
  generateDataKey,
  generateDataKeyPair,
  generateDataKeyPairWithoutPlaintext,
  generateDataKeyWithoutPlaintext,
} from "./data-keys.js";
import { describeKey } from "./describe-key.js";
import { decapsulate, encapsulate } from "./encapsulation.js";
import { decrypt, encrypt, reEncrypt } from "./encryption.js";
import { createGrant } from "./grants/create-grant.js";
import { retireGrant, revokeGrant } from "./grants/delete-grants.js";
import { listGrants, listRetirableGrants } from "./grants/list-grants.js";
import { deriveSharedSecret } from "./key-agreement.js";
import { cancelKeyDeletion, scheduleKeyDeletion } from "./key-deletion.js";
import { updateKeyDescription } from "./key-descriptions.js";
import { getKeyLastUsage } from "./key-last-usage.js";
import { getKeyPolicy, listKeyPolicies, putKeyPolicy } from "./key-policies.js";
import { disableKey, enableKey } from "./key-states.js";
import { listAliases } from "./list-aliases.js";
import { listKeys } from "./list-keys.js";
import { generateMac, verifyMac } from "./macs.js";
import { getPublicKey } from "./public-keys.js";
import { generateRandom } from "./random.js";
import { sign, verify } from "./signatures.js";
import { listResourceTags, tagResource, untagResource } from "./tagging.js";

export const OPERATIONS: ReadonlyMap<string, Operation> = new Map(
  [
    cancelKeyDeletion,
    connectCustomKeyStore,
    createAlias,
    createCustomKeyStore,
    createGrant,
    createKey,
    decapsulate,
    decrypt,
    deleteAlias,
    deleteCustomKeyStore,
    deriveSharedSecret,
    describeCustomKeyStores,
    describeKey,
    disableKey,
    disconnectCustomKeyStore,
    enableKey,
    encapsulate,
    encrypt,
    generateDataKey,
    generateDataKeyPair,
    generateDataKeyPairWithoutPlaintext,
    generateDataKeyWithoutPlaintext,
    generateMac,
    generateRandom,
    getKeyLastUsage,
    getKeyPolicy,
    getPublicKey,
    listAliases,
    listGrants,
    listKeyPolicies,
    listKeys,
    listResourceTags,
    listRetirableGrants,
    putKeyPolicy,
    reEncrypt,
    retireGrant,
    revokeGrant,
    scheduleKeyDeletion,
    sign,
    tagResource,
    untagResource,
    updateAlias,
    updateCustomKeyStore,
    updateKeyDescription,
    verify,
    verifyMac,
  ].map((operation) => [operation.name, operation]),
);

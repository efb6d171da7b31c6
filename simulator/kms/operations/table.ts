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
import { deleteImportedKeyMaterial } from "./delete-imported-key-material.js";
import { describeKey } from "./describe-key.js";
import { decapsulate, encapsulate } from "./encapsulation.js";
import { decrypt, encrypt, reEncrypt } from "./encryption.js";
import { createGrant } from "./grants/create-grant.js";
import { retireGrant, revokeGrant } from "./grants/delete-grants.js";
import { listGrants, listRetirableGrants } from "./grants/list-grants.js";
import { importKeyMaterial } from "./import-key-material.js";
import { getParametersForImport } from "./import-parameters.js";
import { deriveSharedSecret } from "./key-agreement.js";
import { cancelKeyDeletion, scheduleKeyDeletion } from "./key-deletion.js";
import { updateKeyDescription } from "./key-descriptions.js";
import { getKeyLastUsage } from "./key-last-usage.js";
import { getKeyPolicy, listKeyPolicies, putKeyPolicy } from "./key-policies.js";
import { disableKey, enableKey } from "./key-states.js";
import { listAliases } from "./list-aliases.js";
import { listKeyRotations } from "./list-key-rotations.js";
import { listKeys } from "./list-keys.js";
import { generateMac, verifyMac } from "./macs.js";
import { getPublicKey } from "./public-keys.js";
import { generateRandom } from "./random.js";
import { replicateKey } from "./replicate-key.js";
import { disableKeyRotation, enableKeyRotation, getKeyRotationStatus, rotateKeyOnDemand } from "./rotation.js";
import { sign, verify } from "./signatures.js";
import { listResourceTags, tagResource, untagResource } from "./tagging.js";
import { updatePrimaryRegion } from "./update-primary-region.js";

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
    deleteImportedKeyMaterial,
    deriveSharedSecret,
    describeCustomKeyStores,
    describeKey,
    disableKey,
    disableKeyRotation,
    disconnectCustomKeyStore,
    enableKey,
    enableKeyRotation,
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
    getKeyRotationStatus,
    getParametersForImport,
    getPublicKey,
    importKeyMaterial,
    listAliases,
    listGrants,
    listKeyPolicies,
    listKeyRotations,
    listKeys,
    listResourceTags,
    listRetirableGrants,
    putKeyPolicy,
    reEncrypt,
    replicateKey,
    retireGrant,
    revokeGrant,
    rotateKeyOnDemand,
    scheduleKeyDeletion,
    sign,
    tagResource,
    untagResource,
    updateAlias,
    updateCustomKeyStore,
    updateKeyDescription,
    updatePrimaryRegion,
    verify,
    verifyMac,
  ].map((operation) => [operation.name, operation]),
);

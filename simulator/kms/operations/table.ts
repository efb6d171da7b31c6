/** Every operation that the simulated KMS has, by name. */
import type { Operation } from "../operation.js";
import { createAlias } from "./aliases.js";
import {
  generateDataKey,
  generateDataKeyPair,
  generateDataKeyPairWithoutPlaintext,
  generateDataKeyWithoutPlaintext,
} from "./data-keys.js";
import { decapsulate, encapsulate } from "./encapsulation.js";
import { decrypt, encrypt, reEncrypt } from "./encryption.js";
import { createGrant } from "./grants/create-grant.js";
import { retireGrant, revokeGrant } from "./grants/delete-grants.js";
import { listGrants, listRetirableGrants } from "./grants/list-grants.js";
import { deriveSharedSecret } from "./key-agreement.js";
import { getKeyPolicy, putKeyPolicy } from "./key-policies.js";
import { createKey, describeKey, disableKey, enableKey } from "./keys.js";
import { generateMac, verifyMac } from "./macs.js";
import { getPublicKey } from "./public-keys.js";
import { generateRandom } from "./random.js";
import { sign, verify } from "./signatures.js";

export const OPERATIONS: ReadonlyMap<string, Operation> = new Map(
  [
    createAlias,
    createGrant,
    createKey,
    decapsulate,
    decrypt,
    deriveSharedSecret,
    describeKey,
    disableKey,
    enableKey,
    encapsulate,
    encrypt,
    generateDataKey,
    generateDataKeyPair,
    generateDataKeyPairWithoutPlaintext,
    generateDataKeyWithoutPlaintext,
    generateMac,
    generateRandom,
    getKeyPolicy,
    getPublicKey,
    listGrants,
    listRetirableGrants,
    putKeyPolicy,
    reEncrypt,
    retireGrant,
    revokeGrant,
    sign,
    verify,
    verifyMac,
  ].map((operation) => [operation.name, operation]),
);

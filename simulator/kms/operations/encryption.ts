/** Encrypt, Decrypt and ReEncrypt (API_Encrypt, API_Decrypt, API_ReEncrypt), with symmetric keys and with RSA keys. */
import { z } from "zod";
import { wipe } from "../../../shared/bytes.js";
import type { Answer } from "../answer.js";
import type { KmsKey } from "../key.js";
import { currentMaterial, resourceOf } from "../key.js";
import type { KeyMaterial } from "../key-material.js";
import type { Call, Conditions, Demand } from "../operation.js";
import { defineOperation, secretAnswer } from "../operation.js";
import {
  ciphertext,
  dryRun,
  dryRunModifiers,
  encryptionAlgorithm,
  encryptionContext,
  grantTokens,
  keyId,
  plaintext,
  recipient,
} from "../schema.js";
import type { Cipher } from "./ciphers.js";
import {
  assertFits,
  assertSealedWith,
  cipherOf,
  ciphertextOf,
  decryptWith,
  encryptWith,
  keyOfCiphertext,
  materialOfCiphertext,
} from "./ciphers.js";
import { contextConditions, demandOn, keyConditions, keyOf } from "./key-access.js";

const encryptInput = z.object({
  KeyId: keyId,
  Plaintext: plaintext,
  EncryptionContext: encryptionContext,
  EncryptionAlgorithm: encryptionAlgorithm,
  GrantTokens: grantTokens,
  DryRun: dryRun,
});

const decryptInput = z.object({
  CiphertextBlob: ciphertext.optional(),
  KeyId: keyId.optional(),
  EncryptionContext: encryptionContext,
  EncryptionAlgorithm: encryptionAlgorithm,
  GrantTokens: grantTokens,
  DryRun: dryRun,
  DryRunModifiers: dryRunModifiers,
  Recipient: recipient,
});

const reEncryptInput = z.object({
  CiphertextBlob: ciphertext.optional(),
  SourceEncryptionContext: encryptionContext,
  SourceKeyId: keyId.optional(),
  DestinationKeyId: keyId,
  DestinationEncryptionContext: encryptionContext,
  SourceEncryptionAlgorithm: encryptionAlgorithm,
  DestinationEncryptionAlgorithm: encryptionAlgorithm,
  GrantTokens: grantTokens,
  DryRun: dryRun,
  DryRunModifiers: dryRunModifiers,
});

type ReEncryptInput = z.infer<typeof reEncryptInput>;

export const encrypt = defineOperation({
  name: "Encrypt",
  readOnly: true,
  input: encryptInput,
  subject: keyOf,
  demands: (call, key) => [demandOn(call, key, "Encrypt", cipherConditions(requested(call.input)))],
  perform: ({ input }, key) => {
    const cipher = requested(input);
    assertFits(cipher, key, "Encrypt");
    const blob = encryptWith(key, cipher, input.Plaintext);
    return { CiphertextBlob: blob, KeyId: key.arn, EncryptionAlgorithm: cipher.algorithm };
  },
});

export const decrypt = defineOperation({
  name: "Decrypt",
  readOnly: true,
  input: decryptInput,
  subject: (call) => {
    const { input } = call;
    return keyOfCiphertext(call, ciphertextOf(input), requested(input), { named: input.KeyId, member: "KeyId" });
  },
  demands: (call, key) => [
    throughCiphertext(demandOn(call, key, "Decrypt", cipherConditions(requested(call.input))), call.input.KeyId),
  ],
  perform: (call, key) => {
    const cipher = requested(call.input);
    const sealed = ciphertextOf(call.input);
    assertSealedWith(key, cipher, sealed);
    assertFits(cipher, key, "Decrypt");
    if (sealed === undefined) return {};
    return {
      ...secretAnswer(call, "Plaintext", decryptWith(key, cipher, sealed)),
      KeyId: key.arn,
      EncryptionAlgorithm: cipher.algorithm,
      ...materialMember("KeyMaterialId", materialOfCiphertext(key, cipher, sealed)),
    };
  },
});

/** Two permissions, one on each key: ReEncryptFrom and ReEncryptTo. The plaintext stays in here. */
export const reEncrypt = defineOperation({
  name: "ReEncrypt",
  readOnly: true,
  input: reEncryptInput,
  subject: (call) => {
    const { SourceKeyId: named, DestinationKeyId } = call.input;
    const source = keyOfCiphertext(call, ciphertextOf(call.input), sourceOf(call.input), {
      named,
      member: "SourceKeyId",
    });
    return { source, destination: call.keys.resolve(DestinationKeyId, call.principal.accountId) };
  },
  demands: (call, { source, destination }) => {
    const { input } = call;
    const same = String(source.keyId === destination.keyId);
    return [
      throughCiphertext(
        demandFor(call, source, { action: "ReEncryptFrom", name: input.SourceKeyId, cipher: sourceOf(input), same }),
        input.SourceKeyId,
      ),
      demandFor(call, destination, {
        ...{ action: "ReEncryptTo", name: input.DestinationKeyId, cipher: destinationOf(input), same },
      }),
    ];
  },
  perform: ({ input }, { source, destination }) => {
    const [from, to] = [sourceOf(input), destinationOf(input)];
    const sealed = ciphertextOf(input);
    assertSealedWith(source, from, sealed);
    assertFits(from, source, "ReEncrypt");
    assertFits(to, destination, "ReEncrypt");
    if (sealed === undefined) return {};
    const content = decryptWith(source, from, sealed);
    try {
      return {
        CiphertextBlob: encryptWith(destination, to, content),
        SourceKeyId: source.arn,
        KeyId: destination.arn,
        SourceEncryptionAlgorithm: from.algorithm,
        DestinationEncryptionAlgorithm: to.algorithm,
        ...materialMember("SourceKeyMaterialId", materialOfCiphertext(source, from, sealed)),
        ...materialMember("DestinationKeyMaterialId", currentMaterial(destination)),
      };
    } finally {
      wipe(content);
    }
  },
});

const requested = (input: Pick<z.infer<typeof encryptInput>, "EncryptionAlgorithm" | "EncryptionContext">): Cipher =>
  cipherOf(input.EncryptionAlgorithm, input.EncryptionContext);
const sourceOf = (input: ReEncryptInput): Cipher =>
  cipherOf(input.SourceEncryptionAlgorithm, input.SourceEncryptionContext);
const destinationOf = (input: ReEncryptInput): Cipher =>
  cipherOf(input.DestinationEncryptionAlgorithm, input.DestinationEncryptionContext);

interface ReEncryptDemand {
  readonly action: "ReEncryptFrom" | "ReEncryptTo";
  readonly name: string | undefined;
  readonly cipher: Cipher;
  readonly same: string;
}

const demandFor = (call: Call<ReEncryptInput>, key: KmsKey, { action, name, cipher, same }: ReEncryptDemand) => ({
  action: `kms:${action}`,
  resource: resourceOf(key),
  conditions: [
    ...keyConditions(call, key, name),
    ...cipherConditions(cipher),
    ["kms:ReEncryptOnSameKey", [same]] as const,
  ],
});

/** A demand on a key that the request may have left to the ciphertext to name: a refusal says so. */
const throughCiphertext = (demand: Demand, named: string | undefined): Demand =>
  named === undefined ? { ...demand, resource: { ...demand.resource, namedByCiphertext: true } } : demand;

function* cipherConditions({ algorithm, context }: Cipher): Conditions {
  yield ["kms:EncryptionAlgorithm", [algorithm]];
  yield* contextConditions(context);
}

const materialMember = (name: string, material: KeyMaterial | undefined): Answer =>
  material?.kind === "symmetric" ? { [name]: material.id } : {};

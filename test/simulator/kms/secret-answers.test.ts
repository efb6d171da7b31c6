/** What is secret in an answer does not outlast it. */
import { createPublicKey } from "node:crypto";
import { expect, it } from "vitest";
import { openCiphertextForRecipient } from "../../../enclave/kms/ciphertext-for-recipient.js";
import { utf8 } from "../../../shared/bytes.js";
import { wipeSecrets } from "../../../simulator/kms/answer.js";
import type { Call } from "../../../simulator/kms/operation.js";
import { secretAnswer } from "../../../simulator/kms/operation.js";
import { recipientKeyPair } from "../../support/simulated-kms.js";

it.each(["Plaintext", "PrivateKeyPlaintext", "SharedSecret"])("%s is overwritten, and nothing else", (member) => {
  const answer = { [member]: utf8("secret"), CiphertextBlob: utf8("sealed"), KeyId: "key" };
  wipeSecrets(answer);
  expect(answer).toEqual({ [member]: new Uint8Array(6), CiphertextBlob: utf8("sealed"), KeyId: "key" });
});

it("a secret that was sealed for a recipient is overwritten at once", () => {
  const { privateKey, spki } = recipientKeyPair();
  const call = { recipient: { spki, publicKey: createPublicKey(privateKey) } } as unknown as Call<unknown>;
  const secret = utf8("secret");
  const { CiphertextForRecipient } = secretAnswer(call, "Plaintext", secret);
  expect(secret).toEqual(new Uint8Array(6));
  expect(openCiphertextForRecipient(CiphertextForRecipient as Uint8Array, privateKey)).toEqual(utf8("secret"));
});

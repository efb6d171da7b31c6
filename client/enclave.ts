/**
 * The operations of an enclave that has been verified and appraised. Bytes are `Uint8Array` here and base64 on the wire
 * (shared/wire.ts).
 *
 * In this version requests and answers travel through the parent in plain, if the enclave's measured configuration allows
 * that at all: the attestation says that such an enclave runs, and does not bind this channel to it. SECURITY.md says what
 * that leaves open.
 */
import type { AppraisedAttestation } from "../shared/attestation/appraise.js";
import {
  base64Of,
  bytesOf,
  dataKeyRequest,
  dataKeyResponse,
  decryptRequest,
  decryptResponse,
  messageDecryptRequest,
  messageDecryptResponse,
  parseWith,
  randomRequest,
  randomResponse,
} from "../shared/wire.js";
import type { HttpOptions } from "./http.js";
import { requestJson } from "./http.js";

/** Non-secret pairs that a ciphertext is bound to; decryption needs the same ones. */
export type EncryptionContext = Readonly<Record<string, string>>;

export interface CallOptions {
  /** Gives the call up; its promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface DecryptInput {
  /** What KMS Encrypt or GenerateDataKey returned as CiphertextBlob. */
  readonly ciphertext: Uint8Array;
  /** Key ARN or alias among those that the enclave's configuration names. Without one, any of them. */
  readonly keyId?: string;
  readonly encryptionContext?: EncryptionContext;
  /** For asymmetric keys. */
  readonly encryptionAlgorithm?: "SYMMETRIC_DEFAULT" | "RSAES_OAEP_SHA_1" | "RSAES_OAEP_SHA_256";
}

export interface DecryptOutput {
  readonly plaintext: Uint8Array<ArrayBuffer>;
  /** ARN of the key that opened it. */
  readonly keyId: string;
}

export interface DataKeyInput {
  readonly keyId: string;
  readonly keySpec: "AES_128" | "AES_256";
  readonly encryptionContext?: EncryptionContext;
}

export interface DataKeyOutput {
  readonly plaintext: Uint8Array<ArrayBuffer>;
  /** The same key under the KMS key. */
  readonly ciphertext: Uint8Array<ArrayBuffer>;
  readonly keyId: string;
}

export interface MessageInput {
  /** A whole AWS Encryption SDK message with key commitment. */
  readonly message: Uint8Array;
  /** Pairs that the message's own encryption context must have. */
  readonly encryptionContext?: EncryptionContext;
}

export interface MessageOutput {
  readonly plaintext: Uint8Array<ArrayBuffer>;
  /** The whole context that the message is bound to. */
  readonly encryptionContext: EncryptionContext;
}

/** An enclave that satisfied the policy when `connectEnclave` asked. All operations throw ServiceError. */
export interface Enclave {
  /** What was verified and appraised. */
  readonly attestation: AppraisedAttestation;
  /** KMS Decrypt, attested. */
  decrypt(input: DecryptInput, options?: CallOptions): Promise<DecryptOutput>;
  /** KMS GenerateDataKey, attested. */
  generateDataKey(input: DataKeyInput, options?: CallOptions): Promise<DataKeyOutput>;
  /** KMS GenerateRandom, attested: 1 to 1024 bytes. */
  random(numberOfBytes: number, options?: CallOptions): Promise<Uint8Array<ArrayBuffer>>;
  /** Opens an AWS Encryption SDK message whose data key the enclave has KMS decrypt. */
  decryptMessage(input: MessageInput, options?: CallOptions): Promise<MessageOutput>;
}

/** Answers of all operations but `decryptMessage`: a ciphertext of 6144 bytes and a plaintext of 4096 in base64, with room. */
const MAX_ANSWER_BYTES = 32 * 1024;
const MAX_MESSAGE_ANSWER_BYTES = 1024 * 1024;

/** The operations over HTTP. For `connectEnclave`, which has an appraised attestation to show. */
export function enclaveAt(http: HttpOptions, attestation: AppraisedAttestation): Enclave {
  return Object.freeze<Enclave>({
    attestation,

    async decrypt({ ciphertext, ...rest }, { signal } = {}) {
      const body = parseWith(decryptRequest, { ...rest, ciphertext: base64Of(ciphertext) }, "ERR_MESSAGE_MALFORMED");
      const request = { method: "POST", path: "v1/decrypt", body, response: decryptResponse, signal } as const;
      const answer = await requestJson(http, { ...request, maxResponseBytes: MAX_ANSWER_BYTES });
      return { plaintext: bytesOf(answer.plaintext), keyId: answer.keyId };
    },

    async generateDataKey(input, { signal } = {}) {
      const body = parseWith(dataKeyRequest, input, "ERR_MESSAGE_MALFORMED");
      const request = { method: "POST", path: "v1/data-keys", body, response: dataKeyResponse, signal } as const;
      const answer = await requestJson(http, { ...request, maxResponseBytes: MAX_ANSWER_BYTES });
      return { plaintext: bytesOf(answer.plaintext), ciphertext: bytesOf(answer.ciphertext), keyId: answer.keyId };
    },

    async random(numberOfBytes, { signal } = {}) {
      const body = parseWith(randomRequest, { numberOfBytes }, "ERR_MESSAGE_MALFORMED");
      const request = { method: "POST", path: "v1/random", body, response: randomResponse, signal } as const;
      const answer = await requestJson(http, { ...request, maxResponseBytes: MAX_ANSWER_BYTES });
      return bytesOf(answer.random);
    },

    async decryptMessage({ message, ...rest }, { signal } = {}) {
      const body = parseWith(messageDecryptRequest, { ...rest, message: base64Of(message) }, "ERR_MESSAGE_MALFORMED");
      const request = { method: "POST", path: "v1/messages/decrypt", body, response: messageDecryptResponse } as const;
      const answer = await requestJson(http, { ...request, signal, maxResponseBytes: MAX_MESSAGE_ANSWER_BYTES });
      return { plaintext: bytesOf(answer.plaintext), encryptionContext: answer.encryptionContext };
    },
  });
}

/**
 * The operations of an enclave that has been verified and appraised, over a channel whose other end is that enclave. Bytes
 * are `Uint8Array` here and base64 on the wire (shared/wire.ts).
 */
import type { z } from "zod";
import type { AppraisedAttestation } from "../shared/attestation/appraise.js";
import { utf8 } from "../shared/bytes.js";
import {
  base64Of,
  bytesOf,
  dataKeyRequest,
  dataKeyResponse,
  decodeUtf8,
  decryptRequest,
  decryptResponse,
  functionRequest,
  functionResponse,
  MAX_MESSAGE_REQUEST_BYTES,
  messageDecryptRequest,
  messageDecryptResponse,
  messageEncryptRequest,
  messageEncryptResponse,
  messageReEncryptRequest,
  parseJson,
  parseWith,
  randomRequest,
  randomResponse,
  wipeCachesRequest,
  wipeCachesResponse,
} from "../shared/wire.js";
import type { CallerOptions } from "./caller.js";
import { callerFields } from "./caller.js";
import type { Channel } from "./channel.js";
import type { ContextWatch } from "./context-warnings.js";
import { withDeadline } from "./deadline.js";
import type { RetryOptions } from "./retry.js";
import { withRetries } from "./retry.js";

/** Non-secret pairs that a ciphertext is bound to; decryption needs the same ones. */
export type EncryptionContext = Readonly<Record<string, string>>;

export interface CallOptions {
  /** Gives the call up; its promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface DecryptInput {
  /** What KMS Encrypt or GenerateDataKey returned as CiphertextBlob. */
  readonly ciphertext: Uint8Array;
  /** Key ARN or alias among those that the enclave's configuration names. Needed where it names several. */
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

export interface FunctionInput {
  /** What KMS encrypted: its plaintext is what the function works on. Or a message, or neither, as the function wants it. */
  readonly ciphertext?: Uint8Array;
  readonly message?: Uint8Array;
  /** Of the ciphertext. Needed where the enclave's configuration names several keys. */
  readonly keyId?: string;
  readonly encryptionContext?: EncryptionContext;
  /** JSON of the function's own form. */
  readonly input?: unknown;
}

export interface FunctionCallOptions extends CallOptions {
  /** Whether the function may be called twice when it is not known whether the first call arrived. No, unless given. */
  readonly idempotent?: boolean;
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

/** What a new message is to be like. */
export interface NewMessageOptions {
  /**
   * Key ARNs or aliases among those that the enclave's configuration names: each opens the message, and the first makes its
   * data key. Needed where the configuration names several keys.
   */
  readonly keyIds?: readonly string[];
  /** Whether the message is signed, ECDSA P-384: then those who can open it cannot have made it up. It is, unless this is false. */
  readonly signed?: boolean;
}

export interface EncryptMessageInput extends NewMessageOptions {
  /** At most 640 KiB; for more see `nitro-decrypt/node`. */
  readonly plaintext: Uint8Array;
  /** Non-secret pairs that the message is bound to; they stand in it in clear. */
  readonly encryptionContext?: EncryptionContext;
}

export interface ReEncryptMessageInput extends NewMessageOptions {
  readonly message: Uint8Array;
  /** Pairs that the message's own encryption context must have. */
  readonly encryptionContext?: EncryptionContext;
}

export interface NewMessageOutput {
  readonly message: Uint8Array<ArrayBuffer>;
  /** The whole context that the message is bound to. */
  readonly encryptionContext: EncryptionContext;
}

/**
 * An enclave that satisfied the policy. All operations throw ServiceError: the enclave's refusals (docs/errors.md), those
 * of the channel (ERR_ENCLAVE_UNAVAILABLE, ERR_TIMEOUT, ERR_DECRYPTION_FAILED when an answer is not the enclave's), and
 * where the enclave has to be attested anew, those of `connectEnclave`.
 */
export interface Enclave {
  /** What was verified and appraised last. */
  readonly attestation: AppraisedAttestation;
  /** KMS Decrypt, attested. */
  decrypt(input: DecryptInput, options?: CallOptions): Promise<DecryptOutput>;
  /** KMS GenerateDataKey, attested. */
  generateDataKey(input: DataKeyInput, options?: CallOptions): Promise<DataKeyOutput>;
  /** KMS GenerateRandom, attested: 1 to 1024 bytes. */
  random(numberOfBytes: number, options?: CallOptions): Promise<Uint8Array<ArrayBuffer>>;
  /** Opens an AWS Encryption SDK message whose data key the enclave has KMS decrypt. */
  decryptMessage(input: MessageInput, options?: CallOptions): Promise<MessageOutput>;
  /** Makes an AWS Encryption SDK message with key commitment. */
  encryptMessage(input: EncryptMessageInput, options?: CallOptions): Promise<NewMessageOutput>;
  /** Makes a new message of what is in another, with the same context, under other keys: the plaintext stays in the enclave. */
  reEncryptMessage(input: ReEncryptMessageInput, options?: CallOptions): Promise<NewMessageOutput>;
  /** Has the enclave overwrite the data keys and branch keys that it keeps in memory. */
  wipeCaches(options?: CallOptions): Promise<void>;
  /** Calls a function of the application in the enclave. Its output is as the function's schema lets it through. */
  callFunction(name: string, input: FunctionInput, options?: FunctionCallOptions): Promise<unknown>;
  /** Lets go of connections. Calls under way are not waited for. */
  close(): void;
}

/** Answers of all operations but messages and functions: a ciphertext of 6144 bytes and a plaintext of 4096 in base64, with room. */
const MAX_ANSWER_BYTES = 32 * 1024;

const NEW_MESSAGE = { response: messageEncryptResponse, maxResponseBytes: MAX_MESSAGE_REQUEST_BYTES };

export interface EnclaveOptions {
  readonly caller: CallerOptions;
  readonly retry: RetryOptions;
  readonly deadlineMs: number;
  readonly watchContext: ContextWatch;
}

interface Call<T> extends CallOptions {
  readonly body: { readonly encryptionContext?: EncryptionContext | undefined; readonly [field: string]: unknown };
  readonly response: z.ZodType<T>;
  readonly maxResponseBytes?: number;
  readonly idempotent?: boolean;
}

/** The operations over a channel. */
export function enclaveOver(channel: Channel, { caller, retry, deadlineMs, watchContext }: EnclaveOptions): Enclave {
  async function call<T>(operation: string, { body, response, signal: given, ...rest }: Call<T>): Promise<T> {
    const { maxResponseBytes = MAX_ANSWER_BYTES, idempotent = true } = rest;
    watchContext(body.encryptionContext);
    const json = utf8(JSON.stringify(body));
    const answer = await withDeadline({ deadlineMs, signal: given }, (signal) =>
      withRetries(idempotent ? retry : { ...retry, maxRetries: 0 }, signal, async () => {
        const fields = await callerFields(caller, operation); // anew each time: a proof is good once
        return channel.call({ operation, body: json, fields, maxResponseBytes, idempotent, signal });
      }),
    );
    return parseJson(response, decodeUtf8(answer), "ERR_MESSAGE_MALFORMED");
  }

  return Object.freeze<Enclave>({
    get attestation() {
      return channel.attestation;
    },
    close: () => channel.close(),

    async decrypt({ ciphertext, ...rest }, options = {}) {
      const body = parseWith(decryptRequest, { ...rest, ciphertext: base64Of(ciphertext) }, "ERR_MESSAGE_MALFORMED");
      const answer = await call("decrypt", { ...options, body, response: decryptResponse });
      return { plaintext: bytesOf(answer.plaintext), keyId: answer.keyId };
    },

    async generateDataKey(input, options = {}) {
      const body = parseWith(dataKeyRequest, input, "ERR_MESSAGE_MALFORMED");
      const answer = await call("data-keys", { ...options, body, response: dataKeyResponse });
      return { plaintext: bytesOf(answer.plaintext), ciphertext: bytesOf(answer.ciphertext), keyId: answer.keyId };
    },

    async random(numberOfBytes, options = {}) {
      const body = parseWith(randomRequest, { numberOfBytes }, "ERR_MESSAGE_MALFORMED");
      return bytesOf((await call("random", { ...options, body, response: randomResponse })).random);
    },

    async decryptMessage({ message, ...rest }, options = {}) {
      const body = parseWith(messageDecryptRequest, { ...rest, message: base64Of(message) }, "ERR_MESSAGE_MALFORMED");
      const response = messageDecryptResponse;
      const maxResponseBytes = MAX_MESSAGE_REQUEST_BYTES;
      const answer = await call("messages/decrypt", { ...options, body, response, maxResponseBytes });
      return { plaintext: bytesOf(answer.plaintext), encryptionContext: answer.encryptionContext };
    },

    async encryptMessage({ plaintext, ...rest }, options = {}) {
      const given = { ...rest, plaintext: base64Of(plaintext) };
      const body = parseWith(messageEncryptRequest, given, "ERR_MESSAGE_MALFORMED");
      const answer = await call("messages/encrypt", { ...options, body, ...NEW_MESSAGE });
      return { message: bytesOf(answer.message), encryptionContext: answer.encryptionContext };
    },

    async reEncryptMessage({ message, ...rest }, options = {}) {
      const given = { ...rest, message: base64Of(message) };
      const body = parseWith(messageReEncryptRequest, given, "ERR_MESSAGE_MALFORMED");
      const answer = await call("messages/re-encrypt", { ...options, body, ...NEW_MESSAGE });
      return { message: bytesOf(answer.message), encryptionContext: answer.encryptionContext };
    },

    async wipeCaches(options = {}) {
      const body = parseWith(wipeCachesRequest, {}, "ERR_MESSAGE_MALFORMED");
      await call("caches/wipe", { ...options, body, response: wipeCachesResponse });
    },

    async callFunction(name, { ciphertext, message, ...rest }, { idempotent = false, ...options } = {}) {
      const given = {
        ...rest,
        ...(ciphertext === undefined ? {} : { ciphertext: base64Of(ciphertext) }),
        ...(message === undefined ? {} : { message: base64Of(message) }),
      };
      const body = parseWith(functionRequest, given, "ERR_MESSAGE_MALFORMED");
      const maxResponseBytes = MAX_MESSAGE_REQUEST_BYTES;
      const request = { ...options, body, response: functionResponse, maxResponseBytes, idempotent };
      return (await call(`functions/${name}`, request)).output;
    },
  });
}

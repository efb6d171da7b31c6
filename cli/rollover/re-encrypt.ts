/** How a rollover has messages re-encrypted: by an enclave, in one request or as a stream. */
import type { Enclave, EncryptionContext } from "../../client/enclave.js";
import type { TlsEnclave } from "../../client/node/index.js";

export interface ReEncryptOptions {
  /** Under which keys; left to the enclave's configuration where it is undefined. */
  readonly keyIds: readonly string[] | undefined;
  /** The context that the message is said to have. */
  readonly encryptionContext: EncryptionContext;
  readonly signed: boolean;
  readonly signal: AbortSignal;
}

/** @throws ServiceError the enclave's refusal, or the channel's */
export interface ReEncrypt {
  whole(message: Uint8Array, options: ReEncryptOptions): Promise<Uint8Array>;
  /** Of messages of any size; undefined where the channel has no streams. */
  readonly stream:
    | ((message: AsyncIterable<Uint8Array>, options: ReEncryptOptions) => Promise<AsyncIterable<Uint8Array>>)
    | undefined;
}

const requestOf = ({ keyIds, encryptionContext, signed }: ReEncryptOptions) => ({
  encryptionContext,
  signed,
  ...(keyIds === undefined ? {} : { keyIds }),
});

/** By sealed requests. */
export const reEncryptSealed = (enclave: Enclave): ReEncrypt => ({
  whole: async (message, options) => {
    const request = { message, ...requestOf(options) };
    return (await enclave.reEncryptMessage(request, { signal: options.signal })).message;
  },
  stream: undefined,
});

/** Over attested TLS. */
export const reEncryptTls = (enclave: TlsEnclave): ReEncrypt => ({
  whole: reEncryptSealed(enclave).whole,
  stream: async (message, options) => {
    const request = { ...requestOf(options), signal: options.signal };
    return (await enclave.reEncryptMessageStream(message, request)).message;
  },
});

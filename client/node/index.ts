/**
 * nitro-decrypt/node: an attested enclave over TLS that ends in it, for Node. It does what sealed requests do, and also
 * carries AWS Encryption SDK messages of any size, as streams.
 */
import { fromBase64, toBase64, utf8 } from "../../shared/bytes.js";
import { isErrorCode, ServiceError } from "../../shared/errors.js";
import { abortable } from "../../shared/settle.js";
import {
  decodeUtf8,
  encryptionContext,
  messageOptions,
  OUTCOME_TRAILER,
  parseJson,
  parseWith,
  wholeContext,
} from "../../shared/wire.js";
import { callerFields } from "../caller.js";
import type { AttestedOptions } from "../connect.js";
import { checkOptions } from "../connect.js";
import type { CallOptions, Enclave, EncryptionContext, NewMessageOptions } from "../enclave.js";
import { enclaveOver } from "../enclave.js";
import { partsOf } from "./https.js";
import { idleSignal } from "./idle-signal.js";
import type { TlsChannel } from "./tls-channel.js";
import { openTlsChannel } from "./tls-channel.js";

export interface TlsConnectOptions extends AttestedOptions {
  /** Connections at a time; 16 unless given. */
  readonly maxConnections?: number;
}

export interface MessageStreamOptions extends CallOptions {
  /** Pairs that the message's own encryption context must have. */
  readonly encryptionContext?: EncryptionContext;
}

export interface MessageStream {
  /** The whole context that the message is bound to. */
  readonly encryptionContext: EncryptionContext;
  /**
   * The plaintext as the enclave releases it, each part authenticated; read no faster than it is taken, and cut by the
   * enclave when nothing of it is taken for some seconds. Only its end says that the message is whole: until then every
   * part may still be followed by a ServiceError.
   */
  readonly plaintext: AsyncIterable<Uint8Array>;
}

export interface EncryptStreamOptions extends CallOptions, NewMessageOptions {
  /** Non-secret pairs that the message is bound to; they stand in it in clear. */
  readonly encryptionContext?: EncryptionContext;
}

export interface ReEncryptStreamOptions extends CallOptions, NewMessageOptions {
  /** Pairs that the message's own encryption context must have. */
  readonly encryptionContext?: EncryptionContext;
}

export interface NewMessageStream {
  /** The whole context that the message is bound to. */
  readonly encryptionContext: EncryptionContext;
  /** The message as it is made. Only its end says that it is whole: until then every part may be followed by a ServiceError. */
  readonly message: AsyncIterable<Uint8Array>;
}

/** An enclave at the other end of attested TLS. The deadline of a stream is for silence: it begins anew with each part. */
export interface TlsEnclave extends Enclave {
  /** Opens an AWS Encryption SDK message of any size. */
  decryptMessageStream(message: AsyncIterable<Uint8Array>, options?: MessageStreamOptions): Promise<MessageStream>;
  /** Makes an AWS Encryption SDK message of any size. */
  encryptMessageStream(plaintext: AsyncIterable<Uint8Array>, options?: EncryptStreamOptions): Promise<NewMessageStream>;
  /** Makes a new message of what is in another of any size, under other keys. */
  reEncryptMessageStream(
    message: AsyncIterable<Uint8Array>,
    options?: ReEncryptStreamOptions,
  ): Promise<NewMessageStream>;
}

const DEFAULT_MAX_CONNECTIONS = 16;
const DEFAULT_PORT = 443;

/**
 * Connects to the enclave behind `url` (`https://HOST:PORT`), the parent's TLS pass-through.
 *
 * On return an enclave that satisfies `policy` has shown a document which binds the key of the connection that it came
 * over; everything that is sent later goes to the holder of that key. Names and CAs are not looked at.
 *
 * @throws ServiceError ERR_ENCLAVE_UNAVAILABLE, ERR_TIMEOUT, ERR_MESSAGE_TOO_LARGE, ERR_MESSAGE_MALFORMED, or what the
 *   other side refused with; whatever `verifyAttestation` and then `appraise` throw, ERR_USER_DATA_MISMATCH where the
 *   document binds another key.
 * @throws TypeError when an argument is not of its form; nothing has been sent then.
 */
export async function connectEnclaveTls(url: string | URL, options: TlsConnectOptions): Promise<TlsEnclave> {
  const settings = checkOptions(options);
  const { hostname, port, protocol, pathname } = new URL(url);
  if (protocol !== "https:" || pathname !== "/") throw new TypeError("url is https://HOST:PORT, without a path");
  const { maxConnections = DEFAULT_MAX_CONNECTIONS } = options;
  if (!Number.isSafeInteger(maxConnections) || maxConnections < 1) throw new TypeError("maxConnections is above 0");
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const target = { host, port: Number(port || DEFAULT_PORT), connectMs: settings.deadlineMs, maxConnections };
  const channel = await openTlsChannel({ ...settings, target }, options.signal);
  const enclave = enclaveOver(channel, settings);
  return Object.freeze<TlsEnclave>({
    ...enclave,
    get attestation() {
      return channel.attestation;
    },
    async decryptMessageStream(body, options = {}) {
      const { output, ...rest } = await openStream(channel, settings, {
        ...options,
        operation: "messages/decrypt",
        body,
      });
      return { ...rest, plaintext: output };
    },
    async encryptMessageStream(body, options = {}) {
      const { output, ...rest } = await openStream(channel, settings, {
        ...options,
        operation: "messages/encrypt",
        body,
      });
      return { ...rest, message: output };
    },
    async reEncryptMessageStream(body, options = {}) {
      const operation = "messages/re-encrypt";
      const { output, ...rest } = await openStream(channel, settings, { ...options, operation, body });
      return { ...rest, message: output };
    },
  });
}

interface StreamRequest extends EncryptStreamOptions {
  readonly operation: string;
  readonly body: AsyncIterable<Uint8Array>;
}

interface OpenedStream {
  readonly encryptionContext: EncryptionContext;
  readonly output: AsyncIterable<Uint8Array>;
}

async function openStream(
  channel: TlsChannel,
  { caller, deadlineMs, watchContext }: ReturnType<typeof checkOptions>,
  { operation, body, signal: given, ...rest }: StreamRequest,
): Promise<OpenedStream> {
  const fields = streamFields(rest);
  watchContext(rest.encryptionContext);
  const idle = idleSignal(deadlineMs, given);
  try {
    const response = await channel.stream({
      path: `/v1/${operation}`,
      fields: { ...(await abortable(callerFields(caller, operation), idle.signal)), ...fields },
      body: idle.watching(body),
      signal: idle.signal,
    });
    const outcome = () => response.trailers[OUTCOME_TRAILER];
    return {
      encryptionContext: contextOf(response.headers["encryption-context"]),
      output: whole(idle.watching(partsOf(response)), { outcome, idle }),
    };
  } catch (error) {
    idle.end();
    throw idle.signal.aborted ? idle.signal.reason : error;
  }
}

/** What a request in JSON says besides its bytes. @throws ServiceError ERR_MESSAGE_MALFORMED. */
function streamFields({ encryptionContext: pairs = {}, ...rest }: NewMessageOptions & MessageStreamOptions) {
  const inBase64 = (value: unknown): string => toBase64(utf8(JSON.stringify(value)));
  const options = parseWith(messageOptions, rest, "ERR_MESSAGE_MALFORMED");
  return {
    "content-type": "application/octet-stream",
    "encryption-context": inBase64(parseWith(encryptionContext, pairs, "ERR_MESSAGE_MALFORMED")),
    ...(Object.keys(options).length > 0 ? { "message-options": inBase64(options) } : {}),
  };
}

function contextOf(field: string | string[] | undefined): EncryptionContext {
  const bytes = typeof field === "string" ? fromBase64(field) : undefined;
  if (bytes === undefined) throw new ServiceError("ERR_MESSAGE_MALFORMED", "expected the message's encryption context");
  return parseJson(wholeContext, decodeUtf8(bytes), "ERR_MESSAGE_MALFORMED");
}

interface Ending {
  /** What the trailer says, once the parts have ended. */
  readonly outcome: () => string | undefined;
  readonly idle: ReturnType<typeof idleSignal>;
}

/** `parts`, whose end counts only with the enclave's word that it is one. */
async function* whole(parts: AsyncIterable<Uint8Array>, { outcome, idle }: Ending): AsyncGenerator<Uint8Array> {
  try {
    yield* parts;
  } catch (error) {
    throw idle.signal.aborted ? idle.signal.reason : error;
  } finally {
    idle.end();
  }
  const told = outcome();
  if (told === "OK") return;
  if (isErrorCode(told)) throw new ServiceError(told, "the enclave gave the message up after it had begun to answer");
  throw new ServiceError("ERR_ENCLAVE_UNAVAILABLE", "the answer ended before the enclave said how");
}

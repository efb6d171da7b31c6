/**
 * What happened while one message was opened or made. The SDK joins all errors into one text, which names keys and internals;
 * so the first that counts is noted here, where it happens, and that text is not looked at.
 */

import { ServiceError } from "../../shared/errors.js";
import type { DataKeyKms } from "../data-keys/source.js";

export class Attempt {
  /** KMS, whose refusals are noted. */
  readonly kms: DataKeyKms;
  /** Whether a header was read that is of the format. */
  headerParsed = false;
  #reason: unknown;

  constructor({ decrypt, encrypt, generateDataKey }: DataKeyKms) {
    this.kms = {
      decrypt: (request) => this.noting(() => decrypt(request)),
      encrypt: (request) => this.noting(() => encrypt(request)),
      generateDataKey: (request) => this.noting(() => generateDataKey(request)),
    };
  }

  /** Notes why the attempt ends, if nothing has been noted before. */
  note(reason: unknown): void {
    this.#reason ??= reason;
  }

  /** Runs a step; what it throws is why the attempt ends. The last one counts: a key that refuses may be followed by one that does not. */
  async noting<T>(step: () => T | Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      this.#reason = error;
      throw error;
    }
  }

  /** Runs a step in which the SDK takes part: a ServiceError is noted, its own errors are not looked at. */
  async within<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      if (error instanceof ServiceError) this.#reason = error;
      throw error;
    }
  }

  /** Why a message was not opened. */
  openingFailure(): unknown {
    if (this.#reason !== undefined) return this.#reason;
    if (!this.headerParsed) {
      return new ServiceError("ERR_MESSAGE_MALFORMED", "expected an AWS Encryption SDK message with key commitment");
    }
    return new ServiceError("ERR_DECRYPTION_FAILED", "decryption failed");
  }

  /** Why a message was not made. @param error what the SDK threw, for a failure that nobody noted. */
  makingFailure(error: unknown): unknown {
    return this.#reason ?? new ServiceError("ERR_INTERNAL", "the message could not be made", { cause: error });
  }
}

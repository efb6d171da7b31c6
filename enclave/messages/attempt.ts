/**
 * What happened while one message was opened or made. The SDK joins all errors into one text, which names keys and internals;
 * so the first that counts is noted here, where it happens, and that text is not looked at.
 */

import { ServiceError } from "../../shared/errors.js";
import type { DataKeyKms } from "../data-keys/source.js";

export class Attempt {
  /** KMS, whose refusals are noted until it answers: a key that is refused may be followed by one that is not. */
  readonly kms: DataKeyKms;
  /** Whether a header was read that is of the format. */
  headerParsed = false;
  #reason: unknown;
  #refusal: unknown;

  constructor({ decrypt, encrypt, generateDataKey }: DataKeyKms) {
    this.kms = {
      decrypt: (request) => this.#asking(() => decrypt(request)),
      encrypt: (request) => this.#asking(() => encrypt(request)),
      generateDataKey: (request) => this.#asking(() => generateDataKey(request)),
    };
  }

  /** Notes why the attempt ends, if nothing has been noted before. */
  note(reason: unknown): void {
    this.#reason ??= reason;
  }

  /** Runs a check; what it throws is why the attempt ends. */
  noting<T>(check: () => T): T {
    try {
      return check();
    } catch (error) {
      this.note(error);
      throw error;
    }
  }

  /** Runs a step in which the SDK takes part: a ServiceError is noted, its own errors are not looked at. */
  async within<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      if (error instanceof ServiceError) this.note(error);
      throw error;
    }
  }

  async #asking<T>(call: () => Promise<T>): Promise<T> {
    try {
      const answer = await call();
      this.#refusal = undefined;
      return answer;
    } catch (error) {
      this.#refusal = error;
      throw error;
    }
  }

  get #failure(): unknown {
    return this.#reason ?? this.#refusal;
  }

  /** Why a message was not opened. */
  openingFailure(): unknown {
    if (this.#failure !== undefined) return this.#failure;
    if (!this.headerParsed) {
      return new ServiceError(
        "ERR_MESSAGE_MALFORMED",
        "expected an AWS Encryption SDK message with key commitment and no more data keys than are allowed",
      );
    }
    return new ServiceError("ERR_DECRYPTION_FAILED", "decryption failed");
  }

  /** Why a message was not made. @param error what the SDK threw, for a failure that nobody noted. */
  makingFailure(error: unknown): unknown {
    return this.#failure ?? new ServiceError("ERR_INTERNAL", "the message could not be made", { cause: error });
  }
}

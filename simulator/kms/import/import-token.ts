/**
 * Import tokens (API_GetParametersForImport): what KMS knows of a wrapping key pair, its private half included, sealed under a
 * key of its own. Nothing has to be kept per token, however many are asked for; tokens end 24 hours after they were given,
 * and with the process if it made up the key.
 */
import type { KeyObject } from "node:crypto";
import { createCipheriv, createDecipheriv, createPrivateKey, createSecretKey, randomBytes } from "node:crypto";
import { AwsError } from "../../errors.js";
import type { WrappingAlgorithm } from "./wrapping.js";

/** What a token was given for. */
export interface ImportParameters {
  readonly keyArn: string;
  readonly algorithm: WrappingAlgorithm;
  readonly validTo: Date;
  readonly privateKey: KeyObject;
}

const CIPHER = "aes-256-gcm";
const [NONCE_BYTES, TAG_BYTES] = [12, 16];

export class ImportTokens {
  readonly #key: KeyObject;

  constructor(key: Uint8Array = randomBytes(32)) {
    this.#key = createSecretKey(key);
  }

  seal({ privateKey, validTo, ...parameters }: ImportParameters): Uint8Array {
    const header = Buffer.from(`${JSON.stringify({ ...parameters, validTo: validTo.getTime() })}\n`);
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key, nonce);
    const content = Buffer.concat([header, privateKey.export({ type: "pkcs8", format: "der" })]);
    const sealed = Buffer.concat([cipher.update(content), cipher.final()]);
    content.fill(0);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
  }

  /** What the token was given for, that key and now. @throws AwsError InvalidImportTokenException, ExpiredImportTokenException */
  open(token: Uint8Array, keyArn: string, now: Date): ImportParameters {
    const content = this.#unseal(token);
    const end = content.indexOf("\n");
    const header = JSON.parse(content.subarray(0, end).toString()); // authenticated: as `seal` wrote it
    const validTo = new Date(header.validTo);
    if (header.keyArn !== keyArn) throw invalidToken();
    if (validTo <= now) throw new AwsError("ExpiredImportTokenException");
    const privateKey = createPrivateKey({ key: content.subarray(end + 1), format: "der", type: "pkcs8" });
    content.fill(0);
    return { keyArn, algorithm: header.algorithm, validTo, privateKey };
  }

  #unseal(token: Uint8Array): Buffer {
    try {
      const decipher = createDecipheriv(CIPHER, this.#key, token.subarray(0, NONCE_BYTES));
      decipher.setAuthTag(token.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      return Buffer.concat([decipher.update(token.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
    } catch {
      throw invalidToken(); // whatever it is, this KMS has not given it
    }
  }
}

const invalidToken = (): AwsError => new AwsError("InvalidImportTokenException");

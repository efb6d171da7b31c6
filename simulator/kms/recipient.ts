/**
 * The Recipient parameter (API_RecipientInfo): an attestation document, of an enclave or of an instance's NitroTPM, that is verified under the *simulated* trust anchor
 * and whose public key the answer is sealed to. There is no path from a document that does not verify to a plaintext:
 * every failure here is a ValidationException, before authorisation and before any key is used.
 *
 * A debug-mode enclave's document is genuine and passes; its zero PCRs then meet no policy that names an image.
 */
import type { KeyObject } from "node:crypto";
import { createHash, createPublicKey } from "node:crypto";
import type { TrustAnchor } from "../../shared/attestation/trust-anchor.js";
import type { VerifiedAttestation } from "../../shared/attestation/verify.js";
import { verifyAttestation } from "../../shared/attestation/verify.js";
import { equalBytes, toHex } from "../../shared/bytes.js";
import { CertificateCache } from "../../shared/certificate-cache.js";
import { ServiceError } from "../../shared/errors.js";
import { validationError } from "../errors.js";
import type { RecipientKey } from "./ciphertext-for-recipient.js";
import type { VerifiedNitroTpm } from "./nitro-tpm-document.js";
import { nitroTpmPayload, verifyNitroTpm } from "./nitro-tpm-document.js";

/** The parameter as it came. */
export interface RecipientInfo {
  readonly AttestationDocument: Uint8Array;
}

/** A recipient whose document has been verified. */
export interface AttestedRecipient extends RecipientKey {
  readonly attestation: VerifiedAttestation | VerifiedNitroTpm;
}

export interface RecipientSettings {
  readonly trustAnchor: TrustAnchor;
  /** How old a document may be. AWS documents no figure; five minutes is what is commonly seen. */
  readonly freshnessSeconds: number;
}

/** How far ahead of our clock a document's timestamp may be. */
const FUTURE_SKEW_SECONDS = 60;
/** An enclave sends the same document for a minute or so; this many enclaves are remembered. */
const MAX_REMEMBERED = 64;

/**
 * Verifies documents. One that was verified before, byte for byte, is not verified again, but its certificates' dates and
 * its age are looked at on every use: the time is the only thing that can have changed.
 */
export class RecipientVerifier {
  readonly #settings: RecipientSettings;
  readonly #certificates = new CertificateCache();
  /** By SHA-256 of the document, oldest first. */
  readonly #verified = new Map<string, AttestedRecipient>();

  constructor(settings: RecipientSettings) {
    this.#settings = settings;
  }

  /**
   * Verifies the document and takes its key.
   * @throws AwsError ValidationException if it does not verify, is too old or from the future, or carries no RSA-2048 key.
   */
  async verify({ AttestationDocument: document }: RecipientInfo, now: Date): Promise<AttestedRecipient> {
    const hash = createHash("sha256").update(document).digest("hex");
    const remembered = this.#verified.get(hash);
    if (remembered !== undefined && isValidAt(remembered.attestation, now)) {
      this.#assertFresh(remembered.attestation, now);
      return remembered;
    }
    const attestation = await this.#verifyDocument(document, now);
    this.#assertFresh(attestation, now);
    const spki = attestation.publicKey;
    if (spki === null) throw refusal("ERR_PUBLIC_KEY: the document carries no public key");
    const recipient = { attestation, spki, publicKey: readRsa2048(spki) };
    this.#remember(hash, recipient);
    return recipient;
  }

  async #verifyDocument(document: Uint8Array, now: Date): Promise<AttestedRecipient["attestation"]> {
    const options = { trustAnchor: this.#settings.trustAnchor, now, cache: this.#certificates };
    try {
      const nitroTpm = nitroTpmPayload(document);
      if (nitroTpm !== undefined) return await verifyNitroTpm(document, nitroTpm, options);
      return await verifyAttestation(document, options);
    } catch (error) {
      if (error instanceof ServiceError) throw refusal(`${error.code}: ${error.message}`);
      throw error;
    }
  }

  #assertFresh({ timestampMs }: AttestedRecipient["attestation"], now: Date): void {
    const { freshnessSeconds } = this.#settings;
    const ageSeconds = (now.getTime() - timestampMs) / 1000;
    if (ageSeconds > freshnessSeconds) {
      throw refusal(`ERR_STALE: the document is older than ${freshnessSeconds} seconds`);
    }
    if (ageSeconds < -FUTURE_SKEW_SECONDS) throw refusal("ERR_STALE: the document is from the future");
  }

  #remember(hash: string, recipient: AttestedRecipient): void {
    this.#verified.set(hash, recipient);
    const [oldest] = this.#verified.keys();
    if (this.#verified.size > MAX_REMEMBERED && oldest !== undefined) this.#verified.delete(oldest);
  }
}

const isValidAt = ({ rootToLeaf }: AttestedRecipient["attestation"], now: Date): boolean =>
  rootToLeaf.every(({ notBefore, notAfter }) => notBefore <= now && now <= notAfter);

/** AWS's own text is not on record; a simulator may as well say what is wrong. */
const refusal = (reason: string) => validationError(`The attestation document is not valid: ${reason}.`);

/** Whether an instance's NitroTPM attests, and no enclave. */
export const isNitroTpm = ({ attestation }: AttestedRecipient): boolean => "kind" in attestation;

function readRsa2048(spki: Uint8Array): KeyObject {
  const publicKey = importSpki(spki);
  const isRsa2048 = publicKey?.asymmetricKeyType === "rsa" && publicKey.asymmetricKeyDetails?.modulusLength === 2048;
  // OpenSSL reads more encodings than one: only the one that it would write itself is the key's SubjectPublicKeyInfo.
  if (!isRsa2048 || !equalBytes(publicKey.export({ type: "spki", format: "der" }), spki)) {
    throw refusal("ERR_PUBLIC_KEY: the public key is not an RSA-2048 SubjectPublicKeyInfo");
  }
  return publicKey;
}

function importSpki(spki: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  } catch {
    return undefined; // not a key at all: refused by the caller, like every other that is not RSA-2048
  }
}

/** `kms:RecipientAttestation:*` of a request: ImageSha384 is an enclave's PCR0; without a document there are none. */
export function* recipientConditions(
  recipient: AttestedRecipient | undefined,
): Iterable<readonly [string, readonly string[]]> {
  const prefix = recipient !== undefined && isNitroTpm(recipient) ? "NitroTPMPCR" : "PCR";
  for (const [index, value] of recipient?.attestation.pcrs ?? []) {
    yield [`kms:RecipientAttestation:${prefix}${index}`, [toHex(value)]];
    if (index === 0 && prefix === "PCR") yield ["kms:RecipientAttestation:ImageSha384", [toHex(value)]];
  }
}

/**
 * The recipient of KMS's answers: RSA-2048 keys that exist only in this process, and the attestation documents that name
 * them to KMS (`Recipient` in the KMS API).
 *
 * Keys are made ahead in the background, since making one takes a quarter of a second, and rotated by age and by use. A
 * document is reused within its age: KMS checks no nonce, so a fresh one per call would only tax the NSM. It is never
 * used past the end of its leaf certificate (PITFALLS 11). The time that a leaf has left is taken from the document
 * itself (its timestamp and the certificate's notAfter, both the NSM's) and counted down on the monotonic clock, so the
 * wall clock, which the parent may set, has no part in it (PITFALLS 12).
 */
import type { KeyObject } from "node:crypto";
import { generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import { parseAttestationDocument } from "../../shared/attestation/document.js";
import { copyBytes, equalBytes } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { parseCertificate } from "../../shared/x509.js";
import type { Clock } from "../clock.js";
import type { NsmClient } from "../nsm.js";
import type { OpenEnvelope } from "./ciphertext-for-recipient.js";
import { recipientOpener } from "./ciphertext-for-recipient.js";
import type { PinnedKeys } from "./pinned-keys.js";

/** What a KMS call needs of the recipient: a document to send, and the key that opens the answer to it. */
export interface RecipientLease {
  readonly attestationDocument: Uint8Array;
  /** Opens the answer. @throws ServiceError ERR_CMS_MALFORMED, ERR_DECRYPTION_FAILED. */
  open(ciphertextForRecipient: Uint8Array): Uint8Array;
}

/** Whom KMS answers, and which keys may answer. */
export interface Recipient {
  readonly keys: PinnedKeys;
  /** @throws ServiceError ERR_NSM, ERR_BUSY, ERR_TIMEOUT. */
  lease(): Promise<RecipientLease>;
}

export interface RecipientLimits {
  readonly maxAgeSeconds: number;
  readonly maxUses: number;
  readonly documentMaxAgeSeconds: number;
}

/** A document whose leaf ends sooner than this serves the calls that wait for it, and no later ones. */
const LEAF_MARGIN_MS = 60_000;

/** An RSA-2048 key pair. */
export interface RecipientKeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** Makes an RSA-2048 key pair (exponent 65537) on a thread of its own. */
export const generateRecipientKey = (): Promise<RecipientKeyPair> =>
  promisify(generateKeyPair)("rsa", { modulusLength: 2048 });

export interface RecipientKeysOptions {
  readonly keys: PinnedKeys;
  readonly nsm: Pick<NsmClient, "attest">;
  readonly clock: Clock;
  readonly limits: RecipientLimits;
  readonly generateKey?: () => Promise<RecipientKeyPair>;
}

/** A key in use, with the document that names it. */
interface CurrentKey {
  readonly spki: Uint8Array;
  readonly open: OpenEnvelope;
  readonly madeAtMs: number;
  uses: number;
  document: { readonly bytes: Uint8Array; readonly freshUntilMs: number } | undefined;
  /** The attestation in flight that everybody waits for who needs a document now. */
  attesting: Promise<Uint8Array> | undefined;
}

/** How the recipient stands, for health. */
export interface RecipientState {
  readonly keyAgeSeconds: number | undefined;
  readonly keyUses: number;
  readonly spareKeys: number;
}

/** The recipient of one enclave process. */
export class RecipientKeys implements Recipient {
  readonly keys: PinnedKeys;
  readonly #options: RecipientKeysOptions;
  readonly #spares: SpareKeys;
  #current: CurrentKey | undefined;
  #rotating: Promise<void> | undefined;

  constructor(options: RecipientKeysOptions) {
    this.keys = options.keys;
    this.#options = options;
    this.#spares = new SpareKeys(options.generateKey ?? generateRecipientKey);
  }

  /**
   * A document that is fresh enough to send now, and the key that opens what is sealed to it. Leases stay good when the
   * key has been rotated since.
   */
  async lease(): Promise<RecipientLease> {
    const current = await this.#takeUse();
    const attestationDocument = await this.#document(current);
    return { attestationDocument, open: current.open };
  }

  /** Makes the first key and its document, so that the first call waits for neither. */
  async prepare(): Promise<void> {
    if (!this.#isUsable(this.#current)) await this.#rotate();
    if (this.#current) await this.#document(this.#current);
  }

  get state(): RecipientState {
    const { clock } = this.#options;
    const current = this.#current;
    return {
      keyAgeSeconds: current && Math.floor((clock.monotonicMs() - current.madeAtMs) / 1_000),
      keyUses: current?.uses ?? 0,
      spareKeys: this.#spares.ready,
    };
  }

  /** The current key with one more use; the check and the count are one synchronous step. */
  async #takeUse(): Promise<CurrentKey> {
    for (;;) {
      const current = this.#current;
      if (this.#isUsable(current)) {
        current.uses++;
        return current;
      }
      await this.#rotate();
    }
  }

  #isUsable(current: CurrentKey | undefined): current is CurrentKey {
    if (current === undefined) return false;
    const { clock, limits } = this.#options;
    return clock.monotonicMs() - current.madeAtMs < limits.maxAgeSeconds * 1_000 && current.uses < limits.maxUses;
  }

  /** Puts a spare key in use; whoever needs it meanwhile waits for the same one. */
  #rotate(): Promise<void> {
    this.#rotating ??= this.#useSpare().finally(() => {
      this.#rotating = undefined;
    });
    return this.#rotating;
  }

  async #useSpare(): Promise<void> {
    const { privateKey, publicKey } = await this.#spares.take();
    this.#current = {
      spki: copyBytes(publicKey.export({ type: "spki", format: "der" })),
      open: recipientOpener(privateKey),
      madeAtMs: this.#options.clock.monotonicMs(),
      uses: 0,
      document: undefined,
      attesting: undefined,
    };
  }

  async #document(current: CurrentKey): Promise<Uint8Array> {
    const cached = current.document;
    if (cached && this.#options.clock.monotonicMs() < cached.freshUntilMs) return cached.bytes;
    current.attesting ??= this.#attest(current).finally(() => {
      current.attesting = undefined;
    });
    return current.attesting;
  }

  async #attest(current: CurrentKey): Promise<Uint8Array> {
    const { nsm, clock, limits } = this.#options;
    const askedAtMs = clock.monotonicMs();
    const bytes = await nsm.attest({ publicKey: current.spki, nonce: null, userData: null }, "kms");
    const lifetimeMs = Math.min(
      limits.documentMaxAgeSeconds * 1_000,
      leafTimeLeftMs(bytes, current.spki) - LEAF_MARGIN_MS,
    );
    current.document = { bytes, freshUntilMs: askedAtMs + lifetimeMs };
    return bytes;
  }
}

/**
 * How long the document's leaf was valid for when the NSM signed it. The enclave trusts its own NSM and verifies no
 * signature here; it does check that the document names `spki` (PITFALLS 13).
 */
function leafTimeLeftMs(document: Uint8Array, spki: Uint8Array): number {
  const { publicKey, timestampMs, certificate } = parseAttestationDocument(document);
  if (publicKey === null || !equalBytes(publicKey, spki)) {
    throw new ServiceError("ERR_NSM", "expected the document to name the recipient's key, it names another");
  }
  const leftMs = parseCertificate(certificate).notAfter.getTime() - timestampMs;
  if (leftMs <= 0) throw new ServiceError("ERR_NSM", "expected a leaf certificate that has not ended");
  return leftMs;
}

/** One key pair made ahead: taking it starts the making of the next. */
class SpareKeys {
  readonly #generate: () => Promise<RecipientKeyPair>;
  #spare: Promise<RecipientKeyPair> | undefined;
  #ready = 0;

  constructor(generate: () => Promise<RecipientKeyPair>) {
    this.#generate = generate;
  }

  /** How many are made and waiting. */
  get ready(): number {
    return this.#ready;
  }

  /** @throws what the generator throws; the next call tries anew. */
  async take(): Promise<RecipientKeyPair> {
    const taken = this.#spare ?? this.#make();
    this.#spare = undefined;
    const pair = await taken;
    this.#ready = 0;
    this.#spare = this.#make();
    return pair;
  }

  /** A failure in the background is told to whoever takes the key; the handler here only keeps it from being unhandled. */
  #make(): Promise<RecipientKeyPair> {
    const making = this.#generate();
    making.then(
      () => {
        this.#ready = 1;
      },
      () => {
        this.#ready = 0;
      },
    );
    return making;
  }
}

/**
 * Seeds of a fleet's sealing identity: made by attested KMS GenerateDataKey, opened by attested Decrypt. The plaintext never
 * leaves the enclaves; the record, which is public, goes through the parent.
 *
 * What the parent could do to a record, and what meets it:
 *   - another ciphertext, epoch or time: all three, the fleet and its measurement are the encryption context;
 *   - a seed that somebody knows, who may call kms:Encrypt, or GenerateDataKey without attestation, under the key: KMS would
 *     open it (PITFALLS 1, 5). So the record carries a document of the maker's NSM, verified under the root of this enclave's own, with
 *     the registers of this fleet, and a `user_data` that binds the ciphertext and the public keys derived from it;
 *   - the seed of enclaves with other measurements, which the key policy may let in too (an upgrade): the same registers.
 * Which epoch is to be used is not decided here (shared-sealed-keys.ts). What a caller may do: his operations take no context
 * of a seed (operations/own-contexts.ts), or the enclave would open seeds for him.
 */
import { DecryptCommand, GenerateDataKeyCommand, KMSServiceException } from "@aws-sdk/client-kms";
import { parseAttestationDocument } from "../../shared/attestation/document.js";
import { verifyAttestation } from "../../shared/attestation/verify.js";
import { encodeUint } from "../../shared/byte-writer.js";
import { concatBytes, digest, equalBytes, toBase64, utf8 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { OhttpKeyPair } from "../../shared/ohttp/key-configuration.js";
import { encodeKeyConfigurations } from "../../shared/ohttp/key-configuration.js";
import type { SealingSeed } from "../../shared/sealing-seed.js";
import { bytesOf } from "../../shared/wire.js";
import type { KmsHealth } from "../health.js";
import type { KmsClients } from "../kms/kms-clients.js";
import type { PinnedKey } from "../kms/pinned-keys.js";
import type { NsmClient } from "../nsm.js";
import type { FleetIdentity } from "./fleet-identity.js";
import { measurementOf } from "./fleet-identity.js";
import { keysOfSeed, SEED_BYTES } from "./seed-keys.js";

/** An epoch that this enclave has the keys of. */
export interface OpenedSeed {
  readonly record: SealingSeed;
  readonly createdMs: number;
  readonly pairs: readonly OhttpKeyPair[];
}

export interface SealingSeedsOptions {
  readonly identity: FleetIdentity;
  /** The fleet's KMS key. */
  readonly key: PinnedKey;
  readonly kms: Pick<KmsClients, "operations">;
  readonly health: Pick<KmsHealth, "watch">;
  readonly nsm: Pick<NsmClient, "attest">;
}

const PURPOSE = "nitro-decrypt sealing identity";
const LABEL = utf8("nitro-decrypt/sealing-seed/v1\0");
const VERSION = 1;
/** Between the time in a record and that of the document beside it: one call to KMS. */
const MAX_MAKING_MS = 120_000;

/** Whether `encryptionContext` is that of a seed, of whichever fleet. */
export const isSealingSeedContext = (encryptionContext: Readonly<Record<string, string>>): boolean =>
  Object.hasOwn(encryptionContext, "purpose") && encryptionContext.purpose === PURPOSE;

const notOfFleet = (message: string, cause?: unknown): ServiceError =>
  new ServiceError("ERR_SEALING_SEED", message, { cause });

export class SealingSeeds {
  readonly #options: SealingSeedsOptions;

  constructor(options: SealingSeedsOptions) {
    this.#options = options;
  }

  /** A new seed. Nobody else knows of it yet. @throws ServiceError of KMS and the NSM. */
  async make(epoch: number, createdMs: number): Promise<OpenedSeed> {
    const { health, kms, key, nsm } = this.#options;
    const created = new Date(createdMs).toISOString();
    const input = { NumberOfBytes: SEED_BYTES, EncryptionContext: this.#contextOf({ epoch, created }) };
    const { CiphertextBlob, Plaintext } = await health.watch(async () =>
      kms
        .operations()
        .call({ key }, ({ client, keyId: KeyId, abortSignal }) =>
          client.send(new GenerateDataKeyCommand({ ...input, KeyId }), { abortSignal }),
        ),
    );
    if (CiphertextBlob === undefined) throw new ServiceError("ERR_KMS_ANSWER", "expected a ciphertext, KMS sent none");
    const pairs = await this.#keysOf(Plaintext, epoch);
    const ciphertext = toBase64(CiphertextBlob);
    const userData = await this.#userDataOf({ epoch, created, ciphertext }, pairs);
    const document = toBase64(await nsm.attest({ nonce: null, publicKey: null, userData }, "kms"));
    return { record: { epoch, created, ciphertext, document }, createdMs, pairs };
  }

  /**
   * The keys of a record: on return an enclave of this fleet has made it, in that epoch and at that time.
   * @throws ServiceError ERR_SEALING_SEED when it is not such a record, for whatever reason; else of KMS.
   */
  async open(record: SealingSeed): Promise<OpenedSeed> {
    const { epoch, created } = record;
    const createdMs = Date.parse(created);
    const userData = await this.#makersUserData(record, createdMs); // before KMS is asked: it costs nothing
    const pairs = await this.#keysOf(await this.#decrypt(record), epoch);
    if (!equalBytes(userData, await this.#userDataOf(record, pairs))) {
      throw notOfFleet("expected the document of the enclave that made the seed, it is of another");
    }
    return { record, createdMs, pairs };
  }

  async #decrypt(record: SealingSeed): Promise<Uint8Array | undefined> {
    const { health, kms, key } = this.#options;
    const input = { CiphertextBlob: bytesOf(record.ciphertext), EncryptionContext: this.#contextOf(record) };
    const { Plaintext } = await health
      .watch(async () =>
        kms
          .operations()
          .call({ key }, ({ client, keyId: KeyId, abortSignal }) =>
            client.send(new DecryptCommand({ ...input, KeyId }), { abortSignal }),
          ),
      )
      .catch((error: unknown) => {
        throw isInvalidCiphertext(error) ? notOfFleet("expected a seed that KMS opens in its epoch", error) : error;
      });
    return Plaintext;
  }

  async #keysOf(seed: Uint8Array | undefined, epoch: number): Promise<readonly OhttpKeyPair[]> {
    if (seed?.length !== SEED_BYTES) throw notOfFleet(`expected a seed of ${SEED_BYTES} bytes`);
    return keysOfSeed(seed, { epoch, measurement: this.#options.identity.measurement });
  }

  /** Authenticated by KMS, and there for key policies to ask for. */
  #contextOf({ epoch, created }: Pick<SealingSeed, "epoch" | "created">): Record<string, string> {
    const { fleet, measurement } = this.#options.identity;
    return { purpose: PURPOSE, fleet, measurement, epoch: String(epoch), created };
  }

  /** What the maker's document binds, once it is known to be of this fleet and of that time. */
  async #makersUserData({ document }: SealingSeed, createdMs: number): Promise<Uint8Array> {
    const { anchor, measurement } = this.#options.identity;
    const bytes = bytesOf(document);
    // Certificates live for hours, and seeds for days: they must have been valid when the document was made.
    const verify = async () =>
      verifyAttestation(bytes, { trustAnchor: anchor, now: new Date(parseAttestationDocument(bytes).timestampMs) });
    const made = await verify().catch((cause: unknown) => {
      throw notOfFleet("expected a genuine document of the enclave that made the seed", cause);
    });
    if ((await measurementOf(made)) !== measurement) throw notOfFleet("expected a seed of enclaves with the same PCRs");
    if (Math.abs(made.timestampMs - createdMs) > MAX_MAKING_MS) {
      throw notOfFleet("expected a document of the time at which the seed was made");
    }
    return made.userData ?? new Uint8Array();
  }

  /** 0x01 ‖ SHA-384(label ‖ 0x00 ‖ fields, each after its length in 4 bytes): 49 bytes. */
  async #userDataOf(
    { epoch, created, ciphertext }: Omit<SealingSeed, "document">,
    pairs: readonly OhttpKeyPair[],
  ): Promise<Uint8Array> {
    const { fleet, measurement } = this.#options.identity;
    const configurations = encodeKeyConfigurations(pairs.map(({ configuration }) => configuration));
    const texts = [fleet, measurement, String(epoch), created].map(utf8);
    const fields = [...texts, bytesOf(ciphertext), configurations];
    const framed = fields.map((field) => concatBytes(encodeUint(field.length, 4), field));
    return concatBytes(Uint8Array.of(VERSION), await digest("SHA-384", concatBytes(LABEL, ...framed)));
  }
}

/** API_Decrypt: the ciphertext was changed, is of another key, or of another encryption context. */
function isInvalidCiphertext(error: unknown): boolean {
  const cause = error instanceof ServiceError ? error.cause : error;
  const names = ["InvalidCiphertextException", "IncorrectKeyException"];
  return cause instanceof KMSServiceException && names.includes(cause.name);
}

/**
 * How the enclave is: what its parts last saw, told without asking anybody (`/healthz`), and whether an attested KMS call
 * really succeeds (`/readyz`). No secret and no input is in either.
 */
import { GenerateRandomCommand } from "@aws-sdk/client-kms";
import { wipe } from "../shared/bytes.js";
import type { ErrorCode } from "../shared/errors.js";
import { ServiceError, toServiceError } from "../shared/errors.js";
import type { AttestedTime, TimeState } from "./attested-time.js";
import type { TlsIdentity, TlsIdentityState } from "./channels/tls-identity.js";
import type { Clock } from "./clock.js";
import { withinDeadline } from "./deadline.js";
import type { CredentialsCache, CredentialsState } from "./kms/credentials.js";
import { kmsErrorOf } from "./kms/kms-errors.js";
import type { RecipientKeys, RecipientState } from "./kms/recipient.js";
import type { RegionState } from "./kms/region-availability.js";
import type { RegionalKms } from "./kms/regional-kms.js";
import type { Machine, MachineState } from "./machine/machine.js";
import { isWallClockOff } from "./machine/wall-clock.js";
import type { NsmClient, NsmState } from "./nsm.js";
import type { SealedKeys, SealedKeysState } from "./sealing/sealed-keys.js";

/** How long a successful probe counts, and a failed one: probes must not become load of their own. */
const SUCCESS_MS = 5_000;
const FAILURE_MS = 1_000;
/** Shorter than what the parent waits for an answer to `/readyz`. */
const PROBE_DEADLINE_MS = 8_000;
const PROBE_BYTES = 32;

/** How calls to KMS went lately. */
export interface KmsState {
  readonly status: "unknown" | "ok" | "failed";
  readonly failure: ErrorCode | undefined;
  readonly ageSeconds: number | undefined;
}

/** What says something about KMS or the way to it; all else is about one request. */
const SAYS_SOMETHING: ReadonlySet<ErrorCode> = new Set([
  "ERR_CMS_MALFORMED",
  "ERR_CREDENTIALS",
  "ERR_KMS_ANSWER",
  "ERR_KMS_UNAVAILABLE",
  "ERR_KMS_UNTRUSTED",
  "ERR_NSM",
  "ERR_TIMEOUT",
]);

/** Remembers how the last call to KMS ended. */
export class KmsHealth {
  readonly #clock: Clock;
  #last: { readonly atMs: number; readonly failure: ErrorCode | undefined } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Makes a call to KMS and remembers how it ended. @throws what `kmsErrorOf` makes of its failure. */
  async watch<T>(call: () => Promise<T>): Promise<T> {
    try {
      const result = await call();
      this.#last = { atMs: this.#clock.monotonicMs(), failure: undefined };
      return result;
    } catch (cause) {
      const error = kmsErrorOf(cause);
      if (error instanceof ServiceError && SAYS_SOMETHING.has(error.code)) {
        this.#last = { atMs: this.#clock.monotonicMs(), failure: error.code };
      }
      throw error;
    }
  }

  get state(): KmsState {
    if (this.#last === undefined) return { status: "unknown", failure: undefined, ageSeconds: undefined };
    const { atMs, failure } = this.#last;
    const ageSeconds = Math.floor((this.#clock.monotonicMs() - atMs) / 1_000);
    return { status: failure === undefined ? "ok" : "failed", failure, ageSeconds };
  }
}

/** Whether an attested KMS call succeeds: asked at most once at a time, and remembered for seconds. */
export class Readiness {
  readonly #probe: RegionalKms;
  readonly #health: KmsHealth;
  readonly #clock: Clock;
  #last: { readonly untilMs: number; readonly failure: ErrorCode | undefined } | undefined;
  #probing: Promise<void> | undefined;

  constructor(options: { readonly probe: RegionalKms; readonly health: KmsHealth; readonly clock: Clock }) {
    this.#probe = options.probe;
    this.#health = options.health;
    this.#clock = options.clock;
  }

  /** Returns when KMS has lately answered an attested call. @throws ServiceError ERR_NOT_READY; its message has the reason's code. */
  async assertReady(): Promise<void> {
    if (this.#last === undefined || this.#clock.monotonicMs() >= this.#last.untilMs) {
      this.#probing ??= this.#ask().finally(() => {
        this.#probing = undefined;
      });
      await this.#probing;
    }
    const failure = this.#last?.failure;
    if (failure !== undefined)
      throw new ServiceError("ERR_NOT_READY", `the attested probe of AWS KMS ended in ${failure}`);
  }

  /** One attested GenerateRandom, whose bytes are thrown away. */
  async #ask(): Promise<void> {
    const deadline = { clock: this.#clock, deadlineMs: PROBE_DEADLINE_MS, what: "the attested probe of AWS KMS" };
    try {
      const { Plaintext } = await withinDeadline(deadline, (signal) =>
        this.#health.watch(() =>
          this.#probe.call({ key: undefined, signal }, ({ client, abortSignal }) =>
            client.send(new GenerateRandomCommand({ NumberOfBytes: PROBE_BYTES }), { abortSignal }),
          ),
        ),
      );
      if (Plaintext) wipe(Plaintext);
      this.#last = { untilMs: this.#clock.monotonicMs() + SUCCESS_MS, failure: undefined };
    } catch (error) {
      this.#last = { untilMs: this.#clock.monotonicMs() + FAILURE_MS, failure: toServiceError(error).code };
    }
  }
}

/** What `GET /healthz` answers. */
export interface HealthReport {
  readonly status: "ok" | "degraded";
  readonly nsm: NsmState;
  readonly kms: KmsState;
  /** The Regions of KMS, the own one first; absent where there is one alone. */
  readonly regions: readonly RegionState[] | undefined;
  readonly recipient: RecipientState;
  /** Absent where the transport needs none (gateway). */
  readonly credentials: CredentialsState | undefined;
  /** How the clocks disagree. */
  readonly time: TimeState;
  readonly sealed: SealedKeysState;
  /** Absent where the enclave serves no TLS. */
  readonly tls: TlsIdentityState | undefined;
  /** Absent where the enclave's program has no machine to itself. */
  readonly machine: MachineState | undefined;
}

export interface HealthSources {
  readonly nsm: Pick<NsmClient, "state">;
  readonly kms: KmsHealth;
  readonly regions: { readonly regions: readonly RegionState[] | undefined };
  readonly recipient: Pick<RecipientKeys, "state">;
  readonly credentials: Pick<CredentialsCache, "state"> | undefined;
  readonly time: Pick<AttestedTime, "state">;
  readonly sealed: Pick<SealedKeys, "state">;
  readonly tls: Pick<TlsIdentity, "state"> | undefined;
  readonly machine: Pick<Machine, "state"> | undefined;
}

/** The report of now. */
export function healthReport(sources: HealthSources): HealthReport {
  const { nsm, kms, recipient, credentials, time, sealed, tls, machine } = sources;
  const { regions } = sources.regions;
  const credentialsFail = credentials !== undefined && credentials.state.failure !== undefined;
  const tlsFails = tls !== undefined && tls.state.failure !== undefined;
  const sealedFails = sealed.state.shared?.failure !== undefined;
  const kmsFails = kms.state.status === "failed" || regions?.some(({ status }) => status === "resting") === true;
  const degraded =
    isWallClockOff(time) || nsm.state === "failed" || kmsFails || credentialsFail || tlsFails || sealedFails;
  return {
    status: degraded ? "degraded" : "ok",
    nsm: nsm.state,
    kms: kms.state,
    regions,
    recipient: recipient.state,
    credentials: credentials?.state,
    time: time.state,
    sealed: sealed.state,
    tls: tls?.state,
    machine: machine?.state,
  };
}

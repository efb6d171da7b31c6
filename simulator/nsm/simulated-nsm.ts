/**
 * The Nitro Security Module, simulated: the requests and answers of /dev/nsm (aws-nitro-enclaves-nsm-api 0.5, device version
 * 1.0.0) byte for byte, with real signatures under a simulated root.
 *
 * Where AWS's text is silent the answers are those of QEMU's virtio-nsm. One case is silent in both: user_data, nonce and
 * public_key over 1024 bytes; here they are InputTooLarge. Whatever the bytes of a request are, the answer is a response.
 * Requests are served one at a time and in order, as the kernel's driver does under its mutex.
 */
import { PCR_COUNT } from "../../shared/attestation/pcr.js";
import { ServiceError } from "../../shared/errors.js";
import type { Nsm, NsmErrorCode, NsmRequest, NsmResponse } from "../../shared/nsm.js";
import { decodeNsmRequest, encodeNsmResponse, NSM_MAX_REQUEST_BYTES } from "../../shared/nsm.js";
import type { Clock } from "../clock.js";
import type { EnclaveImage, LaunchOptions } from "../image.js";
import { bootPcrs } from "../image.js";
import type { InstanceAuthority, Leaf, NitroPki } from "../pki/nitro-pki.js";
import { signDocument } from "./document.js";
import { createModuleId } from "./module-id.js";
import { PcrRegisters } from "./registers.js";

const MAX_FIELD_BYTES = 1024;
const RANDOM_BYTES = 256;
/** Real documents were signed up to 8523 s after their leaf's notBefore, of its 10803 s. */
const LEAF_RENEWED_BEFORE_END_MS = (10803 - 8523) * 1000;

/** An enclave to be: what it boots, where, and under which PKI (whose clock it has). */
export interface BootOptions extends LaunchOptions {
  readonly pki: NitroPki;
  readonly image: EnclaveImage;
  /** The form of the payload: today's ("indefinite") or that until mid-2025. */
  readonly documentForm?: "indefinite" | "definite";
}

/** Boots an enclave from an image as far as its NSM is concerned. */
export async function bootSimulatedNsm(options: BootOptions): Promise<SimulatedNsm> {
  const { pki, image, instanceId, documentForm = "indefinite" } = options;
  const pcrs = await bootPcrs(image, options);
  return new SimulatedNsm({ authority: pki.issueInstance(instanceId), clock: pki.clock, pcrs, documentForm });
}

export interface SimulatedNsmState {
  readonly authority: InstanceAuthority;
  readonly clock: Clock;
  /** PCR values at boot; zeros where there is none. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  readonly documentForm: "indefinite" | "definite";
}

const refusal = (error: NsmErrorCode): NsmResponse => ({ kind: "Error", error });

export class SimulatedNsm implements Nsm {
  readonly moduleId: string;
  readonly #state: SimulatedNsmState;
  readonly #registers: PcrRegisters;
  #leaf: Leaf | undefined;
  #previous: Promise<unknown> = Promise.resolve();

  constructor(state: SimulatedNsmState) {
    this.#state = state;
    this.#registers = new PcrRegisters(state.pcrs);
    this.moduleId = createModuleId(state.authority.instanceId, state.clock());
  }

  /** The answer to one request, after those before it. Refusals are answers; nothing that `request` holds makes it throw. */
  exchange(request: Uint8Array): Promise<Uint8Array> {
    const bytes = new Uint8Array(request); // the caller may reuse its buffer while this waits
    const answer = this.#previous.then(async () => encodeNsmResponse(await this.#answer(bytes)));
    this.#previous = answer.catch(() => undefined); // the caller of that request has the error; the next one goes on
    return answer;
  }

  async #answer(bytes: Uint8Array): Promise<NsmResponse> {
    if (bytes.length > NSM_MAX_REQUEST_BYTES) return refusal("InputTooLarge");
    const request = decodeOrUndefined(bytes);
    return request === undefined ? refusal("InvalidOperation") : this.#serve(request);
  }

  async #serve(request: NsmRequest): Promise<NsmResponse> {
    switch (request.kind) {
      case "DescribeNSM":
        return this.#describe();
      case "GetRandom":
        return { kind: "GetRandom", random: crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)) };
      case "DescribePCR": {
        const pcr = this.#registers.describe(request.index);
        return typeof pcr === "string" ? refusal(pcr) : { kind: "DescribePCR", ...pcr };
      }
      case "ExtendPCR": {
        const data = this.#registers.extend(request.index, request.data);
        return typeof data === "string" ? refusal(data) : { kind: "ExtendPCR", data };
      }
      case "LockPCR":
        return answerOrRefusal("LockPCR", this.#registers.lock(request.index));
      case "LockPCRs":
        return answerOrRefusal("LockPCRs", this.#registers.lockRange(request.range));
      case "Attestation":
        return this.#attest(request);
    }
  }

  #describe(): NsmResponse {
    return {
      kind: "DescribeNSM",
      versionMajor: 1,
      versionMinor: 0,
      versionPatch: 0,
      moduleId: this.moduleId,
      maxPcrs: PCR_COUNT,
      lockedPcrs: [...this.#registers.locked().keys()],
      digest: "SHA384",
    };
  }

  async #attest(request: Extract<NsmRequest, { kind: "Attestation" }>): Promise<NsmResponse> {
    const { userData, nonce, publicKey } = request;
    if ([userData, nonce, publicKey].some((field) => (field?.length ?? 0) > MAX_FIELD_BYTES)) {
      return refusal("InputTooLarge");
    }
    const now = this.#state.clock();
    const leaf = await this.#currentLeaf(now);
    const pcrs = this.#registers.locked();
    const fields = { moduleId: this.moduleId, timestampMs: now.getTime(), pcrs, userData, nonce, publicKey };
    return { kind: "Attestation", document: await signDocument(fields, leaf, { form: this.#state.documentForm }) };
  }

  async #currentLeaf(now: Date): Promise<Leaf> {
    const cached = this.#leaf;
    if (cached !== undefined && now.getTime() + LEAF_RENEWED_BEFORE_END_MS < cached.notAfter.getTime()) return cached;
    this.#leaf = await this.#state.authority.issueLeaf(this.moduleId);
    return this.#leaf;
  }
}

const answerOrRefusal = (kind: "LockPCR" | "LockPCRs", error: NsmErrorCode | undefined): NsmResponse =>
  error === undefined ? { kind } : refusal(error);

function decodeOrUndefined(bytes: Uint8Array): NsmRequest | undefined {
  try {
    return decodeNsmRequest(bytes);
  } catch (error) {
    if (error instanceof ServiceError) return undefined;
    throw error;
  }
}

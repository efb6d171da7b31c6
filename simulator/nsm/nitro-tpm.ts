/** The NitroTPM of a simulated EC2 instance, as far as attestation goes: registers, and documents about them. */
import { randomBytes } from "node:crypto";
import { copyBytes, toHex } from "../../shared/bytes.js";
import type { NitroPki } from "../pki/nitro-pki.js";
import type { DocumentFields, DocumentOverrides } from "./document.js";
import { signDocument } from "./document.js";

export interface NitroTpmOptions {
  readonly pki: NitroPki;
  readonly instanceId?: string;
  /** SHA-384 registers by index, 0 to 23; what is left out is zero. */
  readonly pcrs?: ReadonlyMap<number, Uint8Array>;
}

/** What an instance may have put into a document. */
export type NitroTpmClaims = Partial<Pick<DocumentFields, "publicKey" | "userData" | "nonce">>;

export interface SimulatedNitroTpm {
  readonly moduleId: string;
  /** A document as of now, as `nitro-tpm-attest` prints it. `overrides` make it a wrong one. */
  attest(claims?: NitroTpmClaims, overrides?: DocumentOverrides): Promise<Uint8Array<ArrayBuffer>>;
}

const PCR_COUNT = 24;

/** Starts the NitroTPM of an instance. */
export async function startNitroTpm({ pki, pcrs, ...options }: NitroTpmOptions): Promise<SimulatedNitroTpm> {
  const instanceId = options.instanceId ?? `i-${toHex(randomBytes(9)).slice(1)}`;
  const moduleId = `${instanceId}-tpm${"0".repeat(16)}`;
  const leaf = await pki.issueInstance(instanceId).issueLeaf(moduleId);
  const registers = new Map(
    Array.from({ length: PCR_COUNT }, (_, index) => [index, copyBytes(pcrs?.get(index) ?? new Uint8Array(48))]),
  );
  const attest: SimulatedNitroTpm["attest"] = (claims = {}, overrides = {}) => {
    const fields = { moduleId, timestampMs: pki.clock().getTime(), pcrs: new Map(), userData: null, nonce: null };
    const payload = { pcrs: undefined, nitrotpm_pcrs: registers, ...overrides.payload };
    return signDocument({ ...fields, publicKey: null, ...claims }, leaf, { ...overrides, payload });
  };
  return { moduleId, attest };
}

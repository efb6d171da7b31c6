/**
 * The 32 platform configuration registers of an NSM: 48 bytes each, extended by SHA-384, 0 to 15 locked from boot.
 * Refusals are the device's error codes, returned and not thrown: a refused request is an answer, too.
 */
import { createHash } from "node:crypto";
import { PCR_BYTES, PCR_COUNT, zeroPcr } from "../../shared/attestation/pcr.js";
import { copyBytes } from "../../shared/bytes.js";
import type { NsmErrorCode } from "../../shared/nsm.js";

/** Registers 0 to 15 belong to the platform. */
export const PLATFORM_PCR_COUNT = 16;

export type PcrRefusal = Extract<NsmErrorCode, "InvalidIndex" | "ReadOnlyIndex">;

interface Register {
  value: Uint8Array<ArrayBuffer>;
  locked: boolean;
}

export class PcrRegisters {
  readonly #registers: readonly Register[];

  /** The state at boot: `initial` values (zeros where there is none), the platform's registers locked. */
  constructor(initial: ReadonlyMap<number, Uint8Array>) {
    this.#registers = Array.from({ length: PCR_COUNT }, (_, index) => ({
      value: copyBytes(initial.get(index) ?? zeroPcr()),
      locked: index < PLATFORM_PCR_COUNT,
    }));
    const foreign = [...initial].some(
      ([index, value]) => this.#registers[index] === undefined || value.length !== PCR_BYTES,
    );
    if (foreign) throw new TypeError("a PCR has an index of 0 to 31 and 48 bytes");
  }

  describe(index: number): { readonly lock: boolean; readonly data: Uint8Array } | PcrRefusal {
    const register = this.#registers[index];
    return register === undefined ? "InvalidIndex" : { lock: register.locked, data: copyBytes(register.value) };
  }

  /** The new value: SHA-384 of the old one and `data`, which is not hashed before. */
  extend(index: number, data: Uint8Array): Uint8Array | PcrRefusal {
    const register = this.#registers[index];
    if (register === undefined) return "InvalidIndex";
    if (register.locked) return "ReadOnlyIndex";
    register.value = new Uint8Array(createHash("sha384").update(register.value).update(data).digest());
    return copyBytes(register.value);
  }

  /** Locks one register until the enclave ends; locking it again is refused. */
  lock(index: number): PcrRefusal | undefined {
    const register = this.#registers[index];
    if (register === undefined) return "InvalidIndex";
    if (register.locked) return "ReadOnlyIndex";
    register.locked = true;
    return undefined;
  }

  /** Locks registers 0 to `range` - 1; those that are locked already stay so. */
  lockRange(range: number): PcrRefusal | undefined {
    if (range > PCR_COUNT) return "InvalidIndex";
    for (const register of this.#registers.slice(0, range)) register.locked = true;
    return undefined;
  }

  /** The locked registers, as an attestation document lists them. */
  locked(): ReadonlyMap<number, Uint8Array> {
    return new Map(
      [...this.#registers.entries()]
        .filter(([, { locked }]) => locked)
        .map(([index, { value }]) => [index, copyBytes(value)]),
    );
  }
}

/**
 * Platform configuration registers of a Nitro enclave (AWS Nitro Enclaves user guide, "Cryptographic attestation"): how
 * they are extended, and the values of those that are not measured from the image file.
 *
 * PCR0, 1, 2 and 8 are measured from the image (shared/eif/eif.ts). PCR3 and 4 name the parent instance's role and id: they
 * say where an enclave runs, never what it is (pitfall 8). PCR16 is where this project's enclaves put their configuration.
 */
import { concatBytes, digest, utf8 } from "../bytes.js";

/** SHA-384: the only digest of genuine devices. */
export const PCR_BYTES = 48;
/** Registers of the device: 0..31. */
export const PCR_COUNT = 32;

/** The value of a register that nothing was extended into; PCR0 has it in debug mode. */
export const zeroPcr = (): Uint8Array<ArrayBuffer> => new Uint8Array(PCR_BYTES);

/** What a register that holds `old` holds after it was extended with `data`: SHA-384(old ‖ data). */
export async function extendPcr(old: Uint8Array, data: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  if (old.length !== PCR_BYTES) throw new TypeError(`a PCR has ${PCR_BYTES} bytes`);
  return digest("SHA-384", concatBytes(old, data));
}

/** PCR4 of every enclave on the parent instance `instanceId`. */
export const pcr4OfInstance = async (instanceId: string): Promise<Uint8Array<ArrayBuffer>> =>
  extendPcr(zeroPcr(), utf8(instanceId));

/** PCR3 of every enclave on an instance with this IAM role; zero without a role. */
export const pcr3OfRole = async (roleArn: string): Promise<Uint8Array<ArrayBuffer>> =>
  extendPcr(zeroPcr(), utf8(roleArn));

/** PCR16 of an enclave of this project that booted with exactly these configuration bytes: their SHA-384, extended once. */
export const pcr16OfConfiguration = async (configuration: Uint8Array): Promise<Uint8Array<ArrayBuffer>> =>
  extendPcr(zeroPcr(), await digest("SHA-384", configuration));

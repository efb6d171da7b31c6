/**
 * The first thing that an enclave does with its configuration: measure it. PCR16 becomes extend(0^48, SHA-384(bytes)) and
 * is locked, before anything acts on the configuration or attests (DESIGN decision 4). From then on every attestation
 * document carries it, so that KMS key policies and clients can pin the configuration as they pin the code.
 */
import { pcr16OfConfiguration } from "../shared/attestation/pcr.js";
import { digest, equalBytes, isAllZero, toHex } from "../shared/bytes.js";
import { ServiceError } from "../shared/errors.js";
import type { NsmClient } from "./nsm.js";

/** The PCR that the configuration is measured into; the first one that is not locked at boot. */
export const CONFIGURATION_PCR = 16;

/**
 * Measures `configuration` into PCR16 and locks it. On return the NSM itself has shown the expected value, locked.
 * @returns the value, in hexadecimal
 * @throws ServiceError ERR_NSM when PCR16 was extended or locked before (something ran ahead of this code), or does not
 *   come out as expected; ERR_TIMEOUT, ERR_BUSY.
 */
export async function measureConfiguration(nsm: NsmClient, configuration: Uint8Array): Promise<string> {
  const before = await nsm.describePcr(CONFIGURATION_PCR);
  if (before.lock || !isAllZero(before.data)) {
    throw new ServiceError("ERR_NSM", "expected PCR16 unlocked and zero at boot, it has been used before");
  }
  await nsm.extendPcr(CONFIGURATION_PCR, await digest("SHA-384", configuration));
  await nsm.lockPcr(CONFIGURATION_PCR);
  const after = await nsm.describePcr(CONFIGURATION_PCR);
  if (!after.lock || !equalBytes(after.data, await pcr16OfConfiguration(configuration))) {
    throw new ServiceError("ERR_NSM", "expected PCR16 to hold the configuration's measurement, locked, it does not");
  }
  return toHex(after.data);
}

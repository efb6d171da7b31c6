/**
 * Randomness at boot (PITFALLS 29). A fresh enclave has gathered little of its own, so the kernel's pool is seeded from the
 * Nitro Security Module before any key is made, as AWS's SDK does (aws-nitro-enclaves-sdk-c,
 * aws_nitro_enclaves_library_seed_entropy): 1024 bytes of GetRandom, mixed into /dev/random and credited.
 *
 * All keys then come from the kernel's generator, through node:crypto and WebCrypto; the NSM's bytes are never used as keys
 * themselves, and what they are mixed with makes nothing worse.
 */
import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import { equalBytes, isAllZero, wipe } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { addEntropy } from "../../vsock/index.js";
import type { NsmClient } from "../nsm.js";

/** Where the enclave's randomness comes from, for health. */
export interface RandomnessState {
  /** Bytes of the NSM that were mixed into the kernel's pool at boot; 0 where the platform was left to itself. */
  readonly seededBytes: number;
  /** Whether the kernel counts them as entropy; that takes CAP_SYS_ADMIN. */
  readonly credited: boolean;
  /** The kernel's hardware generator, `nsm-hwrng` in an enclave with a driver of Linux 6.8 or later; null where it names none. */
  readonly hardwareGenerator: string | null;
}

/** The kernel's side, as far as it takes privileges or a particular kernel. */
export interface KernelPool {
  /** Mixes and credits. @throws an error with the code EPERM where the process may not. */
  credit(bytes: Uint8Array): void;
  /** Mixes alone. */
  mix(bytes: Uint8Array): void;
  hardwareGenerator(): string | null;
}

const SEED_BYTES = 1_024;

/**
 * Seeds the kernel's pool from the device, and says so.
 * @throws ServiceError ERR_NSM when the device gives nothing, zeros, or the same twice: its randomness is none; ERR_TIMEOUT.
 */
export async function seedRandomness(nsm: NsmClient, kernel: KernelPool = linuxPool): Promise<RandomnessState> {
  let seededBytes = 0;
  let credited = true;
  let last: Uint8Array = new Uint8Array();
  try {
    while (seededBytes < SEED_BYTES) {
      const random = await nsm.random();
      if (random.length === 0 || isAllZero(random) || equalBytes(random, last)) {
        throw new ServiceError("ERR_NSM", "expected random bytes of the NSM, got none, zeros or the same ones again");
      }
      wipe(last);
      last = random;
      credited = seed(kernel, random) && credited;
      seededBytes += random.length;
    }
  } finally {
    wipe(last);
  }
  return { seededBytes, credited, hardwareGenerator: kernel.hardwareGenerator() };
}

/** Whether the kernel counts the bytes; mixed in they are in any case. */
function seed(kernel: KernelPool, bytes: Uint8Array): boolean {
  try {
    kernel.credit(bytes);
    return true;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EPERM")) throw error;
    kernel.mix(bytes);
    return false;
  }
}

const POOL = "/dev/random";
const CURRENT_GENERATOR = "/sys/devices/virtual/misc/hw_random/rng_current";

/** random(4): writing mixes without credit, the ioctl RNDADDENTROPY with it. */
export const linuxPool: KernelPool = {
  credit: (bytes) => withPool((fd) => addEntropy(fd, bytes)),
  mix: (bytes) => withPool((fd) => writeSync(fd, bytes)),
  hardwareGenerator() {
    try {
      return readFileSync(CURRENT_GENERATOR, "utf8").trim() || null;
    } catch {
      return null; // no sysfs, or a kernel without such generators
    }
  },
};

function withPool(use: (fd: number) => unknown): void {
  const fd = openSync(POOL, constants.O_WRONLY);
  try {
    use(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * The machine that an enclave's program has to itself, and what is done to it once, at boot: its randomness is seeded from
 * the NSM, its clock set to the NSM's time, and root given up. What of it succeeded is in health.
 */
import { setRealtimeClock } from "../../vsock/index.js";
import { systemClock } from "../clock.js";
import { NsmClient } from "../nsm.js";
import type { NsmDevice } from "./nsm-device.js";
import { dropPrivileges } from "./privileges.js";
import type { RandomnessState } from "./randomness.js";
import { seedRandomness } from "./randomness.js";

export interface MachineState {
  readonly randomness: RandomnessState;
  /** Whether the machine's clock was set to the NSM's time at boot; that takes CAP_SYS_TIME. How it goes since: `time`. */
  readonly clockSet: boolean;
  /** The user that the program runs as. */
  readonly uid: number | undefined;
}

/** What `createEnclave` does to the machine, where the enclave has one to itself. */
export interface Machine {
  /** Told the NSM's time (milliseconds since 1970) once: after the measurement, before anything is served. */
  settle(nowMs: number): void;
  readonly state: MachineState;
}

export interface BootedMachine extends Machine {
  readonly nsm: NsmDevice;
}

/** Seeds the kernel's randomness from the device. @throws ServiceError ERR_NSM, ERR_TIMEOUT. */
export async function bootMachine(nsm: NsmDevice): Promise<BootedMachine> {
  const randomness = await seedRandomness(new NsmClient(nsm, systemClock));
  let clockSet = false;
  return {
    nsm,
    settle(nowMs) {
      clockSet = setClock(nowMs);
      dropPrivileges();
    },
    get state() {
      return { randomness, clockSet, uid: process.getuid?.() };
    },
  };
}

/**
 * Sets the clock to `nowMs`, in whole milliseconds, and says whether that could be done. Time that matters does not rest on
 * it: attested-time.ts.
 */
export function setClock(nowMs: number, set: (milliseconds: number) => void = setRealtimeClock): boolean {
  try {
    set(Math.round(nowMs)); // the NSM's time and what the monotonic clock counted since, with its fractions
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EPERM") return false;
    throw error;
  }
}

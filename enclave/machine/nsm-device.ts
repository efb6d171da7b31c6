/**
 * The Nitro Security Module of this enclave, /dev/nsm, by its ioctl (Linux drivers/misc/nsm.c, kernel 6.8 and later; before
 * that the module that AWS ships). The driver has one lock, so requests go out one at a time and the others wait here,
 * where their number is bounded and they hold no thread. Each has a deadline that counts from its arrival: the driver's own
 * is 120 seconds. What comes later reaches nobody, and the next request goes out only then.
 */
import { closeSync, constants, openSync } from "node:fs";
import { ServiceError } from "../../shared/errors.js";
import type { Nsm } from "../../shared/nsm.js";
import { NSM_MAX_REQUEST_BYTES } from "../../shared/nsm.js";
import { nsmRequest } from "../../vsock/index.js";
import type { Clock } from "../clock.js";
import { systemClock } from "../clock.js";
import { withinDeadline } from "../deadline.js";
import { Gate } from "../gate.js";

/** How the process is connected to a device: the ioctl on an open descriptor. */
export type NsmIoctl = (fd: number, request: Uint8Array) => Promise<Uint8Array>;

export interface NsmDeviceOptions {
  /** From a request's arrival to its answer; 5 s unless given. */
  readonly deadlineMs?: number;
  /** Requests that wait; 64 unless given. */
  readonly maxQueued?: number;
  readonly clock?: Clock;
  readonly ioctl?: NsmIoctl;
}

/** A device that is open. */
export interface NsmDevice extends Nsm {
  /** Lets go of the device once it has answered what it was asked. */
  close(): Promise<void>;
}

export const NSM_DEVICE = "/dev/nsm";

/**
 * Opens the device at `path`. Its `exchange` takes requests of 1 to 4096 bytes: an empty one would block the device for ever
 * and is refused before it gets there, as a longer one is. It throws ServiceError ERR_NSM (the size, or the device failed;
 * the cause has the system's error), ERR_TIMEOUT, ERR_BUSY.
 * @throws ServiceError ERR_NSM when there is no such device: the process is not in an enclave.
 */
export function openNsmDevice(path: string = NSM_DEVICE, options: NsmDeviceOptions = {}): NsmDevice {
  const { deadlineMs = 5_000, maxQueued = 64, clock = systemClock, ioctl = nsmRequest } = options;
  const fd = open(path);
  const gate = new Gate("NSM requests", { maxConcurrent: 1, maxQueued });
  let lastAnswer: Promise<unknown> = Promise.resolve();
  let closed: Promise<void> | undefined;
  const assertOpen = (): void => {
    if (closed) throw new ServiceError("ERR_NSM", "the NSM device is closed");
  };
  const ask = async (request: Uint8Array): Promise<Uint8Array> => {
    assertOpen(); // it may have been closed while the request waited
    const answer = ioctl(fd, request);
    lastAnswer = answer.catch(() => undefined); // told to who asked; close() only waits
    return answer.catch((cause: unknown) => {
      throw new ServiceError("ERR_NSM", "the NSM device failed", { cause });
    });
  };
  return {
    async exchange(request) {
      assertOpen();
      assertSize(request);
      return withinDeadline({ clock, deadlineMs, what: "NSM request" }, (signal) =>
        gate.run(() => ask(request), signal),
      );
    },
    close() {
      closed ??= lastAnswer.then(() => closeSync(fd));
      return closed;
    },
  };
}

function open(path: string): number {
  try {
    return openSync(path, constants.O_RDWR);
  } catch (cause) {
    throw new ServiceError("ERR_NSM", `expected the NSM device at ${path}: is this an enclave?`, { cause });
  }
}

function assertSize({ length }: Uint8Array): void {
  if (length > 0 && length <= NSM_MAX_REQUEST_BYTES) return;
  throw new ServiceError("ERR_NSM", `expected an NSM request of 1 to ${NSM_MAX_REQUEST_BYTES} bytes, got ${length}`);
}

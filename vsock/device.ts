/**
 * Three system calls that an enclave needs and Node does not have: the ioctl of /dev/nsm (uapi/linux/nsm.h), crediting
 * entropy to the kernel's pool (random(4)), and setting the clock. Nothing here encodes or understands a message.
 */
import { assertBytes, assertInteger, systemError } from "./errors.js";
import { addon } from "./native.js";

/** The longest request that the NSM's driver takes; its response is at most three times as long. */
export const NSM_REQUEST_MAX_BYTES = 0x1000;
const ENTROPY_MAX_BYTES = 4_096;
const DESCRIPTOR_MAX = 0x7fff_ffff;

/**
 * Sends `request` to the NSM that `fd` (of /dev/nsm) is open on, and resolves to its response. It runs off the event loop;
 * the driver answers one request at a time, within 120 s at worst, and `fd` must stay open until then. A request that is
 * empty would block the device for ever: it is refused before the ioctl, as is one that is too long.
 * Rejects with TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE (not 1..4096 bytes), the system's error (ENOTTY:
 * `fd` is of something else), EPROTO (a response of no length or of more than 0x3000 bytes).
 */
export async function nsmRequest(fd: number, request: Uint8Array): Promise<Uint8Array> {
  assertInteger(fd, "fd", 0, DESCRIPTOR_MAX);
  assertBytes(request, "request", 1, NSM_REQUEST_MAX_BYTES);
  const { binding } = addon();
  return new Promise((resolve, reject) => {
    const refused = binding.nsm(fd, request, (status, response) => {
      if (response === undefined) reject(systemError(status, "ioctl"));
      else resolve(response);
    });
    if (refused < 0) reject(systemError(refused, "ioctl"));
  });
}

/**
 * Mixes `bytes` (1..4096) into the kernel's pool through `fd` of /dev/random and credits eight bits for each: they must be
 * random and unknown to others. Needs CAP_SYS_ADMIN.
 * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE, the system's error (EPERM, ENOTTY).
 */
export function addEntropy(fd: number, bytes: Uint8Array): void {
  assertInteger(fd, "fd", 0, DESCRIPTOR_MAX);
  assertBytes(bytes, "bytes", 1, ENTROPY_MAX_BYTES);
  const status = addon().binding.addEntropy(fd, bytes);
  if (status < 0) throw systemError(status, "ioctl");
}

/**
 * Sets the system's clock to `milliseconds` since 1970. Needs CAP_SYS_TIME.
 * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE, the system's error (EPERM).
 */
export function setRealtimeClock(milliseconds: number): void {
  assertInteger(milliseconds, "milliseconds", 0, Number.MAX_SAFE_INTEGER);
  const status = addon().binding.setRealtimeClock(milliseconds);
  if (status < 0) throw systemError(status, "clock_settime");
}

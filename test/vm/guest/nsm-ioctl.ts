/** The ioctl of /dev/nsm as Linux's drivers/misc/nsm.c has it, before any `Nsm`. */
import { constants } from "node:os";
import type { Nsm } from "../../../shared/nsm.js";
import { NSM_MAX_REQUEST_BYTES, NSM_MAX_RESPONSE_BYTES } from "../../../shared/nsm.js";
import type { Ioctl, IoctlAnswer, Span } from "./cuse.js";

const { EFAULT, EINVAL, EIO, EMSGSIZE } = constants.errno;

/** _IOWR(0x0A, 0, struct nsm_raw) */
const NSM_IOCTL_RAW = 0xc0200a00;
/** struct nsm_raw: address and length of the request, address and capacity of the response's buffer, 64 bits each. */
const RAW_BYTES = 32;

/** How a driver, or the device behind it, may fail. */
export type NsmFault =
  /** The ioctl fails. */
  | "EIO"
  /** It says that it wrote more than it may. */
  | "oversized"
  /** It says that it wrote nothing. */
  | "nothing"
  /** It writes bytes that are no answer. */
  | "nonsense";

/** Answers an ioctl. A response that the buffer cannot hold is cut off, and its length says how much was written. */
export const answerNsmIoctl = (nsm: Nsm, call: Ioctl): Promise<IoctlAnswer> =>
  exchange(call, async (request, capacity) => {
    const bytes = (await nsm.exchange(request)).subarray(0, capacity);
    return { bytes, length: bytes.length };
  });

/** Answers an ioctl with a failure. */
export async function failNsmIoctl(fault: NsmFault, call: Ioctl): Promise<IoctlAnswer> {
  if (fault === "EIO") return { kind: "error", errno: EIO };
  const lengths = { oversized: NSM_MAX_RESPONSE_BYTES + 1, nothing: 0, nonsense: NONSENSE.length };
  return exchange(call, async () => ({ bytes: NONSENSE, length: lengths[fault] }));
}

/** The start of a CBOR text of which nothing comes. */
const NONSENSE = Uint8Array.of(0x79, 0xff, 0xff);

type Answer = (
  request: Uint8Array,
  capacity: number,
) => Promise<{ readonly bytes: Uint8Array /** As the driver reports it. */; readonly length: number }>;

async function exchange(call: Ioctl, answer: Answer): Promise<IoctlAnswer> {
  const { command, argument, input, outputBytes } = call;
  if (command !== NSM_IOCTL_RAW) return { kind: "error", errno: EINVAL };
  const raw: Span = { address: argument, length: BigInt(RAW_BYTES) };
  if (input.length < RAW_BYTES) return { kind: "again", read: [raw], write: [] };
  const [request, response] = [spanAt(input, 0), spanAt(input, 16)];
  if (request.length > BigInt(NSM_MAX_REQUEST_BYTES)) return { kind: "error", errno: EMSGSIZE };
  const capacity = min(response.length, BigInt(NSM_MAX_RESPONSE_BYTES));
  if (outputBytes === 0) {
    return { kind: "again", read: [raw, request], write: [raw, { ...response, length: capacity }] };
  }
  const body = input.subarray(RAW_BYTES);
  if (BigInt(body.length) !== request.length) return { kind: "error", errno: EFAULT }; // the struct changed meanwhile
  const { bytes, length } = await answer(body, Number(capacity));
  const rewritten = Buffer.from(input.subarray(0, RAW_BYTES));
  rewritten.writeBigUInt64LE(BigInt(length), 24);
  return { kind: "done", output: Buffer.concat([rewritten, bytes]) };
}

const spanAt = (raw: Buffer, offset: number): Span => ({
  address: raw.readBigUInt64LE(offset),
  length: raw.readBigUInt64LE(offset + 8),
});

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

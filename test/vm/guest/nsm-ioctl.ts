/** The ioctl of /dev/nsm as Linux's drivers/misc/nsm.c has it, before any `Nsm`. */
import { constants } from "node:os";
import type { Nsm } from "../../../shared/nsm.js";
import { NSM_MAX_REQUEST_BYTES, NSM_MAX_RESPONSE_BYTES } from "../../../shared/nsm.js";
import type { Ioctl, IoctlAnswer, Span } from "./cuse.js";

const { EFAULT, EINVAL, EMSGSIZE } = constants.errno;

/** _IOWR(0x0A, 0, struct nsm_raw) */
const NSM_IOCTL_RAW = 0xc0200a00;
/** struct nsm_raw: address and length of the request, address and capacity of the response's buffer, 64 bits each. */
const RAW_BYTES = 32;

/** Answers an ioctl. A response that the buffer cannot hold is cut off, and its length says how much was written. */
export async function answerNsmIoctl(nsm: Nsm, call: Ioctl): Promise<IoctlAnswer> {
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
  const answer = (await nsm.exchange(body)).subarray(0, Number(capacity));
  const rewritten = Buffer.from(input.subarray(0, RAW_BYTES));
  rewritten.writeBigUInt64LE(BigInt(answer.length), 24);
  return { kind: "done", output: Buffer.concat([rewritten, answer]) };
}

const spanAt = (raw: Buffer, offset: number): Span => ({
  address: raw.readBigUInt64LE(offset),
  length: raw.readBigUInt64LE(offset + 8),
});

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

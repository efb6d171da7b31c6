/**
 * Character devices served by this process: the part of the FUSE protocol (Linux include/uapi/linux/fuse.h, 7.x) that
 * /dev/cuse speaks. A device has ioctls and nothing else, as /dev/nsm.
 *
 * The kernel does not know what an ioctl reads and writes. So the first call comes without data; the answer "again" names
 * spans of the caller's memory, and the call comes once more with what they hold.
 */
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { constants } from "node:os";

const { ENOENT, ENOSYS, EINVAL } = constants.errno;

/** A span of the caller's memory. */
export interface Span {
  readonly address: bigint;
  readonly length: bigint;
}

export interface Ioctl {
  readonly command: number;
  readonly argument: bigint;
  /** What the spans to be read hold, one after another. */
  readonly input: Buffer;
  /** How many bytes the spans to be written take; 0 in a call that named none. */
  readonly outputBytes: number;
}

export type IoctlAnswer =
  | { readonly kind: "again"; readonly read: readonly Span[]; readonly write: readonly Span[] }
  /** Fills the spans to be written, in their order; the last ones may stay as they are. */
  | { readonly kind: "done"; readonly output: Uint8Array }
  | { readonly kind: "error"; readonly errno: number };

export type IoctlHandler = (call: Ioctl) => Promise<IoctlAnswer>;

const OPCODE = { open: 14, write: 16, read: 15, release: 18, interrupt: 36, ioctl: 39, init: 4096 };
const HEADER_IN_BYTES = 40;
const HEADER_OUT_BYTES = 16;
const UNRESTRICTED_IOCTL = 1;
const IOCTL_RETRY = 1 << 2;
/** The longest that the device can be read or written in one go, which nobody does. */
const MAX_TRANSFER_BYTES = 4096;
/** More than any message of the kernel's. */
const BUFFER_BYTES = 64 * 1024;

/** Makes the device /dev/`name`, which is there when this returns, and serves it until this process ends. */
export async function serveDevice(name: string, handler: IoctlHandler): Promise<void> {
  const cuse = await open("/dev/cuse", "r+");
  const { unique, body } = await receive(cuse);
  await reply(cuse, unique, 0, initAnswer(body, name)); // the kernel makes the device before this write returns
  void serve(cuse, handler);
}

interface Message {
  readonly opcode: number;
  readonly unique: bigint;
  readonly body: Buffer;
}

async function receive(cuse: FileHandle): Promise<Message> {
  const { buffer, bytesRead } = await cuse.read(Buffer.alloc(BUFFER_BYTES), 0, BUFFER_BYTES, null);
  const message = buffer.subarray(0, bytesRead);
  return {
    opcode: message.readUInt32LE(4),
    unique: message.readBigUInt64LE(8),
    body: message.subarray(HEADER_IN_BYTES),
  };
}

/** Takes messages as they come, and answers each when its answer is there: a slow ioctl holds up no other. */
async function serve(cuse: FileHandle, handler: IoctlHandler): Promise<never> {
  for (;;) {
    const message = await receive(cuse);
    void answer(cuse, message, handler);
  }
}

async function answer(cuse: FileHandle, { opcode, unique, body }: Message, handler: IoctlHandler): Promise<void> {
  switch (opcode) {
    case OPCODE.open:
      return reply(cuse, unique, 0, Buffer.alloc(16)); // file handle 0, no flags
    case OPCODE.release:
      return reply(cuse, unique, 0);
    case OPCODE.interrupt:
      return; // takes no answer, and the ioctl is answered in its time
    case OPCODE.ioctl: {
      const result = await handler(parseIoctl(body));
      return result.kind === "error" ? reply(cuse, unique, result.errno) : reply(cuse, unique, 0, ioctlAnswer(result));
    }
    case OPCODE.read:
    case OPCODE.write:
      return reply(cuse, unique, EINVAL); // as a driver without these operations
    default:
      return reply(cuse, unique, ENOSYS);
  }
}

/** One write is one answer. A caller that was killed meanwhile is no longer known, and no harm. */
async function reply(
  cuse: FileHandle,
  unique: bigint,
  errno: number,
  body: Uint8Array = Buffer.alloc(0),
): Promise<void> {
  const message = Buffer.alloc(HEADER_OUT_BYTES + body.length);
  message.writeUInt32LE(message.length, 0);
  message.writeInt32LE(-errno, 4);
  message.writeBigUInt64LE(unique, 8);
  message.set(body, HEADER_OUT_BYTES);
  await cuse.write(message).catch((error: NodeJS.ErrnoException) => {
    if (error.errno !== -ENOENT) throw error;
  });
}

function initAnswer(request: Buffer, name: string): Buffer {
  const answer = Buffer.alloc(72);
  answer.writeUInt32LE(request.readUInt32LE(0), 0); // the protocol's version is the kernel's own
  answer.writeUInt32LE(request.readUInt32LE(4), 4);
  answer.writeUInt32LE(UNRESTRICTED_IOCTL, 12);
  answer.writeUInt32LE(MAX_TRANSFER_BYTES, 16);
  answer.writeUInt32LE(MAX_TRANSFER_BYTES, 20); // then the device's numbers: 0, any
  return Buffer.concat([answer, Buffer.from(`DEVNAME=${name}\0`)]);
}

const parseIoctl = (body: Buffer): Ioctl => ({
  command: body.readUInt32LE(12),
  argument: body.readBigUInt64LE(16),
  input: body.subarray(32, 32 + body.readUInt32LE(24)),
  outputBytes: body.readUInt32LE(28),
});

function ioctlAnswer(answer: Exclude<IoctlAnswer, { kind: "error" }>): Buffer {
  const head = Buffer.alloc(16); // the ioctl's result is 0
  if (answer.kind === "done") return Buffer.concat([head, answer.output]);
  head.writeUInt32LE(IOCTL_RETRY, 4);
  head.writeUInt32LE(answer.read.length, 8);
  head.writeUInt32LE(answer.write.length, 12);
  const spans = BigUint64Array.from(
    [...answer.read, ...answer.write].flatMap(({ address, length }) => [address, length]),
  );
  return Buffer.concat([head, new Uint8Array(spans.buffer)]);
}

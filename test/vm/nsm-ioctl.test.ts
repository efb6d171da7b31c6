/** The ioctl of the simulated /dev/nsm, as the kernel calls it: what it asks for first, and how its driver fails. */
import { describe, expect, it } from "vitest";
import type { Ioctl } from "./guest/cuse.js";
import type { NsmFault } from "./guest/nsm-ioctl.js";
import { answerNsmIoctl, failNsmIoctl } from "./guest/nsm-ioctl.js";

const RAW_BYTES = 32;
const COMMAND = 0xc0200a00;
const REQUEST = Uint8Array.of(1, 2, 3);
const echo = { exchange: async (request: Uint8Array) => request };

/** struct nsm_raw, with the request at 0x1000 and room for a response at 0x2000. */
function raw({ requestBytes = REQUEST.length, capacity = 0x3000 } = {}): Buffer {
  const bytes = Buffer.alloc(RAW_BYTES);
  [0x1000, requestBytes, 0x2000, capacity].forEach((value, index) => {
    bytes.writeBigUInt64LE(BigInt(value), 8 * index);
  });
  return bytes;
}

const call = (changes: Partial<Ioctl> = {}): Ioctl => ({
  command: COMMAND,
  argument: 0x500n,
  input: Buffer.concat([raw(), REQUEST]),
  outputBytes: RAW_BYTES + 0x3000,
  ...changes,
});

const lengthOf = (output: Uint8Array): bigint => Buffer.from(output).readBigUInt64LE(24);

describe("the ioctl of the simulated device", () => {
  it("asks for the struct, then for the request and room for the answer, and answers", async () => {
    const struct = { address: 0x500n, length: BigInt(RAW_BYTES) };
    const first = await answerNsmIoctl(echo, call({ input: Buffer.alloc(0), outputBytes: 0 }));
    expect(first).toEqual({ kind: "again", read: [struct], write: [] });
    const second = await answerNsmIoctl(echo, call({ input: raw(), outputBytes: 0 }));
    const [request, response] = [
      { address: 0x1000n, length: 3n },
      { address: 0x2000n, length: 0x3000n },
    ];
    expect(second).toEqual({ kind: "again", read: [struct, request], write: [struct, response] });
    const third = await answerNsmIoctl(echo, call());
    if (third.kind !== "done") throw new TypeError("expected an answer");
    expect(third.output.subarray(RAW_BYTES)).toEqual(Buffer.from(REQUEST));
    expect(lengthOf(third.output)).toBe(3n);
  });

  it.each([
    ["another command", { command: COMMAND + 1 }, 22],
    ["a request of 4097 bytes", { input: raw({ requestBytes: 4097 }), outputBytes: 0 }, 90],
    ["a struct that changed meanwhile", { input: raw() }, 14],
  ])("refuses %s", async (_, changes, errno) => {
    expect(await answerNsmIoctl(echo, call(changes))).toEqual({ kind: "error", errno });
  });

  it.each<[NsmFault, bigint]>([
    ["oversized", 0x3001n],
    ["nothing", 0n],
    ["nonsense", 3n],
  ])("fails on demand: %s", async (fault, length) => {
    const answer = await failNsmIoctl(fault, call());
    if (answer.kind !== "done") throw new TypeError("expected an answer");
    expect(lengthOf(answer.output)).toBe(length);
    expect(await failNsmIoctl("EIO", call())).toEqual({ kind: "error", errno: 5 });
  });
});

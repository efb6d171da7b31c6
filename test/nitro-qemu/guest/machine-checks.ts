/** What holds of the machine around the NSM: its kernel's randomness and clock, and vsock. */
import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { once } from "node:events";
import { closeSync, constants, openSync } from "node:fs";
import { systemClock } from "../../../enclave/clock.js";
import { bootMachine } from "../../../enclave/machine/machine.js";
import type { NsmDevice } from "../../../enclave/machine/nsm-device.js";
import { openNsmDevice } from "../../../enclave/machine/nsm-device.js";
import { seedRandomness } from "../../../enclave/machine/randomness.js";
import { NsmClient } from "../../../enclave/nsm.js";
import type { VsockSocket } from "../../../vsock/index.js";
import {
  addEntropy,
  connect,
  createServer,
  nsmRequest,
  setRealtimeClock,
  VMADDR_CID_ANY,
} from "../../../vsock/index.js";
import type { Check } from "../../vm/guest/checks.js";
import { CALLED_PORT, CLOSED_PORT, ECHO_PORT, HOST_CID, RELAY_PORT } from "../launch.js";

const SENT_BYTES = 1_000_000;
const PIECE_BYTES = 65_536;
/** What an unprivileged process of the image runs as. */
const UID = 65_532;

export const vsockChecks: readonly Check[] = [
  {
    name: "vsock: a megabyte to the host and back",
    async run() {
      const socket = connect({ cid: HOST_CID, port: ECHO_PORT, timeoutMs: 10_000 });
      await once(socket, "connect");
      await echoes(socket);
    },
  },
  {
    name: "vsock: a connection of the host's, whose CID is 2",
    async run() {
      const server = createServer({}, (socket) => void socket.pipe(socket));
      server.listen({ cid: VMADDR_CID_ANY, port: CALLED_PORT });
      await once(server, "listening");
      const accepted = once(server, "connection");
      const socket = connect({ cid: HOST_CID, port: RELAY_PORT, timeoutMs: 10_000 });
      await once(socket, "connect");
      await echoes(socket);
      const [peer] = await accepted;
      equal(peer.remoteCid, HOST_CID);
      server.close();
      await once(server, "close");
    },
  },
  {
    name: "vsock: a port that does not answer is ETIMEDOUT at the deadline",
    async run() {
      const startedAt = performance.now();
      const socket = connect({ cid: HOST_CID, port: CLOSED_PORT, timeoutMs: 1_000 }); // this device sends no reset
      await rejects(once(socket, "connect"), { code: "ETIMEDOUT", syscall: "connect" });
      const ms = performance.now() - startedAt;
      ok(ms > 900 && ms < 5_000, `after ${ms} ms`);
    },
  },
];

/** The checks of what an enclave does with its machine at boot; afterwards this process is root no more. */
export function machineChecks(device: NsmDevice): readonly Check[] {
  return [
    {
      name: "the binding: 4096 bytes go out, none or 4097 do not, and what is no NSM is ENOTTY",
      async run() {
        const fd = openSync("/dev/null", constants.O_RDWR);
        try {
          await rejects(nsmRequest(fd, new Uint8Array()), { code: "ERR_OUT_OF_RANGE" });
          await rejects(nsmRequest(fd, new Uint8Array(4_097)), { code: "ERR_OUT_OF_RANGE" });
          await rejects(nsmRequest(fd, new Uint8Array(4_096)), { code: "ENOTTY", syscall: "ioctl" });
        } finally {
          closeSync(fd);
        }
      },
    },
    {
      name: "randomness: 1024 bytes of the NSM mixed and credited as root; the kernel's generator is nsm-hwrng",
      async run() {
        const state = await seedRandomness(new NsmClient(device, systemClock));
        deepEqual(state, { seededBytes: 1_024, credited: true, hardwareGenerator: "nsm-hwrng" });
      },
    },
    {
      name: "the machine's clock is set to the time it is told, and root given up for good",
      async run() {
        const machine = await bootMachine(device);
        const told = Date.now() + 3_600_000.25; // what a clock has counted is no whole number
        machine.settle(told);
        const ahead = Date.now() - told;
        ok(ahead > -1 && ahead < 5_000, `the clock is ${ahead} ms ahead of what it was set to`);
        deepEqual([machine.state.clockSet, machine.state.uid], [true, UID]);
        throws(() => process.setuid?.(0), { code: "EPERM" });
        throws(() => setRealtimeClock(Math.floor(told)), { code: "EPERM" });
      },
    },
    {
      name: "without root: the open device answers, it opens again, and entropy is mixed but not credited",
      async run() {
        const again = openNsmDevice();
        const state = await seedRandomness(new NsmClient(again, systemClock));
        deepEqual([state.seededBytes, state.credited], [1_024, false]);
        await again.close();
        equal((await new NsmClient(device, systemClock).random()).length, 256);
        const pool = openSync("/dev/random", constants.O_WRONLY);
        throws(() => addEntropy(pool, Uint8Array.of(1)), { code: "EPERM" });
        closeSync(pool);
      },
    },
  ];
}

/** Sends bytes and reads as many, which are to come back as they went. */
async function echoes(socket: VsockSocket): Promise<void> {
  const sent = Buffer.alloc(SENT_BYTES);
  for (let at = 0; at < sent.length; at += 4) sent.writeUInt32BE(at, at);
  const received: Buffer[] = [];
  let missing = sent.length;
  const all = new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.on("data", (chunk: Buffer) => {
      received.push(chunk);
      missing -= chunk.length;
      if (missing <= 0) resolve();
    });
  });
  for (let at = 0; at < sent.length; at += PIECE_BYTES) {
    if (!socket.write(sent.subarray(at, at + PIECE_BYTES))) await once(socket, "drain");
  }
  await all;
  ok(Buffer.concat(received).equals(sent), "other bytes came back");
  socket.destroy();
  await once(socket, "close");
}

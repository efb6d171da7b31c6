/** The production client of /dev/nsm, against the kernel's ioctl and a driver that may fail. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { systemClock } from "../../../../enclave/clock.js";
import { openNsmDevice } from "../../../../enclave/machine/nsm-device.js";
import { NsmClient } from "../../../../enclave/nsm.js";
import type { Nsm } from "../../../../shared/nsm.js";
import { decodeNsmResponse, encodeNsmRequest, NSM_MAX_REQUEST_BYTES } from "../../../../shared/nsm.js";
import { nsmRequest } from "../../../../vsock/index.js";
import type { Check } from "../checks.js";
import type { NsmFault } from "../nsm-ioctl.js";
import type { Stage } from "../stage.js";
import { failureOf } from "../stage.js";

const ATTESTATIONS = 100;
const FIELDS = { userData: null, nonce: null, publicKey: null };
const GET_RANDOM = encodeNsmRequest({ kind: "GetRandom" });
const FAULTS: readonly NsmFault[] = ["EIO", "oversized", "nothing", "nonsense"];

export const nsmChecks = (stage: Stage): Check[] => [
  {
    name: "requests of 0 and 4097 bytes are refused before the ioctl, by the addon and by the device's client",
    run: () =>
      withDevice(async (device, fd) => {
        await stage.device.fail("EIO"); // what gets as far as the ioctl has another error
        for (const length of [0, NSM_MAX_REQUEST_BYTES + 1]) {
          equal((await failureOf(nsmRequest(fd, new Uint8Array(length)))).code, "ERR_OUT_OF_RANGE", `${length} bytes`);
          const { code, error } = await failureOf(device.exchange(new Uint8Array(length)));
          deepEqual([code, error instanceof Error && error.cause], ["ERR_NSM", undefined], `${length} bytes`);
        }
        equal((await failureOf(nsmRequest(fd, GET_RANDOM))).code, "EIO");
        await stage.device.fail();
      }),
  },
  {
    name: "what is no request is answered with the NSM's own error, at 1 byte and at 4096",
    run: () =>
      withDevice(async (device) => {
        for (const request of [Uint8Array.of(0xff), new Uint8Array(NSM_MAX_REQUEST_BYTES).fill(0x41)]) {
          const response = decodeNsmResponse(await device.exchange(request));
          deepEqual(response, { kind: "Error", error: "InvalidOperation" });
        }
        equal(decodeNsmResponse(await device.exchange(GET_RANDOM)).kind, "GetRandom");
      }),
  },
  ...FAULTS.map((fault) => ({
    name: `a driver's fault is ERR_NSM, and over with it: ${fault}`,
    run: () =>
      withDevice(async (device) => {
        const nsm = new NsmClient(device, systemClock);
        await stage.device.fail(fault);
        const { code } = await failureOf(nsm.random());
        await stage.device.fail();
        equal(code, "ERR_NSM");
        equal((await nsm.random()).length, 256);
      }),
  })),
  {
    name: `${ATTESTATIONS} attestations at once are all made, and a GetRandom among them waits for one at most`,
    deadlineMs: 60_000,
    run: () =>
      withDevice(async (device) => {
        const limits = { deadlineMs: 60_000, maxWaiting: ATTESTATIONS };
        const nsm = new NsmClient(device, systemClock, { limits });
        let made = 0;
        const attest = async (): Promise<void> => {
          await nsm.attest(FIELDS, "caller");
          made += 1;
        };
        const all = Array.from({ length: ATTESTATIONS }, attest);
        await all[0];
        const before = made;
        await nsm.random();
        ok(made - before <= 1, `${made - before} attestations came first`);
        await Promise.all(all);
      }),
  },
];

async function withDevice(use: (device: Nsm, fd: number) => Promise<void>): Promise<void> {
  const device = openNsmDevice(undefined, { deadlineMs: 60_000 });
  const fd = openSync("/dev/nsm", "r+");
  try {
    await use(device, fd);
  } finally {
    closeSync(fd);
    await device.close();
  }
}

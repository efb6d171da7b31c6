/** The registers of the machine's NSM: what the image's file, the parent and the enclave put there, and their locks. */
import { deepEqual, equal, rejects } from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { extendPcr, pcr3OfRole, pcr4OfInstance, zeroPcr } from "../../../shared/attestation/pcr.js";
import { toHex, utf8 } from "../../../shared/bytes.js";
import type { Check } from "../../vm/guest/checks.js";
import { INSTANCE_ID, MODULE_ID, ROLE_ARN } from "../launch.js";
import type { CheckedNsm } from "./checked-nsm.js";
import { LOCKED_AT_BOOT } from "./checked-nsm.js";

/** PCR16 is extended and locked in a check of its own; LockPCRs locks those below this one besides. */
const LOCKED_RANGE = 20;
const FIRST_INVALID = 32;

/** They change the registers, and so have their order. */
export const pcrChecks = (nsm: CheckedNsm): readonly Check[] => [
  {
    name: "DescribeNSM: version 1.0.0, the machine's module id, 32 registers of SHA-384, 0 to 15 locked",
    async run() {
      deepEqual(await nsm.client.describe(), {
        kind: "DescribeNSM",
        ...{ versionMajor: 1, versionMinor: 0, versionPatch: 0, moduleId: MODULE_ID },
        ...{ maxPcrs: 32, lockedPcrs: LOCKED_AT_BOOT, digest: "SHA384" },
      });
    },
  },
  {
    name: "PCR0, 1, 2 and 8 are what `nitro-decrypt pcrs` prints for this image file",
    async run() {
      const expected = await expectedPcrs();
      deepEqual([...expected.keys()].sort(), [0, 1, 2, 8]);
      for (const [index, value] of expected) equal(await nsm.pcr(index), value, `PCR${index}`);
    },
  },
  {
    name: "PCR3 and PCR4 are what shared/attestation/pcr.ts makes of the role and the instance",
    async run() {
      equal(await nsm.pcr(3), toHex(await pcr3OfRole(ROLE_ARN)));
      equal(await nsm.pcr(4), toHex(await pcr4OfInstance(INSTANCE_ID)));
    },
  },
  {
    name: "registers that nothing was extended into are zero: locked below 16, unlocked from there on",
    async run() {
      for (const index of [5, 6, 7, 9, 15, 16, 31]) {
        const { lock, data } = await nsm.client.describePcr(index);
        deepEqual({ lock, data }, { lock: index < 16, data: zeroPcr() });
      }
    },
  },
  {
    name: "ExtendPCR chains SHA-384, and LockPCR ends it: ReadOnlyIndex from then on",
    async run() {
      const once = await extendPcr(zeroPcr(), utf8("first"));
      const twice = await extendPcr(once, utf8("second, of another length"));
      deepEqual(await nsm.client.extendPcr(16, utf8("first")), once);
      deepEqual(await nsm.client.extendPcr(16, utf8("second, of another length")), twice);
      await nsm.client.lockPcr(16);
      await nsm.refuses({ kind: "ExtendPCR", index: 16, data: utf8("third") }, "ReadOnlyIndex");
      await nsm.refuses({ kind: "LockPCR", index: 16 }, "ReadOnlyIndex");
      deepEqual(await nsm.client.describePcr(16), { kind: "DescribePCR", lock: true, data: twice });
      await rejects(nsm.client.lockPcr(16), { code: "ERR_NSM", message: /ReadOnlyIndex/ });
    },
  },
  {
    name: "a register that is locked since boot takes nothing: ReadOnlyIndex",
    async run() {
      for (const index of [0, 8, 15]) {
        await nsm.refuses({ kind: "ExtendPCR", index, data: utf8("more") }, "ReadOnlyIndex");
        await nsm.refuses({ kind: "LockPCR", index }, "ReadOnlyIndex");
      }
    },
  },
  {
    name: "LockPCRs locks those below its range, locked ones among them; a range of 33 is InvalidIndex",
    async run() {
      deepEqual(await nsm.ask({ kind: "LockPCRs", range: LOCKED_RANGE }), { kind: "LockPCRs" });
      await nsm.refuses({ kind: "LockPCRs", range: FIRST_INVALID + 1 }, "InvalidIndex");
      const { lockedPcrs } = await nsm.client.describe();
      deepEqual(
        lockedPcrs,
        Array.from({ length: LOCKED_RANGE }, (_, index) => index),
      );
    },
  },
  {
    name: "an index of 32 or more is InvalidIndex, whatever is asked",
    async run() {
      for (const index of [FIRST_INVALID, 255]) {
        await nsm.refuses({ kind: "DescribePCR", index }, "InvalidIndex");
        await nsm.refuses({ kind: "ExtendPCR", index, data: utf8("x") }, "InvalidIndex");
        await nsm.refuses({ kind: "LockPCR", index }, "InvalidIndex");
      }
    },
  },
];

/** What the host was told, in hexadecimal by index: on the kernel's command line behind the part that is measured. */
async function expectedPcrs(): Promise<Map<number, string>> {
  const found = (await readFile("/proc/cmdline", "utf8")).matchAll(/ nitro_qemu\.pcr(\d+)=([0-9a-f]{96})\b/g);
  return new Map([...found].map(([, index, value = ""]) => [Number(index), value]));
}

/** What the device takes for a request, and what never reaches it. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { extendPcr, zeroPcr } from "../../../shared/attestation/pcr.js";
import { equalBytes } from "../../../shared/bytes.js";
import { encodeCbor } from "../../../shared/cbor.js";
import { ServiceError } from "../../../shared/errors.js";
import type { NsmRequest } from "../../../shared/nsm.js";
import { encodeNsmRequest, NSM_MAX_REQUEST_BYTES } from "../../../shared/nsm.js";
import type { Check } from "../../vm/guest/checks.js";
import type { CheckedNsm } from "./checked-nsm.js";
import { LOCKED_AT_BOOT } from "./checked-nsm.js";

/** A register that stays unlocked, for requests of any size. */
const SPARE = 24;

/** What the device itself, or the ioctl, refuses has a cause. */
const REFUSED_BEFORE = (error: unknown): boolean =>
  error instanceof ServiceError && error.code === "ERR_NSM" && error.cause === undefined;

export const requestChecks = (nsm: CheckedNsm): readonly Check[] => [
  {
    name: "GetRandom: 256 bytes, other ones each time",
    async run() {
      const [first, second] = [await nsm.client.random(), await nsm.client.random()];
      deepEqual([first.length, second.length], [256, 256]);
      ok(!equalBytes(first, second));
    },
  },
  {
    name: "a request that is none of the seven is InvalidOperation, as is what is no CBOR",
    async run() {
      for (const request of [encodeCbor("DescribeNsm"), encodeCbor(new Map([["GetRandom", 1]])), Uint8Array.of(0xff)]) {
        deepEqual(await nsm.askBytes(request), { kind: "Error", error: "InvalidOperation" });
      }
    },
  },
  {
    name: "a request of 4096 bytes is taken, one of 4097 never reaches the device",
    async run() {
      const extend = (length: number): NsmRequest => ({
        kind: "ExtendPCR",
        index: SPARE,
        data: new Uint8Array(length),
      });
      const overhead = encodeNsmRequest(extend(4_000)).length - 4_000;
      const longest = extend(NSM_MAX_REQUEST_BYTES - overhead);
      equal(encodeNsmRequest(longest).length, NSM_MAX_REQUEST_BYTES);
      const expected = await extendPcr(zeroPcr(), new Uint8Array(NSM_MAX_REQUEST_BYTES - overhead));
      deepEqual(await nsm.ask(longest), { kind: "ExtendPCR", data: expected });
      await rejects(nsm.ask(extend(NSM_MAX_REQUEST_BYTES - overhead + 1)), REFUSED_BEFORE);
      deepEqual((await nsm.client.describePcr(SPARE)).data, expected);
    },
  },
  {
    name: "an empty request never reaches the device, which would not answer it; the next one is answered",
    async run() {
      await rejects(nsm.device.exchange(new Uint8Array()), REFUSED_BEFORE);
      equal((await nsm.client.random()).length, 256);
    },
  },
  {
    name: "64 requests at once, as many as may wait, each with its own answer",
    async run() {
      const known = await Promise.all(LOCKED_AT_BOOT.map((index) => nsm.pcr(index)));
      const order = Array.from({ length: 64 }, (_, i) => (i * 7) % known.length);
      deepEqual(
        await Promise.all(order.map((index) => nsm.pcr(index))),
        order.map((index) => known[index]),
      );
    },
  },
];

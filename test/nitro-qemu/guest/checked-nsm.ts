/** The NSM of the machine, as the checks ask it: by the enclave's client, or message by message where an answer is an error. */
import { deepEqual } from "node:assert/strict";
import { systemClock } from "../../../enclave/clock.js";
import type { NsmDevice } from "../../../enclave/machine/nsm-device.js";
import { NsmClient } from "../../../enclave/nsm.js";
import { toHex } from "../../../shared/bytes.js";
import type { NsmErrorCode, NsmRequest, NsmResponse } from "../../../shared/nsm.js";
import { decodeNsmResponse, encodeNsmRequest } from "../../../shared/nsm.js";

/** Registers that are locked at boot. */
export const LOCKED_AT_BOOT = Array.from({ length: 16 }, (_, index) => index);

export class CheckedNsm {
  readonly device: NsmDevice;
  readonly client: NsmClient;

  constructor(device: NsmDevice) {
    this.device = device;
    this.client = new NsmClient(device, systemClock);
  }

  /** The device's own answer to these bytes. */
  async askBytes(request: Uint8Array): Promise<NsmResponse> {
    return decodeNsmResponse(await this.device.exchange(request));
  }

  async ask(request: NsmRequest): Promise<NsmResponse> {
    return this.askBytes(encodeNsmRequest(request));
  }

  /** @throws AssertionError when the device answers anything but this error. */
  async refuses(request: NsmRequest, error: NsmErrorCode): Promise<void> {
    deepEqual(await this.ask(request), { kind: "Error", error });
  }

  /** A register's value, in hexadecimal. */
  async pcr(index: number): Promise<string> {
    return toHex((await this.client.describePcr(index)).data);
  }
}

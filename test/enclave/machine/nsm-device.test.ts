/** The client of /dev/nsm: what it lets through to the ioctl, one at a time, and what deadlines do. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { NsmDeviceOptions } from "../../../enclave/machine/nsm-device.js";
import { openNsmDevice } from "../../../enclave/machine/nsm-device.js";
import { testFolder } from "../../support/folder.js";
import { settle, TestClock } from "../fakes.js";

/** A device whose ioctl is answered by the test. */
function open(options: NsmDeviceOptions = {}) {
  const path = join(testFolder(), "nsm");
  writeFileSync(path, "");
  const clock = new TestClock();
  const asked: Uint8Array[] = [];
  const answers: { resolve: (response: Uint8Array) => void; reject: (error: Error) => void }[] = [];
  const ioctl = (_fd: number, request: Uint8Array): Promise<Uint8Array> => {
    asked.push(request);
    return new Promise((resolve, reject) => answers.push({ resolve, reject }));
  };
  const device = openNsmDevice(path, { clock, ioctl, ...options });
  onTestFinished(() => void device.close());
  const answer = async (response: Uint8Array): Promise<void> => {
    await settle();
    answers.shift()?.resolve(response);
    await settle();
  };
  return { device, clock, asked, answers, answer };
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe("openNsmDevice", () => {
  it("hands the request to the ioctl, and its answer back", async () => {
    const { device, asked, answer } = open();
    const response = device.exchange(bytes(1));
    await answer(bytes(2));
    expect(await response).toEqual(bytes(2));
    expect(asked).toEqual([bytes(1)]);
  });

  it("says that there is no device outside of an enclave", () => {
    expect(() => openNsmDevice(join(testFolder(), "none"))).toThrowCode("ERR_NSM");
  });

  it.each([0, 4_097])("refuses a request of %d bytes before the ioctl", async (length) => {
    const { device, asked } = open();
    await expect(device.exchange(new Uint8Array(length))).rejects.toThrowCode("ERR_NSM");
    expect(asked).toEqual([]);
  });

  it("takes a request of 4096 bytes", async () => {
    const { device, answer } = open();
    const response = device.exchange(new Uint8Array(4_096));
    await answer(bytes(1));
    await expect(response).resolves.toEqual(bytes(1));
  });

  it("has one request in the device at a time, in their order, and refuses those beyond the bound", async () => {
    const { device, asked, answer } = open({ maxQueued: 1 });
    const [first, second, third] = [1, 2, 3].map((value) => device.exchange(bytes(value)));
    await expect(third).rejects.toThrowCode("ERR_BUSY");
    expect(asked).toEqual([bytes(1)]);
    await answer(bytes(11));
    expect(asked).toEqual([bytes(1), bytes(2)]);
    await answer(bytes(12));
    expect([await first, await second]).toEqual([bytes(11), bytes(12)]);
  });

  it("gives a request up at its deadline, and the next goes out only when the device has answered", async () => {
    const { device, clock, asked, answer } = open({ deadlineMs: 1_000 });
    const late = device.exchange(bytes(1));
    await settle();
    clock.advance(1_000);
    await expect(late).rejects.toThrowCode("ERR_TIMEOUT");
    const next = device.exchange(bytes(2));
    await settle();
    expect(asked).toEqual([bytes(1)]);
    await answer(bytes(11)); // of the first, and to nobody
    await answer(bytes(12));
    expect(await next).toEqual(bytes(12));
  });

  it("a request that waited past its deadline never reaches the device", async () => {
    const { device, clock, asked, answer } = open({ deadlineMs: 1_000 });
    const requests = [1, 2].map((value) => device.exchange(bytes(value)));
    await settle();
    clock.advance(1_000);
    for (const request of requests) await expect(request).rejects.toThrowCode("ERR_TIMEOUT");
    await answer(bytes(11));
    expect(asked).toEqual([bytes(1)]);
  });

  it("reports a failure of the device with the system's error, and goes on", async () => {
    const { device, answers, answer } = open();
    const failed = device.exchange(bytes(1));
    await settle();
    answers.shift()?.reject(Object.assign(new Error("ioctl"), { code: "EIO" }));
    await expect(failed).rejects.toMatchObject({ code: "ERR_NSM", cause: { code: "EIO" } });
    const next = device.exchange(bytes(2));
    await answer(bytes(12));
    expect(await next).toEqual(bytes(12));
  });

  it("closes once the device has answered, and takes nothing more", async () => {
    const { device, answer } = open();
    const response = device.exchange(bytes(1));
    await settle();
    const order: string[] = [];
    const closed = [1, 2].map(() => device.close().then(() => order.push("closed")));
    await expect(device.exchange(bytes(2))).rejects.toThrowCode("ERR_NSM");
    order.push("answered");
    await answer(bytes(11));
    expect(await response).toEqual(bytes(11));
    await Promise.all(closed);
    expect(order).toEqual(["answered", "closed", "closed"]);
  });
});

/** The ioctl of /dev/nsm, entropy and clock, as far as a machine without the device shows them. */
import { spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { addEntropy, NSM_REQUEST_MAX_BYTES, nsmRequest, setRealtimeClock } from "../../vsock/index.js";
import { addon } from "../../vsock/native.js";
import { describeNative, program } from "../support/vsock.js";

const EINVAL = -22;
const EMSGSIZE = -90;

describeNative("nsmRequest", () => {
  let device = 0;
  beforeAll(() => {
    device = openSync("/dev/null", "r+");
  });
  afterAll(() => closeSync(device));

  it("carries a request of 1 to 4096 bytes to the ioctl, whose error it reports", async () => {
    for (const length of [1, NSM_REQUEST_MAX_BYTES]) {
      const refused = nsmRequest(device, new Uint8Array(length));
      await expect(refused).rejects.toMatchObject({ code: "ENOTTY", errno: -25, syscall: "ioctl" });
    }
    await expect(nsmRequest(0x7fff_ffff, new Uint8Array(1))).rejects.toMatchObject({ code: "EBADF" });
  });

  it("refuses an empty and an oversized request before the ioctl", async () => {
    for (const length of [0, NSM_REQUEST_MAX_BYTES + 1]) {
      await expect(nsmRequest(device, new Uint8Array(length))).rejects.toMatchObject({ code: "ERR_OUT_OF_RANGE" });
    }
  });

  it("so does the binary itself", () => {
    const never = (): void => expect.fail("reached the device");
    expect(addon().binding.nsm(device, new Uint8Array(0), never)).toBe(EINVAL);
    expect(addon().binding.nsm(device, new Uint8Array(NSM_REQUEST_MAX_BYTES + 1), never)).toBe(EMSGSIZE);
  });

  it("settles many requests at once, none of them before it returns", async () => {
    let settled = 0;
    const requests = Array.from({ length: 200 }, () => nsmRequest(device, new Uint8Array(7)).catch(() => settled++));
    expect(settled).toBe(0);
    await Promise.all(requests);
    expect(settled).toBe(200);
  });

  it("runs off the event loop", () => {
    const env = { ...process.env, UV_THREADPOOL_SIZE: "1" };
    const { stdout } = spawnSync(process.execPath, [program("pool.mjs")], { env, encoding: "utf8", timeout: 20_000 });
    expect(stdout).toBe("waiting after 10 turns\nENOTTY\n");
  });
});

describeNative("addEntropy and setRealtimeClock", () => {
  it("refuse what is out of range", () => {
    const range = expect.objectContaining({ code: "ERR_OUT_OF_RANGE" });
    for (const length of [0, 4_097]) expect(() => addEntropy(0, new Uint8Array(length))).toThrow(range);
    for (const time of [-1, 1.5, Number.NaN, 2 ** 53]) expect(() => setRealtimeClock(time)).toThrow(range);
  });

  it("addEntropy reports what is not /dev/random", () => {
    const device = openSync("/dev/null", "r+");
    expect(() => addEntropy(device, new Uint8Array(32))).toThrow(
      expect.objectContaining({ code: "ENOTTY", syscall: "ioctl" }),
    );
    closeSync(device);
  });
});

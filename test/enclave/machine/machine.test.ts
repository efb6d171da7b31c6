/** The machine's clock, as the enclave sets it at boot; the rest of the machine takes a kernel: test/vm. */
import { describe, expect, it } from "vitest";
import { setClock } from "../../../enclave/machine/machine.js";
import { setRealtimeClock } from "../../../vsock/index.js";

const systemError = (code: string): Error => Object.assign(new Error(code), { code });

describe("setting the machine's clock", () => {
  it("takes a time with fractions, as the attested time is, which the system call does not", () => {
    const times: number[] = [];
    expect(setClock(1_700_000_000_000.75, (time) => void times.push(time))).toBe(true);
    expect(times).toEqual([1_700_000_000_001]);
    expect(() => setRealtimeClock(1_700_000_000_000.75)).toThrow(RangeError);
  });

  it("says that the process may not, and passes every other failure on", () => {
    const failing = (code: string) => (): never => {
      throw systemError(code);
    };
    expect(setClock(0, failing("EPERM"))).toBe(false);
    expect(() => setClock(0, failing("EINVAL"))).toThrow("EINVAL");
  });
});

/** RFC 6238 appendix B, RFC 4648 section 10, and that no code opens twice. */
import { describe, expect, it } from "vitest";
import { utf8 } from "../../../shared/bytes.js";
import { Authenticator, fromBase32, totp } from "../../../simulator/iam/totp.js";

const SEED = utf8("12345678901234567890");
const BASE32_SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const at = (seconds: number): Date => new Date(seconds * 1000);

describe("one-time passwords", () => {
  it.each([
    [59, "94287082"],
    [1111111109, "07081804"],
    [1111111111, "14050471"],
    [1234567890, "89005924"],
    [2000000000, "69279037"],
    [20000000000, "65353130"],
  ])("RFC 6238 appendix B: at %i the code of SHA-1 is %s", (seconds, code) => {
    expect(totp(SEED, at(seconds), 8)).toBe(code);
    expect(totp(SEED, at(seconds))).toBe(code.slice(2));
  });

  it.each([
    ["MY======", "f"],
    ["MZXQ====", "fo"],
    ["MZXW6===", "foo"],
    ["MZXW6YQ=", "foob"],
    ["mzxw6ytb", "fooba"],
    ["MZXW6YTBOI======", "foobar"],
    [BASE32_SEED, "12345678901234567890"],
  ])("RFC 4648 section 10: %s is %s", (text, plain) => {
    expect(Buffer.from(fromBase32(text)).toString()).toBe(plain);
  });
});

describe("an authenticator", () => {
  const NOW = 1_111_111_111;

  it.each([
    ["of now", 0, true],
    ["of the step before", -30, true],
    ["of the step after", 30, true],
    ["of two steps before", -60, false],
    ["of two steps after", 60, false],
  ])("takes the code %s: %#", (_, offset, taken) => {
    expect(new Authenticator(BASE32_SEED).takes(totp(SEED, at(NOW + offset)), at(NOW))).toBe(taken);
  });

  it("takes no code twice, and none that is older than one that it took", () => {
    const authenticator = new Authenticator(BASE32_SEED);
    const code = totp(SEED, at(NOW));
    expect(authenticator.takes(code, at(NOW))).toBe(true);
    expect(authenticator.takes(code, at(NOW))).toBe(false);
    expect(authenticator.takes(totp(SEED, at(NOW - 30)), at(NOW))).toBe(false);
    expect(authenticator.takes(totp(SEED, at(NOW + 30)), at(NOW))).toBe(true);
  });

  it.each(["", "12345", "1234567", "abcdef", "\0\0\0\0\0\0"])("does not take %j", (code) => {
    expect(new Authenticator(BASE32_SEED).takes(code, at(NOW))).toBe(false);
  });
});

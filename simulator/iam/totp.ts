/**
 * Time-based one-time passwords (RFC 6238 over RFC 4226), as virtual MFA devices show them: HMAC-SHA-1, steps of 30
 * seconds, six digits.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

const STEP_SECONDS = 30;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/** RFC 6238 section 5.2: one step of clock drift and delay is borne. */
const DRIFT_STEPS = [0, -1, 1];

/** The number of whole steps since 1970. */
const stepAt = (time: Date): number => Math.floor(time.getTime() / 1000 / STEP_SECONDS);

/** The code of a moment. */
export const totp = (seed: Uint8Array, time: Date, digits = 6): string => codeOf(seed, stepAt(time), digits);

/** RFC 4226 section 5.3. */
function codeOf(seed: Uint8Array, step: number, digits: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac("sha1", seed).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 0xf;
  const truncated = mac.readUInt32BE(offset) & 0x7fffffff;
  return String(truncated % 10 ** digits).padStart(digits, "0");
}

/** RFC 4648 section 6, padding optional. */
export function fromBase32(text: string): Uint8Array {
  const bits = [...text.replace(/=+$/, "").toUpperCase()]
    .map((letter) => BASE32.indexOf(letter).toString(2).padStart(5, "0"))
    .join("");
  const octets = bits.match(/[01]{8}/g) ?? [];
  return Uint8Array.from(octets, (octet) => Number.parseInt(octet, 2));
}

/** A device, with the memory that no code opens twice (RFC 6238 section 5.2). */
export class Authenticator {
  readonly #seed: Uint8Array;
  #lastStep = -1;

  constructor(base32StringSeed: string) {
    this.#seed = fromBase32(base32StringSeed);
  }

  /** Whether `code` is the one of now, or of a step beside it, and none so late was taken before. */
  takes(code: string, now: Date): boolean {
    const step = DRIFT_STEPS.map((drift) => stepAt(now) + drift).find(
      (one) => one > this.#lastStep && timingSafeEqual(Buffer.from(codeOf(this.#seed, one, 6)), sixBytes(code)),
    );
    if (step === undefined) return false;
    this.#lastStep = step;
    return true;
  }
}

/** Of another length it equals no code. */
const sixBytes = (code: string): Buffer => (/^\d{6}$/.test(code) ? Buffer.from(code) : Buffer.alloc(6));

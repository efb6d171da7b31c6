/** `toThrowCode`: the error is a ServiceError with exactly this code. Works on functions and, with `.rejects`, on promises. */
import { expect } from "vitest";
import type { ErrorCode } from "../../shared/errors.js";
import { ServiceError } from "../../shared/errors.js";

function thrownBy(received: unknown): unknown {
  if (typeof received !== "function") return received; // `.rejects` hands on the reason itself
  try {
    received();
  } catch (error) {
    return error;
  }
  return undefined;
}

expect.extend({
  toThrowCode(received: unknown, code: ErrorCode) {
    const error = thrownBy(received);
    const actual = error instanceof ServiceError ? error.code : String(error);
    return {
      pass: actual === code,
      message: () => `expected code ${code}, got ${actual}${error instanceof Error ? `: ${error.message}` : ""}`,
    };
  },
});

declare module "vitest" {
  interface Matchers<T> {
    toThrowCode(code: ErrorCode): T;
  }
}

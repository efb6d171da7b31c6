import { createSecretKey } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toBase64, utf8 } from "../../../shared/bytes.js";
import { AwsError } from "../../../simulator/errors.js";
import { openBlob, parseBlob, sealBlob } from "../../../simulator/kms/ciphertext-blob.js";

const key = { keyId: new Uint8Array(16).fill(1), materialId: new Uint8Array(16).fill(2) };
const material = createSecretKey(Buffer.alloc(32, 3));
const context = new Map([["tenant", "a"]]);
const plaintext = utf8("a secret");

const seal = () => sealBlob(key, material, plaintext, context);
const open = (blob: Uint8Array, under = context, secret = material) => openBlob(parseBlob(blob), secret, under);

/** The error type, so that a test asserts which one and not any. */
function errorTypeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return error instanceof AwsError ? `${error.type}:${error.message}` : `unexpected ${String(error)}`;
  }
  return "no error";
}

describe("a ciphertext blob", () => {
  it("opens to what was sealed, and names its key and material", () => {
    const blob = seal();
    expect(open(blob)).toEqual(plaintext);
    expect(parseBlob(blob)).toMatchObject(key);
  });

  it("begins as AWS's do", () => {
    expect(toBase64(seal())).toMatch(/^AQICAH/);
  });

  it("is within 6144 bytes for the largest plaintext", () => {
    expect(sealBlob(key, material, new Uint8Array(4096), context).length).toBeLessThanOrEqual(6144);
  });

  it("is never the same twice", () => {
    expect(seal()).not.toEqual(seal());
  });

  it("pitfall 3: does not open under another context", () => {
    expect(errorTypeOf(() => open(seal(), new Map([["tenant", "b"]])))).toBe("InvalidCiphertextException:");
    expect(errorTypeOf(() => open(seal(), new Map()))).toBe("InvalidCiphertextException:");
  });

  it("does not open under other material", () => {
    expect(errorTypeOf(() => open(seal(), context, createSecretKey(Buffer.alloc(32, 4))))).toBe(
      "InvalidCiphertextException:",
    );
  });

  it("refuses every single-bit change, all alike", () => {
    const blob = seal();
    for (let bit = 0; bit < blob.length * 8; bit++) {
      const changed = new Uint8Array(blob);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(
        errorTypeOf(() => open(changed)),
        `bit ${bit}`,
      ).toBe("InvalidCiphertextException:");
    }
  });

  it("refuses every strict prefix, and a byte more", () => {
    const blob = seal();
    for (let length = 0; length < blob.length; length++) {
      expect(
        errorTypeOf(() => open(blob.subarray(0, length))),
        `${length} bytes`,
      ).toBe("InvalidCiphertextException:");
    }
    expect(errorTypeOf(() => open(Uint8Array.of(...blob, 0)))).toBe("InvalidCiphertextException:");
  });

  it("pitfall 20: answers any bytes with its one error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(errorTypeOf(() => open(bytes))).toBe("InvalidCiphertextException:");
      }),
      { seed: 20260301, numRuns: 1000 },
    );
  });
});

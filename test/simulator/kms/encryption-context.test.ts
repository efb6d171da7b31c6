import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toHex } from "../../../shared/bytes.js";
import { encodeEncryptionContext } from "../../../simulator/kms/encryption-context.js";

const encode = (context: Record<string, string>) => toHex(encodeEncryptionContext(new Map(Object.entries(context))));

describe("the encryption context as associated data", () => {
  it("pitfall 3: tells {tenant: 1admin} from {tenant1: admin}", () => {
    expect(encode({ tenant: "1admin" })).not.toBe(encode({ tenant1: "admin" }));
  });

  it("does not depend on the order of the pairs", () => {
    expect(encode({ b: "2", a: "1" })).toBe(encode({ a: "1", b: "2" }));
  });

  it("is the number of pairs, and each text after its length", () => {
    expect(encode({ a: "bc" })).toBe(["00000001", "00000001", "61", "00000002", "6263"].join(""));
    expect(encode({})).toBe("00000000");
  });

  it("pitfall 3: is the same only for the same contexts", () => {
    // A small alphabet, so that names and values often run into one another.
    const text = fc.string({ unit: fc.constantFrom("a", "b", "\0"), maxLength: 4 });
    const context = fc.uniqueArray(fc.tuple(text, text), { selector: ([name]) => name, maxLength: 3 });
    fc.assert(
      fc.property(context, context, (left, right) => {
        const sorted = (pairs: readonly (readonly [string, string])[]) => JSON.stringify([...pairs].sort());
        const encoded = [left, right].map((pairs) => toHex(encodeEncryptionContext(new Map(pairs))));
        expect(encoded[0] === encoded[1]).toBe(sorted(left) === sorted(right));
      }),
      { seed: 20260301, numRuns: 2000 },
    );
  });
});

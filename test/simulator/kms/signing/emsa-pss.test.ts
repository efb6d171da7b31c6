/** EMSA-PSS (RFC 8017 §9.1): what was encoded is recognised, and nothing that differs from it by a bit. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { utf8 } from "../../../../shared/bytes.js";
import { encodePss, isPssOf } from "../../../../simulator/kms/signing/emsa-pss.js";
import type { Digest, Hash } from "../../../../simulator/kms/signing/message.js";
import { withFlippedBit } from "../../../support/hex.js";

const digestOf = (hash: Hash, text = "what is signed"): Digest => ({
  hash,
  bytes: createHash(hash).update(utf8(text)).digest(),
});

describe("EMSA-PSS", () => {
  it.each<[Hash, number]>([
    ["sha256", 2047],
    ["sha384", 3071],
    ["sha512", 4095],
    ["sha512", 1033], // §9.1.1 step 3: no shorter one has room
    ["sha256", 2048],
    ["sha256", 2041],
  ])("of %s in %i bits is recognised, and only as it is", (hash, emBits) => {
    const digest = digestOf(hash);
    const encoded = encodePss(digest, emBits);
    expect(encoded).toHaveLength(Math.ceil(emBits / 8));
    expect(isPssOf(digest, encoded, emBits)).toBe(true);
    expect(isPssOf(digestOf(hash, "another"), encoded, emBits)).toBe(false);
    for (let bit = 0; bit < 8 * encoded.length; bit += 1) {
      expect(isPssOf(digest, withFlippedBit(encoded, bit), emBits)).toBe(false);
    }
  });

  it("is another one each time, of the same digest", () => {
    expect(encodePss(digestOf("sha256"), 2047)).not.toEqual(encodePss(digestOf("sha256"), 2047));
  });
});

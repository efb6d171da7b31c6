/** A document that was verified before: what is remembered of it, and what the time still decides. */
import { beforeAll, describe, expect, it } from "vitest";
import { RecipientVerifier } from "../../../simulator/kms/recipient.js";
import { createDocumentMaker } from "../../../simulator/nsm/document.js";
import { createNitroPki } from "../../../simulator/pki/nitro-pki.js";
import { recipientKeyPair } from "../../support/simulated-kms.js";

const START = new Date("2026-11-01T12:00:00Z");
const secondsLater = (seconds: number) => new Date(START.getTime() + seconds * 1_000);

describe("RecipientVerifier", () => {
  let document: Uint8Array;
  let verifier: (freshnessSeconds: number) => RecipientVerifier;
  beforeAll(async () => {
    const pki = await createNitroPki({ clock: () => START });
    const { make } = await createDocumentMaker({ pki });
    document = await make({ publicKey: recipientKeyPair().spki });
    verifier = (freshnessSeconds) => new RecipientVerifier({ trustAnchor: pki.trustAnchor, freshnessSeconds });
  });

  it("takes the same document again without verifying it again", async () => {
    const recipients = verifier(300);
    const first = await recipients.verify({ AttestationDocument: document }, START);
    expect(await recipients.verify({ AttestationDocument: document }, secondsLater(300))).toBe(first);
  });

  it("refuses it once it is too old, though it was verified before", async () => {
    const recipients = verifier(300);
    await recipients.verify({ AttestationDocument: document }, START);
    await expect(recipients.verify({ AttestationDocument: document }, secondsLater(301))).rejects.toMatchObject({
      type: "ValidationException",
      message: expect.stringContaining("ERR_STALE"),
    });
  });

  it("pitfall 11: refuses it once its leaf has ended, though it was verified before", async () => {
    const recipients = verifier(1_000_000);
    await recipients.verify({ AttestationDocument: document }, START);
    await expect(recipients.verify({ AttestationDocument: document }, secondsLater(4 * 3_600))).rejects.toMatchObject({
      type: "ValidationException",
      message: expect.stringContaining("ERR_CERT_TIME"),
    });
  });
});

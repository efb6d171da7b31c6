/** Recipient with the document of a NitroTPM: an instance that a key policy lets in by its registers, and by no enclave's. */
import type { KMSClient } from "@aws-sdk/client-kms";
import { CreateKeyCommand, DecryptCommand, EncryptCommand, PutKeyPolicyCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCiphertextForRecipient } from "../../../enclave/kms/ciphertext-for-recipient.js";
import { toHex, utf8 } from "../../../shared/bytes.js";
import type { DocumentOverrides } from "../../../simulator/nsm/document.js";
import type { SimulatedNitroTpm } from "../../../simulator/nsm/nitro-tpm.js";
import { startNitroTpm } from "../../../simulator/nsm/nitro-tpm.js";
import { createNitroPki } from "../../../simulator/pki/nitro-pki.js";
import type { Simulation } from "../../../simulator/simulation.js";
import { startSimulation } from "../../../simulator/simulation.js";
import { attest, errorOf, kmsClient, recipientKeyPair, recipientOf } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";

const clock = clockAt();
const { privateKey, spki } = recipientKeyPair();
const PCR4 = new Uint8Array(48).fill(0x44);
const pcrs = new Map([[4, PCR4]]);

let simulation: Simulation;
let operator: KMSClient;
let role: KMSClient;
let tpm: SimulatedNitroTpm;
let KeyId: string;
let CiphertextBlob: Uint8Array | undefined;

beforeAll(async () => {
  simulation = await startSimulation({ clock });
  operator = kmsClient(simulation.kms, clock);
  role = kmsClient(simulation.kms, clock, await simulation.roleCredentials());
  tpm = await startNitroTpm({ pki: simulation.pki, pcrs });
  const { KeyMetadata } = await operator.send(new CreateKeyCommand({}));
  KeyId = KeyMetadata?.Arn ?? "";
  await demand("kms:RecipientAttestation:NitroTPMPCR4", toHex(PCR4));
  ({ CiphertextBlob } = await operator.send(new EncryptCommand({ KeyId, Plaintext: utf8("a secret") })));
});
afterAll(async () => {
  operator.destroy();
  role.destroy();
  await simulation.close();
});

/** Lets the role decrypt where the condition holds. */
async function demand(key: string, value: string): Promise<void> {
  const { accountId, roleArn } = simulation;
  const Policy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: { AWS: accountId }, Action: "kms:*", Resource: "*" },
      {
        ...{ Effect: "Allow", Principal: { AWS: roleArn }, Action: "kms:Decrypt", Resource: "*" },
        Condition: { StringEqualsIgnoreCase: { [key]: value } },
      },
    ],
  });
  await operator.send(new PutKeyPolicyCommand({ KeyId, Policy }));
}

const decrypt = (document: Uint8Array) =>
  role.send(new DecryptCommand({ KeyId, CiphertextBlob, Recipient: recipientOf(document) }));

describe("a document of a NitroTPM", () => {
  it("opens what the policy gives to its registers, for its key alone", async () => {
    const { Plaintext, CiphertextForRecipient } = await decrypt(await tpm.attest({ publicKey: spki }));
    expect(Plaintext).toBeUndefined();
    const opened = openCiphertextForRecipient(CiphertextForRecipient ?? new Uint8Array(), privateKey);
    expect(Buffer.from(opened).toString()).toBe("a secret");
  });

  it("is in the audit log with its module id and registers", async () => {
    await decrypt(await tpm.attest({ publicKey: spki }));
    const zero = "00".repeat(48);
    expect(simulation.kms.auditLog.records.at(-1)?.additionalEventData?.recipient).toEqual({
      attestationDocumentModuleId: tpm.moduleId,
      attestationDocumentNitroTPMPCR4: toHex(PCR4),
      ...Object.fromEntries([7, 8, 9, 16, 23].map((index) => [`attestationDocumentNitroTPMPCR${index}`, zero])),
    });
  });

  it.each([
    ["kms:RecipientAttestation:PCR4", toHex(PCR4)],
    ["kms:RecipientAttestation:NitroTPMPCR4", toHex(new Uint8Array(48))],
    ["kms:RecipientAttestation:NitroTPMPCR7", toHex(PCR4)],
    ["kms:RecipientAttestation:ImageSha384", "00".repeat(48)],
  ])("does not meet %s of %s", async (key, value) => {
    await demand(key, value);
    expect((await errorOf(decrypt(await tpm.attest({ publicKey: spki })))).name).toBe("AccessDeniedException");
    await demand("kms:RecipientAttestation:NitroTPMPCR4", toHex(PCR4));
  });

  it("is what an enclave's is not", async () => {
    const zero = "00".repeat(48);
    await demand("kms:RecipientAttestation:NitroTPMPCR8", zero); // an enclave has a PCR8 of zeros too
    expect((await errorOf(decrypt(await attest(simulation.nsm, spki)))).name).toBe("AccessDeniedException");
    await demand("kms:RecipientAttestation:NitroTPMPCR4", toHex(PCR4));
  });

  const wrong: readonly [string, string, DocumentOverrides][] = [
    [
      "another signature",
      "ERR_COSE_SIGNATURE",
      { editSignature: (raw) => raw.map((byte, i) => (i === 50 ? byte ^ 1 : byte)) },
    ],
    [
      "a register of 32 bytes",
      "ERR_ATTESTATION_MALFORMED",
      { payload: { nitrotpm_pcrs: new Map([[4, new Uint8Array(32)]]) } },
    ],
    ["a register 24", "ERR_ATTESTATION_MALFORMED", { payload: { nitrotpm_pcrs: new Map([[24, new Uint8Array(48)]]) } }],
    ["no register", "ERR_ATTESTATION_MALFORMED", { payload: { nitrotpm_pcrs: new Map() } }],
    [
      "an enclave's module id",
      "ERR_ATTESTATION_MALFORMED",
      { payload: { module_id: "i-0123456789abcdef0-enc0123456789abcdef" } },
    ],
    [
      "another module's id",
      "ERR_ATTESTATION_MALFORMED",
      { payload: { module_id: `i-0123456789abcdef0-tpm${"0".repeat(16)}` } },
    ],
    ["another digest", "ERR_ATTESTATION_MALFORMED", { payload: { digest: "SHA256" } }],
    ["no timestamp", "ERR_ATTESTATION_MALFORMED", { payload: { timestamp: undefined } }],
    ["a certificate that is none", "ERR_ATTESTATION_MALFORMED", { payload: { certificate: "none" } }],
    ["an old timestamp", "ERR_STALE", { payload: { timestamp: clock().getTime() - 301_000 } }],
    ["no key", "ERR_PUBLIC_KEY", { payload: { public_key: null } }],
  ];
  it.each(wrong)("with %s is %s", async (_what, code, overrides) => {
    const error = await errorOf(decrypt(await tpm.attest({ publicKey: spki }, overrides)));
    expect(error.name).toBe("ValidationException");
    expect(error.message).toContain(`The attestation document is not valid: ${code}`);
  });

  it("under another root is refused", async () => {
    const other = await startNitroTpm({ pki: await createNitroPki({ clock }), pcrs });
    expect((await errorOf(decrypt(await other.attest({ publicKey: spki })))).message).toContain("ERR_TRUST_ANCHOR");
  });
});

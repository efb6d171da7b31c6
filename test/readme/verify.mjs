import { appraise, verifyAttestation } from "nitro-decrypt";
import { createRecipient, PinnedKeys } from "nitro-decrypt/enclave";
import { startSimulation } from "nitro-decrypt/simulator";

const simulation = await startSimulation();
const { trustAnchor, nsm, pcrs } = simulation;
const arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const recipient = createRecipient({ nsm, keys: new PinnedKeys([{ arn, aliases: [] }]) });
const { attestationDocument } = await recipient.lease();
const verified = await verifyAttestation(attestationDocument, { trustAnchor, now: new Date() });
appraise(verified, {
  pcrs: [{ 0: pcrs[0], 1: pcrs[1], 2: pcrs[2] }],
  nonce: { kind: "unused", because: "the document is for KMS" },
  freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
  debug: "reject",
  userData: { kind: "absent" },
  publicKey: { kind: "rsa-2048" },
});
console.log("genuine and as expected");
await simulation.close();

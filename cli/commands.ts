/**
 * The commands by name. Each is loaded when it is asked for: `verify` needs neither the AWS SDK nor the simulator, and
 * should start as if they were not there.
 */
import type { Command } from "./command.js";

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<Command>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "demo",
    summary: "one attested decryption from beginning to end, and the ways to cheat being refused",
    load: async () => (await import("./demo.js")).demo,
  },
  {
    name: "dev",
    summary: "the whole stack on this machine until Ctrl-C",
    load: async () => (await import("./dev.js")).dev,
  },
  {
    name: "verify",
    summary: "verify an attestation document, and appraise it against PCRs",
    load: async () => (await import("./verify.js")).verify,
  },
  {
    name: "inspect",
    summary: "show what is in an attestation document, a KMS ciphertext, a CiphertextForRecipient or an EIF",
    load: async () => (await import("./inspect.js")).inspect,
  },
  {
    name: "pcrs",
    summary: "the PCRs of an EIF, as a KMS key policy and a client's policy want them",
    load: async () => (await import("./pcrs.js")).pcrs,
  },
  {
    name: "cms",
    summary: "open a CiphertextForRecipient with a private key",
    load: async () => (await import("./cms.js")).cms,
  },
  {
    name: "decrypt",
    summary: "decrypt inside an enclave, from stdin to stdout",
    load: async () => (await import("./decrypt.js")).decrypt,
  },
  {
    name: "context",
    summary: "what is wrong with an encryption context: secrets in clear, pairs that policy relies on missing",
    load: async () => (await import("./context.js")).context,
  },
  {
    name: "rollover",
    summary: "move messages from an old key to a new one inside an enclave, and tell what depends on the old one",
    load: async () => (await import("./rollover.js")).rollover,
  },
  {
    name: "enclave",
    summary: "the service inside the enclave",
    load: async () => (await import("./enclave.js")).enclave,
  },
  {
    name: "parent",
    summary: "the service on the parent instance",
    load: async () => (await import("./parent.js")).parent,
  },
  {
    name: "branch-keys",
    summary: "make, list and remove the branch keys of tenants",
    load: async () => (await import("./branch-keys.js")).branchKeys,
  },
  {
    name: "kms",
    summary: "a simulated AWS KMS and instance metadata service",
    load: async () => (await import("./kms.js")).kms,
  },
  {
    name: "nsm",
    summary: "a simulated Nitro Security Module",
    load: async () => (await import("./nsm.js")).nsm,
  },
];

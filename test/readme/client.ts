import { AWS_NITRO_ENCLAVES_ROOT_G1, connectEnclave } from "nitro-decrypt";

/** `pcrs`: what the build of your enclave image printed; PCR16 is the measurement of its configuration. */
export async function readSecret(url: string, pcrs: Record<0 | 1 | 2 | 16, string>, ciphertext: Uint8Array) {
  const enclave = await connectEnclave(url, {
    trustAnchor: AWS_NITRO_ENCLAVES_ROOT_G1,
    policy: {
      pcrs: [pcrs],
      configuration: "pinned",
      freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
      debug: "reject",
    },
    token: () => fetch("/token").then((answer) => answer.text()),
  });
  return enclave.decrypt({ ciphertext, encryptionContext: { tenant: "acme" } });
}

/** The enclave: this package's service with the functions of this folder. Everything that it imports is measured. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Enclave, EnclaveAddresses, EnclaveFunction, Logger, Nsm } from "nitro-decrypt/enclave";
import { createEnclave, runEnclave } from "nitro-decrypt/enclave";
import { createCardToken } from "./functions/card-token.js";
import { matchList } from "./functions/match-list.js";
import { signDigest } from "./functions/sign-digest.js";
import type { Settings } from "./settings.js";
import { parseSettings } from "./settings.js";

/** Your functions go here, and as actions into schema.cedarschema and policies.cedar. */
export function createFunctions({ cardToken }: Settings): EnclaveFunction[] {
  const hmacKeyCiphertext = Buffer.from(cardToken.hmacKeyCiphertext, "base64");
  return [createCardToken({ ...cardToken, hmacKeyCiphertext }), signDigest, matchList];
}

export interface StartOptions {
  /** The platform's attestation device. */
  readonly nsm: Nsm;
  /** Where enclave.json and settings.json lie; in the image that is /app. */
  readonly folder: string;
  readonly addresses: EnclaveAddresses;
  readonly log?: Logger;
}

/** Starts the enclave. On return its configuration is measured into PCR16, and it serves. */
export async function startEnclave({ folder, ...options }: StartOptions): Promise<Enclave> {
  const [configuration, settings] = await Promise.all([
    readFile(`${folder}/enclave.json`),
    readFile(`${folder}/settings.json`),
  ]);
  return createEnclave({ ...options, configuration, functions: createFunctions(parseSettings(settings)) });
}

// The program of the image: the same enclave on /dev/nsm and vsock. dev.ts starts it on the simulated platform.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await runEnclave({ functions: async () => createFunctions(parseSettings(await readFile("/app/settings.json"))) });
}

/** One call of each function, as a client makes it, with data that the operator has encrypted. */
import { encodeList } from "../functions/match-list.js";
import type { Operator } from "./operator.js";

/** The number that card schemes print on samples; no card has it. */
export const CARD_NUMBER = "4111111111111111";
export const LIST = ["Mallory Example", "Trent Example"];

/** What `enclave.callFunction` takes. */
export interface Sample {
  readonly ciphertext?: Uint8Array;
  readonly message?: Uint8Array;
  readonly encryptionContext: Record<string, string>;
  readonly input?: unknown;
}

export async function makeSamples(operator: Operator, tenant: string): Promise<Record<string, Sample>> {
  const card = { tenant, purpose: "card-number" };
  const key = { tenant, purpose: "signing-key" };
  const list = { tenant, purpose: "match-list" };
  const { ciphertext } = await operator.makeSigningKey("ECC_NIST_P256", key);
  const message = Buffer.from("pay 10 to alice").toString("base64");
  return {
    "card-token": {
      ciphertext: await operator.encrypt(Buffer.from(CARD_NUMBER), card),
      encryptionContext: card,
    },
    "sign-digest": { ciphertext, encryptionContext: key, input: { algorithm: "ECDSA_SHA_256", message } },
    "match-list": {
      message: await operator.encryptMessage(encodeList(LIST), list),
      encryptionContext: list,
      input: { value: "mallory  EXAMPLE" },
    },
  };
}

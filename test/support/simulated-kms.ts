/** Talking to the simulated KMS as its users do, with the AWS SDK over TLS, at a time that the test sets. */
import type { KeyObject } from "node:crypto";
import { generateKeyPairSync } from "node:crypto";
import { Agent } from "node:https";
import { KMSClient } from "@aws-sdk/client-kms";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import type { Nsm } from "../../shared/nsm.js";
import { decodeNsmResponse, encodeNsmRequest } from "../../shared/nsm.js";
import type { Clock } from "../../simulator/clock.js";
import type { SimulatedKms } from "../../simulator/endpoint/server.js";

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** An unmodified SDK client that trusts the simulated CA and whose clock is the test's. */
export function kmsClient(kms: SimulatedKms, clock: Clock, credentials: Credentials = kms.operator): KMSClient {
  return new KMSClient({
    region: kms.region,
    endpoint: kms.endpoint,
    credentials: { ...credentials },
    requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca: kms.caCertificate }) }),
    systemClockOffset: clock().getTime() - Date.now(),
    maxAttempts: 1,
  });
}

/** Name and message of the error that an SDK call ends with; a test compares both. */
export async function errorOf(call: Promise<unknown>): Promise<{ name: string; message: string }> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Error) return { name: error.name, message: error.message };
    throw error;
  }
  return { name: "no error", message: "" };
}

/** Only the name, where AWS gives no message or it is not on record. */
export const errorNameOf = async (call: Promise<unknown>): Promise<string> => (await errorOf(call)).name;

export interface RecipientPair {
  readonly privateKey: KeyObject;
  readonly spki: Uint8Array;
}

/** A key pair as an enclave makes it; other sizes and types for the tests that need a wrong one. */
export function recipientKeyPair(modulusLength = 2048): RecipientPair {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength });
  return { privateKey, spki: publicKey.export({ type: "spki", format: "der" }) };
}

/** An attestation document of the device for that public key. */
export async function attest(nsm: Nsm, publicKey: Uint8Array | null): Promise<Uint8Array> {
  const request = encodeNsmRequest({ kind: "Attestation", userData: null, nonce: null, publicKey });
  const response = decodeNsmResponse(await nsm.exchange(request));
  if (response.kind !== "Attestation") throw new Error(`the device answered ${response.kind}`);
  return response.document;
}

/** The Recipient parameter. */
export const recipientOf = (AttestationDocument: Uint8Array) =>
  ({ KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_256", AttestationDocument }) as const;

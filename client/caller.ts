/**
 * Who calls: a token, and where it is bound to a key (RFC 7800 `cnf`), a fresh proof of possession for each request
 * (RFC 9449). Both travel inside the channel, so whoever carries the requests sees neither.
 */
import { createProof } from "../shared/proof-of-possession.js";

/** A token, or where to get one: asked for with every call, so that it may be renewed. */
export type TokenSource = string | (() => string | Promise<string>);

export interface CallerOptions {
  /** A JWT of an issuer that the enclave's configuration names. Without one only what needs none can be called. */
  readonly token?: TokenSource | undefined;
  /** The key pair (ES256) that the token is bound to. Its private key may be non-extractable. */
  readonly proofKey?: CryptoKeyPair | undefined;
  readonly clock: () => Date;
}

/** The header fields that show who calls `operation`. */
export async function callerFields(
  { token: source, proofKey, clock }: CallerOptions,
  operation: string,
): Promise<Readonly<Record<string, string>>> {
  const token = typeof source === "function" ? await source() : source;
  if (token === undefined) return {};
  if (proofKey === undefined) return { authorization: `Bearer ${token}` };
  const proof = { key: proofKey, method: "POST", path: `/v1/${operation}`, token, now: clock() };
  return { authorization: `DPoP ${token}`, dpop: await createProof(proof) };
}

/**
 * The issuers that the configuration pins, each with its own keys (RFC 7517). Everything is checked and imported at boot: an
 * enclave whose configuration has a key that it cannot use does not start. Keys are never fetched.
 */
import { z } from "zod";
import { ServiceError } from "../../shared/errors.js";
import { parseWith } from "../../shared/wire.js";
import type { IssuerConfiguration } from "../configuration.js";
import type { PublicJwk } from "./public-key.js";
import { importPublicKey, isForAlgorithm, publicJwk } from "./public-key.js";

export interface PinnedIssuer {
  readonly configuration: IssuerConfiguration;
  readonly keys: readonly PinnedKey[];
}

interface PinnedKey {
  readonly kid: string | undefined;
  /** The key as imported for each pinned algorithm that it fits. */
  readonly byAlgorithm: ReadonlyMap<string, CryptoKey>;
}

/** So that a refusal names the whole path of the field, and never its value. */
const schema = z.object({
  authorization: z.object({ issuers: z.array(z.object({ jwks: z.object({ keys: z.array(publicJwk) }) })) }),
});

/**
 * Checks and imports the keys of all issuers; they are returned by `iss`.
 * On return all keys are public, asymmetric and fit for a pinned algorithm; issuers, their names and their key ids are distinct.
 * @throws ServiceError ERR_CONFIGURATION; the message names the field and what was expected of it.
 */
export async function pinIssuers(issuers: readonly IssuerConfiguration[]): Promise<ReadonlyMap<string, PinnedIssuer>> {
  const { authorization } = parseWith(schema, { authorization: { issuers } }, "ERR_CONFIGURATION");
  assertDistinct(
    issuers.map(({ issuer }) => issuer),
    (index) => `authorization.issuers.${index}.issuer`,
  );
  assertDistinct(
    issuers.map(({ name }) => name),
    (index) => `authorization.issuers.${index}.name`,
  );
  const pinned = issuers.map(async (configuration, index) => {
    const keys = authorization.issuers[index]?.jwks.keys ?? [];
    const path = `authorization.issuers.${index}.jwks.keys`;
    return [configuration.issuer, { configuration, keys: await pinKeys(keys, configuration, path) }] as const;
  });
  return new Map(await Promise.all(pinned));
}

/** The key of an issuer for a header's `alg` and `kid`, or undefined when there is none, or more than one. */
export function keyFor(issuer: PinnedIssuer, alg: string, kid: string | undefined): CryptoKey | undefined {
  const keys = issuer.keys
    .filter((key) => kid === undefined || key.kid === kid)
    .flatMap(({ byAlgorithm }) => byAlgorithm.get(alg) ?? []);
  return keys.length === 1 ? keys[0] : undefined;
}

async function pinKeys(keys: readonly PublicJwk[], issuer: IssuerConfiguration, path: string): Promise<PinnedKey[]> {
  assertDistinct(
    keys.map(({ kid }) => kid),
    (index) => `${path}.${index}.kid`,
  );
  return Promise.all(keys.map((jwk, index) => pinKey(jwk, issuer.algorithms, `${path}.${index}`)));
}

async function pinKey(jwk: PublicJwk, algorithms: readonly string[], path: string): Promise<PinnedKey> {
  const fitting = algorithms.filter((algorithm) => isForAlgorithm(jwk, algorithm));
  if (fitting.length === 0) {
    throw new ServiceError("ERR_CONFIGURATION", `${path}: expected a key for one of the issuer's algorithms`);
  }
  try {
    const keys = fitting.map(async (algorithm) => [algorithm, await importPublicKey(jwk, algorithm)] as const);
    return { kid: jwk.kid, byAlgorithm: new Map(await Promise.all(keys)) };
  } catch {
    throw new ServiceError("ERR_CONFIGURATION", `${path}: expected a valid key, of 2048 to 8192 bits if it is RSA`);
  }
}

function assertDistinct(values: readonly (string | undefined)[], pathOf: (index: number) => string): void {
  const index = values.findIndex((value, place) => value !== undefined && values.indexOf(value) !== place);
  if (index >= 0) throw new ServiceError("ERR_CONFIGURATION", `${pathOf(index)}: expected each value once`);
}

/** Documents under a simulated root, from a passing baseline and with one change, for the tests of attestation. */
import type { TrustAnchor } from "../../shared/attestation/trust-anchor.js";
import type { VerifiedAttestation } from "../../shared/attestation/verify.js";
import { verifyAttestation } from "../../shared/attestation/verify.js";
import type { DocumentFields, DocumentMaker, DocumentOverrides } from "../../simulator/nsm/document.js";
import { createDocumentMaker } from "../../simulator/nsm/document.js";
import type { NitroPki, NitroPkiOptions } from "../../simulator/pki/nitro-pki.js";
import { createNitroPki } from "../../simulator/pki/nitro-pki.js";

/** When all documents of the tests are made and verified. */
export const NOW = new Date("2026-11-23T12:00:00.000Z");
export const INSTANCE_ID = "i-0123456789abcdef0";

export interface Platform {
  readonly pki: NitroPki;
  readonly trustAnchor: TrustAnchor;
  readonly maker: DocumentMaker;
  /** A document with one change or none. */
  make(fields?: Partial<DocumentFields>, overrides?: DocumentOverrides): Promise<Uint8Array<ArrayBuffer>>;
  /** The same, verified at NOW. */
  verify(fields?: Partial<DocumentFields>, overrides?: DocumentOverrides): Promise<VerifiedAttestation>;
}

/** The entry of a Map or an array that a test knows to be there. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError("the test expects this to be there");
  return value;
}

/** A simulated platform with one enclave; `options` make it a wrong one. */
export async function createPlatform(
  options: Partial<NitroPkiOptions> = {},
  instanceId: string = INSTANCE_ID,
): Promise<Platform> {
  const pki = await createNitroPki({ clock: () => NOW, ...options });
  const maker = await createDocumentMaker({ pki, instanceId });
  const { trustAnchor } = pki;
  const make: Platform["make"] = (fields, overrides) => maker.make(fields, overrides);
  return {
    pki,
    trustAnchor,
    maker,
    make,
    verify: async (fields, overrides) => verifyAttestation(await make(fields, overrides), { trustAnchor, now: NOW }),
  };
}

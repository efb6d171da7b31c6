/**
 * Trust anchors: the root certificates that attestation documents are verified under, each pinned by the SHA-256 of its
 * DER (AV-07). A document carries its root too; that copy is only believed when it hashes to the pin that the caller gave.
 *
 * No function of this package picks an anchor for its caller: production code passes AWS's, a test passes the simulated one.
 */
import { digest, fromHex, toHex } from "../bytes.js";

/** A root certificate that the caller trusts. */
export interface TrustAnchor {
  /** For people: which root this is. */
  readonly name: string;
  /** SHA-256 of the root certificate's DER, 64 lower-case hexadecimal digits. */
  readonly sha256: string;
}

/**
 * The root of AWS Nitro Enclaves in the commercial partition (CN=aws.nitro-enclaves, 2019-10-28 to 2049-10-28), as
 * published at https://aws-nitro-enclaves.amazonaws.com/AWS_NitroEnclaves_Root-G1.zip.
 */
export const AWS_NITRO_ENCLAVES_ROOT_G1: TrustAnchor = Object.freeze({
  name: "AWS Nitro Enclaves Root G1",
  sha256: "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b",
});

/**
 * An anchor for the root whose DER hashes to `sha256` (hexadecimal, either case).
 * @throws TypeError when `sha256` is not 32 bytes of hexadecimal.
 */
export function trustAnchorFromSha256(name: string, sha256: string): TrustAnchor {
  const hash = typeof sha256 === "string" ? fromHex(sha256) : undefined;
  if (hash?.length !== 32) throw new TypeError("a trust anchor is pinned by 64 hexadecimal digits of SHA-256");
  return Object.freeze({ name, sha256: toHex(hash) });
}

/**
 * An anchor for exactly this root certificate (DER). The certificate is not examined here: verification holds it to the
 * certificate profile every time, also its validity.
 */
export async function trustAnchorOf(rootDer: Uint8Array, name = "root certificate"): Promise<TrustAnchor> {
  return trustAnchorFromSha256(name, toHex(await digest("SHA-256", rootDer)));
}

/** Signs enclave images as `nitro-cli build-enclave --private-key … --signing-certificate …` does, with a key of one run. */
import { createPrivateKey, sign } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { utf8 } from "../../../shared/bytes.js";
import { encodeCbor } from "../../../shared/cbor.js";
import { encodeProtectedHeader, encodeSigStructure } from "../../../shared/cose.js";
import { pcrInfo, signatureEntry } from "../../support/eif-signer.js";
import { run } from "../../vm/host/command.js";

export interface Signer {
  /** PEM of a P-384 key and its certificate. */
  readonly key: string;
  readonly certificate: string;
}

/** A signer whose certificate is valid for a day; its files are in `folder`. */
export async function createSigner(folder: string): Promise<Signer> {
  const [keyFile, file] = [join(folder, "signer.key"), join(folder, "signer.pem")];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", "-nodes", "-keyout", keyFile];
  await run("openssl", ["req", "-x509", ...key, "-subj", "/CN=test:nitro-qemu", "-days", "1", "-out", file]);
  return { key: await readFile(keyFile, "utf8"), certificate: await readFile(file, "utf8") };
}

/** The contents of the signature section of an image that has this PCR0. */
export function signatureSection(pcr0: Uint8Array, { key, certificate }: Signer): Uint8Array {
  const [header, payload] = [encodeProtectedHeader(), pcrInfo(0, pcr0)];
  const ieee = { key: createPrivateKey(key), dsaEncoding: "ieee-p1363" } as const;
  const signature = new Uint8Array(sign("sha384", encodeSigStructure(header, payload), ieee));
  const coseSign1 = encodeCbor([header, new Map(), payload, signature]);
  return encodeCbor([signatureEntry([...utf8(certificate)], [...coseSign1])]);
}

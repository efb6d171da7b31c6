/**
 * A simulated root in a file, so that the processes of one simulation (NSM, KMS, command line) are under one root: JSON
 * with the certificate and its private key in PEM, readable by its owner only.
 */
import { KeyObject, X509Certificate as NodeCertificate } from "node:crypto";
import { link, readFile, unlink, writeFile } from "node:fs/promises";
import { z } from "zod";
import { copyBytes, fromHex } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { parseJson } from "../../shared/wire.js";
import type { DistinguishedName } from "./certificate.js";
import type { SimulatedRoot } from "./nitro-pki.js";
import { SIMULATED_ROOT_MARKER } from "./profile.js";
import { PemConverter, SubjectKeyIdentifierExtension, X509Certificate } from "./x509.js";

/** The portable form of a simulated root. */
export interface ExportedRoot {
  readonly certificate: string;
  readonly privateKey: string;
}

const exportedRoot = z.strictObject({ certificate: z.string(), privateKey: z.string() });
const nameType = z.enum(["C", "ST", "L", "O", "OU", "CN"]);

/** PEM of a certificate. */
export const certificatePem = (der: Uint8Array): string => `${PemConverter.encode(copyBytes(der), "CERTIFICATE")}\n`;

/** The root as PEM certificate and PEM PKCS #8 key. */
export async function exportRoot(root: SimulatedRoot): Promise<ExportedRoot> {
  const privateKey = await crypto.subtle.exportKey("pkcs8", root.privateKey);
  return {
    certificate: certificatePem(root.certificateDer),
    privateKey: `${PemConverter.encode(privateKey, "PRIVATE KEY")}\n`,
  };
}

/**
 * The root that `exportRoot` gave.
 * @throws ServiceError ERR_CONFIGURATION when the two do not belong together, or the certificate does not call itself simulated.
 */
export async function importRoot(exported: ExportedRoot): Promise<SimulatedRoot> {
  try {
    return await importParts(exported);
  } catch (error) {
    if (error instanceof ServiceError) throw error;
    throw new ServiceError("ERR_CONFIGURATION", "expected a simulated root: a PEM certificate and its PKCS #8 key", {
      cause: error,
    });
  }
}

async function importParts({ certificate, privateKey }: ExportedRoot): Promise<SimulatedRoot> {
  const parsed = new X509Certificate(certificate);
  const [keyDer] = PemConverter.decode(privateKey);
  const keyIdentifier = fromHex(parsed.getExtension(SubjectKeyIdentifierExtension)?.keyId ?? "");
  if (keyDer === undefined || keyIdentifier === undefined || !parsed.subject.includes(SIMULATED_ROOT_MARKER)) {
    throw new ServiceError("ERR_CONFIGURATION", "expected the certificate and key of a simulated root");
  }
  const certificateDer = new Uint8Array(parsed.rawData);
  const key = await crypto.subtle.importKey("pkcs8", keyDer, { name: "ECDSA", namedCurve: "P-384" }, true, ["sign"]);
  if (!new NodeCertificate(certificateDer).checkPrivateKey(KeyObject.from(key))) {
    throw new ServiceError("ERR_CONFIGURATION", "the private key is not that of the root certificate");
  }
  return { certificateDer, subject: subjectOf(parsed), keyIdentifier, privateKey: key };
}

function subjectOf(certificate: X509Certificate): DistinguishedName {
  return certificate.subjectName
    .toJSON()
    .flatMap((attributes) =>
      Object.entries(attributes).flatMap(([type, values]) =>
        values.map((value) => [nameType.parse(type), value] as const),
      ),
    );
}

/**
 * Writes a root to a new file with mode 0600; a file that exists is left alone and is an error (EEXIST). The file comes
 * into being whole, so that of several processes that start at once one writes and the others read what it wrote.
 */
export async function writeRootFile(path: string, root: SimulatedRoot): Promise<void> {
  const draft = `${path}.${crypto.randomUUID()}`;
  await writeFile(draft, JSON.stringify(await exportRoot(root), null, 2), { mode: 0o600, flag: "wx" });
  try {
    await link(draft, path);
  } finally {
    await unlink(draft);
  }
}

/**
 * Reads the root from a file that `writeRootFile` wrote.
 * @throws ServiceError ERR_CONFIGURATION when the file holds something else.
 */
export async function readRootFile(path: string): Promise<SimulatedRoot> {
  return importRoot(parseJson(exportedRoot, await readFile(path, "utf8"), "ERR_CONFIGURATION"));
}

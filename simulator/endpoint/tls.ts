/**
 * The server's TLS identity: a CA made at start, whose subject says that it is simulated, and a server certificate under
 * it for the names that a KMS endpoint of the Region has, on this machine and behind a tunnel. P-256, RFC 5280 and 6125.
 */
import { KeyObject, randomBytes } from "node:crypto";
import { toHex } from "../../shared/bytes.js";
import type { Clock } from "../clock.js";
import { dnsSuffixOf } from "../iam/arn.js";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "../pki/x509.js";

/** PEM texts for `node:https`, and the CA that clients must trust. */
export interface TlsIdentity {
  readonly privateKey: string;
  readonly certificate: string;
  readonly caCertificate: string;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const CA_NAME = "CN=Simulated KMS CA SIMULATED-ROOT-DO-NOT-TRUST, O=nitro-decrypt simulator";
const HOUR_MS = 3_600_000;
/** Long enough for any test, short enough to be of no use to anybody else. */
const LIFETIME_MS = 30 * 24 * HOUR_MS;

const newKeys = (): Promise<CryptoKeyPair> => crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
/** A positive serial number without a leading zero octet. */
const newSerial = (): string => `01${toHex(randomBytes(15))}`;

/** The host name of the Region's KMS endpoint. */
export const kmsHostOf = (region: string): string => `kms.${region}.${dnsSuffixOf(region)}`;

/** Makes a CA and a server certificate for the Region's KMS endpoint. TLS clients check dates by their own clock. */
export async function createTlsIdentity(region: string, clock: Clock): Promise<TlsIdentity> {
  const [caKeys, serverKeys] = await Promise.all([newKeys(), newKeys()]);
  const notBefore = new Date(clock().getTime() - HOUR_MS);
  const validity = { notBefore, notAfter: new Date(notBefore.getTime() + LIFETIME_MS) };
  const ca = await X509CertificateGenerator.createSelfSigned({
    ...validity,
    serialNumber: newSerial(),
    name: CA_NAME,
    keys: caKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  const server = await X509CertificateGenerator.create({
    ...validity,
    serialNumber: newSerial(),
    subject: `CN=${kmsHostOf(region)}`,
    issuer: ca.subject,
    publicKey: serverKeys.publicKey,
    signingKey: caKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([
        { type: "dns", value: kmsHostOf(region) },
        { type: "dns", value: "localhost" },
        { type: "ip", value: "127.0.0.1" },
        { type: "ip", value: "::1" },
      ]),
    ],
  });
  const privateKey = KeyObject.from(serverKeys.privateKey).export({ type: "pkcs8", format: "pem" }).toString();
  return { privateKey, certificate: server.toString("pem"), caCertificate: `${ca.toString("pem")}\n` };
}

/**
 * The server's TLS identity: a CA made at start, whose subject says that it is simulated, and server certificates under
 * it for the names that AWS's endpoints have, on this machine and behind a tunnel. P-256, RFC 5280 and 6125.
 */
import { KeyObject, randomBytes } from "node:crypto";
import { isIP } from "node:net";
import type { SecureContext, TlsOptions } from "node:tls";
import { createSecureContext } from "node:tls";
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

/** What a TLS server needs, and the CA that its clients must trust. */
export interface TlsIdentity {
  readonly serverOptions: TlsOptions;
  /** PEM. */
  readonly caCertificate: string;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const CA_NAME = "CN=Simulated KMS CA SIMULATED-ROOT-DO-NOT-TRUST, O=nitro-decrypt simulator";
/** Upper bound of a common name (RFC 5280, appendix A), with its `CN=`. */
const MAX_COMMON_NAME = 67;
const HOUR_MS = 3_600_000;
/** Long enough for any test, short enough to be of no use to anybody else. */
const LIFETIME_MS = 30 * 24 * HOUR_MS;

const newKeys = (): Promise<CryptoKeyPair> => crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
/** A positive serial number without a leading zero octet. */
const newSerial = (): string => `01${toHex(randomBytes(15))}`;

/** The host name of the Region's KMS endpoint. */
export const kmsHostOf = (region: string): string => `kms.${region}.${dnsSuffixOf(region)}`;

/** What endpoints of this partition are called, for TLS clients that name the one that they want. */
const ENDPOINT_NAME =
  /^(vpce-[0-9a-z-]{1,60}\.)?(kms|kms-fips|sts|cloudtrail)\.[a-z0-9-]{1,30}\.(vpce\.)?[a-z0-9.]{1,40}$/;
const MAX_NAMES = 256;

/**
 * Makes a CA and an identity for the Region's KMS endpoint, and further names and addresses. A client that names another endpoint of AWS (RFC 6066 §3), as
 * it does behind a tunnel or a hosts file, is shown a certificate for that one. Clients check dates by their own clock.
 */
export async function createTlsIdentity(
  region: string,
  clock: Clock,
  names: readonly string[] = [],
): Promise<TlsIdentity> {
  const issuer = await createIssuer(clock);
  const home = kmsHostOf(region);
  const all = [...new Set([home, "localhost", "127.0.0.1", "::1", ...names])];
  const [hosts, addresses] = [all.filter((name) => isIP(name) === 0), all.filter((name) => isIP(name) !== 0)];
  const { key, cert } = await issuer.issue(home, hosts.slice(1), addresses);
  const contexts = new Map<string, Promise<SecureContext>>();
  const contextOf = (name: string): Promise<SecureContext> | undefined => {
    if (hosts.includes(name) || !ENDPOINT_NAME.test(name) || !name.endsWith(dnsSuffixOf(region))) return undefined;
    if (contexts.size >= MAX_NAMES) return contexts.get(name);
    const context = contexts.get(name) ?? issuer.issue(name).then(createSecureContext);
    contexts.set(name, context);
    return context;
  };
  const SNICallback: TlsOptions["SNICallback"] = (name, callback) => {
    const context = contextOf(name);
    if (context === undefined) callback(null);
    else context.then((found) => callback(null, found), callback);
  };
  return { serverOptions: { key, cert, minVersion: "TLSv1.2", SNICallback }, caCertificate: issuer.caCertificate };
}

interface Issuer {
  readonly caCertificate: string;
  /** A key and a certificate for `host` and further names, in PEM. */
  issue(host: string, names?: readonly string[], addresses?: readonly string[]): Promise<{ key: string; cert: string }>;
}

async function createIssuer(clock: Clock): Promise<Issuer> {
  const keys = await newKeys();
  const notBefore = new Date(clock().getTime() - HOUR_MS);
  const validity = { notBefore, notAfter: new Date(notBefore.getTime() + LIFETIME_MS) };
  const ca = await X509CertificateGenerator.createSelfSigned({
    ...validity,
    serialNumber: newSerial(),
    name: CA_NAME,
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  const issue: Issuer["issue"] = async (host, names = [], addresses = []) => {
    const serverKeys = await newKeys();
    const certificate = await X509CertificateGenerator.create({
      ...validity,
      serialNumber: newSerial(),
      subject: `CN=${host}`.slice(0, MAX_COMMON_NAME),
      issuer: ca.subject,
      publicKey: serverKeys.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension([
          ...[host, ...names].map((value) => ({ type: "dns" as const, value })),
          ...addresses.map((value) => ({ type: "ip" as const, value })),
        ]),
      ],
    });
    const key = KeyObject.from(serverKeys.privateKey).export({ type: "pkcs8", format: "pem" }).toString();
    return { key, cert: certificate.toString("pem") };
  };
  return { caCertificate: `${ca.toString("pem")}\n`, issue };
}

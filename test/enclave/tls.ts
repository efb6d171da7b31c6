/** TLS for KMS's place: a certificate authority, certificates under it, and HTTPS servers on Unix sockets that speak as a test says. */
import "reflect-metadata";
import type { RequestListener } from "node:http";
import type { Server } from "node:https";
import { createServer } from "node:https";
import { join } from "node:path";
import type { SecureVersion } from "node:tls";
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { onTestFinished } from "vitest";
import { testFolder } from "../support/folder.js";

export const KMS_HOSTNAME = "kms.us-east-1.amazonaws.com";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const HOUR = 3_600_000;

export interface ServerCertificate {
  readonly key: string;
  readonly cert: string;
}

export interface Authority {
  /** PEM of the CA certificate. */
  readonly root: string;
  issue(hostname: string, validUntil?: Date): Promise<ServerCertificate>;
}

export async function createAuthority(): Promise<Authority> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const subject = `CN=test authority ${crypto.randomUUID()}`;
  const root = await X509CertificateGenerator.createSelfSigned({
    name: subject,
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(Date.now() - 48 * HOUR),
    notAfter: new Date(Date.now() + 48 * HOUR),
    extensions: [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true)],
  });
  return {
    root: root.toString("pem"),
    issue: async (hostname, validUntil = new Date(Date.now() + HOUR)) => {
      const own = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
      const certificate = await X509CertificateGenerator.create({
        subject: `CN=${hostname}`,
        issuer: subject,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        notBefore: new Date(Date.now() - 24 * HOUR),
        notAfter: validUntil,
        extensions: [new SubjectAlternativeNameExtension([{ type: "dns", value: hostname }])],
      });
      const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", own.privateKey)).toString("base64");
      return {
        key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
        cert: certificate.toString("pem"),
      };
    },
  };
}

export interface TlsServer {
  readonly server: Server;
  readonly address: string;
}

/** An HTTPS server at a Unix socket of its own: a tunnel whose bytes arrive at once. */
export async function tlsServer(
  certificate: ServerCertificate,
  listener: RequestListener,
  options: { readonly maxVersion?: SecureVersion; readonly minVersion?: SecureVersion; readonly ciphers?: string } = {},
): Promise<TlsServer> {
  const path = join(testFolder(), "tls");
  const server = createServer({ ...certificate, ...options }, listener);
  onTestFinished(() => server.closeAllConnections());
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => void server.listen(path, () => resolve()));
  return { server, address: `unix:${path}` };
}

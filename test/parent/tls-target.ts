/** A TLS server on loopback under a certificate of its own making, in KMS's place behind the tunnel. */
import "reflect-metadata";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { createServer } from "node:tls";
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";
import { onTestFinished } from "vitest";

export interface TlsTarget {
  readonly port: number;
  /** The certificate that clients must trust, in PEM. */
  readonly certificate: string;
}

export async function tlsTarget(hostName: string, onConnection: (socket: TLSSocket) => void): Promise<TlsTarget> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${hostName}`,
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 3_600_000),
    extensions: [new SubjectAlternativeNameExtension([{ type: "dns", value: hostName }])],
  });
  const key = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const pem = `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`;
  const server = createServer({ key: pem, cert: certificate.toString("pem") }, onConnection);
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // a TCP server has no other form of address
  return { port, certificate: certificate.toString("pem") };
}

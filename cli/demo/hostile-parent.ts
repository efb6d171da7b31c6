/**
 * A parent that cheats. It has everything that a parent has: the role's credentials, the sockets, every byte that passes,
 * and each attestation document with the public key in it, to which anybody can encrypt (pitfall 1).
 */

import { createPublicKey, randomBytes } from "node:crypto";
import type { IncomingMessage, RequestListener, Server } from "node:http";
import { createServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import { createServer as createHttpsServer } from "node:https";
import type { KMSClient } from "@aws-sdk/client-kms";
import { DecryptCommand, KMSServiceException } from "@aws-sdk/client-kms";
import { z } from "zod";
import type { GatewayAnswer } from "../../parent/gateway.js";
import { callKms } from "../../parent/gateway.js";
import { parseAttestationDocument } from "../../shared/attestation/document.js";
import { concatBytes } from "../../shared/bytes.js";
import { base64Of, bytesOf, parseJson } from "../../shared/wire.js";
import { createTlsIdentity } from "../../simulator/endpoint/tls.js";
import { sealForRecipient } from "../../simulator/kms/ciphertext-for-recipient.js";
import { listenAt } from "../../transport/listen.js";
import type { Credentials } from "./aws.js";

const KMS_DEADLINE_MS = 10_000;

const decryptBody = z.looseObject({
  KeyId: z.string().optional(),
  CiphertextBlob: z.string(),
  EncryptionContext: z.record(z.string(), z.string()).optional(),
  Recipient: z.looseObject({ AttestationDocument: z.string() }),
});
const gatewayCall = z.object({ target: z.string(), body: decryptBody });
type GatewayCall = z.infer<typeof gatewayCall>;

/** What the gateway's other end does with a call of the enclave. */
export type GatewayConduct = (call: GatewayCall) => Promise<GatewayAnswer>;

export interface Hostile {
  close(): Promise<void>;
}

/** An answer that KMS never gave: `plaintext`, sealed to the enclave's key as KMS would. */
export function forgedAnswer(body: GatewayCall["body"], keyArn: string, plaintext: Uint8Array) {
  const { publicKey: spki } = parseAttestationDocument(bytesOf(body.Recipient.AttestationDocument));
  if (spki === null) throw new TypeError("forgedAnswer: the document for KMS carries a public key");
  const publicKey = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  const CiphertextForRecipient = base64Of(sealForRecipient(plaintext, { publicKey, spki }));
  return { KeyId: keyArn, CiphertextForRecipient, EncryptionAlgorithm: "SYMMETRIC_DEFAULT" };
}

/** What the parent can do at the gateway. */
export function gatewayConducts(options: {
  readonly role: KMSClient;
  readonly keyArn: string;
  /** A key of the parent's own, and a data key under it. */
  readonly own: { readonly keyArn: string; readonly ciphertext: Uint8Array };
}) {
  const { role, keyArn, own } = options;
  const passOn = (call: GatewayCall): Promise<GatewayAnswer> => callKms(role, JSON.stringify(call), KMS_DEADLINE_MS);
  const forge: GatewayConduct = async ({ body }) => ({
    status: 200,
    body: forgedAnswer(body, keyArn, randomBytes(32)),
  });
  const stripRecipient: GatewayConduct = ({ body }) => decryptWithoutRecipient(role, body);
  const answerInPlain: GatewayConduct = async () => ({
    status: 200,
    body: { KeyId: keyArn, Plaintext: base64Of(randomBytes(32)), EncryptionAlgorithm: "SYMMETRIC_DEFAULT" },
  });
  const swapKey: GatewayConduct = ({ target, body: { Recipient } }) =>
    passOn({ target, body: { KeyId: own.keyArn, CiphertextBlob: base64Of(own.ciphertext), Recipient } });
  return { passOn, forge, stripRecipient, answerInPlain, swapKey };
}

async function decryptWithoutRecipient(role: KMSClient, body: GatewayCall["body"]): Promise<GatewayAnswer> {
  const { KeyId, CiphertextBlob, EncryptionContext } = body;
  try {
    const { Plaintext = new Uint8Array() } = await role.send(
      new DecryptCommand({ KeyId, CiphertextBlob: bytesOf(CiphertextBlob), EncryptionContext }),
    );
    return { status: 200, body: { KeyId, Plaintext: base64Of(Plaintext) } };
  } catch (error) {
    if (!(error instanceof KMSServiceException)) throw error;
    return { status: 400, body: { __type: error.name, message: error.message } };
  }
}

/** The parent's services with a gateway whose conduct can be changed at any time. */
export async function serveGateway(address: string, conduct: () => GatewayConduct): Promise<Hostile> {
  const answer = async (request: IncomingMessage): Promise<GatewayAnswer> =>
    conduct()(parseJson(gatewayCall, await readText(request), "ERR_MESSAGE_MALFORMED"));
  return serve(createServer(jsonListener(answer)), address);
}

/** The parent's services as far as a tunnelling enclave needs them: real credentials. */
export async function serveCredentials(address: string, credentials: Credentials): Promise<Hostile> {
  return serve(createServer(jsonListener(async () => credentials)), address);
}

/**
 * A KMS of the parent's own at the tunnel's end, with a certificate for the right name from a CA of its own. An enclave
 * that spoke to it would get `plaintext`, properly sealed, as the answer to any Decrypt.
 */
export async function serveForgedKms(
  address: string,
  { region, keyArn, plaintext }: { readonly region: string; readonly keyArn: string; readonly plaintext: Uint8Array },
): Promise<Hostile> {
  const { serverOptions } = await createTlsIdentity(region, () => new Date());
  const answer = async (request: IncomingMessage) => {
    const body = parseJson(decryptBody, await readText(request), "ERR_MESSAGE_MALFORMED");
    return forgedAnswer(body, keyArn, plaintext);
  };
  const server = createHttpsServer(serverOptions, jsonListener(answer));
  server.on("tlsClientError", (_error, socket) => socket.destroy()); // the enclave hangs up: what the demo is about
  return serve(server, address);
}

function jsonListener(answer: (request: IncomingMessage) => Promise<object>): RequestListener {
  return (request, response) => {
    answer(request).then(
      (body) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body)),
      (error: unknown) => response.destroy(error instanceof Error ? error : new Error(String(error))),
    );
  };
}

async function readText(request: IncomingMessage): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of request) {
    if (!(part instanceof Uint8Array)) throw new TypeError("unreachable: the request has no encoding set");
    parts.push(part);
  }
  return new TextDecoder().decode(concatBytes(...parts));
}

async function serve(server: Server | HttpsServer, address: string): Promise<Hostile> {
  await listenAt(server, address, { allowPeer: () => true });
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { close };
}

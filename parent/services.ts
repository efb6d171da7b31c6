/**
 * What the parent does for its enclaves, as HTTP at an address of its own: `GET /credentials`; `POST /enclave-state`, where an
 * enclave says how its start went; `POST /kms` where the gateway is configured; `GET /tls-certificate` where there is a
 * certificate to offer, which the enclave judges; `POST /dynamodb` where there is a key store; `GET` and
 * `PUT /sealing-seeds/FLEET/MEASUREMENT` (sealing-seeds.ts). Whoever can open the address can ask; on vsock the CIDs of the parent's own enclaves can.
 */
import type { KMSClient } from "@aws-sdk/client-kms";
import type { Logger } from "pino";
import { toBase64 } from "../shared/bytes.js";
import { enclaveState } from "../shared/enclave-state.js";
import { ServiceError } from "../shared/errors.js";
import type { SealingSeed } from "../shared/sealing-seed.js";
import { sealingSeed } from "../shared/sealing-seed.js";
import { parseJson } from "../shared/wire.js";
import { listenAt, peerCidOf } from "../transport/listen.js";
import type { BranchKeyStore } from "./branch-key-store.js";
import { callKeyStore } from "./branch-key-store.js";
import type { CredentialsSource } from "./credentials.js";
import type { EnclavePool } from "./enclave-pool.js";
import { callKms } from "./gateway.js";
import { createHttpApp } from "./http-app.js";
import type { ParentLimits } from "./limits.js";
import type { ParentMetrics } from "./metrics.js";
import type { FleetId, SeedStore } from "./sealing-seeds.js";

/** A certificate for the enclave's TLS channel. Whether it is taken is the enclave's to say. */
export interface TlsCertificateOffer {
  /** PEM, one certificate in each text, the end-entity certificate first. */
  readonly chain: readonly string[];
  /** The private key (PKCS #8 DER), encrypted by AWS KMS as the enclave's configuration says. */
  readonly privateKeyCiphertext: Uint8Array;
}

/** Asked at every request, so that what was renewed is offered; undefined where there is nothing to offer. */
export type TlsCertificateSource = () => Promise<TlsCertificateOffer | undefined>;

export interface ServicesOptions {
  readonly address: string;
  /** Those that may ask, where the address is on vsock, and whose reports are taken. */
  readonly enclaves: Pick<EnclavePool, "allowPeer" | "noteState">;
  readonly credentials: CredentialsSource;
  readonly gateway?: { readonly client: KMSClient } | undefined;
  readonly tlsCertificate?: TlsCertificateSource | undefined;
  readonly branchKeys?: BranchKeyStore | undefined;
  readonly seeds: SeedStore;
  readonly limits: ParentLimits;
  readonly log: Logger;
  readonly metrics: ParentMetrics;
}

export interface Services {
  close(): Promise<void>;
}

/** Opens the services. @throws ServiceError ERR_ADDRESS */
export async function createServices(options: ServicesOptions): Promise<Services> {
  const { enclaves, credentials, gateway, tlsCertificate, branchKeys, seeds, limits, log, metrics } = options;
  const http = createHttpApp({
    name: "services",
    limits,
    log,
    handlerDeadlineMs: limits.awsDeadlineMs,
    onFinished: ({ route, outcome }) => {
      if (route === "/credentials") metrics.credentialsServed.inc({ code: outcome });
    },
  });
  http.app.get("/credentials", () => credentials.take());
  http.app.post("/enclave-state", ({ body, raw }) => {
    enclaves.noteState(peerCidOf(raw.socket), parseJson(enclaveState, textOf(body), "ERR_MESSAGE_MALFORMED"));
    return {};
  });
  if (gateway) {
    http.app.post("/kms", ({ body }) => callKms(gateway.client, textOf(body), limits.awsDeadlineMs));
  }
  if (tlsCertificate) http.app.get("/tls-certificate", () => offerOf(tlsCertificate));
  if (branchKeys) {
    http.app.post("/dynamodb", ({ body }) => callKeyStore(branchKeys, textOf(body), limits.awsDeadlineMs));
  }
  const seedsPath = "/sealing-seeds/:fleet/:measurement";
  http.app.get<{ Params: FleetId }>(seedsPath, ({ params }) => ({ seeds: seeds.list(params) }));
  http.app.put<{ Params: FleetId }>(seedsPath, ({ params, body }) => seeds.put(params, seedOf(body)));
  const allowPeer = (cid: number, open: number): boolean => enclaves.allowPeer(cid, open, limits.maxConnections);
  await http.listen((server) => listenAt(server, options.address, { allowPeer }));
  return { close: () => http.close() };
}

const seedOf = (body: unknown): SealingSeed => parseJson(sealingSeed, textOf(body), "ERR_MESSAGE_MALFORMED");

function textOf(body: unknown): string {
  if (body instanceof Uint8Array) return new TextDecoder().decode(body);
  throw new ServiceError("ERR_MESSAGE_MALFORMED", "expected a body");
}

/** The JSON of an offer. @throws ServiceError ERR_NOT_FOUND (there is none), ERR_CERTIFICATE (it cannot be had). */
async function offerOf(
  source: TlsCertificateSource,
): Promise<{ chain: readonly string[]; privateKeyCiphertext: string }> {
  const offer = await source().catch((cause: unknown) => {
    throw new ServiceError("ERR_CERTIFICATE", "the certificate to offer cannot be read", { cause });
  });
  if (offer === undefined) throw new ServiceError("ERR_NOT_FOUND", "there is no certificate to offer");
  return { chain: offer.chain, privateKeyCiphertext: toBase64(offer.privateKeyCiphertext) };
}

/**
 * The whole platform in one process, for tests and for trying things out: a Nitro PKI, enclaves' NSM devices in process
 * and on Unix sockets, a KMS that believes this PKI and no other, and the instance metadata service that hands out the
 * parent instance's role. Several may run at once; `close` (or `await using`) leaves nothing behind.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TrustAnchor } from "../shared/attestation/trust-anchor.js";
import { toHex, utf8 } from "../shared/bytes.js";
import type { Nsm } from "../shared/nsm.js";
import type { Clock } from "./clock.js";
import { systemClock } from "./clock.js";
import type { SimulatedKms } from "./endpoint/server.js";
import { DEFAULT_ACCOUNT_ID, DEFAULT_REGION, startKms } from "./endpoint/server.js";
import type { AccessKey } from "./iam/principals.js";
import { Principals } from "./iam/principals.js";
import type { EnclaveImage } from "./image.js";
import { bootPcrs } from "./image.js";
import type { SimulatedImds } from "./imds.js";
import { startImds } from "./imds.js";
import { serveNsm } from "./nsm/server.js";
import { bootSimulatedNsm } from "./nsm/simulated-nsm.js";
import type { NitroPki, SimulatedRoot } from "./pki/nitro-pki.js";
import { createNitroPki } from "./pki/nitro-pki.js";
import type { IssuedCredentials } from "./role-credentials.js";
import { createRoleCredentials } from "./role-credentials.js";

export interface SimulationOptions {
  readonly region?: string;
  readonly accountId?: string;
  /** The present, for everything but TLS. */
  readonly clock?: Clock;
  /** What the first enclave boots; a small fixed image if left out. */
  readonly image?: EnclaveImage;
  /** Whether the first enclave runs in debug mode. */
  readonly debug?: boolean;
  /** The root of the PKI; a fresh one if left out. */
  readonly root?: SimulatedRoot;
  readonly instanceId?: string;
  readonly roleName?: string;
  /** Identity policies of the role. By default it may only call GenerateRandom: keys are given by key policies. */
  readonly rolePolicies?: readonly string[];
  readonly credentialLifetimeSeconds?: number;
  /** How old an attestation document may be for the KMS. */
  readonly freshnessSeconds?: number;
  readonly operatorAccessKey?: AccessKey;
  /** Free ones if left out. */
  readonly kmsPort?: number;
  readonly imdsPort?: number;
}

/** An enclave as far as its platform is concerned: an NSM with the PCRs of its image. */
export interface BootedEnclave {
  readonly nsm: Nsm;
  /** `unix:/path` of the same device, for another process. */
  readonly nsmAddress: string;
  /** PCR values at boot in hexadecimal, by index. */
  readonly pcrs: Readonly<Record<number, string>>;
  readonly moduleId: string;
}

/** A running platform. What it says of an enclave is of the first one. */
export interface Simulation extends BootedEnclave, AsyncDisposable {
  readonly trustAnchor: TrustAnchor;
  readonly pki: NitroPki;
  readonly kms: SimulatedKms;
  readonly imds: SimulatedImds;
  readonly region: string;
  readonly accountId: string;
  readonly instanceId: string;
  /** The parent instance's role. */
  readonly roleArn: string;
  /** The role's present credentials, as an AWS SDK takes them. */
  readonly roleCredentials: () => Promise<IssuedCredentials>;
  /** A user with all permissions. */
  readonly operator: AccessKey;
  /** Boots one more enclave on the same parent instance. */
  bootEnclave(image: EnclaveImage, options?: { readonly debug?: boolean }): Promise<BootedEnclave>;
  close(): Promise<void>;
}

const DEFAULT_CREDENTIAL_LIFETIME_SECONDS = 6 * 3600;
/** What the parent role may do by itself: keys are given to it by their policies. */
export const RANDOM_ONLY_POLICY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "kms:GenerateRandom", Resource: "*" }],
});

/** An image that stands for some enclave where it does not matter which. */
export const exampleImage = (): EnclaveImage => ({
  kernel: utf8("simulated kernel"),
  cmdline: utf8("reboot=k panic=30 pci=off nomodules console=ttyS0"),
  ramdisks: [utf8("simulated base system"), utf8("simulated application")],
});

/** Starts a platform. If a part cannot start, those before it are stopped again. */
export async function startSimulation(options: SimulationOptions = {}): Promise<Simulation> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer();
  };
  try {
    return await start(options, closers, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  options: SimulationOptions,
  closers: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<Simulation> {
  const { clock = systemClock, region = DEFAULT_REGION, accountId = DEFAULT_ACCOUNT_ID } = options;
  const instanceId = options.instanceId ?? `i-${toHex(randomBytes(9)).slice(1)}`;
  const roleName = options.roleName ?? "enclave-parent";
  const principals = new Principals({ accountId, region, clock });
  const roleArn = principals.addRole({ name: roleName, policies: options.rolePolicies ?? [RANDOM_ONLY_POLICY] });
  const lifetimeSeconds = options.credentialLifetimeSeconds ?? DEFAULT_CREDENTIAL_LIFETIME_SECONDS;
  const credentials = createRoleCredentials({ principals, roleArn, sessionName: instanceId, lifetimeSeconds, clock });

  const pki = await createNitroPki({ clock, region, ...(options.root === undefined ? {} : { root: options.root }) });
  const { trustAnchor } = pki;
  const folder = await mkdtemp(join(tmpdir(), "nitro-decrypt-")); // readable by nobody else (0700)
  closers.push(() => rm(folder, { recursive: true, force: true }));

  const { freshnessSeconds, operatorAccessKey, kmsPort: port } = options;
  const kms = await startKms({
    ...{ region, accountId, trustAnchor, clock, principals },
    ...(freshnessSeconds === undefined ? {} : { freshnessSeconds }),
    ...(operatorAccessKey === undefined ? {} : { operatorAccessKey }),
    ...(port === undefined ? {} : { port }),
  });
  closers.push(kms.close);
  const imdsPort = options.imdsPort ?? 0;
  const imds = await startImds({ roleName, credentials, instanceId, region, clock, port: imdsPort });
  closers.push(imds.close);

  let booted = 0;
  const bootEnclave = async (image: EnclaveImage, { debug = false } = {}): Promise<BootedEnclave> => {
    const launch = { instanceId, roleArn, debug };
    const nsm = await bootSimulatedNsm({ pki, image, ...launch });
    const server = await serveNsm(nsm, `unix:${join(folder, `nsm-${booted++}.sock`)}`);
    closers.push(() => server.close());
    return { nsm, nsmAddress: server.address, pcrs: hexOf(await bootPcrs(image, launch)), moduleId: nsm.moduleId };
  };
  const first = await bootEnclave(options.image ?? exampleImage(), { debug: options.debug ?? false });
  return {
    ...first,
    ...{ trustAnchor, pki, kms, imds, region, accountId, instanceId, roleArn, operator: kms.operator },
    roleCredentials: async () => credentials(),
    bootEnclave,
    close,
    [Symbol.asyncDispose]: close,
  };
}

const hexOf = (pcrs: ReadonlyMap<number, Uint8Array>): Readonly<Record<number, string>> =>
  Object.fromEntries([...pcrs].map(([index, value]) => [index, toHex(value)]));

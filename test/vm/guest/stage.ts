/**
 * The scene of the checks, outside of the enclave: AWS as it is simulated, a key that one image with one configuration may
 * use, the parent as a process of its own, and clients.
 */

import { writeFile } from "node:fs/promises";
import { Agent } from "node:https";
import { CreateKeyCommand, EncryptCommand, KMSClient, PutKeyPolicyCommand } from "@aws-sdk/client-kms";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import type { Child } from "../../../cli/child.js";
import { startChild } from "../../../cli/child.js";
import { attestedKeyPolicy } from "../../../cli/demo/aws.js";
import { POLICIES, SCHEMA } from "../../../cli/demo/policies.js";
import type { AttestedOptions } from "../../../client/connect.js";
import { connectEnclave } from "../../../client/connect.js";
import type { Enclave } from "../../../client/enclave.js";
import { pcr16OfConfiguration } from "../../../shared/attestation/pcr.js";
import { toHex, utf8 } from "../../../shared/bytes.js";
import { createSimulatedRoot } from "../../../simulator/pki/nitro-pki.js";
import { writeRootFile } from "../../../simulator/pki/root-file.js";
import type { Simulation } from "../../../simulator/simulation.js";
import { startSimulation } from "../../../simulator/simulation.js";
import { createTokenIssuer } from "../../../simulator/token-issuer.js";
import { ADDRESSES } from "../addresses.js";
import { fetchOnce } from "./fetch.js";
import { Lines } from "./lines.js";
import type { BootedNsm, NsmLaunch } from "./nsm-device.js";
import { NsmDevice, RunningEnclave } from "./platform.js";

/** Outside of the enclave's root; inside it is /app/enclave.json. */
const CONFIGURATION_FILE = "/enclave/app/enclave.json";
const ROOT_FILE = "/root/nitro-root.json";
const API_PORT = 8_080;
const TLS_PORT = 8_443;
/** A parent that is not ready by then will not be. */
const PARENT_START_MS = 30_000;
/** For whoever is answered last of many, where every instruction is translated. */
const REQUEST_DEADLINE_SECONDS = 120;
export const CONTEXT = { tenant: "acme" };
export const API_URL = `http://127.0.0.1:${API_PORT}`;
export const TLS_URL = `https://127.0.0.1:${TLS_PORT}`;

/** A configuration as the exact bytes that are measured. */
type Configuration = Uint8Array<ArrayBuffer>;

/** An enclave that serves. */
export interface Serving {
  readonly enclave: RunningEnclave;
  readonly nsm: BootedNsm;
  /** PCR16 as it told the parent. */
  readonly configurationPcr: string;
}

export class Stage {
  readonly simulation: Simulation;
  readonly device: NsmDevice;
  readonly operator: KMSClient;
  /** Whose key the policy opens. */
  readonly configuration: Configuration;
  /** The same but for one number, so that the key stays closed to it. */
  readonly otherConfiguration: Configuration;
  /** A caller of the tenant. */
  readonly token: string;
  readonly #keyArn: string;
  readonly #launch: NsmLaunch;
  readonly parentLog = new Lines("parent");
  #parent: Child | undefined;
  #serving: Serving | undefined;

  private constructor(
    parts: Pick<Stage, "simulation" | "device" | "operator" | "configuration" | "otherConfiguration" | "token"> & {
      keyArn: string;
    },
  ) {
    const { simulation, keyArn } = parts;
    this.simulation = simulation;
    this.device = parts.device;
    this.operator = parts.operator;
    this.configuration = parts.configuration;
    this.otherConfiguration = parts.otherConfiguration;
    this.token = parts.token;
    this.#keyArn = keyArn;
    const { region, instanceId, roleArn } = simulation;
    this.#launch = { pki: ROOT_FILE, region, instanceId, roleArn };
  }

  /** Everything but parent and enclave. The key is closed to all until the first enclave's measurements are known. */
  static async create(): Promise<Stage> {
    const root = await createSimulatedRoot();
    await writeRootFile(ROOT_FILE, root);
    const [device, simulation] = await Promise.all([NsmDevice.serve(), startSimulation({ root })]);
    const operator = operatorOf(simulation);
    const { KeyMetadata } = await operator.send(new CreateKeyCommand({}));
    const keyArn = KeyMetadata?.Arn ?? "";
    const issuer = await createTokenIssuer();
    const token = await issuer.issue({ subject: "alice", lifetimeSeconds: 3_600, claims: CONTEXT });
    const configure = (limits: object): Configuration =>
      utf8(
        JSON.stringify({
          version: 1,
          kms: {
            region: simulation.region,
            keys: [{ arn: keyArn }],
            transport: "tunnel",
            roots: [simulation.kms.caCertificate],
          },
          channels: { parent: ["decrypt"], tls: { certificate: "generated" } },
          authorization: {
            issuers: [issuer.configuration],
            schema: SCHEMA,
            policies: POLICIES,
            budgets: { requestsPerMinute: 100_000, maxConcurrent: 1_024 },
          },
          limits: { requestDeadlineSeconds: REQUEST_DEADLINE_SECONDS, ...limits },
        }),
      );
    const [configuration, otherConfiguration] = [configure({}), configure({ maxQueuedKmsRequests: 1_000 })];
    return new Stage({ simulation, device, operator, configuration, otherConfiguration, token, keyArn });
  }

  /** The enclave that serves. @throws Error when none does: an earlier check has failed. */
  get serving(): Serving {
    if (this.#serving === undefined) throw new Error("no enclave serves");
    return this.#serving;
  }

  get parent(): Child {
    if (this.#parent === undefined) throw new Error("no parent runs");
    return this.#parent;
  }

  /** Boots NSM and enclave, and returns when the enclave has told the parent that it serves. */
  async bootEnclave(configuration: Configuration, signal: AbortSignal): Promise<Serving> {
    const start = this.parentLog.length;
    const { enclave, nsm } = await this.startEnclave(configuration, signal);
    const told = JSON.parse(await this.parentLog.find('"msg":"an enclave ', start, signal));
    if (told.state !== "serving") throw new Error(`the enclave does not start: ${told.code}`);
    this.#serving = { enclave, nsm, configurationPcr: told.configurationPcr };
    return this.#serving;
  }

  /** Likewise, but does not wait for it to serve. */
  async startEnclave(configuration: Configuration, signal: AbortSignal): Promise<Pick<Serving, "enclave" | "nsm">> {
    await this.stopEnclave();
    await writeFile(CONFIGURATION_FILE, configuration);
    const nsm = await this.device.boot(this.#launch);
    return { enclave: await RunningEnclave.boot(signal), nsm };
  }

  /** Boots an NSM without an enclave. */
  bootNsm(): Promise<BootedNsm> {
    return this.device.boot(this.#launch);
  }

  async stopEnclave(): Promise<void> {
    const serving = this.#serving;
    this.#serving = undefined;
    await serving?.enclave.terminate();
  }

  async startParent(): Promise<void> {
    const { imds, kms, region } = this.simulation;
    const addresses = ["--enclave", ADDRESSES.enclave, "--enclave-tls", ADDRESSES.tls];
    const services = ["--tunnel", ADDRESSES.tunnel, "--services", ADDRESSES.services];
    const forClients = ["--listen", `127.0.0.1:${API_PORT}`, "--tls-listen", `127.0.0.1:${TLS_PORT}`];
    const deadline = ["--request-deadline", String(REQUEST_DEADLINE_SECONDS)];
    this.#parent = await startChild({
      label: "parent",
      args: ["parent", ...addresses, ...services, ...forClients, ...deadline, "--kms-target", `127.0.0.1:${kms.port}`],
      env: {
        PATH: "/bin:/usr/bin",
        HOME: "/nowhere",
        AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.endpoint,
        AWS_REGION: region,
      },
      deadlineMs: PARENT_START_MS,
      signal: new AbortController().signal,
      onLog: (line) => this.parentLog.push(line),
    });
  }

  /** Ends the parent's process as a crash would. */
  async killParent(): Promise<void> {
    const { pid, ended } = this.parent;
    this.#parent = undefined;
    const over = new Promise((resolve) => ended.addEventListener("abort", resolve, { once: true }));
    process.kill(pid, "SIGKILL");
    await over;
  }

  /** Opens the key to the image that `nsm` booted, with the main configuration, and to nothing else. */
  async openKey(nsm: BootedNsm): Promise<void> {
    const Policy = attestedKeyPolicy(this.simulation, await this.#pcrs(nsm, this.configuration), CONTEXT.tenant);
    await this.operator.send(new PutKeyPolicyCommand({ KeyId: this.#keyArn, PolicyName: "default", Policy }));
  }

  async encrypt(plaintext: string): Promise<Uint8Array> {
    const command = new EncryptCommand({ KeyId: this.#keyArn, Plaintext: utf8(plaintext), EncryptionContext: CONTEXT });
    return (await this.operator.send(command)).CiphertextBlob ?? new Uint8Array();
  }

  /** What a client demands who means the serving image with `configuration`. */
  async clientOptions(configuration: Configuration = this.configuration): Promise<AttestedOptions> {
    const pcrs = await this.#pcrs(this.serving.nsm, configuration);
    const { trustAnchor } = this.simulation;
    const freshness = { kind: "within", seconds: 60, skewSeconds: 5 } as const;
    return {
      trustAnchor,
      token: this.token,
      policy: { pcrs: [pcrs], freshness, debug: "reject", configuration: "pinned" },
    };
  }

  /** A client that calls by sealed requests. */
  async connect(changes: Partial<AttestedOptions & { fetch: typeof fetch }> = {}): Promise<Enclave> {
    return connectEnclave(API_URL, { fetch: fetchOnce, ...(await this.clientOptions()), ...changes });
  }

  async #pcrs({ pcrs }: BootedNsm, configuration: Configuration) {
    return { 0: pcrs[0], 1: pcrs[1], 2: pcrs[2], 16: toHex(await pcr16OfConfiguration(configuration)) };
  }
}

function operatorOf({ kms, operator }: Simulation): KMSClient {
  return new KMSClient({
    region: kms.region,
    endpoint: kms.endpoint,
    credentials: operator,
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca: kms.caCertificate, keepAlive: true }) }),
  });
}

/** The error of something that must fail. @throws Error when it does not. */
export async function failureOf(
  promise: Promise<unknown>,
): Promise<{ readonly code: unknown; readonly error: unknown }> {
  try {
    await promise;
  } catch (error) {
    return { code: error instanceof Error && "code" in error ? error.code : undefined, error };
  }
  throw new Error("expected a failure");
}

/**
 * The processes of a simulated deployment on this machine: KMS, and for each enclave its NSM, the enclave and its parent,
 * on Unix sockets in one temporary folder that nobody else can open. `close` ends them all and removes the folder.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { TrustAnchor } from "../shared/attestation/trust-anchor.js";
import { parseWith } from "../shared/wire.js";
import type { AuditRecord } from "../simulator/cloudtrail/records.js";
import type { Child, ChildEvent } from "./child.js";
import { startChild } from "./child.js";
import type { Io } from "./command.js";

export interface StackOptions {
  readonly env: Io["env"];
  readonly logLevel: string;
  /** Gives up whatever is being started. */
  readonly signal: AbortSignal;
  /** Each line of a process's log. */
  readonly onLog?: (label: string, line: string) => void;
  /** Each call to the simulated KMS. */
  readonly onCall?: (record: AuditRecord) => void;
}

const trustAnchor = z.object({ name: z.string(), sha256: z.string() });
const kmsReady = z.object({
  endpoint: z.string(),
  port: z.number(),
  region: z.string(),
  accountId: z.string(),
  roleArn: z.string(),
  instanceId: z.string(),
  imdsEndpoint: z.string(),
  caFile: z.string(),
  rootFile: z.string(),
  credentialsFile: z.string(),
  configFile: z.string(),
  trustAnchor,
});
const nsmReady = z.object({ address: z.string(), moduleId: z.string() });
const enclaveReady = z.object({ address: z.string(), configurationPcr: z.string() });
const parentReady = z.object({ url: z.string(), tls: z.string() });

/** The simulated KMS, and what it takes to call it as its operator. */
export interface KmsProcess extends z.infer<typeof kmsReady> {
  readonly caCertificate: string;
  readonly operator: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly trustAnchor: TrustAnchor;
}

export type EnclaveProcess = z.infer<typeof enclaveReady> & { readonly stop: () => Promise<void> };
export type ParentProcess = z.infer<typeof parentReady> & { readonly stop: () => Promise<void> };

/** Where a parent listens, and to whose pages; free ports on loopback, and nobody's, unless given. */
export interface ParentListen {
  readonly listen?: string;
  readonly tlsListen?: string;
  readonly allowOrigins?: readonly string[];
}

/** An image on disk, in the form that "nitro-decrypt nsm" takes: kernel, command line, and a folder for each ramdisk. */
export interface ImageOnDisk {
  readonly kernel: string;
  readonly cmdline: string;
  readonly ramdisks: readonly string[];
}

/** The Unix sockets of one enclave and its parent. */
export interface Sockets {
  readonly nsm: string;
  readonly enclave: string;
  readonly tls: string;
  readonly tunnel: string;
  readonly services: string;
}

/** A process that is not ready by then will not be: on a busy machine a start takes two seconds. */
const START_DEADLINE_MS = 30_000;
const FILE_MODE = 0o600;

export class LocalStack {
  readonly folder: string;
  readonly #options: StackOptions;
  readonly #ended = new AbortController();
  readonly #children: Child[] = [];
  #closing = false;

  private constructor(folder: string, options: StackOptions) {
    this.folder = folder;
    this.#options = options;
  }

  static async create(options: StackOptions): Promise<LocalStack> {
    return new LocalStack(await mkdtemp(join(tmpdir(), "nd-")), options); // short: a Unix path has 103 bytes
  }

  /** Fires when a process ended that nobody asked to. */
  get broken(): AbortSignal {
    return this.#ended.signal;
  }

  /** The sockets of the enclave `name`. */
  sockets(name: string): Sockets {
    const at = (end: string): string => `unix:${join(this.folder, `${name}-${end}`)}`;
    return { nsm: at("nsm"), enclave: at("enclave"), tls: at("tls"), tunnel: at("tunnel"), services: at("services") };
  }

  async startKms(): Promise<KmsProcess> {
    const folder = join(this.folder, "kms");
    const child = await this.#start("kms", ["kms", "--pki", this.#rootFile, "--folder", folder], {}, (event) => {
      if (event.event === "call") this.#options.onCall?.(event.record as AuditRecord); // written by our own kms command
    });
    const ready = parseWith(kmsReady, child.ready, "ERR_INTERNAL");
    const caCertificate = await readFile(ready.caFile, "utf8");
    return { ...ready, caCertificate, operator: parseCredentials(await readFile(ready.credentialsFile, "utf8")) };
  }

  /** Boots an enclave's NSM from `image`, or from this installation's own. */
  async startNsm(
    name: string,
    kms: Pick<KmsProcess, "instanceId" | "roleArn" | "region">,
    { image, debug = false }: { readonly image?: ImageOnDisk; readonly debug?: boolean } = {},
  ): Promise<z.infer<typeof nsmReady>> {
    const { instanceId, roleArn, region } = kms;
    const where = ["--instance-id", instanceId, "--role-arn", roleArn, "--region", region];
    const what = image === undefined ? [] : imageOptions(image);
    const args = ["nsm", "--listen", this.sockets(name).nsm, "--pki", this.#rootFile, ...where, ...what];
    const child = await this.#start(`${name} nsm`, debug ? [...args, "--debug"] : args);
    return parseWith(nsmReady, child.ready, "ERR_INTERNAL");
  }

  /** Starts the enclave `name`; its configuration must have a TLS channel. */
  async startEnclave(name: string, configuration: Uint8Array): Promise<EnclaveProcess> {
    const file = join(this.folder, `${name}.json`);
    await writeFile(file, configuration, { mode: FILE_MODE });
    const { nsm, enclave, tls, tunnel, services } = this.sockets(name);
    const addresses = ["--nsm", nsm, "--listen", enclave, "--tls", tls, "--tunnel", tunnel, "--services", services];
    const child = await this.#start(`${name} enclave`, ["enclave", "--config", file, ...addresses]);
    return { ...parseWith(enclaveReady, child.ready, "ERR_INTERNAL"), stop: () => this.#stop(child) };
  }

  /** Starts the parent of the enclave `name`; it takes its credentials from the metadata service, as on EC2. */
  async startParent(
    name: string,
    kms: Pick<KmsProcess, "imdsEndpoint" | "port" | "region">,
    { listen = "127.0.0.1:0", tlsListen = "127.0.0.1:0", allowOrigins = [] }: ParentListen = {},
  ): Promise<ParentProcess> {
    const { enclave, tls, tunnel, services } = this.sockets(name);
    const forTls = [
      "--tls-listen",
      tlsListen,
      "--enclave-tls",
      tls,
      ...allowOrigins.flatMap((o) => ["--allow-origin", o]),
    ];
    const addresses = ["--enclave", enclave, "--tunnel", tunnel, "--services", services, ...forTls];
    const args = ["parent", "--listen", listen, ...addresses, "--kms-target", `127.0.0.1:${kms.port}`];
    const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: kms.imdsEndpoint, AWS_REGION: kms.region };
    const child = await this.#start(`${name} parent`, args, env);
    return { ...parseWith(parentReady, child.ready, "ERR_INTERNAL"), stop: () => this.#stop(child) };
  }

  /** Ends all processes, the last one first, and removes the folder. */
  async close(): Promise<void> {
    this.#closing = true;
    for (let child = this.#children.pop(); child !== undefined; child = this.#children.pop()) await child.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  get #rootFile(): string {
    return join(this.folder, "nitro-root.json");
  }

  async #start(
    label: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    onEvent?: (event: ChildEvent) => void,
  ): Promise<Child> {
    const { signal, logLevel, onLog } = this.#options;
    const child = await startChild({
      label,
      args: [...args, "--log-level", logLevel],
      env: { ...this.#plainEnvironment(), ...env },
      deadlineMs: START_DEADLINE_MS,
      signal,
      ...(onEvent === undefined ? {} : { onEvent }),
      ...(onLog === undefined ? {} : { onLog: (line: string) => onLog(label, line) }),
    });
    this.#children.push(child);
    child.ended.addEventListener("abort", () => {
      if (!this.#closing && this.#children.includes(child)) this.#ended.abort(child.ended.reason);
    });
    if (this.#closing) await child.stop(); // closed while this one was starting
    return child;
  }

  async #stop(child: Child): Promise<void> {
    const index = this.#children.indexOf(child);
    if (index >= 0) this.#children.splice(index, 1);
    await child.stop();
  }

  /** Nothing of the user's AWS configuration: a process of a simulation must not find real credentials. */
  #plainEnvironment(): Readonly<Record<string, string>> {
    const kept = ["PATH", "TMPDIR", "LANG", "NODE_OPTIONS", "NODE_V8_COVERAGE"].flatMap((name) => {
      const value = this.#options.env[name];
      return value === undefined ? [] : [[name, value] as const];
    });
    return { ...Object.fromEntries(kept), HOME: this.folder };
  }
}

const imageOptions = ({ kernel, cmdline, ramdisks }: ImageOnDisk): string[] => [
  ...["--kernel", kernel, "--cmdline", cmdline],
  ...ramdisks.flatMap((path) => ["--ramdisk", path]),
];

/** The one profile that "nitro-decrypt kms" writes. */
function parseCredentials(text: string): KmsProcess["operator"] {
  const value = (name: string): string => {
    const match = new RegExp(`^${name} = (\\S+)$`, "m").exec(text);
    if (match?.[1] === undefined) throw new TypeError(`parseCredentials: no ${name}`);
    return match[1];
  };
  return { accessKeyId: value("aws_access_key_id"), secretAccessKey: value("aws_secret_access_key") };
}

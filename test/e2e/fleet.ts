/**
 * A fleet: enclaves of one image and configuration behind one parent, which reaches each through a pipe that a test can cut,
 * as when an enclave ends between two instructions. All in one process on the simulated platform.
 */
import type { Socket } from "node:net";
import { connect as connectTo, createServer } from "node:net";
import { join } from "node:path";
import type { KMSClient } from "@aws-sdk/client-kms";
import { CreateKeyCommand, PutKeyPolicyCommand } from "@aws-sdk/client-kms";
import { onTestFinished } from "vitest";
import type { ConnectOptions } from "../../client/connect.js";
import { connectEnclave } from "../../client/connect.js";
import type { Enclave as ConnectedEnclave } from "../../client/enclave.js";
import type { EnclavePolicy } from "../../client/policy.js";
import type { Enclave } from "../../enclave/index.js";
import { createEnclave, defineFunction } from "../../enclave/index.js";
import type { Parent } from "../../parent/index.js";
import { createParent } from "../../parent/index.js";
import { pcr16OfConfiguration } from "../../shared/attestation/pcr.js";
import { toHex, utf8 } from "../../shared/bytes.js";
import type { EnclaveImage } from "../../simulator/image.js";
import type { BootedEnclave, Simulation } from "../../simulator/simulation.js";
import { exampleImage, startSimulation } from "../../simulator/simulation.js";
import { listenAt } from "../../transport/listen.js";
import { authorizationFor, issuerForTest, schemaFor } from "../support/authorization.js";
import { testFolder } from "../support/folder.js";
import { kmsClient } from "../support/simulated-kms.js";
import { anyPeer } from "../support/streams.js";

/** One call that an enclave is in the middle of. */
export interface Held {
  readonly member: string;
  readonly end: () => void;
}

export interface Member {
  readonly name: string;
  readonly enclave: Enclave;
  readonly booted: BootedEnclave;
  /** Inputs of the calls that its functions were run with. */
  readonly served: string[];
  /** Ends every connection between the parent and the enclave, and takes no other, until it is restored. */
  cut(): Promise<void>;
  restore(): Promise<void>;
}

export interface Fleet {
  readonly simulation: Simulation;
  readonly operator: KMSClient;
  readonly parent: Parent;
  readonly members: readonly Member[];
  /** Calls of `functions/hold` that are being served; each ends when it is told, or its enclave is cut off. */
  readonly held: Held[];
  /** Resolves when so many are held. */
  untilHeld(count: number): Promise<void>;
  connect(options?: Partial<ConnectOptions>): Promise<ConnectedEnclave>;
  /** Starts one more enclave on the same parent instance, which the parent's API does not know of. */
  boot(image?: EnclaveImage): Promise<Member>;
}

export interface FleetVariation {
  readonly names?: readonly string[];
  readonly sealed?: Readonly<Record<string, unknown>>;
  readonly seedFolder?: string;
}

export async function startFleet({ names = ["a", "b", "c"], sealed = {}, seedFolder }: FleetVariation = {}) {
  const simulation = await startSimulation();
  onTestFinished(() => simulation.close());
  const operator = kmsClient(simulation.kms, () => new Date(), simulation.operator);
  onTestFinished(() => operator.destroy());
  const { KeyMetadata } = await operator.send(new CreateKeyCommand({}));
  const keyArn = KeyMetadata?.Arn ?? "";
  const { issuer, token } = await issuerForTest();
  const functions = ["note", "hold", "pay"].map((name) => `functions/${name}`);
  const configuration = utf8(
    JSON.stringify({
      version: 1,
      kms: {
        region: simulation.region,
        keys: [{ arn: keyArn }],
        transport: "tunnel",
        roots: [simulation.kms.caCertificate],
      },
      channels: { sealed: { shared: { keyId: keyArn, fleet: "payments" }, ...sealed } },
      authorization: authorizationFor(issuer, { schema: schemaFor({ keyless: functions }) }),
    }),
  );
  const pcrs = {
    ...{ 0: simulation.pcrs[0] ?? "", 1: simulation.pcrs[1] ?? "", 2: simulation.pcrs[2] ?? "" },
    16: toHex(await pcr16OfConfiguration(configuration)),
  };
  const Policy = sealingKeyPolicy(simulation, pcrs);
  await operator.send(new PutKeyPolicyCommand({ KeyId: keyArn, PolicyName: "default", Policy }));

  const folder = testFolder();
  const at = (name: string): string => `unix:${join(folder, name)}`;
  const target = { host: "127.0.0.1", port: simulation.kms.port };
  const parent = await createParent({
    enclaves: names.map((name) => ({ name, address: at(name) })),
    services: at("services"),
    listen: { host: "127.0.0.1", port: 0 },
    tunnel: { listen: at("tunnel"), target, allow: [target], maxConnections: 64 },
    credentials: simulation.roleCredentials,
    seedFolder,
    limits: { enclaveRestMs: 100 },
  });
  onTestFinished(() => parent.close());

  const held: Held[] = [];
  const waiting: (() => void)[] = [];
  const start = async (name: string, booted: BootedEnclave): Promise<Member> => {
    const served: string[] = [];
    const enclave = await createEnclave({
      configuration,
      nsm: booted.nsm,
      addresses: { listen: at(`inner-${name}`), tunnel: at("tunnel"), services: at("services") },
      functions: functionsOf(served, (end) => {
        held.push({ member: name, end });
        for (const look of waiting.splice(0)) look();
      }),
    });
    onTestFinished(() => enclave.close());
    const pipe = new Pipe(at(name), at(`inner-${name}`));
    await pipe.restore();
    onTestFinished(() => pipe.cut());
    return { name, enclave, booted, served, cut: () => pipe.cut(), restore: () => pipe.restore() };
  };
  const members = await Promise.all(
    names.map(async (name) => start(name, await simulation.bootEnclave(exampleImage()))),
  );
  const policy: EnclavePolicy = {
    pcrs: [pcrs],
    freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
    debug: "reject",
    configuration: "pinned",
  };
  let extra = 0;
  const fleet: Fleet = {
    ...{ simulation, operator, parent, members, held },
    async untilHeld(count) {
      while (held.length < count) await new Promise<void>((resolve) => void waiting.push(resolve));
    },
    connect: (options = {}) =>
      connectEnclave(parent.url, { trustAnchor: simulation.trustAnchor, policy, token, retryDelayMs: 1, ...options }),
    boot: async (image = exampleImage()) => start(`extra-${extra++}`, await simulation.bootEnclave(image)),
  };
  return fleet;
}

/** `note` returns at once; `hold` when the test says so; `pay` is not to be done twice. All note their input. */
function functionsOf(served: string[], hold: (end: () => void) => void) {
  const text = { parse: (value: unknown) => String(value) };
  const common = { input: text, output: text, plaintext: "none" } as const;
  const note = (input: string): string => {
    served.push(input);
    return input;
  };
  return [
    defineFunction({ ...common, name: "note", idempotent: true, run: ({ input }) => note(input) }),
    defineFunction({
      ...{ ...common, name: "hold", idempotent: true },
      run: async ({ input }) => {
        await new Promise<void>((resolve) => hold(resolve));
        return note(input);
      },
    }),
    defineFunction({ ...common, name: "pay", run: ({ input }) => note(input) }),
  ];
}

/** The fleet's enclaves may make and open seeds, and nobody may do anything else with the key but administer it. */
function sealingKeyPolicy({ accountId, roleArn }: Simulation, pcrs: Readonly<Record<string, string>>): string {
  const measured = Object.entries(pcrs).map(([index, value]) => [`kms:RecipientAttestation:PCR${index}`, value]);
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: { AWS: `arn:aws:iam::${accountId}:root` },
        Action: "kms:*",
        Resource: "*",
      },
      {
        Effect: "Allow",
        Principal: { AWS: roleArn },
        Action: ["kms:GenerateDataKey", "kms:Decrypt"],
        Resource: "*",
        Condition: {
          StringEqualsIgnoreCase: Object.fromEntries(measured),
          StringEquals: { "kms:EncryptionContext:fleet": "payments" },
        },
      },
    ],
  });
}

/** Bytes from one Unix socket to another. */
class Pipe {
  readonly #from: string;
  readonly #to: string;
  readonly #sockets = new Set<Socket>();
  #close: (() => Promise<void>) | undefined;

  constructor(from: string, to: string) {
    this.#from = from;
    this.#to = to.slice("unix:".length);
  }

  async restore(): Promise<void> {
    const server = createServer((inner) => this.#join(inner, connectTo(this.#to)));
    const listening = await listenAt(server, this.#from, anyPeer);
    this.#close = () => listening.close();
  }

  async cut(): Promise<void> {
    const closed = this.#close?.();
    this.#close = undefined;
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #join(...ends: readonly [Socket, Socket]): void {
    const destroy = (): void => {
      for (const end of ends) end.destroy();
    };
    for (const end of ends) {
      this.#sockets.add(end);
      end.on("error", destroy).on("close", () => {
        this.#sockets.delete(end);
        destroy();
      });
    }
    const [inner, outer] = ends;
    inner.pipe(outer).pipe(inner);
  }
}

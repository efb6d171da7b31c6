/**
 * Attested Decrypt through the tunnel, beside the same SDK's plain Decrypt straight to the same simulated KMS, at 16
 * concurrent. Runs of the two alternate, so that the machine's drift meets both.
 */
import { DecryptCommand, EncryptCommand, KMSClient } from "@aws-sdk/client-kms";
import { systemClock } from "../enclave/clock.js";
import { attestKms } from "../enclave/kms/attest-kms.js";
import { kmsHostname } from "../enclave/kms/kms-endpoint.js";
import { TUNNEL_DEADLINES, TunnelHandler } from "../enclave/kms/kms-tunnel.js";
import { PinnedKeys } from "../enclave/kms/pinned-keys.js";
import { RecipientKeys } from "../enclave/kms/recipient.js";
import { NsmClient } from "../enclave/nsm.js";
import { connectSimulatedNsm } from "../simulator/nsm/client.js";
import type { Platform } from "./stack.js";
import { startPlatform } from "./stack.js";
import type { Row } from "./table.js";
import { median } from "./table.js";
import { throughput } from "./throughput.js";

const CONCURRENT = 16;
const BOUND = 0.4;

export async function run({ smoke }: { readonly smoke: boolean }): Promise<Row[]> {
  const platform = await startPlatform();
  try {
    return await compare(platform, smoke ? { rounds: 3, calls: 200 } : { rounds: 9, calls: 1_000 });
  } finally {
    await platform.close();
  }
}

async function compare(platform: Platform, { rounds, calls }: { rounds: number; calls: number }): Promise<Row[]> {
  const { operator, keyArn } = platform;
  const { attested, close } = attestedClient(platform);
  const plaintext = new Uint8Array(32).fill(7);
  const { CiphertextBlob } = await operator.send(new EncryptCommand({ KeyId: keyArn, Plaintext: plaintext }));
  const decryptWith = (client: KMSClient) => async () => {
    const answer = await client.send(new DecryptCommand({ KeyId: keyArn, CiphertextBlob }));
    if (answer.Plaintext?.[0] !== 7) throw new Error("the plaintext is not what was encrypted");
  };
  const plain: number[] = [];
  const viaTunnel: number[] = [];
  const warmUp = { calls: calls / 4, concurrent: CONCURRENT }; // of connections, documents and the compiler
  await throughput(decryptWith(operator), warmUp);
  await throughput(decryptWith(attested), warmUp);
  for (let round = 0; round < rounds; round++) {
    plain.push(await throughput(decryptWith(operator), { calls, concurrent: CONCURRENT }));
    viaTunnel.push(await throughput(decryptWith(attested), { calls, concurrent: CONCURRENT }));
  }
  close();
  const floor = median(plain);
  const ratio = median(viaTunnel.map((value, round) => value / (plain[round] ?? Number.NaN)));
  return [
    { name: `plain Decrypt, straight, ${CONCURRENT} concurrent`, median: floor, unit: "calls/s" },
    {
      name: `attested Decrypt, tunnel, ${CONCURRENT} concurrent`,
      median: median(viaTunnel),
      unit: "calls/s",
      ratio,
      bound: BOUND,
      peer: "plain Decrypt",
    },
  ];
}

export interface AttestedClient {
  readonly attested: KMSClient;
  readonly region: string;
  /** The key of the platform, as the enclave's configuration would pin it. */
  readonly keys: PinnedKeys;
  close(): void;
}

/** What the enclave builds, in this process, with the operator's credentials. */
export function attestedClient(platform: Platform): AttestedClient {
  const { operator, region, keyArn, addresses, caCertificate, nsm } = platform;
  const device = connectSimulatedNsm(String(nsm.ready.address));
  const keys = new PinnedKeys([{ arn: keyArn, aliases: [] }]);
  const limits = { maxAgeSeconds: 3_600, maxUses: 1_000_000, documentMaxAgeSeconds: 60 };
  const recipient = new RecipientKeys({ keys, nsm: new NsmClient(device, systemClock), clock: systemClock, limits });
  const hostname = kmsHostname(region);
  const requestHandler = new TunnelHandler({
    address: addresses.tunnel,
    hostname,
    roots: [caCertificate],
    limits: { ...TUNNEL_DEADLINES, maxConnections: 64, maxQueued: 1_024 },
  });
  const { credentials } = operator.config;
  const client = new KMSClient({ region, endpoint: `https://${hostname}`, credentials, requestHandler });
  const close = (): void => {
    requestHandler.destroy();
    device.close();
  };
  return { attested: attestKms(client, recipient), region, keys, close };
}

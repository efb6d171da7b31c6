/**
 * The simulated KMS of a measurement, with one key that the parent's role may use from the measured enclave alone, and what
 * KMS itself says of the calls: its audit log, and its cost meter, which must agree.
 */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { json } from "node:stream/consumers";
import { CreateKeyCommand, KMSClient, PutKeyPolicyCommand } from "@aws-sdk/client-kms";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { z } from "zod";
import type { AuditRecord } from "../../simulator/cloudtrail/records.js";
import { CONTROL_SERVICE, CONTROL_TARGET_PREFIX } from "../../simulator/control/control-service.js";
import { signRequest } from "../../simulator/iam/sign-request.js";
import type { Simulation } from "../../simulator/index.js";
import { startSimulation } from "../../simulator/index.js";
import type { VirtualClock } from "./virtual-clock.js";

/** Calls that succeeded, by operation. */
export type Calls = Readonly<Record<string, number>>;

/** What KMS has served so far. */
export interface Served {
  readonly calls: Calls;
  /** US dollars, by the meter's list. */
  readonly price: number;
}

export interface MeasuredKms {
  readonly simulation: Simulation;
  readonly keyArn: string;
  readonly region: string;
  /** The administrator's own client, not attested. */
  readonly operator: KMSClient;
  /** A client with the parent's role, to be attested. */
  readonly role: KMSClient;
  /** @throws Error when audit log and cost meter do not agree, or a call has failed. */
  served(): Promise<Served>;
  close(): Promise<void>;
}

const MAX_SOCKETS = 64;

/** Starts it; both it and its clients have the time of `clock`. */
export async function startMeasuredKms(clock: VirtualClock): Promise<MeasuredKms> {
  const simulation = await startSimulation({ clock: () => clock.now() });
  const calls = new Map<string, number>();
  const failed: string[] = [];
  simulation.kms.auditLog.subscribe((record) => note(record, calls, failed));
  const httpsAgent = new Agent({ ca: simulation.kms.caCertificate, keepAlive: true, maxSockets: MAX_SOCKETS });
  const client = (credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }): KMSClient =>
    withTime(
      new KMSClient({
        region: simulation.region,
        endpoint: simulation.kms.endpoint,
        credentials: { ...credentials },
        requestHandler: new NodeHttpHandler({ httpsAgent }),
      }),
      clock,
    );
  const operator = client(simulation.operator);
  const served = async (): Promise<Served> => {
    if (failed.length > 0) throw new Error(`calls to KMS failed: ${failed.join(", ")}`);
    return agreed(Object.fromEntries(calls), await costOf(simulation, { clock, httpsAgent }));
  };
  const close = async (): Promise<void> => {
    httpsAgent.destroy();
    await simulation.close();
  };
  const keyArn = await createKey(operator, simulation);
  const { region } = simulation;
  return { simulation, keyArn, region, operator, role: client(await simulation.roleCredentials()), served, close };
}

function note({ eventName, errorCode }: AuditRecord, calls: Map<string, number>, failed: string[]): void {
  if (errorCode === undefined) calls.set(eventName, (calls.get(eventName) ?? 0) + 1);
  else failed.push(`${eventName} (${errorCode})`);
}

/** Signs with the time of `clock`, as the simulated KMS demands of its callers. */
function withTime(client: KMSClient, clock: VirtualClock): KMSClient {
  client.middlewareStack.add(
    (next) => (args) => {
      client.config.systemClockOffset = clock.now().getTime() - Date.now();
      return next(args);
    },
    { step: "build", name: "virtualTime" },
  );
  return client;
}

async function createKey(operator: KMSClient, simulation: Simulation): Promise<string> {
  const { KeyMetadata } = await operator.send(new CreateKeyCommand({}));
  const KeyId = KeyMetadata?.Arn ?? "";
  const statement = { Effect: "Allow", Resource: "*" };
  const role = {
    ...{ ...statement, Principal: { AWS: simulation.roleArn }, Action: ["kms:Decrypt", "kms:GenerateDataKey"] },
    Condition: { StringEqualsIgnoreCase: { "kms:RecipientAttestation:PCR0": simulation.pcrs[0] } },
  };
  const root = { ...statement, Principal: { AWS: `arn:aws:iam::${simulation.accountId}:root` }, Action: "kms:*" };
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [root, role] });
  await operator.send(new PutKeyPolicyCommand({ KeyId, Policy }));
  return KeyId;
}

const costReport = z.object({
  lines: z.array(z.object({ operation: z.string(), calls: z.number() })),
  price: z.number(),
});
type Cost = z.infer<typeof costReport>;

/** What the cost meter says, asked as `nitro-decrypt kms cost` asks. */
async function costOf(
  { kms }: Simulation,
  { clock, httpsAgent }: { readonly clock: VirtualClock; readonly httpsAgent: Agent },
): Promise<Cost> {
  const { endpoint, region, operator } = kms;
  const body = Buffer.from("{}");
  const operation = `${CONTROL_TARGET_PREFIX}GetCost`;
  const unsigned = { host: new URL(endpoint).host, operation, body, region, service: CONTROL_SERVICE };
  const headers = signRequest({ ...unsigned, now: clock.now() }, operator);
  const request = httpsRequest(endpoint, { method: "POST", headers, agent: httpsAgent }).end(body);
  const [response]: IncomingMessage[] = await once(request, "response");
  if (response?.statusCode !== 200) throw new Error(`GetCost: HTTP status ${response?.statusCode}`);
  return costReport.parse(await json(response));
}

/** @throws Error where the two count differently. */
function agreed(calls: Calls, { lines, price }: Cost): Served {
  const metered: Record<string, number> = {};
  for (const line of lines) metered[line.operation] = (metered[line.operation] ?? 0) + line.calls;
  const sorted = (counts: Calls): string => JSON.stringify(Object.entries(counts).sort());
  if (sorted(metered) !== sorted(calls)) {
    throw new Error(`the audit log has ${sorted(calls)}, the cost meter ${sorted(metered)}`);
  }
  return { calls, price };
}

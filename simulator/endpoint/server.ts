/** The simulated KMS as a server: its services, their state and faults behind one listener, over TLS under a CA of its own. */
import type { AddressInfo } from "node:net";
import { isIPv6 } from "node:net";
import type { TrustAnchor } from "../../shared/attestation/trust-anchor.js";
import type { Clock } from "../clock.js";
import { systemClock } from "../clock.js";
import type { AuditLog } from "../cloudtrail/audit-log.js";
import { CloudTrail } from "../cloudtrail/service.js";
import { auditOperations } from "../control/audit-operations.js";
import { CONTROL_SERVICE, ControlService } from "../control/control-service.js";
import { costOperations } from "../control/cost-operations.js";
import { explainOperation } from "../control/explain-operation.js";
import { faultOperations } from "../control/fault-operations.js";
import { Decisions } from "../iam/decisions.js";
import type { AccessKey } from "../iam/principals.js";
import { ADMINISTRATOR_POLICY, Principals } from "../iam/principals.js";
import { RequestQuotas } from "../kms/quotas.js";
import { KmsService } from "../kms/service.js";
import { StsService } from "../sts/service.js";
import type { World } from "../world/world.js";
import { assertNoOperator, OPERATOR_NAME } from "../world/world.js";
import { Faults } from "./faults.js";
import { createListener } from "./http-listener.js";
import { listen, stop } from "./http-server.js";
import { Services } from "./service.js";
import type { DataOptions } from "./state.js";
import { openState } from "./state.js";
import { createTlsIdentity } from "./tls.js";

export interface KmsOptions {
  /** Whose attestation documents are believed: the root of a simulated Nitro PKI. */
  readonly trustAnchor: TrustAnchor;
  readonly region?: string;
  readonly accountId?: string;
  readonly clock?: Clock;
  /** How old an attestation document may be. */
  readonly freshnessSeconds?: number;
  /** How long grants take to count, and to stop counting, for calls without their token. No time if left out. */
  readonly grantConsistencySeconds?: number;
  readonly host?: string;
  /** A free one if left out. */
  readonly port?: number;
  /** Host names and addresses that clients call it by, besides `localhost`; the first one is in its `endpoint`. */
  readonly tlsNames?: readonly string[];
  /** TLS if left out. Plain HTTP shows every plaintext to whoever listens. */
  readonly protocol?: "https" | "http";
  /** Whether AWS's request quotas count; they do not if left out. */
  readonly quotas?: boolean;
  /** Where keys and audit records are kept beyond the process; in memory alone if left out. */
  readonly data?: DataOptions;
  /** What is around the keys, as `readWorld` returns it. Left out where `principals` has it. */
  readonly world?: World;
  /** Who may call, besides the operator. */
  readonly principals?: Principals;
  /** The access key of the administrator user `operator`; a new one if left out. */
  readonly operatorAccessKey?: AccessKey;
  /** Told of faults of the simulator itself; a Node warning if left out. */
  readonly onInternalError?: (error: unknown) => void;
}

/** A running KMS. */
export interface SimulatedKms extends AsyncDisposable {
  /** `https://localhost:PORT`, or `http:`; with the first of its TLS names, or the address that it listens at, if it has one. */
  readonly endpoint: string;
  /** How programs on this machine reach it. */
  readonly localEndpoint: string;
  readonly port: number;
  readonly region: string;
  readonly accountId: string;
  /** PEM of the CA that clients must trust. */
  readonly caCertificate: string;
  readonly auditLog: AuditLog;
  /** What shall go wrong; nothing at first. */
  readonly faults: Faults;
  readonly principals: Principals;
  /** Of an IAM user with all permissions. */
  readonly operator: AccessKey;
  close(): Promise<void>;
}

export const DEFAULT_REGION = "us-east-1";
export const DEFAULT_ACCOUNT_ID = "111122223333";
const DEFAULT_FRESHNESS_SECONDS = 300;

/** Starts a KMS on loopback, or on `host`. */
export async function startKms(options: KmsOptions): Promise<SimulatedKms> {
  const { region = DEFAULT_REGION, accountId = DEFAULT_ACCOUNT_ID, protocol = "https" } = options;
  const faults = new Faults();
  const rightClock = options.clock ?? systemClock;
  const clock = withOffset(rightClock, faults);
  const principals = options.principals ?? principalsOf(options, { accountId, region, clock });
  assertNoOperator(principals.world, principals.accountId);
  const operator = principals.addUser({
    name: OPERATOR_NAME,
    policies: [ADMINISTRATOR_POLICY],
    ...(options.operatorAccessKey === undefined ? {} : { accessKey: options.operatorAccessKey }),
  });
  const { trustAnchor, freshnessSeconds = DEFAULT_FRESHNESS_SECONDS, onInternalError = warn } = options;
  const decisions = new Decisions();
  const { tlsNames = [], host = "127.0.0.1" } = options;
  const localName = localNameOf(host);
  const tls = await createTlsIdentity(region, systemClock, [...tlsNames, localName]);
  const { data, grantConsistencySeconds = 0 } = options;
  const remembered = { data, grantConsistencySeconds, startedAt: clock(), onInternalError };
  const state = await openState({ region, accountId: principals.accountId }, remembered);
  const { regions, auditLog } = state;
  const kms = new KmsService({
    ...{ regions, principals, auditLog, trustAnchor, freshnessSeconds, clock, faults },
    ...{ decisions, quotas: options.quotas ? new RequestQuotas(clock) : undefined },
    onInternalError,
  });
  const operations = new Map([
    ...faultOperations(faults),
    explainOperation(decisions),
    ...auditOperations(auditLog),
    ...costOperations(auditLog, regions),
  ]);
  const control = new ControlService({ principals, regions, clock: rightClock, operations, onInternalError });
  const cloudtrail = new CloudTrail({ auditLog, principals, regions, clock, onInternalError });
  const sts = new StsService({ ...{ regions, principals, auditLog, clock, faults, decisions }, onInternalError });
  const services = { kms, cloudtrail, sts };
  const service = new Services({ ...services, [CONTROL_SERVICE]: control });
  const server = createListener({
    service,
    faults,
    faultyServices: new Set(Object.keys(services)), // without the control service, by which faults end
    clock,
    onInternalError,
    tls: protocol === "https" ? tls : undefined,
  });
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= stop(server)
      .then(() => service.close())
      .then(() => state.close());
    return closed;
  };
  await listen(server, { port: options.port ?? 0, host }).catch(async (error: unknown) => {
    await state.close();
    throw error;
  });
  const { port } = server.address() as AddressInfo; // listening on TCP, so neither null nor a path
  return {
    endpoint: `${protocol}://${hostInUrl(tlsNames[0] ?? localName)}:${port}`,
    localEndpoint: `${protocol}://${hostInUrl(localName)}:${port}`,
    port,
    region,
    accountId: principals.accountId,
    caCertificate: tls.caCertificate,
    auditLog,
    faults,
    principals,
    operator,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** What programs on this machine reach a server by that listens at `host`. */
const localNameOf = (host: string): string =>
  ["127.0.0.1", "0.0.0.0", "::", "localhost"].includes(host) ? "localhost" : host;

/** An IPv6 address in brackets (RFC 3986 §3.2.2). */
const hostInUrl = (host: string): string => (isIPv6(host) ? `[${host}]` : host);

const principalsOf = ({ world }: KmsOptions, home: { accountId: string; region: string; clock: Clock }): Principals =>
  new Principals(world === undefined ? home : { ...home, world });

/** The clock as a fault plan sets it wrong. */
const withOffset =
  (clock: Clock, faults: Faults): Clock =>
  () =>
    new Date(clock().getTime() + faults.plan.clockOffsetSeconds * 1000);

const warn = (error: unknown): void => process.emitWarning(error instanceof Error ? error : String(error));

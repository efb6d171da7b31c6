/**
 * One run: many objects are encrypted, and then as many times one of them is decrypted, through the enclave's guarded
 * operations, at a stated rate of requests on a virtual clock. In the end a caller of each tenant asks for an object of another,
 * whose key may be in memory: each must be refused.
 *
 * Every answer is checked, every request must be in the enclave's own log once, and what KMS served is what both its audit log
 * and its cost meter say.
 */
import { ServiceError } from "../../shared/errors.js";
import type { TokenIssuer } from "../../simulator/token-issuer.js";
import { createTokenIssuer } from "../../simulator/token-issuer.js";
import { createBranchKeys } from "./branch-keys.js";
import type { Routes } from "./measured-enclave.js";
import { noServices, startMeasuredEnclave } from "./measured-enclave.js";
import type { Calls, MeasuredKms } from "./measured-kms.js";
import { startMeasuredKms } from "./measured-kms.js";
import { MessageFile } from "./message-file.js";
import type { Run, RunName } from "./runs.js";
import { DecisionAudit, request } from "./served-requests.js";
import { VirtualClock } from "./virtual-clock.js";
import { TENANTS, tenantName, Workload } from "./workload.js";

/** What the clock goes by: so many requests in a second, for encryption and for decryption. */
export const REQUESTS_PER_SECOND = 1_000;
/** Longer than a run takes on the virtual clock. */
const TOKEN_SECONDS = 86_000;
/** Requests at a time, where none waits for what another fetches: then the order does not change what KMS is asked. */
const CONCURRENT = 16;

export interface RunOptions {
  readonly objects: number;
  readonly seed: number;
  /** Told now and then how many requests have been served. */
  readonly onProgress: (served: number) => void;
}

/** What a run came to. The same run with the same seed comes to the same. */
export interface Outcome {
  readonly name: RunName;
  readonly seed: number;
  readonly encrypted: number;
  readonly decrypted: number;
  /** Requests for objects of other tenants, all refused. */
  readonly refused: number;
  /** Decisions in the enclave's own log, one for each request. */
  readonly auditLines: number;
  /** What KMS served for the requests, by operation. */
  readonly calls: Calls;
  /** US dollars. */
  readonly price: number;
  /** What KMS served before, for what is made once: branch keys. */
  readonly setUp: Calls;
  readonly setUpPrice: number;
  readonly bytesPerMessage: number;
}

/** Measures one run. @throws Error where anything is not as it must be. */
export async function measureRun(run: Run, options: RunOptions): Promise<Outcome> {
  const clock = new VirtualClock();
  const kms = await startMeasuredKms(clock);
  const messages = await MessageFile.create(options.objects);
  const closers = [() => kms.close(), () => messages.close()];
  try {
    const before = await kms.served();
    const branch = run.kind === "branch" ? await createBranchKeys(kms, TENANT_NAMES) : undefined;
    if (branch) closers.push(branch.close);
    const setUp = await kms.served();
    const issuer = await createTokenIssuer({ clock: () => clock.now() });
    const audit = new DecisionAudit(2 * options.objects + TENANTS);
    const dataKeys = { ...run.dataKeys, ...branch?.settings };
    const { routes } = await startMeasuredEnclave({
      ...{ kms, issuer, clock, log: audit, messages: { dataKeys } },
      services: branch?.services ?? noServices,
    });
    const stage = { ...{ run, routes, clock, messages, options }, tokens: await tokensOf(issuer) };
    const workload = new Workload({ ...options, context: run.context });
    await encryptAll(stage, workload);
    messages.flush();
    await decryptSome(stage, workload);
    const served = await kms.served();
    const refused = await askForOthers(stage, workload);
    await assertNothingServed(kms, served.calls);
    const requests = 2 * options.objects + refused;
    audit.assertWhole(requests, refused);
    return {
      ...{
        name: run.name,
        seed: options.seed,
        encrypted: options.objects,
        decrypted: options.objects,
        refused,
        auditLines: requests,
      },
      ...{ calls: difference(served.calls, setUp.calls), price: dollars(served.price - setUp.price) },
      ...{ setUp: difference(setUp.calls, before.calls), setUpPrice: dollars(setUp.price - before.price) },
      bytesPerMessage: Math.round(messages.bytes / options.objects),
    };
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

const TENANT_NAMES = Array.from({ length: TENANTS }, (_, tenant) => tenantName(tenant));

interface Stage {
  readonly run: Run;
  readonly routes: Routes;
  readonly clock: VirtualClock;
  readonly messages: MessageFile;
  readonly options: RunOptions;
  /** By tenant. */
  readonly tokens: readonly string[];
}

const tokensOf = (issuer: TokenIssuer): Promise<string[]> =>
  Promise.all(
    TENANT_NAMES.map((tenant) =>
      issuer.issue({ subject: `${tenant}-service`, claims: { tenant }, lifetimeSeconds: TOKEN_SECONDS }),
    ),
  );

async function encryptAll(stage: Stage, workload: Workload): Promise<void> {
  await requests(stage, 0, async (object, id) => {
    const encryptionContext = workload.contextOf(object);
    const body = { plaintext: workload.plaintextOf(object), encryptionContext, signed: false };
    const answer = await ask(stage, "messages/encrypt", { id, tenant: workload.tenantOf(object), body });
    stage.messages.append(object, Buffer.from(String(answer.message), "base64"));
  });
}

async function decryptSome(stage: Stage, workload: Workload): Promise<void> {
  const next = workload.accesses();
  await requests(stage, stage.options.objects, async (_, id) => {
    const object = next();
    const body = { message: stage.messages.read(object).toString("base64") };
    const { plaintext } = await ask(stage, "messages/decrypt", { id, tenant: workload.tenantOf(object), body });
    if (plaintext !== workload.plaintextOf(object)) throw new Error(`object ${object} is not what was encrypted`);
  });
}

/** So many requests as there are objects, each by its number and the id of its request, at the workload's rate. */
async function requests(
  { run, clock, options: { objects, onProgress } }: Stage,
  firstId: number,
  serve: (number: number, id: number) => Promise<void>,
): Promise<void> {
  let started = 0;
  const worker = async (): Promise<void> => {
    while (started < objects) {
      const number = started++;
      clock.advance(1_000 / REQUESTS_PER_SECOND);
      await serve(number, firstId + number);
      onProgress(firstId + number);
    }
  };
  await Promise.all(Array.from({ length: run.kind === "none" ? CONCURRENT : 1 }, worker));
}

interface TenantRequest {
  readonly id: number;
  readonly tenant: number;
  readonly body: object;
}

async function ask({ routes, tokens }: Stage, operation: string, { id, tenant, body }: TenantRequest) {
  const route = routes.get(operation);
  if (route === undefined) throw new TypeError(`measureRun: the enclave has no ${operation}`);
  return request(route, { id, token: tokens[tenant] ?? "", body });
}

/** A caller of each tenant asks for an object of another. @returns how many were refused, which is all of them. */
async function askForOthers(stage: Stage, workload: Workload): Promise<number> {
  for (let tenant = 0; tenant < TENANTS; tenant++) {
    const object = workload.objectOfAnother(tenant);
    const body = { message: stage.messages.read(object).toString("base64") };
    const id = 2 * stage.options.objects + tenant;
    const outcome = await ask(stage, "messages/decrypt", { id, tenant, body }).catch((error: unknown) => error);
    if (outcome instanceof ServiceError && outcome.code === "ERR_NOT_AUTHORIZED") continue;
    throw new Error(`expected ${tenantName(tenant)} to be refused object ${object}`, { cause: outcome });
  }
  return TENANTS;
}

async function assertNothingServed(kms: MeasuredKms, calls: Calls): Promise<void> {
  const since = difference((await kms.served()).calls, calls);
  if (Object.keys(since).length > 0) throw new Error(`refused requests had KMS serve ${JSON.stringify(since)}`);
}

/** What `after` has more than `before`. */
const difference = (after: Calls, before: Calls): Calls =>
  Object.fromEntries(
    Object.entries(after)
      .map(([operation, count]) => [operation, count - (before[operation] ?? 0)] as const)
      .filter(([, count]) => count !== 0),
  );

/** To the millionth: a call costs three of them. */
const dollars = (amount: number): number => Math.round(amount * 1e6) / 1e6;

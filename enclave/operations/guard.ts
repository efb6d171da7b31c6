/**
 * What stands before every operation, on every channel and in this order: who asks (token, proof of possession), how much
 * they may ask (budget), whether proof or request is a repetition; then the body is read, and the operation asks for each
 * key that it is about to use whether this caller may (DESIGN decision 4), which nobody may with a context of the enclave's
 * own. An operation gets a `Call` from here and cannot be reached without one.
 */

import { wipe } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { Authenticator } from "../authorization/authenticator.js";
import type { BudgetLease, Budgets } from "../authorization/budgets.js";
import type { DecisionLog } from "../authorization/decision-log.js";
import type { AuthorizationPolicy } from "../authorization/policies.js";
import type { Principal } from "../authorization/principal.js";
import type { Clock } from "../clock.js";
import type { PinnedKey } from "../kms/pinned-keys.js";
import type { Logger } from "../log.js";
import type { OwnContexts } from "./own-contexts.js";
import type { Route, RoutedAnswer, RoutedRequest } from "./route.js";
import { JSON_TYPE } from "./route.js";

/** What an operation is about to do. */
export interface Intent {
  /** The KMS key that it uses; undefined where it uses none. */
  readonly key: PinnedKey | undefined;
  readonly encryptionContext: Readonly<Record<string, string>>;
  /** How much is to be decrypted, or made. */
  readonly bytes: number;
}

/** An authenticated caller's request. */
export interface Call {
  readonly principal: Principal;
  /** Alike for callers whom the policies cannot tell apart. */
  readonly principalClass: string;
  readonly signal: AbortSignal;
  /**
   * Returns when the context is not one of the enclave's own and the policies permit it; their decision is logged either way.
   * @throws ServiceError ERR_ENCRYPTION_CONTEXT, ERR_NOT_AUTHORIZED.
   */
  authorize(intent: Intent): void;
}

export interface GuardOptions {
  readonly authenticator: Pick<Authenticator, "authenticate">;
  readonly budgets: Budgets;
  readonly policies: Pick<AuthorizationPolicy, "decide" | "classOf">;
  readonly decisions: DecisionLog;
  readonly ownContexts: OwnContexts;
  readonly log: Logger;
  /** The enclave's own time, in milliseconds since 1970. */
  readonly nowMs: () => number;
  readonly clock: Clock;
}

/** An operation, still unguarded. */
export interface Operation {
  /** Its path below /v1/, and its action in policies. */
  readonly name: string;
  /** What the policies are asked about: a key, or the enclave itself where it uses none. */
  readonly resource: "Key" | "Enclave";
  /** Whether it does no harm when a request is served twice. What is not so is served by the enclave that its caller attested alone. */
  readonly idempotent: boolean;
  /** Longest JSON body in bytes. */
  readonly maxBodyBytes: number;
  readonly run: (body: Uint8Array, call: Call) => Promise<RoutedAnswer>;
  /** For a body of type application/octet-stream, on channels that stream. */
  readonly runStream?: (
    body: AsyncIterable<Uint8Array>,
    call: Call,
    fields: RoutedRequest["fields"],
  ) => Promise<RoutedAnswer>;
}

export const STREAM_TYPE = "application/octet-stream";

export class Guard {
  readonly #options: GuardOptions;

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  /** The operation as a route. */
  route(operation: Operation): Route {
    return {
      name: operation.name,
      method: "POST",
      contentTypes: operation.runStream ? [JSON_TYPE, STREAM_TYPE] : [JSON_TYPE],
      always: false,
      guarded: true,
      idempotent: operation.idempotent,
      serve: (request) => this.#serve(operation, request),
    };
  }

  async #serve(operation: Operation, request: RoutedRequest): Promise<RoutedAnswer> {
    const { authenticator, budgets } = this.#options;
    const { fields, method, path } = request;
    const { authorization, dpop } = fields;
    const { principal, takeProof } = await authenticator.authenticate({ authorization, dpop, method, path });
    const lease = budgets.enter(principal.id);
    try {
      takeOnce(lease, takeProof, request.assertFirst);
      const answer = await this.#run(operation, request, { principal, lease });
      const body =
        answer.body instanceof Uint8Array
          ? spent(answer.body, lease)
          : spending(answer.body, lease, this.#pacing(request));
      return { ...answer, body, release: () => lease.leave() };
    } catch (error) {
      lease.leave();
      throw error;
    }
  }

  async #run(
    operation: Operation,
    request: RoutedRequest,
    { principal, lease }: { readonly principal: Principal; readonly lease: BudgetLease },
  ): Promise<RoutedAnswer> {
    const call: Call = {
      principal,
      principalClass: this.#options.policies.classOf(principal),
      signal: request.signal,
      authorize: (intent) => this.#authorize(operation.name, request, principal, intent),
    };
    if (request.fields.contentType === STREAM_TYPE && operation.runStream) {
      return operation.runStream(spending(request.body.stream(), lease, this.#pacing(request)), call, request.fields);
    }
    const body = await request.body.whole(operation.maxBodyBytes);
    try {
      lease.spend(body.length);
      return await operation.run(body, call);
    } finally {
      wipe(body); // a function's input may be as secret as a plaintext
    }
  }

  #pacing({ signal }: RoutedRequest) {
    return { clock: this.#options.clock, signal };
  }

  #authorize(action: string, { channel, requestId }: RoutedRequest, principal: Principal, intent: Intent): void {
    const { ownContexts, policies, decisions, nowMs, log } = this.#options;
    ownContexts.assertCallersContext(intent);
    const question = { principal, action, channel, now: new Date(nowMs()), ...intent };
    const decision = policies.decide(question);
    log.info({ requestId, ...decisions.fieldsOf(question, decision) }, "decided");
    if (!decision.allowed) throw new ServiceError("ERR_NOT_AUTHORIZED", decision.reason ?? "no policy permits it");
  }
}

/** A repetition takes nothing from the budget: else whoever carries the requests could use it up with copies. */
function takeOnce(lease: BudgetLease, ...checks: readonly (() => void)[]): void {
  try {
    for (const check of checks) check();
  } catch (error) {
    lease.annul();
    throw error;
  }
}

function spent(body: Uint8Array, lease: BudgetLease): Uint8Array {
  try {
    lease.spend(body.length);
    return body;
  } catch (error) {
    wipe(body); // it goes to nobody
    throw error;
  }
}

/**
 * `body`, each part of it on the caller's account. A stream whose account is empty is not refused: it waits until there is
 * something on it again, and with it, by back-pressure, whoever sends.
 */
async function* spending(
  body: AsyncIterable<Uint8Array>,
  lease: BudgetLease,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  for await (const part of body) {
    try {
      for (let left = part.length; left > 0; left -= AT_ONCE_BYTES) {
        while (!hasSpent(lease, Math.min(left, AT_ONCE_BYTES))) await pause(clock, signal);
      }
    } catch (error) {
      wipe(part); // it goes to nobody
      throw error;
    }
    yield part;
  }
}

function hasSpent(lease: BudgetLease, bytes: number): boolean {
  try {
    lease.spend(bytes);
    return true;
  } catch (error) {
    if (error instanceof ServiceError && error.code === "ERR_BUDGET") return false;
    throw error;
  }
}

const PAUSE_MS = 100;
/** Less than any `bytesPerMinute`: a part that is larger than a whole budget could never be paid for at once. */
const AT_ONCE_BYTES = 1_024;

function pause(clock: Clock, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  return new Promise((resolve) => void clock.after(PAUSE_MS, resolve));
}

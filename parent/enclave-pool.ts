/**
 * The enclaves behind one parent. Each keeps its own keys, so whoever has attested to one stays with it (`named`); who has
 * not may have any (`next`): those that answer take turns, and one that did not is left out, unless there is no other, until
 * it answers the pool, which asks it every few seconds: no client waits for it.
 */
import type { Logger } from "pino";
import type { EnclaveState } from "../shared/enclave-state.js";
import { ServiceError } from "../shared/errors.js";
import type { EnclaveClient } from "./enclave-client.js";
import { createEnclaveClient } from "./enclave-client.js";
import type { EnclaveDiscovery, EnclaveTarget } from "./enclaves.js";
import { assertTargets, cidOf } from "./enclaves.js";
import type { ParentLimits } from "./limits.js";
import type { ParentMetrics } from "./metrics.js";

export interface PooledEnclave {
  readonly target: EnclaveTarget;
  readonly client: EnclaveClient;
  /** The CID that its own connections come from; undefined for a Unix socket. */
  readonly cid: number | undefined;
  /** Whether it answered the last time, or has never been asked. */
  readonly up: boolean;
}

interface Member extends PooledEnclave {
  up: boolean;
  /** Until the pool asks it again, while it does not answer. */
  rest: NodeJS.Timeout | undefined;
}

export interface EnclavePoolContext {
  readonly limits: ParentLimits;
  readonly log: Logger;
  readonly metrics: ParentMetrics;
}

export class EnclavePool {
  readonly #context: EnclavePoolContext;
  readonly #members = new Map<string, Member>();
  #timer: NodeJS.Timeout | undefined;
  #turn = 0;
  #closed = false;

  private constructor(context: EnclavePoolContext) {
    this.#context = context;
  }

  /**
   * A pool of listed enclaves, or of those that are found; then it waits for the first answer, also looks again from time to
   * time, and what fails or is late is logged and tried again. No enclave need be there yet.
   * @throws ServiceError ERR_CONFIGURATION, ERR_ADDRESS (the list).
   */
  static async create(
    source: readonly EnclaveTarget[] | EnclaveDiscovery,
    context: EnclavePoolContext,
  ): Promise<EnclavePool> {
    const pool = new EnclavePool(context);
    if (typeof source === "function") await pool.#discover(source);
    else pool.#replace(source);
    return pool;
  }

  /** All, in the order of their names' arrival. */
  get all(): readonly PooledEnclave[] {
    return [...this.#members.values()];
  }

  /** One of those that answer, or else of the others, but none of those that were `asked`; undefined when there is none. */
  next(asked: ReadonlySet<PooledEnclave>): PooledEnclave | undefined {
    const members = [...this.#members.values()].filter((member) => !asked.has(member));
    const usable = members.filter(({ up }) => up);
    const from = usable.length > 0 ? usable : members;
    this.#turn = (this.#turn + 1) % Math.max(1, from.length);
    return from[this.#turn];
  }

  named(name: string): PooledEnclave | undefined {
    return this.#members.get(name);
  }

  /**
   * Whether one more connection of this CID is taken where it has `open` of at most `places`: it is an enclave of the pool,
   * and has no more than its share, so that none of them crowds out the others.
   */
  allowPeer(cid: number, open: number, places: number): boolean {
    const share = Math.max(1, Math.floor(places / Math.max(1, this.#members.size)));
    return open < share && this.all.some((member) => member.cid === cid);
  }

  /** Notes what an enclave says of its start; `cid` is where it came from, undefined for a Unix socket. */
  noteState(cid: number | undefined, state: EnclaveState): void {
    const { log } = this.#context;
    const known = [...this.#members.values()].filter((member) => member.cid === cid);
    const member = known.length === 1 ? known[0] : undefined; // on Unix sockets there may be several: then nobody knows
    const fields = { enclave: member?.target.name, cid, ...state };
    if (state.state === "serving") log.info(fields, "an enclave serves");
    else log.error(fields, "an enclave does not start");
    if (member) this.#answered(member, state.state === "serving");
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const { client, rest } of this.#members.values()) {
      clearTimeout(rest);
      client.close();
    }
  }

  async #discover(source: EnclaveDiscovery): Promise<void> {
    const { limits, log } = this.#context;
    try {
      const targets = await withinDeadline(source, limits.discoveryDeadlineMs);
      if (this.#closed) return;
      this.#replace(targets);
    } catch (error) {
      log.error({ err: error }, "enclaves: discovery failed, those known are kept");
    }
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#discover(source), limits.discoveryIntervalMs);
    this.#timer.unref();
  }

  #replace(targets: readonly EnclaveTarget[]): void {
    assertTargets(targets);
    for (const [name, member] of this.#members) {
      if (!targets.some((target) => sameTarget(target, member.target))) this.#remove(name, member);
    }
    for (const target of targets) if (!this.#members.has(target.name)) this.#add(target);
  }

  #add(target: EnclaveTarget): void {
    const { limits, log } = this.#context;
    const client = createEnclaveClient(target.address, limits, (answered) => this.#answered(member, answered));
    const member: Member = { target, client, cid: cidOf(target), up: true, rest: undefined };
    this.#members.set(target.name, member);
    log.info({ enclave: target.name, address: target.address }, "enclaves: one was added");
  }

  #remove(name: string, { client, rest }: Member): void {
    const { log, metrics } = this.#context;
    this.#members.delete(name);
    clearTimeout(rest);
    client.close();
    metrics.enclaveUp.remove({ enclave: name });
    log.info({ enclave: name }, "enclaves: one is gone");
  }

  #answered(member: Member, answered: boolean): void {
    const { limits, metrics } = this.#context;
    member.up = answered;
    clearTimeout(member.rest);
    const name = member.target.name;
    if (this.#closed || this.#members.get(name) !== member) return;
    metrics.enclaveUp.set({ enclave: name }, answered ? 1 : 0);
    if (answered) return;
    // What comes of it, the client tells here.
    const ask = (): void => void member.client.probe("/healthz").catch(() => undefined);
    member.rest = setTimeout(ask, limits.enclaveRestMs).unref();
  }
}

/** @throws ServiceError ERR_TIMEOUT; what `source` throws. */
async function withinDeadline(source: EnclaveDiscovery, deadlineMs: number): Promise<readonly EnclaveTarget[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const error = new ServiceError("ERR_TIMEOUT", `the enclaves were not told within ${deadlineMs} ms`);
    timer = setTimeout(() => reject(error), deadlineMs);
  });
  try {
    return await Promise.race([source(), late]);
  } finally {
    clearTimeout(timer);
  }
}

const sameTarget = (a: EnclaveTarget, b: EnclaveTarget): boolean =>
  a.name === b.name && a.address === b.address && a.tls === b.tls;

/**
 * How much a principal may ask: requests and bytes in a minute, and requests under way. The two rates are token buckets
 * that hold one minute's worth and refill evenly on the monotonic clock, so that in no minute more than twice the figure
 * passes. There are no timers: a bucket is brought up to date when it is asked.
 *
 * A principal of whom nothing is under way and whose buckets are full again is like one never seen, and is forgotten;
 * nobody else is, since that would give a budget back. So memory is bounded by `maxPrincipals`: about 300 bytes for each
 * whose name has 24 characters (measured); names have up to 289.
 */
import { ServiceError } from "../../shared/errors.js";
import type { Clock } from "../clock.js";
import type { BudgetLimits } from "../configuration.js";
import { MinHeap } from "../min-heap.js";

/** One request of a principal, from its admission to its answer. */
export interface BudgetLease {
  /**
   * Takes bytes of a body out of the budget; to be called before they are worked on or sent.
   * @throws ServiceError ERR_BUDGET, and nothing is taken; TypeError when `bytes` is not a natural number.
   */
  spend(bytes: number): void;
  /** Gives the place back; further calls do nothing. What was spent stays spent. */
  leave(): void;
  /** Gives the place back and the request as well: it was a repetition, which whoever carries requests can send at will. */
  annul(): void;
}

const MINUTE_MS = 60_000;
/** More than one per request, so that what can be forgotten shrinks; few, so that no request takes long. */
const VISITED_PER_REQUEST = 2;

export class Budgets {
  readonly #limits: BudgetLimits;
  readonly #clock: Clock;
  readonly #accounts = new Map<string, Account>();
  /** Accounts by the time at which their buckets were going to be full again; each stands here at most once. */
  readonly #toVisit = new MinHeap<Account>();

  constructor(limits: BudgetLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** How many principals are remembered. */
  get size(): number {
    return this.#accounts.size;
  }

  /**
   * Admits one request of a principal, who must be authenticated: a name that anybody can make up would fill the memory.
   * @throws ServiceError ERR_BUDGET when the principal has too many under way, or no request left for now; ERR_BUSY when
   * the principal is new, and as many as can be remembered are active.
   */
  enter(principalId: string): BudgetLease {
    const nowMs = this.#clock.monotonicMs();
    this.#forget(nowMs);
    const account = this.#accounts.get(principalId) ?? this.#open(principalId);
    if (account.underWay >= this.#limits.maxConcurrent) {
      throw new ServiceError("ERR_BUDGET", `expected at most ${this.#limits.maxConcurrent} requests at a time`);
    }
    if (!account.requests.take(1, nowMs)) {
      throw new ServiceError("ERR_BUDGET", `expected at most ${this.#limits.requestsPerMinute} requests in a minute`);
    }
    account.underWay++;
    return this.#leaseOf(account);
  }

  #open(id: string): Account {
    if (this.#accounts.size >= this.#limits.maxPrincipals) {
      throw new ServiceError("ERR_BUSY", `${this.#limits.maxPrincipals} principals are active, expected fewer`);
    }
    const account: Account = {
      id,
      requests: new Bucket(this.#limits.requestsPerMinute),
      bytes: new Bucket(this.#limits.bytesPerMinute),
      underWay: 0,
      isToBeVisited: false,
    };
    this.#accounts.set(id, account);
    return account;
  }

  #leaseOf(account: Account): BudgetLease {
    let isOpen = true;
    const leave = (): void => {
      if (!isOpen) return;
      isOpen = false;
      account.underWay--;
      this.#visitLater(account);
    };
    const annul = (): void => {
      if (isOpen) account.requests.giveBack(1);
      leave();
    };
    return { spend: (bytes) => this.#spend(account, bytes), leave, annul };
  }

  #spend(account: Account, bytes: number): void {
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw new TypeError("spend: expected a number of bytes");
    const { bytesPerMinute } = this.#limits;
    if (bytes > bytesPerMinute) {
      throw new ServiceError("ERR_BUDGET", `expected at most ${bytesPerMinute} bytes at once, however long one waits`);
    }
    if (account.bytes.take(bytes, this.#clock.monotonicMs())) return;
    throw new ServiceError("ERR_BUDGET", `expected at most ${bytesPerMinute} bytes in a minute`);
  }

  #visitLater(account: Account): void {
    if (account.underWay > 0 || account.isToBeVisited) return;
    account.isToBeVisited = true;
    this.#toVisit.push(fullAtMs(account), account);
  }

  /** Visits a few accounts whose time has come; where there is no room, as many as it takes to make some. */
  #forget(nowMs: number): void {
    const isFull = (): boolean => this.#accounts.size >= this.#limits.maxPrincipals;
    for (let visited = 0; this.#toVisit.least <= nowMs && (visited < VISITED_PER_REQUEST || isFull()); visited++) {
      const account = this.#toVisit.pop();
      if (account !== undefined) this.#visit(account, nowMs);
    }
  }

  #visit(account: Account, nowMs: number): void {
    account.isToBeVisited = false;
    if (account.underWay === 0 && fullAtMs(account) <= nowMs) this.#accounts.delete(account.id);
    else this.#visitLater(account);
  }
}

interface Account {
  readonly id: string;
  readonly requests: Bucket;
  readonly bytes: Bucket;
  underWay: number;
  isToBeVisited: boolean;
}

const fullAtMs = ({ requests, bytes }: Account): number => Math.max(requests.fullAtMs, bytes.fullAtMs);

/** A token bucket. It counts what is missing from it, in units times the milliseconds of a minute, so that refilling is exact. */
class Bucket {
  readonly #perMinute: number;
  #missing = 0;
  #atMs = 0;

  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  /** When it will be full, if nothing more is taken. */
  get fullAtMs(): number {
    return this.#atMs + this.#missing / this.#perMinute;
  }

  /** Whether there was enough; if not, nothing is taken. */
  take(amount: number, nowMs: number): boolean {
    const missing = Math.max(0, this.#missing - (nowMs - this.#atMs) * this.#perMinute) + amount * MINUTE_MS;
    if (missing > this.#perMinute * MINUTE_MS) return false;
    this.#missing = missing;
    this.#atMs = nowMs;
    return true;
  }

  giveBack(amount: number): void {
    this.#missing = Math.max(0, this.#missing - amount * MINUTE_MS);
  }
}

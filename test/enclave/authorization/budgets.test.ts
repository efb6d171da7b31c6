/** Budgets: what a principal may ask in a minute and at a time, and how many principals are remembered. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { BudgetLease } from "../../../enclave/authorization/budgets.js";
import { Budgets } from "../../../enclave/authorization/budgets.js";
import type { BudgetLimits } from "../../../enclave/configuration.js";
import { ServiceError } from "../../../shared/errors.js";
import { TestClock } from "../fakes.js";

const LIMITS: BudgetLimits = { requestsPerMinute: 60, bytesPerMinute: 60_000, maxConcurrent: 100, maxPrincipals: 100 };

function setUp(changes: Partial<BudgetLimits> = {}) {
  const clock = new TestClock();
  const budgets = new Budgets({ ...LIMITS, ...changes }, clock);
  /** So many requests that have been answered. */
  const ask = (id: string, times = 1): void => {
    for (let i = 0; i < times; i++) budgets.enter(id).leave();
  };
  return { clock, budgets, ask };
}

describe("requests in a minute", () => {
  it("are so many, and no more", () => {
    const { budgets, ask } = setUp();
    ask("idp/a", 60);
    expect(() => budgets.enter("idp/a")).toThrowCode("ERR_BUDGET");
  });

  it("come back evenly, each when its time has come and not a millisecond before", () => {
    const { clock, budgets, ask } = setUp();
    ask("idp/a", 60);
    clock.advance(999);
    expect(() => budgets.enter("idp/a")).toThrowCode("ERR_BUDGET");
    clock.advance(1);
    ask("idp/a");
    expect(() => budgets.enter("idp/a")).toThrowCode("ERR_BUDGET");
    clock.advance(30_000);
    ask("idp/a", 30);
    expect(() => budgets.enter("idp/a")).toThrowCode("ERR_BUDGET");
  });

  it("are never saved up beyond one minute's worth", () => {
    const { clock, budgets, ask } = setUp();
    ask("idp/a");
    clock.advance(3_600_000);
    ask("idp/a", 60);
    expect(() => budgets.enter("idp/a")).toThrowCode("ERR_BUDGET");
  });

  it("are each principal's own", () => {
    const { budgets, ask } = setUp();
    ask("idp/a", 60);
    ask("idp/b", 60);
    expect(() => budgets.enter("idp/a")).toThrowCode("ERR_BUDGET");
  });

  it("are given back by a repetition, once, and with its place", () => {
    const { budgets, ask } = setUp({ maxConcurrent: 1 });
    ask("idp/a", 59);
    for (let i = 0; i < 100; i++) {
      const lease = budgets.enter("idp/a");
      lease.annul();
      lease.annul();
    }
    const lease = budgets.enter("idp/a");
    lease.leave();
    lease.annul(); // too late: it was served
    expect(() => budgets.enter("idp/a")).toThrowCode("ERR_BUDGET");
  });

  it("are not taken by a request that is refused", () => {
    const { clock, budgets, ask } = setUp({ maxConcurrent: 1 });
    const lease = budgets.enter("idp/a");
    for (let i = 0; i < 100; i++) expect(() => budgets.enter("idp/a")).toThrowCode("ERR_BUDGET");
    lease.leave();
    ask("idp/a", 59);
    clock.advance(999);
    for (let i = 0; i < 100; i++) expect(() => budgets.enter("idp/a")).toThrowCode("ERR_BUDGET");
    clock.advance(1);
    ask("idp/a");
  });
});

describe("bytes in a minute", () => {
  it("are so many over all requests, and no more", () => {
    const { budgets } = setUp();
    budgets.enter("idp/a").spend(59_000);
    const lease = budgets.enter("idp/a");
    expect(() => lease.spend(1_001)).toThrowCode("ERR_BUDGET");
    lease.spend(1_000); // what was refused took nothing
    expect(() => lease.spend(1)).toThrowCode("ERR_BUDGET");
    lease.spend(0);
  });

  it("come back evenly", () => {
    const { clock, budgets } = setUp();
    const lease = budgets.enter("idp/a");
    lease.spend(60_000);
    clock.advance(500);
    expect(() => lease.spend(501)).toThrowCode("ERR_BUDGET");
    lease.spend(500);
  });

  it("of one request beyond a whole minute's worth are refused in other words, and not for now only", () => {
    const { budgets } = setUp();
    const lease = budgets.enter("idp/a");
    expect(() => lease.spend(60_001)).toThrowCode("ERR_BUDGET");
    expect(() => lease.spend(60_001)).toThrow(/at once, however long/);
    lease.spend(60_000);
    expect(() => lease.spend(1)).toThrow(/in a minute/);
  });

  it("are exact at the greatest limits", () => {
    const { budgets } = setUp({ bytesPerMinute: 100_000_000_000 });
    const lease = budgets.enter("idp/a");
    lease.spend(99_999_999_999);
    expect(() => lease.spend(2)).toThrowCode("ERR_BUDGET");
    lease.spend(1);
    expect(() => lease.spend(1)).toThrowCode("ERR_BUDGET");
  });

  it("are natural numbers", () => {
    const lease = setUp().budgets.enter("idp/a");
    for (const bytes of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => lease.spend(bytes)).toThrow(TypeError);
    }
  });

  it("count after the request is over, too", () => {
    const { budgets } = setUp();
    const lease = budgets.enter("idp/a");
    lease.leave();
    lease.spend(60_000);
    expect(() => budgets.enter("idp/a").spend(1)).toThrowCode("ERR_BUDGET");
  });
});

describe("requests under way", () => {
  it("are so many, until one leaves", () => {
    const { budgets } = setUp({ maxConcurrent: 2 });
    const first = budgets.enter("idp/a");
    budgets.enter("idp/a");
    expect(() => budgets.enter("idp/a")).toThrowCode("ERR_BUDGET");
    budgets.enter("idp/b");
    first.leave();
    budgets.enter("idp/a");
    expect(() => budgets.enter("idp/a")).toThrowCode("ERR_BUDGET");
  });

  it("leave once each", () => {
    const { budgets } = setUp({ maxConcurrent: 2 });
    const first = budgets.enter("idp/a");
    budgets.enter("idp/a");
    first.leave();
    first.leave();
    budgets.enter("idp/a");
    expect(() => budgets.enter("idp/a")).toThrowCode("ERR_BUDGET");
  });
});

describe("principals", () => {
  it("are forgotten when nothing of theirs is under way and their buckets are full", () => {
    const { clock, budgets, ask } = setUp({ maxPrincipals: 2 });
    ask("idp/a");
    clock.advance(500);
    ask("idp/b");
    clock.advance(499);
    expect(() => budgets.enter("idp/c")).toThrowCode("ERR_BUSY");
    clock.advance(1);
    budgets.enter("idp/c"); // in a's place
    expect(() => budgets.enter("idp/d")).toThrowCode("ERR_BUSY");
    clock.advance(500);
    budgets.enter("idp/d"); // in b's place
    clock.advance(3_600_000);
    expect(() => budgets.enter("idp/e")).toThrowCode("ERR_BUSY"); // c and d never left
    expect(budgets.size).toBe(2);
  });

  it("are not forgotten while bytes are missing, whoever else came later", () => {
    const { clock, budgets, ask } = setUp({ maxPrincipals: 2 });
    const greedy = budgets.enter("idp/greedy");
    greedy.spend(60_000);
    greedy.leave();
    ask("idp/b");
    clock.advance(1_000);
    ask("idp/c"); // in b's place
    expect(() => budgets.enter("idp/greedy").spend(1_001)).toThrowCode("ERR_BUDGET");
  });

  it("do not win a new budget by leaving and coming back", () => {
    const { clock, budgets, ask } = setUp({ maxPrincipals: 1 });
    ask("idp/a", 60);
    clock.advance(59_999);
    expect(() => budgets.enter("idp/b")).toThrowCode("ERR_BUSY");
    ask("idp/a", 59);
    expect(() => budgets.enter("idp/a")).toThrowCode("ERR_BUDGET");
  });

  it("who were active again meanwhile are not forgotten at their first time", () => {
    const { clock, budgets, ask } = setUp({ maxPrincipals: 1 });
    ask("idp/a");
    clock.advance(900);
    ask("idp/a", 10);
    clock.advance(1_000);
    expect(() => budgets.enter("idp/b")).toThrowCode("ERR_BUSY");
    clock.advance(9_100);
    ask("idp/b");
  });

  it("who can be forgotten are found behind any number of those who cannot", () => {
    const { clock, budgets, ask } = setUp({ maxPrincipals: 6 });
    const busy = ["idp/a", "idp/b", "idp/c", "idp/d", "idp/e"];
    for (const id of busy) ask(id);
    clock.advance(500);
    for (const id of busy) ask(id, 10);
    ask("idp/once");
    clock.advance(1_000);
    ask("idp/new"); // in the place of who asked once
    expect(() => budgets.enter("idp/once")).toThrowCode("ERR_BUSY");
  });

  it("already known are served while there is no room for others", () => {
    const { budgets, ask } = setUp({ maxPrincipals: 1 });
    ask("idp/a", 2);
    expect(() => budgets.enter("idp/b")).toThrowCode("ERR_BUSY");
    ask("idp/a");
  });

  it("are forgotten by and by, without room being short", () => {
    const { clock, budgets, ask } = setUp();
    for (let i = 0; i < 50; i++) ask(`idp/${i}`);
    expect(budgets.size).toBe(50);
    clock.advance(60_000);
    for (let i = 0; i < 60; i++) ask("idp/one");
    expect(budgets.size).toBe(1);
  });

  it("need no timer", () => {
    const { clock, budgets } = setUp();
    budgets.enter("idp/a").leave();
    expect(clock.waiting).toBe(0);
  });
});

describe("whatever is asked, in whatever order", () => {
  const limits = { ...LIMITS, maxConcurrent: 3, maxPrincipals: 4 };

  interface Account {
    requests: number;
    bytes: number;
    underWay: number;
    atMs: number;
  }

  /** Budgets beside the same by the book: a bucket is a number that time raises, and nobody is ever forgotten. */
  class Pair {
    readonly #real = setUp(limits);
    readonly #accounts = new Map<string, Account>();
    readonly #leases: { account: Account; lease: BudgetLease }[] = [];

    enter(id: string, bytes: number): void {
      const account = this.#accountOf(id);
      const enter = (): void => void this.#leases.push({ account, lease: this.#real.budgets.enter(id) });
      const isAdmitted = account.underWay < limits.maxConcurrent && account.requests >= 1;
      expect(outcomeOf(enter)).toBe(isAdmitted ? "done" : "ERR_BUDGET");
      if (!isAdmitted) return;
      account.requests -= 1;
      account.underWay += 1;
      const isEnough = bytes <= account.bytes;
      expect(outcomeOf(() => this.#leases.at(-1)?.lease.spend(bytes))).toBe(isEnough ? "done" : "ERR_BUDGET");
      if (isEnough) account.bytes -= bytes;
    }

    leave(index: number): void {
      for (const { account, lease } of this.#leases.splice(index, 1)) {
        lease.leave();
        account.underWay -= 1;
      }
    }

    wait(seconds: number): void {
      this.#real.clock.advance(seconds * 1000);
    }

    #accountOf(id: string): Account {
      const nowMs = this.#real.clock.monotonicMs();
      const full = { requests: limits.requestsPerMinute, bytes: limits.bytesPerMinute, underWay: 0, atMs: nowMs };
      const account = this.#accounts.get(id) ?? full;
      const minutes = (nowMs - account.atMs) / 60_000;
      account.requests = Math.min(limits.requestsPerMinute, account.requests + minutes * limits.requestsPerMinute);
      account.bytes = Math.min(limits.bytesPerMinute, account.bytes + minutes * limits.bytesPerMinute);
      account.atMs = nowMs;
      this.#accounts.set(id, account);
      return account;
    }
  }

  it("forgetting makes no difference to anybody's budget", () => {
    // One request in a second, one byte in a millisecond: times in whole seconds leave no fractions.
    type Step = (pair: Pair) => void;
    const enter = fc.tuple(fc.constantFrom("a", "b", "c", "d"), fc.nat(60_000)).map(
      ([id, bytes]): Step =>
        (pair) =>
          pair.enter(id, bytes),
    );
    const leave = fc.nat(3).map(
      (index): Step =>
        (pair) =>
          pair.leave(index),
    );
    const wait = fc.constantFrom(1, 2, 5, 30, 60).map(
      (seconds): Step =>
        (pair) =>
          pair.wait(seconds),
    );
    const steps = fc.array(fc.oneof(enter, leave, wait), { minLength: 20, maxLength: 200 });
    fc.assert(
      fc.property(steps, (taken) => {
        const pair = new Pair();
        for (const step of taken) step(pair);
      }),
      { seed: 20261123, numRuns: 300 },
    );
  });

  function outcomeOf(run: () => void): string {
    try {
      run();
      return "done";
    } catch (error) {
      if (error instanceof ServiceError) return error.code;
      throw error;
    }
  }
});

/** What stands before every operation, in its order, and what is given back afterwards. */
import { describe, expect, it } from "vitest";
import { Budgets } from "../../../enclave/authorization/budgets.js";
import { DecisionLog } from "../../../enclave/authorization/decision-log.js";
import type { Decision } from "../../../enclave/authorization/policies.js";
import type { Principal } from "../../../enclave/authorization/principal.js";
import type { BudgetLimits } from "../../../enclave/configuration.js";
import type { Call, Operation } from "../../../enclave/operations/guard.js";
import { Guard, STREAM_TYPE } from "../../../enclave/operations/guard.js";
import { OwnContexts } from "../../../enclave/operations/own-contexts.js";
import type { RoutedAnswer, RoutedRequest } from "../../../enclave/operations/route.js";
import { jsonAnswer } from "../../../enclave/operations/route.js";
import { concatBytes, utf8 } from "../../../shared/bytes.js";
import type { ErrorCode } from "../../../shared/errors.js";
import { ServiceError } from "../../../shared/errors.js";
import { memoryLog, START, settle, TestClock, testKeys } from "../fakes.js";

const PRINCIPAL: Principal = { id: "idp/alice", issuer: "idp", subject: "alice", claims: {} };
const KEYS = testKeys();
const INTENT = { key: KEYS.resolve("alias/payments"), encryptionContext: { tenant: "a" }, bytes: 3 };
const LIMITS: BudgetLimits = {
  ...{ requestsPerMinute: 1_000, bytesPerMinute: 100_000, maxConcurrent: 1, maxPrincipals: 10 },
};
const BODY = utf8('{"a":1}');

interface Changes {
  readonly authenticate?: () => Promise<Principal>;
  readonly proof?: () => void;
  readonly decision?: Decision;
  readonly limits?: Partial<BudgetLimits>;
  readonly run?: Operation["run"];
  readonly runStream?: Operation["runStream"];
}

const ALLOWED: Decision = { allowed: true, policyIds: ["p1"], failedPolicyIds: [] };
const DENIED: Decision = { allowed: false, policyIds: [], failedPolicyIds: [], reason: "no policy permits it" };

function setUp({ authenticate, proof, decision = ALLOWED, limits, run, runStream }: Changes = {}) {
  const steps: string[] = [];
  const clock = new TestClock();
  const log = memoryLog();
  const budgets = new Budgets({ ...LIMITS, ...limits }, clock);
  const guard = new Guard({
    authenticator: {
      authenticate: async () => {
        steps.push("token");
        const takeProof = () => void steps.push("proof");
        return {
          principal: authenticate ? await authenticate() : PRINCIPAL,
          takeProof,
          ...(proof && { takeProof: proof }),
        };
      },
    },
    budgets,
    policies: {
      classOf: () => "somebody",
      decide: () => {
        steps.push("decision");
        return decision;
      },
    },
    decisions: new DecisionLog([]),
    ownContexts: new OwnContexts({ channels: {}, keys: KEYS }),
    ...{ log, clock, nowMs: () => START.getTime() },
  });
  const operation: Operation = {
    ...{ name: "decrypt", resource: "Key", idempotent: true, maxBodyBytes: 100 },
    run: async (body, call) => {
      steps.push("operation");
      if (run) return run(body, call);
      call.authorize(INTENT);
      return jsonAnswer({ done: true });
    },
    ...(runStream ? { runStream } : {}),
  };
  const route = guard.route(operation);
  const serve = (changes: Partial<RoutedRequest> = {}) => route.serve(requestOf(steps, changes));
  /** Whether the principal's one place is free. */
  const isFree = (): boolean => {
    try {
      budgets.enter(PRINCIPAL.id).leave();
      return true;
    } catch {
      return false;
    }
  };
  return { steps, clock, log, budgets, route, serve, isFree };
}

const NO_FIELDS = { encryptionContext: undefined, messageOptions: undefined };

const requestOf = (steps: string[], changes: Partial<RoutedRequest>): RoutedRequest => ({
  ...{ channel: "sealed", requestId: "r-1", method: "POST", path: "/v1/decrypt", query: new URLSearchParams() },
  fields: { authorization: "Bearer x", dpop: undefined, contentType: "application/json", ...NO_FIELDS },
  body: {
    whole: async () => {
      steps.push("body");
      return BODY.slice(); // it is overwritten
    },
    stream: () => {
      throw new ServiceError("ERR_CONTENT_TYPE", "expected a body in JSON");
    },
  },
  connectionKey: () => undefined,
  signal: new AbortController().signal,
  assertFirst: () => void steps.push("repetition"),
  ...changes,
});

const failing = (code: ErrorCode) => (): never => {
  throw new ServiceError(code, "as the test says");
};

const fieldsOf = (contentType: string): Pick<RoutedRequest, "fields"> => ({
  fields: { authorization: "Bearer x", dpop: undefined, contentType, ...NO_FIELDS },
});

async function* oneOf(part: Uint8Array) {
  yield part;
}

const bodyOf = (whole: () => Promise<Uint8Array>): Pick<RoutedRequest, "body"> => ({
  body: { whole, stream: failing("ERR_CONTENT_TYPE") },
});

describe("the order", () => {
  it("is token, budget, proof, repetition, body, operation, decision", async () => {
    const { serve, steps } = setUp();
    const answer = await serve();
    expect(steps).toEqual(["token", "proof", "repetition", "body", "operation", "decision"]);
    expect(answer).toMatchObject({ contentType: "application/json", body: utf8('{"done":true}') });
  });

  it("without a token nothing else happens: no place is taken and nothing is remembered", async () => {
    const { serve, steps, budgets } = setUp({ authenticate: failing("ERR_TOKEN_MISSING") });
    await expect(serve()).rejects.toThrowCode("ERR_TOKEN_MISSING");
    expect(steps).toEqual(["token"]);
    expect(budgets.size).toBe(0);
  });

  it("without a budget nothing is remembered and no body is read", async () => {
    const { serve, steps } = setUp();
    const first = await serve();
    steps.length = 0;
    await expect(serve()).rejects.toThrowCode("ERR_BUDGET");
    expect(steps).toEqual(["token"]);
    first.release?.();
    await expect(serve()).resolves.toBeDefined();
  });

  it("of a repetition no body is read", async () => {
    const { serve, steps } = setUp();
    await expect(serve({ assertFirst: failing("ERR_REPLAYED") })).rejects.toThrowCode("ERR_REPLAYED");
    expect(steps).toEqual(["token", "proof"]);
  });

  it("repetitions, of a request or of a proof, take nothing from the caller's budget", async () => {
    const { serve } = setUp({ limits: { requestsPerMinute: 1 } });
    const again = { assertFirst: failing("ERR_REPLAYED") };
    for (let i = 0; i < 5; i++) await expect(serve(again)).rejects.toThrowCode("ERR_REPLAYED");
    await expect(serve()).resolves.toBeDefined();
    const bound = setUp({ limits: { requestsPerMinute: 1 }, proof: failing("ERR_REPLAYED") });
    for (let i = 0; i < 5; i++) await expect(bound.serve()).rejects.toThrowCode("ERR_REPLAYED");
  });

  it("who is over budget adds nothing to what is remembered of proofs", async () => {
    const { serve, steps } = setUp({ limits: { requestsPerMinute: 1 } });
    (await serve()).release?.();
    steps.length = 0;
    await expect(serve()).rejects.toThrowCode("ERR_BUDGET");
    expect(steps).toEqual(["token"]);
  });

  it("the body is overwritten once the operation is done with it", async () => {
    const body = utf8('{"card":"4111"}');
    const { serve } = setUp({ run: async (given) => jsonAnswer({ length: given.length }) });
    const answer = await serve(bodyOf(async () => body));
    expect(answer.body).toEqual(utf8('{"length":15}'));
    expect(body).toEqual(new Uint8Array(15));
  });

  it("the body counts before the operation sees it", async () => {
    const { serve, steps } = setUp({ limits: { bytesPerMinute: BODY.length - 1 } });
    await expect(serve()).rejects.toThrowCode("ERR_BUDGET");
    expect(steps).toEqual(["token", "proof", "repetition", "body"]);
  });

  it("the body is read within the operation's limit", async () => {
    const { serve } = setUp();
    const asked: number[] = [];
    const whole = async (maxBytes: number) => {
      asked.push(maxBytes);
      return BODY.slice(); // it is overwritten
    };
    await serve({ body: { whole, stream: failing("ERR_CONTENT_TYPE") } });
    expect(asked).toEqual([100]);
  });
});

describe("decisions", () => {
  it("are not asked for about a context of the enclave's own, which is refused", async () => {
    const run = async (_: Uint8Array, call: Call) => {
      call.authorize({ ...INTENT, encryptionContext: { "branch-key-id": "a" } });
      return jsonAnswer({});
    };
    const { serve, steps } = setUp({ run });
    await expect(serve()).rejects.toThrowCode("ERR_ENCRYPTION_CONTEXT");
    expect(steps).toContain("operation");
    expect(steps).not.toContain("decision");
  });

  it("are asked for with who, what, on which key, how and when", async () => {
    const asked: unknown[] = [];
    const { clock, log } = setUp();
    const guard = new Guard({
      authenticator: { authenticate: async () => ({ principal: PRINCIPAL, takeProof: () => undefined }) },
      budgets: new Budgets(LIMITS, clock),
      policies: {
        classOf: () => "somebody",
        decide: (question) => {
          asked.push(question);
          return ALLOWED;
        },
      },
      decisions: new DecisionLog([]),
      ownContexts: new OwnContexts({ channels: {}, keys: KEYS }),
      ...{ log, clock, nowMs: () => START.getTime() + 5 },
    });
    const run = async (_: Uint8Array, call: Call) => {
      call.authorize(INTENT);
      return jsonAnswer({});
    };
    await guard
      .route({ name: "functions/score", resource: "Key", idempotent: true, maxBodyBytes: 10, run })
      .serve(requestOf([], { channel: "tls" }));
    const when = { now: new Date(START.getTime() + 5) };
    expect(asked).toEqual([{ ...INTENT, ...when, principal: PRINCIPAL, action: "functions/score", channel: "tls" }]);
  });

  it.each([
    ["permitted", ALLOWED, "permit"],
    ["denied", DENIED, "deny"],
  ] as const)("that are %s are logged, without the values of the encryption context", async (_, decision, word) => {
    const { serve, log } = setUp({ decision });
    await serve().catch((error: unknown) => expect(error).toMatchObject({ code: "ERR_NOT_AUTHORIZED" }));
    expect(log.entries).toMatchObject([
      {
        level: "info",
        message: "decided",
        fields: {
          ...{ requestId: "r-1", principal: "idp/alice", action: "decrypt", channel: "sealed", decision: word },
          contextHash: expect.stringMatching(/./),
        },
      },
    ]);
    expect(JSON.stringify(log.entries)).not.toContain("tenant");
  });

  it("that deny are ERR_NOT_AUTHORIZED, and what was about to be done is not", async () => {
    let done = false;
    const run: Operation["run"] = async (_, call) => {
      call.authorize(INTENT);
      done = true;
      return jsonAnswer({});
    };
    const { serve } = setUp({ decision: DENIED, run });
    await expect(serve()).rejects.toThrowCode("ERR_NOT_AUTHORIZED");
    expect(done).toBe(false);
  });
});

describe("the place among those at a time", () => {
  it("is held until the answer has gone", async () => {
    const { serve, isFree } = setUp();
    const answer = await serve();
    expect(isFree()).toBe(false);
    answer.release?.();
    expect(isFree()).toBe(true);
  });

  const paths: [string, Changes, Partial<RoutedRequest>, ErrorCode][] = [
    ["a repetition", {}, { assertFirst: failing("ERR_REPLAYED") }, "ERR_REPLAYED"],
    ["no room to remember it", {}, { assertFirst: failing("ERR_BUSY") }, "ERR_BUSY"],
    ["a body that is too large", {}, bodyOf(async () => failing("ERR_MESSAGE_TOO_LARGE")()), "ERR_MESSAGE_TOO_LARGE"],
    ["a body over the budget", { limits: { bytesPerMinute: 1 } }, {}, "ERR_BUDGET"],
    ["a denial", { decision: DENIED }, {}, "ERR_NOT_AUTHORIZED"],
    ["a failure", { run: async () => failing("ERR_KMS_DENIED")() }, {}, "ERR_KMS_DENIED"],
    ["an answer over the budget", { limits: { bytesPerMinute: BODY.length } }, {}, "ERR_BUDGET"],
    [
      "a stream that is refused",
      { runStream: async () => failing("ERR_MESSAGE_MALFORMED")() },
      { ...fieldsOf(STREAM_TYPE), body: { whole: async () => BODY, stream: () => oneOf(BODY) } },
      "ERR_MESSAGE_MALFORMED",
    ],
    [
      "a channel that does not stream",
      { runStream: async () => jsonAnswer({}) },
      fieldsOf(STREAM_TYPE),
      "ERR_CONTENT_TYPE",
    ],
  ];
  it.each(paths)("is given back after %s", async (_, changes, request, code) => {
    const { serve, isFree } = setUp(changes);
    await expect(serve(request)).rejects.toThrowCode(code);
    expect(isFree()).toBe(true);
  });

  it("an answer over the budget is overwritten: it goes to nobody", async () => {
    const secret = utf8("plaintext");
    const run = async (): Promise<RoutedAnswer> => ({ contentType: "x", body: secret, keyArn: undefined });
    const { serve } = setUp({ run, limits: { bytesPerMinute: BODY.length + 1 } });
    await expect(serve()).rejects.toThrowCode("ERR_BUDGET");
    expect(secret).toEqual(new Uint8Array(secret.length));
  });
});

describe("streams", () => {
  const PART = new Uint8Array(1_000).fill(7);
  const PER_MINUTE = 6_000; // 100 bytes a second

  /** An operation that hands on what comes in. */
  const echo: Operation["runStream"] = async (body) => ({ contentType: STREAM_TYPE, body, keyArn: undefined });

  function stream(changes: Changes & { readonly part?: Uint8Array; readonly signal?: AbortSignal } = {}) {
    const parts = setUp({ runStream: echo, limits: { bytesPerMinute: PER_MINUTE }, ...changes });
    let pulled = 0;
    const source = async function* () {
      for (; ; pulled++) yield changes.part ?? PART;
    };
    const request = {
      ...fieldsOf(STREAM_TYPE),
      body: { whole: async () => BODY, stream: source },
      ...(changes.signal ? { signal: changes.signal } : {}),
    };
    return { ...parts, serve: () => parts.serve(request), pulled: () => pulled };
  }

  async function iteratorOf(answer: RoutedAnswer): Promise<AsyncIterator<Uint8Array>> {
    if (answer.body instanceof Uint8Array) throw new TypeError("expected a stream");
    return answer.body[Symbol.asyncIterator]();
  }

  it("pay for what comes in and what goes out; without budget they wait, and with them whoever sends", async () => {
    const { serve, clock, pulled, isFree } = stream();
    const taken = await iteratorOf(await serve());
    for (let part = 0; part < 3; part++) expect((await taken.next()).value).toEqual(PART); // 6,000 bytes, both ways
    let arrived = false;
    const next = taken.next().then(() => {
      arrived = true;
    });
    await settle();
    expect([arrived, pulled()]).toEqual([false, 3]); // the fourth part has come, and is not paid for
    for (let waitedMs = 0; waitedMs < 19_000; waitedMs += 100) {
      clock.advance(100);
      await settle();
    }
    expect(arrived).toBe(false);
    for (let waitedMs = 0; waitedMs < 1_100; waitedMs += 100) {
      clock.advance(100);
      await settle();
    }
    await next;
    expect(isFree()).toBe(false);
  });

  it("with parts that are larger than the whole budget are slowed down as well", async () => {
    const { serve, clock } = stream({ part: new Uint8Array(2 * PER_MINUTE) });
    const taken = await iteratorOf(await serve());
    let arrived = false;
    const next = taken.next().then(() => {
      arrived = true;
    });
    for (let waitedMs = 0; waitedMs < 4 * 60_000 && !arrived; waitedMs += 1_000) {
      clock.advance(1_000);
      await settle();
      await settle();
    }
    await next;
  });

  it("that wait end when nobody waits for them any more", async () => {
    const gone = new AbortController();
    const { serve, clock } = stream({ signal: gone.signal });
    const taken = await iteratorOf(await serve());
    for (let part = 0; part < 3; part++) await taken.next();
    const next = taken.next();
    await settle();
    gone.abort(new Error("gone"));
    clock.advance(100);
    await expect(next).rejects.toBe(gone.signal.reason);
    expect(clock.waiting).toBe(0);
  });

  it("are for operations that have one; to others a body of that type is as any other", async () => {
    const { route } = setUp();
    expect(route.contentTypes).toEqual(["application/json"]);
    expect(stream().route.contentTypes).toEqual(["application/json", STREAM_TYPE]);
  });

  it("hand their parts on as they came", async () => {
    const { serve } = stream({ limits: {} });
    const taken = await iteratorOf(await serve());
    const received = [await taken.next(), await taken.next()].map(({ value }) => value);
    expect(concatBytes(...received)).toEqual(concatBytes(PART, PART));
  });
});

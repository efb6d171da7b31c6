/** When a call goes to another Region, when it comes back, and what never moves it. Clients are the SDK's, answers the test's. */
import { DecryptCommand, GenerateRandomCommand, KMSServiceException } from "@aws-sdk/client-kms";
import { describe, expect, it } from "vitest";
import type { PinnedKey } from "../../../enclave/kms/pinned-keys.js";
import { ServiceError } from "../../../shared/errors.js";
import { abortable } from "../../../shared/settle.js";
import type { FakeKms, Json } from "../fakes.js";
import { fakeKms, KEY_ARN, memoryLog, settle, TestClock } from "../fakes.js";
import { ATTEMPT_SECONDS, REST_SECONDS, regionalKms } from "../regional.js";

const [OWN, SECOND, THIRD] = ["us-east-1", "eu-west-1", "ap-northeast-1"] as const;
const mrkIn = (region: string): string => `arn:aws:kms:${region}:111122223333:key/mrk-${"0a".repeat(16)}`;
const KEY: PinnedKey = { arn: mrkIn(OWN), aliases: [], replicaRegions: [SECOND, THIRD] };
const OWN_ONLY: PinnedKey = { arn: KEY_ARN, aliases: [] };

type Answer = () => Json | Promise<Json>;

const answers: Answer = () => ({});
/** As the tunnel says it. */
const unreachable: Answer = () => {
  throw new ServiceError("ERR_KMS_UNAVAILABLE", "the connection to AWS KMS failed");
};
const silent: Answer = () => new Promise<never>(() => undefined);
const refusal =
  (type: string, $status = 400): Answer =>
  () => ({ $status, __type: type });

/** Three Regions, each of which does what the test says. */
function setUp(changes: Partial<Record<string, Answer>> = {}) {
  const behaviour = new Map<string, Answer>(
    Object.entries(changes).map(([region, answer]) => [region, answer ?? answers]),
  );
  const asked: string[] = [];
  const clientOf = (region: string): FakeKms =>
    fakeKms(({ body }) => {
      asked.push(region);
      expect(body.KeyId === undefined || body.KeyId === KEY_ARN || body.KeyId === mrkIn(region)).toBe(true);
      return (behaviour.get(region) ?? answers)();
    });
  const clock = new TestClock();
  const log = memoryLog();
  const place = (region: string) => ({ region, client: clientOf(region).client });
  const { kms, availability } = regionalKms([place(OWN), place(SECOND), place(THIRD)], { clock, log });
  const call = async (key: PinnedKey | undefined = KEY, signal?: AbortSignal) => {
    asked.length = 0;
    await kms.call({ key, signal }, ({ client, keyId: KeyId, abortSignal }) =>
      // gives up as the tunnel does
      abortable(client.send(new DecryptCommand({ KeyId, CiphertextBlob: new Uint8Array(1) })), abortSignal),
    );
    return [...asked];
  };
  const states = () => availability.state.map(({ status }) => status);
  const behave = (region: string, answer: Answer): void => void behaviour.set(region, answer);
  return { kms, availability, asked, clock, log, call, states, behave };
}

describe("a call", () => {
  it("goes to the own Region and to no other while that one answers", async () => {
    const { call, states, log } = setUp();
    for (let i = 0; i < 3; i++) expect(await call()).toEqual([OWN]);
    expect(states()).toEqual(["ok", "ok", "ok"]);
    expect(log.entries).toEqual([]);
  });

  it("goes on to the next Region with a related key when the own one cannot be reached, and the log names both", async () => {
    const { call, states, log } = setUp({ [OWN]: unreachable });
    expect(await call()).toEqual([OWN, SECOND]);
    expect(states()).toEqual(["resting", "ok", "ok"]);
    expect(log.entries).toEqual([
      expect.objectContaining({ level: "warn", fields: { region: OWN, code: "ERR_KMS_UNAVAILABLE" } }),
      expect.objectContaining({ level: "info", fields: { region: SECOND } }),
    ]);
  });

  it.each([
    ["throttles", refusal("ThrottlingException")],
    ["fails", refusal("KMSInternalException", 500)],
    ["times out behind", refusal("DependencyTimeoutException", 503)],
  ])("goes on when KMS %s", async (_, answer) => {
    const { call } = setUp({ [OWN]: answer });
    expect((await call()).at(-1)).toBe(SECOND);
  });

  it("gives a Region that is silent as long as an attempt may take, and no longer", async () => {
    const { call, asked, clock } = setUp({ [OWN]: silent });
    const calling = call();
    await settle();
    clock.advance(ATTEMPT_SECONDS * 1_000 - 1);
    await settle();
    expect(asked).toEqual([OWN]);
    clock.advance(1);
    expect(await calling).toEqual([OWN, SECOND]);
  });

  it("goes through the Regions in the order of the key", async () => {
    const { call } = setUp({ [OWN]: unreachable, [THIRD]: unreachable });
    expect(await call({ ...KEY, replicaRegions: [THIRD, SECOND] })).toEqual([OWN, THIRD, SECOND]);
  });

  it("of a key without replicas stays where its key is", async () => {
    const { call, states } = setUp({ [OWN]: unreachable });
    await expect(call(OWN_ONLY)).rejects.toThrowCode("ERR_KMS_UNAVAILABLE");
    expect(states()).toEqual(["ok", "ok", "ok"]);
    expect(await call()).toEqual([OWN, SECOND]);
    await expect(call(OWN_ONLY)).rejects.toThrowCode("ERR_KMS_UNAVAILABLE"); // also while the Region rests
  });

  it("without a key goes to any Region", async () => {
    const { kms, asked } = setUp({ [OWN]: unreachable });
    await kms.call({ key: undefined }, ({ client, keyId, abortSignal }) => {
      expect(keyId).toBe("");
      return client.send(new GenerateRandomCommand({ NumberOfBytes: 1 }), { abortSignal });
    });
    expect(asked).toEqual([OWN, SECOND]);
  });

  it("ends with the error of the last Region when all are down, and asks them all again the next time", async () => {
    const { call, asked, states } = setUp({
      [OWN]: unreachable,
      [SECOND]: unreachable,
      [THIRD]: refusal("KMSInternalException", 500),
    });
    await expect(call()).rejects.toThrowCode("ERR_KMS_UNAVAILABLE");
    expect([...asked]).toEqual([OWN, SECOND, THIRD]);
    expect(states()).toEqual(["resting", "resting", "resting"]);
    await expect(call()).rejects.toThrowCode("ERR_KMS_UNAVAILABLE");
    expect([...asked]).toEqual([OWN, SECOND, THIRD]);
  });

  it("asks resting Regions once the others have failed", async () => {
    const { call, behave } = setUp({ [OWN]: unreachable });
    await call();
    for (const region of [SECOND, THIRD]) behave(region, unreachable);
    behave(OWN, answers);
    expect(await call()).toEqual([SECOND, THIRD, OWN]);
    expect(await call()).toEqual([OWN]);
  });
});

describe("what stands", () => {
  it.each([
    ["AccessDeniedException", "ERR_KMS_DENIED"],
    ["InvalidCiphertextException", "ERR_KMS_REFUSED"],
    ["DisabledException", "ERR_KMS_REFUSED"],
    ["ExpiredTokenException", "ERR_CREDENTIALS"],
  ] as const)("a refusal %s is no reason to ask another Region", async (type, code) => {
    const { call, asked, states } = setUp({ [OWN]: refusal(type) });
    await expect(call()).rejects.toThrowCode(code);
    expect(asked).toEqual([OWN]);
    expect(states()).toEqual(["ok", "ok", "ok"]);
  });

  it.each([
    "ERR_KMS_UNTRUSTED",
    "ERR_KMS_KEY",
    "ERR_KMS_ANSWER",
    "ERR_DECRYPTION_FAILED",
    "ERR_NSM",
    "ERR_BUSY",
  ] as const)("%s is no reason to ask another Region", async (code) => {
    const { call, asked, states } = setUp({
      [OWN]: () => {
        throw new ServiceError(code, "no");
      },
    });
    await expect(call()).rejects.toThrowCode(code);
    expect(asked).toEqual([OWN]);
    expect(states()).toEqual(["ok", "ok", "ok"]);
  });

  it("a caller that gives up ends the call, and the Region does not rest for it", async () => {
    const { call, asked, states } = setUp({ [OWN]: silent });
    const caller = new AbortController();
    const calling = call(KEY, caller.signal);
    await settle();
    caller.abort();
    await expect(calling).rejects.toThrowCode("ERR_TIMEOUT");
    expect(asked).toEqual([OWN]);
    expect(states()).toEqual(["ok", "ok", "ok"]);
  });

  it("a programmer's error stays one", async () => {
    const { call, asked } = setUp({
      [OWN]: () => {
        throw new TypeError("wrong");
      },
    });
    await expect(call()).rejects.toThrow(TypeError);
    expect(asked).toEqual([OWN]);
  });

  it("the client of the own Region, by itself, goes nowhere else", async () => {
    const { kms, asked } = setUp({ [OWN]: refusal("KMSInternalException", 500) });
    await expect(kms.own.send(new GenerateRandomCommand({ NumberOfBytes: 1 }))).rejects.toThrow(KMSServiceException);
    expect(asked).toEqual([OWN]);
  });
});

describe("a Region that rests", () => {
  async function afterOutage() {
    const set = setUp({ [OWN]: unreachable });
    await set.call();
    return set;
  }

  it("is left out until its rest is over, and health says how long", async () => {
    const { call, clock, availability } = await afterOutage();
    expect(availability.state[0]).toEqual({
      region: OWN,
      status: "resting",
      failure: "ERR_KMS_UNAVAILABLE",
      restSeconds: REST_SECONDS,
    });
    clock.advance(REST_SECONDS * 1_000 - 1);
    expect(await call()).toEqual([SECOND]);
    expect(availability.state[0]).toMatchObject({ restSeconds: 1 });
  });

  it("is asked again by one call after that, and comes back for all when it was answered", async () => {
    const { call, kms, clock, behave, asked, log, states } = await afterOutage();
    clock.advance(REST_SECONDS * 1_000);
    let answer = (): void => undefined;
    behave(OWN, () => new Promise((resolve) => (answer = () => resolve({}))));
    const probe = call();
    await settle();
    expect(asked).toEqual([OWN]);
    const others = await Promise.all([1, 2, 3].map(() => kms.call({ key: KEY }, async ({ keyId }) => keyId)));
    expect(others).toEqual(Array(3).fill(mrkIn(SECOND)));
    answer();
    expect(await probe).toEqual([OWN]);
    behave(OWN, answers);
    expect(states()).toEqual(["ok", "ok", "ok"]);
    expect(await call()).toEqual([OWN]);
    expect(log.entries.at(-1)).toMatchObject({ level: "info", fields: { region: OWN } });
  });

  it("rests again when it is still down, and that call goes on", async () => {
    const { call, clock, states } = await afterOutage();
    clock.advance(REST_SECONDS * 1_000);
    expect(await call()).toEqual([OWN, SECOND]);
    expect(await call()).toEqual([SECOND]);
    expect(states()).toEqual(["resting", "ok", "ok"]);
  });

  it("is back when it refuses: a refusal is an answer", async () => {
    const { call, clock, behave, states } = await afterOutage();
    clock.advance(REST_SECONDS * 1_000);
    behave(OWN, refusal("AccessDeniedException"));
    await expect(call()).rejects.toThrowCode("ERR_KMS_DENIED");
    expect(states()).toEqual(["ok", "ok", "ok"]);
  });

  it.each([
    ["whose caller gives up", true],
    ["that ends in what says nothing about the Region", false],
  ])("is asked again by the next call after one %s", async (_, givesUp) => {
    const { call, clock, behave } = await afterOutage();
    clock.advance(REST_SECONDS * 1_000);
    const caller = new AbortController();
    behave(OWN, givesUp ? silent : () => Promise.reject(new ServiceError("ERR_BUSY", "no")));
    const ended = expect(call(KEY, caller.signal)).rejects.toThrow(ServiceError);
    await settle();
    caller.abort();
    await ended;
    behave(OWN, answers);
    expect(await call()).toEqual([OWN]);
  });
});

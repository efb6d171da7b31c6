/** Keys that a fleet shares: who makes an epoch and who follows, what is older than what was seen, and what happens when store or KMS is away. */
import { describe, expect, it } from "vitest";
import { MAX_EPOCHS_AHEAD } from "../../../enclave/sealing/next-seed.js";
import type { OpenedSeed } from "../../../enclave/sealing/sealing-seeds.js";
import { keysOfSeed } from "../../../enclave/sealing/seed-keys.js";
import { LOOK_AGAIN_MS, POLL_MS, SharedSealedKeys } from "../../../enclave/sealing/shared-sealed-keys.js";
import { fromBase64, toBase64 } from "../../../shared/bytes.js";
import type { ErrorCode } from "../../../shared/errors.js";
import { ServiceError } from "../../../shared/errors.js";
import { parseKeyConfigurations } from "../../../shared/ohttp/key-configuration.js";
import type { SealingSeed } from "../../../shared/sealing-seed.js";
import { MAX_EPOCH } from "../../../shared/sealing-seed.js";
import { memoryLog, START, settle, TestClock } from "../fakes.js";

const LIMITS = { keyMaxAgeSeconds: 600, overlapSeconds: 60 };
const MEASUREMENT = "00".repeat(32);

/** What the parent keeps, and what a test makes of it. */
class FakeStore {
  seeds: SealingSeed[] = [];
  failure: ErrorCode | undefined;
  lists = 0;
  puts: SealingSeed[] = [];

  async list(): Promise<readonly SealingSeed[]> {
    this.lists++;
    this.#assertThere();
    return [...this.seeds].sort((a, b) => b.epoch - a.epoch).slice(0, 2);
  }

  async put(seed: SealingSeed): Promise<SealingSeed> {
    this.#assertThere();
    this.puts.push(seed);
    const kept = this.seeds.find(({ epoch }) => epoch === seed.epoch);
    if (kept === undefined) this.seeds.push(seed);
    return kept ?? seed;
  }

  #assertThere(): void {
    if (this.failure) throw new ServiceError(this.failure, "told to fail");
  }
}

/** Seeds whose ciphertext is the seed. */
class FakeSeeds {
  failure: ErrorCode | undefined;
  readonly opened: number[] = [];
  readonly made: number[] = [];

  async make(epoch: number, createdMs: number): Promise<OpenedSeed> {
    this.#assertThere();
    this.made.push(epoch);
    return opened(recordOf(epoch, createdMs));
  }

  async open(record: SealingSeed): Promise<OpenedSeed> {
    this.opened.push(record.epoch);
    this.#assertThere();
    if (record.document === JUNK) throw new ServiceError("ERR_SEALING_SEED", "not one of the fleet");
    return opened(record);
  }

  #assertThere(): void {
    if (this.failure) throw new ServiceError(this.failure, "told to fail");
  }
}

const JUNK = "////";

const recordOf = (epoch: number, createdMs: number): SealingSeed => ({
  epoch,
  created: new Date(createdMs).toISOString(),
  ciphertext: toBase64(crypto.getRandomValues(new Uint8Array(32))),
  document: "AAAA",
});

/** Derivations under way: all else needs no more than promises. */
const deriving = new Set<Promise<unknown>>();

async function opened(record: SealingSeed): Promise<OpenedSeed> {
  const seed = fromBase64(record.ciphertext) ?? new Uint8Array();
  const derived = keysOfSeed(seed, { epoch: record.epoch, measurement: MEASUREMENT });
  deriving.add(derived);
  const pairs = await derived.finally(() => deriving.delete(derived));
  return { record, createdMs: Date.parse(record.created), pairs };
}

function setUp(limits: Partial<typeof LIMITS> = {}) {
  const clock = new TestClock();
  const store = new FakeStore();
  const nowMs = (): number => START.getTime() + clock.monotonicMs();
  const enclave = async (changes: { seeds?: FakeSeeds; store?: FakeStore } = {}) => {
    const seeds = changes.seeds ?? new FakeSeeds();
    const log = memoryLog();
    const options = { clock, nowMs, log, seeds, store: changes.store ?? store, random: () => 0 };
    const starting = SharedSealedKeys.start({ ...options, limits: { ...LIMITS, ...limits } });
    return { starting, seeds, log };
  };
  const started = async (changes: { seeds?: FakeSeeds; store?: FakeStore } = {}) => {
    const { starting, ...rest } = await enclave(changes);
    return { keys: await starting, ...rest };
  };
  return { clock, store, nowMs, enclave, started };
}

const POLL = POLL_MS / 2; // with `random` at 0
const ids = (keys: SharedSealedKeys) => parseKeyConfigurations(keys.published).map(({ keyId }) => keyId);
const shared = (keys: SharedSealedKeys) => keys.state.shared;

/** Lets what has begun come to its end, as far as no time must pass for it. */
async function settleAll(): Promise<void> {
  await settle();
  while (deriving.size > 0) {
    await Promise.all(deriving);
    await settle();
  }
}

/** Lets time pass, in steps that are shorter than any deadline, and what it begins come to its end. */
async function pass(clock: TestClock, ms: number): Promise<void> {
  await settleAll();
  for (let left = ms; left > 0; left -= STEP_MS) {
    clock.advance(Math.min(left, STEP_MS));
    await settleAll();
  }
}

const STEP_MS = 1_000;

describe("at boot", () => {
  it("the first makes the seed, and the rest open it", async () => {
    const { store, started } = setUp();
    const [one, other] = [await started(), await started()];
    expect([one.seeds.made, one.seeds.opened]).toEqual([[1], []]);
    expect([other.seeds.made, other.seeds.opened]).toEqual([[], [1]]);
    expect(other.keys.published).toEqual(one.keys.published);
    expect(store.seeds).toHaveLength(1);
  });

  it("of two that are first at the same time, the one that came second takes the other's", async () => {
    const { store, enclave } = setUp();
    const both = [await enclave(), await enclave()];
    const keys = await Promise.all(both.map(({ starting }) => starting));
    expect(both.flatMap(({ seeds }) => seeds.made)).toEqual([1, 1]);
    expect(keys[1]?.published).toEqual(keys[0]?.published);
    expect(store.seeds).toHaveLength(1);
  });

  it.each([
    ["PITFALLS 27: as old as its keys and their overlap", -660_000],
    ["of the future, by more than clocks differ", 60_001],
  ])("a seed that is %s is not used: there is a next epoch", async (_, aheadMs) => {
    const { store, nowMs, started } = setUp();
    store.seeds = [recordOf(7, nowMs() + aheadMs)];
    const { keys, seeds } = await started();
    expect(shared(keys)).toMatchObject({ epoch: 8 });
    expect(seeds.opened).toEqual([]);
  });

  it.each([
    ["a millisecond younger", -659_999],
    ["of the near future", 60_000],
  ])("a seed that is %s is", async (_, aheadMs) => {
    const { store, nowMs, started } = setUp();
    store.seeds = [recordOf(7, nowMs() + aheadMs)];
    expect(shared((await started()).keys)).toMatchObject({ epoch: 7 });
  });

  it("a record that is no seed of the fleet is passed over", async () => {
    const { store, nowMs, started } = setUp();
    store.seeds = [{ ...recordOf(7, nowMs()), document: JUNK }];
    expect(shared((await started()).keys)).toMatchObject({ epoch: 8 });
  });

  it("keys of the epoch before open requests while those of the others do", async () => {
    const { clock, store, nowMs, started } = setUp();
    store.seeds = [recordOf(7, nowMs() - 600_000), recordOf(8, nowMs() - 20_000)];
    const { keys } = await started();
    expect(keys.state.retiredKeys).toBe(2);
    await pass(clock, 39_999);
    await expect(keys.find(14)).resolves.toBeDefined();
    await pass(clock, 1);
    await expect(keys.find(14)).rejects.toThrowCode("ERR_KEY_CONFIGURATION");
    expect(ids(keys)).toEqual([16, 17]);
  });

  it.each(["ERR_SEALING_SEED", "ERR_TIMEOUT"] as const)("waits for a store that is away (%s)", async (code) => {
    const { clock, store, enclave } = setUp();
    store.failure = code;
    const { starting, log } = await enclave();
    await pass(clock, 500);
    store.failure = undefined;
    await pass(clock, 1_000);
    expect(shared(await starting)).toMatchObject({ epoch: 1 });
    expect(log.entries.filter(({ level }) => level === "warn")).toHaveLength(2);
  });

  it.each(["ERR_KMS_UNAVAILABLE", "ERR_CREDENTIALS"] as const)("fails with %s when it lasts", async (code) => {
    const { clock, enclave } = setUp();
    const seeds = new FakeSeeds();
    seeds.failure = code;
    const { starting } = await enclave({ seeds });
    const failed = expect(starting).rejects.toThrowCode(code);
    for (const ms of [0, 500, 1_000, 2_000, 4_000, 8_000, 8_000]) await pass(clock, ms);
    await failed;
    expect(clock.waiting).toBe(0);
  });

  it("fails at once where KMS denies it", async () => {
    const { enclave } = setUp();
    const seeds = new FakeSeeds();
    seeds.failure = "ERR_KMS_DENIED";
    const { starting } = await enclave({ seeds });
    await expect(starting).rejects.toThrowCode("ERR_KMS_DENIED");
  });
});

describe("rotation", () => {
  it("is by whoever sees first that the seed is of age; the others follow, and the old keys open to the end of the overlap", async () => {
    const { clock, store, started } = setUp();
    const [one, other] = [await started(), await started()];
    const before = ids(one.keys);
    await pass(clock, 599_999);
    expect(ids(one.keys)).toEqual(before);
    await pass(clock, 1);
    await pass(clock, POLL);
    for (const { keys } of [one, other]) {
      expect(shared(keys)).toMatchObject({ epoch: 2, failure: undefined, rollbacks: 0 });
      expect(keys.state.retiredKeys).toBe(2);
    }
    expect(other.keys.published).toEqual(one.keys.published);
    expect(store.seeds.map(({ epoch }) => epoch)).toEqual([1, 2]);
    await pass(clock, 60_000);
    for (const id of before) await expect(one.keys.find(id)).rejects.toThrowCode("ERR_KEY_CONFIGURATION");
  });

  it("gives the keys of two epochs different identifiers", async () => {
    const { started } = setUp();
    const { keys } = await started();
    const before = ids(keys);
    await keys.rotate();
    expect([before, ids(keys)]).toEqual([
      [2, 3],
      [4, 5],
    ]);
  });

  it("is noticed by the others within a poll", async () => {
    const { clock, started } = setUp();
    const [one, other] = [await started(), await started()];
    await one.keys.rotate();
    expect(shared(other.keys)).toMatchObject({ epoch: 1 });
    await pass(clock, POLL);
    expect(shared(other.keys)).toMatchObject({ epoch: 2 });
  });

  it("is noticed when a request comes with a key of it, and the request finds the key", async () => {
    const { clock, started } = setUp();
    const [one, other] = [await started(), await started()];
    await one.keys.rotate();
    await pass(clock, 1);
    const [id = -1] = ids(one.keys);
    expect((await other.keys.find(id)).configuration).toEqual((await one.keys.find(id)).configuration);
  });

  it("requests with unknown keys make it look at the store now and then, however many they are", async () => {
    const { clock, store, started } = setUp();
    const { keys } = await started();
    const before = store.lists;
    const ask = () => Promise.allSettled(Array.from({ length: 50 }, () => keys.find(200)));
    await ask();
    await ask();
    expect(store.lists).toBe(before + 1);
    await pass(clock, LOOK_AGAIN_MS);
    await ask();
    expect(store.lists).toBe(before + 2);
  });

  it("that is asked for twice at once makes one epoch", async () => {
    const { started } = setUp();
    const { keys } = await started();
    await Promise.all([keys.rotate(), keys.rotate()]);
    expect(shared(keys)).toMatchObject({ epoch: 2 });
  });

  it("that fails is told, visible, and leaves the keys in use", async () => {
    const { clock, started } = setUp();
    const { keys, seeds, log } = await started();
    const before = ids(keys);
    seeds.failure = "ERR_KMS_UNAVAILABLE";
    await expect(keys.rotate()).rejects.toThrowCode("ERR_KMS_UNAVAILABLE");
    expect(shared(keys)).toMatchObject({ epoch: 1, failure: "ERR_KMS_UNAVAILABLE" });
    expect(log.entries.at(-1)).toMatchObject({ level: "warn", fields: { code: "ERR_KMS_UNAVAILABLE" } });
    expect(ids(keys)).toEqual(before);
    seeds.failure = undefined;
    await pass(clock, POLL);
    expect(shared(keys)).toMatchObject({ epoch: 1, failure: undefined });
  });

  it("ends when it is closed, and leaves no timer", async () => {
    const { clock, started } = setUp();
    const { keys } = await started();
    expect(clock.waiting).toBe(1);
    keys.close();
    expect(clock.waiting).toBe(0);
  });
});

describe("PITFALLS 27: a store that is rolled back", () => {
  it("to an earlier epoch is refused and noted, and gets the newer seed again", async () => {
    const { clock, store, started } = setUp();
    const { keys, seeds, log } = await started();
    const [first] = store.seeds;
    await keys.rotate();
    const before = ids(keys);
    store.seeds = first ? [first] : [];
    await pass(clock, POLL);
    expect(ids(keys)).toEqual(before);
    expect(seeds.opened).toEqual([]);
    expect(shared(keys)).toEqual({ epoch: 2, failure: "ERR_ROLLBACK", rollbacks: 1 });
    expect(log.entries.filter(({ fields }) => fields.code === "ERR_ROLLBACK")).toHaveLength(1);
    expect(store.seeds.map(({ epoch }) => epoch)).toEqual([1, 2]);
    await pass(clock, POLL);
    expect(shared(keys)).toEqual({ epoch: 2, failure: undefined, rollbacks: 1 });
  });

  it("to a later epoch that was made earlier is refused: it is of a history that is gone", async () => {
    const { clock, store, nowMs, started } = setUp();
    const old = recordOf(9, nowMs() - 1);
    const { keys, seeds } = await started();
    store.seeds.push(old);
    await pass(clock, POLL);
    expect(seeds.opened).toEqual([]);
    expect(shared(keys)).toMatchObject({ epoch: 1, failure: "ERR_ROLLBACK" });
  });

  it("does not keep keys in use beyond their age", async () => {
    const { clock, store, started } = setUp();
    const { keys } = await started();
    const [first] = store.seeds;
    await keys.rotate();
    store.put = async (seed) => seed; // it takes everything, and keeps nothing
    store.list = async () => (first ? [first] : []);
    await pass(clock, 600_000);
    await pass(clock, POLL);
    expect(shared(keys)).toMatchObject({ epoch: 3 });
  });

  it("to nothing, as one in memory is with its parent, gets the seed in use again", async () => {
    const { clock, store, started } = setUp();
    const { keys } = await started();
    const before = store.seeds;
    store.seeds = [];
    await pass(clock, POLL);
    expect(store.seeds).toEqual(before);
    expect(shared(keys)).toEqual({ epoch: 1, failure: undefined, rollbacks: 0 });
  });

  it("from where it went on apart: a further epoch brings all together", async () => {
    const { clock, store, started } = setUp();
    const one = await started();
    store.seeds = [];
    await pass(clock, 1);
    const other = await started();
    expect(other.keys.published).not.toEqual(one.keys.published);
    await pass(clock, POLL);
    await pass(clock, POLL);
    expect(other.keys.published).toEqual(one.keys.published);
    expect(shared(one.keys)).toMatchObject({ epoch: 2, rollbacks: 1 });
  });
});

describe("what the store has that is no seed", () => {
  it("is refused, seen, and asked KMS about once; the next epoch is after it", async () => {
    const { clock, store, nowMs, started } = setUp();
    const { keys, seeds } = await started();
    store.seeds.push({ ...recordOf(5, nowMs() + 1), document: JUNK });
    await pass(clock, POLL);
    await pass(clock, POLL);
    expect(shared(keys)).toMatchObject({ epoch: 1, failure: "ERR_SEALING_SEED" });
    expect(seeds.opened).toEqual([5]);
    await pass(clock, 600_000);
    await pass(clock, POLL);
    expect(shared(keys)).toMatchObject({ epoch: 6, failure: undefined });
  });

  it.each([127, 128, 129])("may have taken %d epochs: identifiers in use are not given again", async (ahead) => {
    const { clock, store, nowMs, started } = setUp();
    const [one, other] = [await started(), await started()];
    const before = ids(one.keys);
    store.seeds.push({ ...recordOf(ahead, nowMs() + 1), document: JUNK });
    await one.keys.rotate();
    await pass(clock, POLL);
    expect(ids(one.keys).filter((id) => before.includes(id))).toEqual([]);
    expect(other.keys.published).toEqual(one.keys.published);
  });

  it("whose identifiers are in use is passed over, and does not hold up the next epoch", async () => {
    const { clock, store, nowMs, started } = setUp();
    const { keys } = await started();
    store.seeds.push(recordOf(129, nowMs() + 1));
    await pass(clock, POLL);
    expect(shared(keys)).toMatchObject({ epoch: 1, failure: "ERR_BUSY" });
    await pass(clock, 600_000);
    await pass(clock, POLL);
    expect(shared(keys)).toMatchObject({ epoch: 130, failure: undefined });
  });

  describe("and claims an epoch far ahead (PITFALLS 27)", () => {
    const junk = (epoch: number, createdMs: number) => ({ ...recordOf(epoch, createdMs), document: JUNK });

    it("is not counted on from: the keys in use stay, nothing is made, and rotation goes on when it is gone", async () => {
      const { clock, store, nowMs, started } = setUp();
      const { keys, seeds } = await started();
      const [first, before] = [[...store.seeds], ids(keys)];
      store.seeds.push(junk(MAX_EPOCH - 1, nowMs() + 1));
      await pass(clock, 600_000);
      await pass(clock, POLL);
      await expect(keys.rotate()).rejects.toThrowCode("ERR_SEALING_SEED");
      expect(shared(keys)).toEqual({ epoch: 1, failure: "ERR_SEALING_SEED", rollbacks: 0 });
      expect([ids(keys), seeds.made, store.puts.map(({ epoch }) => epoch)]).toEqual([before, [1], [1]]);
      store.seeds = first;
      await pass(clock, POLL_MS);
      expect(shared(keys)).toEqual({ epoch: 2, failure: undefined, rollbacks: 0 });
    });

    it("keeps no enclave from booting once it is gone", async () => {
      const { clock, store, nowMs, enclave, started } = setUp();
      store.seeds = [junk(MAX_EPOCH - 1, nowMs())];
      const { starting, seeds } = await enclave();
      const failed = expect(starting).rejects.toThrowCode("ERR_SEALING_SEED");
      for (const ms of [0, 500, 1_000, 2_000, 4_000, 8_000, 8_000]) await pass(clock, ms);
      await failed;
      expect([seeds.made, store.puts]).toEqual([[], []]);
      store.seeds = [];
      expect(shared((await started()).keys)).toMatchObject({ epoch: 1 });
    });

    it("is passed over up to the bound", async () => {
      const { store, nowMs, started } = setUp();
      store.seeds = [junk(MAX_EPOCHS_AHEAD - 1, nowMs())];
      expect(shared((await started()).keys)).toMatchObject({ epoch: MAX_EPOCHS_AHEAD });
    });

    it("is refused one beyond the bound, counted from the epoch in use", async () => {
      const { store, nowMs, started } = setUp();
      const { keys } = await started();
      store.seeds.push(junk(1 + MAX_EPOCHS_AHEAD, nowMs() + 1));
      await expect(keys.rotate()).rejects.toThrowCode("ERR_SEALING_SEED");
      store.seeds = [...store.seeds.slice(0, 1), junk(MAX_EPOCHS_AHEAD - 1, nowMs() + 1)];
      await keys.rotate();
      expect(shared(keys)).toMatchObject({ epoch: MAX_EPOCHS_AHEAD, failure: "ERR_SEALING_SEED" });
    });

    it("is passed over where a genuine record is near, however old that is", async () => {
      const { store, nowMs, started } = setUp();
      store.seeds = [recordOf(9_000, nowMs() - 10_000_000), junk(9_001, nowMs())];
      const { keys, seeds } = await started();
      expect(shared(keys)).toMatchObject({ epoch: 9_002 });
      expect(seeds.opened).toEqual([9_001, 9_001, 9_000]);
    });

    it("counts when it is genuine after all, of a history that is gone", async () => {
      const { store, nowMs, started } = setUp();
      const { keys } = await started();
      store.seeds.push(recordOf(9_000, nowMs() - 1));
      await keys.rotate();
      expect(shared(keys)).toMatchObject({ epoch: 9_001, failure: "ERR_ROLLBACK", rollbacks: 1 });
    });

    it("holds the round up while KMS cannot say what it is", async () => {
      const { store, nowMs, started } = setUp();
      const { keys, seeds } = await started();
      store.seeds.push(recordOf(9_000, nowMs() - 1));
      seeds.failure = "ERR_KMS_UNAVAILABLE";
      await expect(keys.rotate()).rejects.toThrowCode("ERR_KMS_UNAVAILABLE");
      expect(shared(keys)).toMatchObject({ epoch: 1, failure: "ERR_KMS_UNAVAILABLE" });
    });
  });

  it("is seen when the store is away: the keys stay", async () => {
    const { clock, store, started } = setUp();
    const { keys } = await started();
    store.failure = "ERR_SEALING_SEED";
    await pass(clock, 700_000);
    expect(shared(keys)).toMatchObject({ epoch: 1, failure: "ERR_SEALING_SEED" });
    await expect(keys.find(2)).resolves.toBeDefined();
    expect(keys.state.keyAgeSeconds).toBe(700);
  });
});

/**
 * Durable writes: records of 2 kB put into a repository, each acknowledged when it is on disk, beside a bare loop of write(2)
 * and fdatasync(2) in the same folder. Runs of the three alternate, so that whatever else the disk does meets all of them.
 */
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MasterKey } from "../simulator/storage/master-key.js";
import { openRepository } from "../simulator/storage/repository.js";
import type { Row } from "./table.js";
import { median } from "./table.js";
import { throughput } from "./throughput.js";

const RECORD_BYTES = 2_000;
/** So many records are written again and again, as keys are: the log is compacted as it grows. */
const RECORDS = 1_000;
const CONCURRENT = 64;
const BOUND = { one: 0.6, many: 5 };

export async function run({ smoke }: { readonly smoke: boolean }): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "nitro-decrypt-bench-"));
  try {
    return await compare(folder, smoke ? { rounds: 3, calls: 50 } : { rounds: 15, calls: 400 });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function compare(folder: string, { rounds, calls }: { rounds: number; calls: number }): Promise<Row[]> {
  const file = await open(join(folder, "bare"), "w");
  const repository = await openRepository(join(folder, "data"), {
    masterKey: () => MasterKey.readOrCreate(join(folder, "key")),
  });
  const bytes = Buffer.alloc(RECORD_BYTES, "a");
  const value = { text: bytes.toString() };
  const bare = async (): Promise<void> => {
    await file.write(bytes);
    await file.datasync();
  };
  let puts = 0;
  const put = (): Promise<void> => {
    repository.put("bench", String(puts++ % RECORDS), value);
    return repository.flush();
  };
  const [floor, one, many]: [number[], number[], number[]] = [[], [], []];
  for (let round = -1; round < rounds; round++) {
    const figures = [
      await throughput(bare, { calls, concurrent: 1 }),
      await throughput(put, { calls, concurrent: 1 }),
      await throughput(put, { calls: calls * 10, concurrent: CONCURRENT }),
    ];
    if (round < 0) continue; // of the compiler
    for (const [i, list] of [floor, one, many].entries()) list.push(figures[i] ?? Number.NaN);
  }
  await repository.close();
  await file.close();
  const ratioOf = (values: readonly number[]): number =>
    median(values.map((value, round) => value / (floor[round] ?? Number.NaN)));
  const row = (name: string, values: readonly number[], bound: number): Row => ({
    ...{ name, median: median(values), unit: "writes/s", ratio: ratioOf(values), bound, peer: "write + fdatasync" },
  });
  return [
    { name: "write + fdatasync of 2 kB, one after another", median: median(floor), unit: "writes/s" },
    row("durable put of 2 kB, one after another", one, BOUND.one),
    row(`durable put of 2 kB, ${CONCURRENT} concurrent`, many, BOUND.many),
  ];
}

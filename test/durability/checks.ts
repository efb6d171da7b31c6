/** The checks: kills under load, and a disk that is full. Each throws when something acknowledged is not there. */
import { join } from "node:path";
import { CreateKeyCommand, DescribeKeyCommand } from "@aws-sdk/client-kms";
import { readForwards, START } from "../../simulator/cloudtrail/audit-segments.js";
import type { ServerProcess } from "./process.js";
import { startServer } from "./process.js";
import type { Acknowledged } from "./workload.js";
import { load, verify } from "./workload.js";

export interface KillReport {
  readonly kills: number;
  readonly acknowledgedKeys: number;
  readonly acknowledgedCalls: number;
}

/** Loads a server, kills it in the midst of it, starts it again and looks whether everything acknowledged is there. */
export async function killUnderLoad(
  folder: string,
  kills: number,
  progress: (text: string) => void = () => undefined,
): Promise<KillReport> {
  const acknowledged: Acknowledged = { keys: [], requestIds: [] };
  for (let round = 0; round < kills; round++) {
    const from = acknowledged.keys.length;
    await loadAndKill(folder, acknowledged, round);
    const verified = await withServer(folder, ({ client }) =>
      verify(client, acknowledged, { from, all: round === kills - 1 }),
    );
    progress(`kill ${round + 1}: ${acknowledged.keys.length - from} keys acknowledged, ${verified} verified`);
  }
  await verifyAudit(join(folder, "audit"), acknowledged.requestIds);
  return { kills, acknowledgedKeys: acknowledged.keys.length, acknowledgedCalls: acknowledged.requestIds.length };
}

async function loadAndKill(folder: string, acknowledged: Acknowledged, round: number): Promise<void> {
  // Not at a time but at a number of answers, of which each round has another: the load is in the midst of something.
  const wanted = (round + 1) * 150 + ((round * 37) % 101);
  let loading: Promise<void> = Promise.resolve();
  await withServer(folder, async ({ client, errors }) => {
    let ended = false;
    loading = load(client, acknowledged, round).finally(() => {
      ended = true;
    });
    while (!ended && acknowledged.requestIds.length < wanted) await new Promise(setImmediate);
    if (!ended) return;
    await loading;
    throw new Error(`the server ended by itself: ${errors()}`);
  });
  await loading;
}

async function verifyAudit(folder: string, requestIds: readonly string[]): Promise<void> {
  const recorded = new Set<string>();
  for await (const { text } of readForwards(folder, START)) {
    recorded.add((JSON.parse(text) as { requestID: string }).requestID);
  }
  const missing = requestIds.filter((id) => !recorded.has(id));
  if (missing.length > 0) throw new Error(`${missing.length} answers have no audit record, ${missing[0]} among them`);
}

/** Fills a disk; returns how many keys were acknowledged before it was full, all of which are there afterwards. */
export async function fillDisk(folder: string): Promise<number> {
  const arns: string[] = [];
  const createUntilRefused = async ({ client }: ServerProcess): Promise<void> => {
    for (;;) arns.push((await client.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "");
  };
  const refusal: unknown = await withServer(folder, createUntilRefused, 100).catch((error: unknown) => error);
  if (!(refusal instanceof Error) || refusal.name !== "KMSInternalException") throw refusal;
  await withServer(folder, async ({ client }) => {
    for (const KeyId of arns) await client.send(new DescribeKeyCommand({ KeyId }));
  });
  return arns.length;
}

/** A server for as long as `use` takes, however that ends. */
async function withServer<Result>(
  folder: string,
  use: (server: ServerProcess) => Promise<Result>,
  maxFileBlocks?: number,
): Promise<Result> {
  const server = await startServer(folder, maxFileBlocks);
  try {
    return await use(server);
  } finally {
    await server.kill();
  }
}

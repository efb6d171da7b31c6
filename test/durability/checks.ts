/** The checks: kills under load, and a disk that is full. Each throws when something acknowledged is not there. */
import { join } from "node:path";
import { CreateKeyCommand, DescribeKeyCommand } from "@aws-sdk/client-kms";
import { readForwards, START } from "../../simulator/cloudtrail/audit-segments.js";
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
    const loaded = await startServer(folder);
    let ended = false;
    const loading = load(loaded.client, acknowledged, round).finally(() => {
      ended = true;
    });
    // Not at a time but at a number of answers, of which each round has another: the load is in the midst of something.
    const wanted = (round + 1) * 150 + ((round * 37) % 101);
    while (!ended && acknowledged.requestIds.length < wanted) await new Promise(setImmediate);
    if (ended) throw new Error(`the server ended by itself: ${loaded.errors()}`);
    await loaded.kill();
    await loading;
    const restarted = await startServer(folder);
    const verified = await verify(restarted.client, acknowledged, { from, all: round === kills - 1 });
    await restarted.kill();
    progress(`kill ${round + 1}: ${acknowledged.keys.length - from} keys acknowledged, ${verified} verified`);
  }
  await verifyAudit(join(folder, "audit"), acknowledged.requestIds);
  return { kills, acknowledgedKeys: acknowledged.keys.length, acknowledgedCalls: acknowledged.requestIds.length };
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
  const limited = await startServer(folder, 100);
  let refusal: unknown;
  while (refusal === undefined) {
    try {
      arns.push((await limited.client.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "");
    } catch (error) {
      refusal = error;
    }
  }
  if (!(refusal instanceof Error) || refusal.name !== "KMSInternalException") throw refusal;
  await limited.kill();
  const restarted = await startServer(folder);
  for (const KeyId of arns) await restarted.client.send(new DescribeKeyCommand({ KeyId }));
  await restarted.kill();
  return arns.length;
}

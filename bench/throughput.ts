/** How often something can be done in a second. */

export interface Load {
  /** In all. */
  readonly calls: number;
  /** Under way at a time. */
  readonly concurrent: number;
}

/** Calls per second. */
export async function throughput(call: () => Promise<unknown>, { calls, concurrent }: Load): Promise<number> {
  const startedAt = performance.now();
  let left = calls;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: concurrent }, worker));
  return (calls * 1_000) / (performance.now() - startedAt);
}

/** The runs of the measurement, and what each of them needs. */
import type { ContextKind } from "./workload.js";

export type RunName = "none" | "cached" | "cached, object in the context" | "branch" | "branch, object in the context";

export interface Run {
  readonly name: RunName;
  /** `--kind` that it belongs to. */
  readonly kind: "none" | "cached" | "branch";
  readonly context: ContextKind;
  /** How a reader knows it. */
  readonly title: string;
  /** What share of the objects it is measured with: each call to KMS takes a millisecond or two of this machine. */
  readonly share: number;
  /** `messages.dataKeys` of the configuration; branch keys need to know their key besides. */
  readonly dataKeys: Readonly<Record<string, string | number>>;
}

const MAX_AGE_SECONDS = 300;
const CACHED = {
  kind: "cached",
  maxAgeSeconds: MAX_AGE_SECONDS,
  maxMessages: 1_000,
  maxBytes: 1024 ** 3,
  capacity: 10_000,
};
const BRANCH = { kind: "branchKeys", maxAgeSeconds: MAX_AGE_SECONDS, capacity: 1_000 };

export const RUNS: readonly Run[] = [
  {
    ...{ name: "none", kind: "none", context: "object", share: 0.1 },
    title: "no caching",
    dataKeys: { kind: "perMessage" },
  },
  {
    ...{ name: "cached, object in the context", kind: "cached", context: "object", share: 0.1 },
    title: "data key caching, a context for each object",
    dataKeys: CACHED,
  },
  {
    ...{ name: "cached", kind: "cached", context: "tenant", share: 1 },
    title: "data key caching, a context for each tenant",
    dataKeys: CACHED,
  },
  {
    ...{ name: "branch, object in the context", kind: "branch", context: "object", share: 1 },
    title: "branch keys, a context for each object",
    dataKeys: BRANCH,
  },
  {
    ...{ name: "branch", kind: "branch", context: "tenant", share: 1 },
    title: "branch keys, a context for each tenant",
    dataKeys: BRANCH,
  },
];

/** The questions that the newest calls put to the policies, so that a decision can be explained after it was made. */
import { footprint } from "../footprint.js";
import type { AuthorizationRequest } from "./authorization.js";
import type { Explanation } from "./explanation.js";
import { explainAuthorization } from "./explanation.js";

/** A call, and every permission that it asked for until one was refused. */
export interface DecidedCall {
  readonly requestId: string;
  readonly eventName: string;
  readonly eventTime: Date;
  /** The account of the caller; undefined for one whose signature did not verify. */
  readonly accountId: string | undefined;
  /** The error that it ended with, whatever it was. */
  readonly errorCode?: string | undefined;
  readonly questions: readonly AuthorizationRequest[];
}

export interface ExplainedCall extends Omit<DecidedCall, "questions" | "accountId"> {
  readonly decisions: readonly Explanation[];
}

const CAPACITY = 1_000;
const MEMORY_BYTES = 32 * 1024 ** 2;
/** A compiled policy takes so many times its text. */
const COMPILED = 20;

export class Decisions {
  /** By request id, oldest first. */
  readonly #calls = new Map<string, DecidedCall>();
  /** What they take, each and all together. */
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  remember(call: DecidedCall): void {
    const size = sizeOf(call);
    this.#calls.set(call.requestId, call);
    this.#sizes.set(call.requestId, size);
    this.#bytes += size;
    for (const oldest of this.#calls.keys()) {
      if (this.#calls.size <= CAPACITY && this.#bytes <= MEMORY_BYTES) return;
      this.#forget(oldest);
    }
  }

  /**
   * Explains the call of that id, or the newest that was refused for want of permission, if `accountId` made it or it was
   * about something of that account. Policies, and the grants that had a say, are as they were then. Undefined if there is
   * none, or it is too long ago.
   */
  explain(accountId: string, requestId?: string): ExplainedCall | undefined {
    const calls = [...this.#calls.values()].filter((call) => concerns(call, accountId));
    const call =
      requestId === undefined
        ? calls.filter(({ errorCode }) => errorCode?.startsWith("AccessDenied")).at(-1)
        : calls.find((one) => one.requestId === requestId);
    if (call === undefined) return undefined;
    const { questions, accountId: _, ...about } = call;
    return { ...about, decisions: questions.map(explainAuthorization) };
  }

  #forget(requestId: string): void {
    this.#calls.delete(requestId);
    this.#bytes -= this.#sizes.get(requestId) ?? 0;
    this.#sizes.delete(requestId);
  }
}

const concerns = (call: DecidedCall, accountId: string): boolean =>
  call.accountId === accountId || call.questions.some(({ resource }) => resource.accountId === accountId);

/** What remembering a call takes, besides what is there anyway. A policy counts, for its key may soon have another. */
const sizeOf = ({ questions }: DecidedCall): number =>
  questions.reduce(
    (sum, { values, resource }) => sum + footprint(values) + COMPILED * (resource.keyPolicy?.text.length ?? 0),
    footprint([]),
  );

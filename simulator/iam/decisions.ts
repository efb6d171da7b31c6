/** The questions that the newest calls put to the policies, so that a decision can be explained after it was made. */
import type { AuthorizationRequest } from "./authorization.js";
import type { Explanation } from "./explanation.js";
import { explainAuthorization } from "./explanation.js";

/** A call, and every permission that it asked for until one was refused. */
export interface DecidedCall {
  readonly requestId: string;
  readonly eventName: string;
  readonly eventTime: Date;
  /** The error that it ended with, whatever it was. */
  readonly errorCode?: string | undefined;
  readonly questions: readonly AuthorizationRequest[];
}

export interface ExplainedCall extends Omit<DecidedCall, "questions"> {
  readonly decisions: readonly Explanation[];
}

const CAPACITY = 1_000;

export class Decisions {
  /** By request id, oldest first. */
  readonly #calls = new Map<string, DecidedCall>();

  remember(call: DecidedCall): void {
    this.#calls.set(call.requestId, call);
    const [oldest] = this.#calls.keys();
    if (this.#calls.size > CAPACITY && oldest !== undefined) this.#calls.delete(oldest);
  }

  /**
   * Explains the call of that id, or the newest that was refused for want of permission. Policies are as they were then;
   * grants as they are now. Undefined if there is none, or it is too long ago.
   */
  explain(requestId?: string): ExplainedCall | undefined {
    const call = requestId === undefined ? this.#newestRefused() : this.#calls.get(requestId);
    if (call === undefined) return undefined;
    const { questions, ...about } = call;
    return { ...about, decisions: questions.map(explainAuthorization) };
  }

  #newestRefused(): DecidedCall | undefined {
    return [...this.#calls.values()].filter(({ errorCode }) => errorCode === "AccessDeniedException").at(-1);
  }
}

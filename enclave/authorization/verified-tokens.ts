/**
 * Tokens whose signature has been verified, so that a caller who sends the same one with each request costs one
 * verification and not one for each. Kept is what was found of a token that passed, by the SHA-256 of its text; neither
 * tokens nor refusals are kept. What depends on the time or on the rest of a request is not in here: whoever asks checks
 * that anew (tokens.ts).
 *
 * Bounded: where there are more tokens than places, the one that was used least recently goes, and long ones are never
 * kept. Nobody gets in without a token that a pinned issuer has signed.
 */
import { createHash } from "node:crypto";

/** Of a few hundred bytes to some kilobytes each. */
const MAX_TOKENS = 1_000;
/** Tokens of most issuers have less than half of it. */
const MAX_TOKEN_LENGTH = 4_096;

export class VerifiedTokens<T extends object> {
  /** The one that was used least recently comes first. */
  readonly #found = new Map<string, T>();

  /** What was kept of this very token, letter for letter. */
  find(token: string): T | undefined {
    const id = idOf(token);
    const found = this.#found.get(id);
    if (found === undefined) return undefined;
    this.#found.delete(id);
    this.#found.set(id, found);
    return found;
  }

  /** Keeps what was found of a token that is genuine. It serves several requests from now on, and is frozen through and through. */
  keep(token: string, found: T): void {
    if (token.length > MAX_TOKEN_LENGTH) return;
    this.#found.set(idOf(token), deepFreeze(found));
    const [oldest] = this.#found.keys();
    if (this.#found.size > MAX_TOKENS && oldest !== undefined) this.#found.delete(oldest);
  }
}

const idOf = (token: string): string => createHash("sha256").update(token).digest("base64");

/** What was JSON has no cycles, and is no deeper than half of a token's text is long. */
function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) if (typeof member === "object" && member !== null) deepFreeze(member);
  return Object.freeze(value);
}

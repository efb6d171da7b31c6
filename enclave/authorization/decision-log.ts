/**
 * What a decision leaves in the log: who asked for what, with which answer and by which policies. The encryption context is
 * there as a keyed hash, so that two requests can be compared and no value guessed: most contexts have few possible values,
 * and a plain hash would tell which it was. The key is made when the enclave starts and is not kept anywhere.
 */
import { createHmac, randomBytes } from "node:crypto";
import type { LogFields } from "../log.js";
import type { Decision } from "./policies.js";
import type { DecisionRequest } from "./request.js";

export class DecisionLog {
  readonly #key = randomBytes(32);
  readonly #loggable: readonly string[];

  /** @param loggable names of pairs of the encryption context whose values may be logged. */
  constructor(loggable: readonly string[]) {
    this.#loggable = loggable;
  }

  /** The fields of one decision: those of the request that are named here, and nothing else of it. */
  fieldsOf({ principal, action, key, encryptionContext, channel }: DecisionRequest, decision: Decision): LogFields {
    const logged = this.#loggable.filter((name) => Object.hasOwn(encryptionContext, name));
    return {
      principal: principal.id,
      action,
      ...(key && { keyArn: key.arn }),
      contextHash: this.#hash(encryptionContext),
      channel,
      decision: decision.allowed ? "permit" : "deny",
      policyIds: decision.policyIds,
      ...(logged.length > 0 && {
        loggedContext: Object.fromEntries(logged.map((name) => [name, encryptionContext[name] ?? ""])),
      }),
    };
  }

  /** HMAC-SHA-256, hexadecimal, over the JSON of the pairs sorted by name: one text for one context, and no other's. */
  #hash(encryptionContext: Readonly<Record<string, string>>): string {
    const pairs = Object.keys(encryptionContext)
      .sort()
      .map((name) => [name, encryptionContext[name]]);
    return createHmac("sha256", this.#key).update(JSON.stringify(pairs)).digest("hex");
  }
}

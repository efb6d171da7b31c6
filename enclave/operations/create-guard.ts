/** The guard that the configuration's `authorization` asks for. */
import type { AttestedTime } from "../attested-time.js";
import { Authenticator } from "../authorization/authenticator.js";
import { Budgets } from "../authorization/budgets.js";
import { DecisionLog } from "../authorization/decision-log.js";
import { AuthorizationPolicy } from "../authorization/policies.js";
import type { Clock } from "../clock.js";
import type { Configuration } from "../configuration.js";
import type { Logger } from "../log.js";
import type { Operation } from "./guard.js";
import { Guard } from "./guard.js";
import { OwnContexts } from "./own-contexts.js";

export interface GuardContext {
  readonly operations: readonly Operation[];
  readonly time: AttestedTime;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Imports the issuers' keys and validates the policies against their schema and against what is served.
 * @throws ServiceError ERR_CONFIGURATION: an enclave with such a configuration must not start.
 */
export async function createGuard(
  { authorization, channels, keys }: Pick<Configuration, "authorization" | "channels" | "keys">,
  { operations, time, clock, log }: GuardContext,
): Promise<Guard> {
  const nowMs = (): number => time.nowMs();
  const actions = operations.map(({ name, resource }) => ({ name, resources: [resource] }));
  const { schema, policies, loggable, budgets } = authorization;
  const { windowSeconds, maxRemembered } = channels.sealed; // a proof is as fresh as the request that brings it
  return new Guard({
    policies: new AuthorizationPolicy({ schema, policies, actions }),
    authenticator: await Authenticator.create(authorization, { windowSeconds, maxRemembered }, { now: nowMs, clock }),
    budgets: new Budgets(budgets, clock),
    decisions: new DecisionLog(loggable.encryptionContext),
    ownContexts: new OwnContexts({ channels, keys }),
    ...{ nowMs, clock, log },
  });
}

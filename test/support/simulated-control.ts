/** Talking to the simulator's own service as its tools do: signed JSON. */
import type { Clock } from "../../simulator/clock.js";
import { CONTROL_SERVICE, CONTROL_TARGET_PREFIX } from "../../simulator/control/control-service.js";
import type { SimulatedKms } from "../../simulator/endpoint/server.js";
import { signRequest } from "../../simulator/iam/sign-request.js";
import type { Credentials } from "./simulated-kms.js";

/** The answer of an operation of a server of plain HTTP, or its error. */
export async function callControl(
  kms: SimulatedKms,
  clock: Clock,
  credentials: Credentials,
  operation: string,
  input: object = {},
): Promise<Record<string, unknown>> {
  const body = Buffer.from(JSON.stringify(input));
  const unsigned = { host: `localhost:${kms.port}`, operation: `${CONTROL_TARGET_PREFIX}${operation}`, body };
  const headers = signRequest(
    { ...unsigned, region: kms.region, service: CONTROL_SERVICE, now: clock() },
    { ...credentials },
  );
  const reply = await fetch(kms.endpoint, { method: "POST", headers, body });
  return (await reply.json()) as Record<string, unknown>;
}

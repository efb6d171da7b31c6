/**
 * Tells the parent how the enclave's start went: `POST /enclave-state` at the parent's services. AWS's heartbeat (0xB7, sent
 * by the init) says that a kernel has booted; this says that the service serves, or the code for which it does not, which
 * nobody would learn otherwise: an enclave has no console out of debug mode.
 *
 * The parent uses it to know whom to route to. Nothing rests on it: who an enclave is, its attestation says.
 */
import { utf8 } from "../../shared/bytes.js";
import type { EnclaveState } from "../../shared/enclave-state.js";
import type { Clock } from "../clock.js";
import type { ServicesClient } from "../kms/services.js";

/** Between attempts while the parent does not answer: it may start later than its enclave. */
const RETRY_MS = 1_000;

export interface StateReportOptions {
  readonly services: Pick<ServicesClient, "request">;
  readonly clock: Clock;
  /** How often it is tried. */
  readonly attempts: number;
}

/** Whether the parent has taken the report. */
export async function reportState(state: EnclaveState, options: StateReportOptions): Promise<boolean> {
  const { services, clock, attempts } = options;
  const body = utf8(JSON.stringify(state));
  for (let attempt = 1; ; attempt++) {
    try {
      await services.request({ method: "POST", path: "/enclave-state", body, failureCode: "ERR_ADDRESS" });
      return true;
    } catch {
      if (attempt >= attempts) return false; // the caller logs it; there is nobody else to tell
      await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve));
    }
  }
}

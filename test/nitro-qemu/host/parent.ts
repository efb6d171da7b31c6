/** What enclaves find at the host, on the Unix sockets that stand for ports of CID 2. */
import type { Socket } from "node:net";
import { createServer } from "node:net";
import { pipeline } from "node:stream/promises";
import { pino } from "pino";
import { DEFAULT_LIMITS } from "../../../parent/limits.js";
import { createMetrics } from "../../../parent/metrics.js";
import { SeedStore } from "../../../parent/sealing-seeds.js";
import type { Services } from "../../../parent/services.js";
import { createServices } from "../../../parent/services.js";
import { PORTS } from "../../../shared/address.js";
import type { EnclaveState } from "../../../shared/enclave-state.js";
import { CALLED_PORT, ECHO_PORT, RELAY_PORT } from "../launch.js";
import type { VsockDevice } from "./vsock-device.js";

/** The other ends of the checks of vsock. */
export async function serveVsockChecks(device: VsockDevice): Promise<void> {
  await serve(device.portPath(ECHO_PORT), async (socket) => pipeline(socket, socket));
  await serve(device.portPath(RELAY_PORT), async (socket) => {
    const called = await device.connect(CALLED_PORT);
    await Promise.all([pipeline(socket, called), pipeline(called, socket)]);
  });
}

async function serve(path: string, handle: (socket: Socket) => Promise<void>): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    handle(socket).catch(() => socket.destroy()); // the guest's check then fails, and says how
  });
  server.unref();
  await new Promise<void>((resolve) => server.listen(path, resolve));
}

/** The parent's own services, as far as an enclave's start has a use for them. `states` gets what an enclave reports. */
export async function serveParent(device: VsockDevice, states: EnclaveState[]): Promise<Services> {
  const log = pino({ level: "silent" });
  return createServices({
    address: `unix:${device.portPath(PORTS.services)}`,
    enclaves: { allowPeer: () => true, noteState: (_cid, state) => void states.push(state) },
    credentials: {
      take: async () => {
        throw new Error("unreachable: an enclave without attestation has no use for credentials");
      },
      ageSeconds: () => undefined,
      failing: false,
    },
    limits: DEFAULT_LIMITS,
    seeds: await SeedStore.open({ log }),
    log,
    metrics: createMetrics(() => undefined),
  });
}

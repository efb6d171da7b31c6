/** A simulated enclave platform for one test: PKI, NSM and document maker on the test's clock. */

import { utf8 } from "../../shared/bytes.js";
import type { EnclaveImage } from "../../simulator/image.js";
import { readImage } from "../../simulator/image.js";
import type { SimulatedNsm } from "../../simulator/nsm/simulated-nsm.js";
import { bootSimulatedNsm } from "../../simulator/nsm/simulated-nsm.js";
import type { NitroPki } from "../../simulator/pki/nitro-pki.js";
import { createNitroPki } from "../../simulator/pki/nitro-pki.js";
import type { TestClock } from "./fakes.js";
import { CountingNsm } from "./fakes.js";

export const INSTANCE_ID = "i-0123456789abcdef0";

export interface Platform {
  readonly pki: NitroPki;
  readonly simulated: SimulatedNsm;
  readonly nsm: CountingNsm;
}

export const testImage = (): Promise<EnclaveImage> =>
  readImage({ kernel: utf8("kernel"), cmdline: "reboot=k", ramdisks: [utf8("base"), utf8("application")] });

export async function createPlatform(clock: Pick<TestClock, "now">): Promise<Platform> {
  const now = () => clock.now();
  const pki = await createNitroPki({ clock: now });
  const simulated = await bootSimulatedNsm({ pki, image: await testImage(), instanceId: INSTANCE_ID });
  return { pki, simulated, nsm: new CountingNsm(simulated) };
}

/** One enclave of a fleet, as far as its sealing seeds: NSM and KMS of a simulated platform on the test's clock. */
import { createHash } from "node:crypto";
import { KmsHealth } from "../../../enclave/health.js";
import { NsmClient } from "../../../enclave/nsm.js";
import type { FleetIdentity } from "../../../enclave/sealing/fleet-identity.js";
import { fleetIdentityOf } from "../../../enclave/sealing/fleet-identity.js";
import { SealingSeeds } from "../../../enclave/sealing/sealing-seeds.js";
import type { EnclaveImage } from "../../../simulator/image.js";
import { bootSimulatedNsm } from "../../../simulator/nsm/simulated-nsm.js";
import type { NitroPki } from "../../../simulator/pki/nitro-pki.js";
import type { TestClock } from "../fakes.js";
import { KEY_ARN } from "../fakes.js";
import { INSTANCE_ID, testImage } from "../platform.js";
import { regionalKms } from "../regional.js";
import type { SeedKms } from "./seed-kms.js";

export interface FleetMember {
  readonly identity: FleetIdentity;
  readonly seeds: SealingSeeds;
  readonly nsm: NsmClient;
}

export interface MemberOptions {
  readonly clock: TestClock;
  readonly pki: NitroPki;
  readonly kms: SeedKms;
  readonly fleet?: string;
  readonly image?: EnclaveImage;
  readonly configuration?: string;
  readonly instanceId?: string;
}

export async function fleetMember(options: MemberOptions): Promise<FleetMember> {
  const { clock, pki, kms, fleet = "payments", configuration = "{}", instanceId = INSTANCE_ID } = options;
  const device = await bootSimulatedNsm({ pki, image: options.image ?? (await testImage()), instanceId });
  const nsm = new NsmClient(device, clock);
  await nsm.extendPcr(16, createHash("sha384").update(configuration).digest());
  await nsm.lockPcr(16);
  const identity = await fleetIdentityOf(nsm, fleet);
  const health = new KmsHealth(clock);
  const key = { arn: KEY_ARN, aliases: [] };
  const { kms: regional } = regionalKms([{ region: "us-east-1", client: kms.client }]);
  const seeds = new SealingSeeds({ identity, key, kms: { operations: () => regional }, health, nsm });
  return { identity, seeds, nsm };
}

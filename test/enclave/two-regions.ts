/** A multi-Region key in two Regions of one simulated KMS, an enclave in either, and what the audit says of their calls. */
import type { KMSClient } from "@aws-sdk/client-kms";
import { CreateKeyCommand, ReplicateKeyCommand } from "@aws-sdk/client-kms";
import { openTunnel } from "../parent/fakes.js";
import { TestClock } from "./fakes.js";
import type { Kms, StackChanges } from "./stack.js";
import { ALIAS, CONTEXT, clientOf, policyOf, startKmsForTest } from "./stack.js";

export const [VIRGINIA, IRELAND] = ["us-east-1", "eu-west-1"] as const;
export type RegionName = typeof VIRGINIA | typeof IRELAND;

export const otherThan = (region: RegionName): RegionName => (region === VIRGINIA ? IRELAND : VIRGINIA);

/** A monotonic clock that a test turns by hand; dates are right, as health compares them with the NSM's. */
export class HandClock extends TestClock {
  override now(): Date {
    return new Date();
  }
}

export interface TwoRegions {
  readonly simulation: Kms["simulation"];
  /** The KMS as somebody in a Region sees it: the related key there, and an operator there. */
  at(region: RegionName): Kms;
  /** Region, operation and error of each attested call since the last time. */
  calls(): readonly string[];
  /** The changes of a stack whose enclave is in `region`, with the other one to stand in, behind a tunnel of the real parent. */
  stackIn(region: RegionName, changes?: StackChanges): Promise<StackChanges>;
}

export async function startTwoRegions(): Promise<TwoRegions> {
  const kms = await startKmsForTest();
  const { simulation, operator } = kms;
  const Policy = policyOf(simulation, {
    StringEqualsIgnoreCase: { "kms:RecipientAttestation:PCR0": simulation.pcrs[0] },
    StringEquals: { "kms:EncryptionContext:tenant": CONTEXT.tenant },
  });
  const { KeyMetadata } = await operator.send(new CreateKeyCommand({ MultiRegion: true, Policy }));
  const keyArn = KeyMetadata?.Arn ?? "";
  await operator.send(new ReplicateKeyCommand({ KeyId: keyArn, ReplicaRegion: IRELAND, Policy }));
  const operators: Record<RegionName, KMSClient> = {
    [VIRGINIA]: operator,
    [IRELAND]: clientOf(simulation, { credentials: simulation.operator, region: IRELAND }),
  };
  const at = (region: RegionName): Kms => ({
    ...kms,
    operator: operators[region],
    keyArn: keyArn.replace(VIRGINIA, region),
  });
  return { simulation, at, calls: attestedCalls(kms), stackIn: (region, changes) => stackIn(at, region, changes) };
}

function attestedCalls({ simulation }: Kms): () => readonly string[] {
  const calls: string[] = [];
  simulation.kms.auditLog.subscribe(({ awsRegion, eventName, errorCode, userIdentity }) => {
    if (userIdentity.type !== "AssumedRole") return;
    calls.push([awsRegion, eventName, ...(errorCode === undefined ? [] : [errorCode])].join(" "));
  });
  return () => calls.splice(0);
}

async function stackIn(
  at: TwoRegions["at"],
  region: RegionName,
  { kms = {}, ...changes }: StackChanges = {},
): Promise<StackChanges> {
  const { keyArn, simulation } = at(region);
  const other = otherThan(region);
  return {
    regionTunnels: { [other]: (await openTunnel(simulation.kms.port)).address },
    kms: { region, keys: [{ arn: keyArn, aliases: [ALIAS], replicaRegions: [other] }], ...kms },
    ...changes,
  };
}

/** GetCost: what the calls since the server's start, and its keys, would cost at AWS. */
import type { AuditLog } from "../cloudtrail/audit-log.js";
import { CostMeter } from "../cost/cost-meter.js";
import type { Regions } from "../kms/regions.js";
import type { ControlOperation } from "./control-service.js";

/** Counts from now on. */
export function costOperations(auditLog: AuditLog, regions: Regions): readonly (readonly [string, ControlOperation])[] {
  const meter = new CostMeter();
  auditLog.subscribe((record) => meter.add(record, (arn) => regions.find(arn)?.keySpec));
  return [["GetCost", () => ({ ...meter.report(regions.keys()) })]];
}

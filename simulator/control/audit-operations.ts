/** GetAuditRecords: the newest records of the audit log, for who follows it. It is not recorded itself, as LookupEvents is. */
import { z } from "zod";
import type { AuditLog } from "../cloudtrail/audit-log.js";
import { validationError } from "../errors.js";
import type { ControlOperation } from "./control-service.js";

const getAuditRecordsInput = z.strictObject({
  /** `eventID` of the last record that the caller has. */
  after: z.uuid().optional(),
  /** How many at most, the newest. */
  limit: z.int().min(1).max(10_000).default(1_000),
});

export const auditOperations = (auditLog: AuditLog): readonly (readonly [string, ControlOperation])[] => [
  [
    "GetAuditRecords",
    (json) => {
      const parsed = getAuditRecordsInput.safeParse(json);
      if (!parsed.success) throw validationError(z.prettifyError(parsed.error));
      const { after, limit } = parsed.data;
      const { records } = auditLog;
      const known = records.map(({ eventID }) => eventID).lastIndexOf(after ?? "");
      return { records: records.slice(known + 1).slice(-limit) };
    },
  ],
];

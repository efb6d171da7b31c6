/** Audit records as a table that is read while it grows: one line a call, its columns as wide as the first lines need. */
import { usernameOf } from "../../simulator/cloudtrail/lookup-events.js";
import { isOwnersRecord } from "../../simulator/cloudtrail/recipients.js";
import type { AuditRecord } from "../../simulator/cloudtrail/records.js";
import { printable } from "../report.js";

const HEADER = ["TIME", "PRINCIPAL", "EVENT", "KEY", "RESULT", "ENCLAVE", "CONTEXT"] as const;
const RESULT = HEADER.indexOf("RESULT");
/** As wide as these may become; the last column has what is left. */
const MAX_WIDTHS = [19, 32, 28, 36, 28, 20];
/** As wide as these are in any case, if more lines are to come. */
const GROWING_WIDTHS = [19, 16, 20, 36, 26, 7];
const RED = "\u001b[31m";
const BOLD = "\u001b[1m";
const PLAIN = "\u001b[0m";

export class AuditTable {
  readonly #color: boolean;
  readonly #growing: boolean;
  #widths: readonly number[] | undefined;

  constructor({ color, growing }: { readonly color: boolean; readonly growing: boolean }) {
    this.#color = color;
    this.#growing = growing;
  }

  /** The lines of these records, with the header before the first ones. */
  format(records: readonly AuditRecord[]): string {
    const rows = records.filter((record) => !isOwnersRecord(record)).map(cellsOf);
    const header = this.#widths === undefined ? `${this.#paint(BOLD, this.#line(HEADER, this.#fit(rows)))}\n` : "";
    const widths = this.#fit(rows);
    return header + rows.map((cells) => `${this.#line(cells, widths)}\n`).join("");
  }

  #fit(rows: readonly (readonly string[])[]): readonly number[] {
    this.#widths ??= MAX_WIDTHS.map((most, column) => {
      const needed = Math.max(...[HEADER, ...rows].map((cells) => cells[column]?.length ?? 0));
      return Math.min(most, Math.max(needed, this.#growing ? (GROWING_WIDTHS[column] ?? 0) : 0));
    });
    return this.#widths;
  }

  #line(cells: readonly string[], widths: readonly number[]): string {
    return cells
      .map((cell, column) => {
        const width = widths[column];
        const text = width === undefined ? cell : cut(cell, width).padEnd(width);
        return column === RESULT && cell !== "ok" && cell !== "RESULT" ? this.#paint(RED, text) : text;
      })
      .join("  ")
      .trimEnd();
  }

  #paint(style: string, text: string): string {
    return this.#color ? `${style}${text}${PLAIN}` : text;
  }
}

const cut = (text: string, width: number): string => (text.length > width ? `${text.slice(0, width - 1)}…` : text);

const cellsOf = (record: AuditRecord): readonly string[] =>
  [
    record.eventTime.replace("T", " ").replace("Z", ""),
    principalOf(record),
    record.eventName,
    keyOf(record),
    record.errorCode ?? "ok",
    enclaveOf(record),
    contextOf(record),
  ].map(printable);

/** The user, or the role and its session. */
export function principalOf(record: AuditRecord): string {
  const { sessionContext } = record.userIdentity as { sessionContext?: { sessionIssuer?: { userName?: string } } };
  const role = sessionContext?.sessionIssuer?.userName;
  const name = usernameOf(record) ?? "-";
  return role === undefined ? name : `${role}/${name}`;
}

/** Its id, also of a call that named an alias; what the call named, if there is no such key. */
function keyOf({ requestParameters, resources }: AuditRecord): string {
  const arn = resources.find(({ ARN }) => ARN.includes(":key/"))?.ARN;
  if (arn !== undefined) return arn.slice(arn.indexOf(":key/") + 5);
  const named = requestParameters?.keyId;
  return typeof named === "string" ? named.slice(Math.max(0, named.indexOf("alias/"))) : "-";
}

/** The part of the module id that names the enclave and not its instance. */
function enclaveOf({ additionalEventData }: AuditRecord): string {
  const moduleId = additionalEventData?.recipient?.attestationDocumentModuleId;
  return moduleId === undefined ? "-" : moduleId.slice(moduleId.lastIndexOf("-") + 1);
}

function contextOf({ requestParameters }: AuditRecord): string {
  const context = requestParameters?.encryptionContext ?? requestParameters?.sourceEncryptionContext;
  if (typeof context !== "object" || context === null) return "";
  return Object.entries(context)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(" ");
}

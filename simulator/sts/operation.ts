/** What an operation of STS is given, and the members that several have. */
import { z } from "zod";
import type { AwsRequest } from "../endpoint/service.js";
import type { IssuedKey } from "../iam/access-keys.js";
import type { Principals } from "../iam/principals.js";
import type { CallTrace } from "../kms/operation.js";
import { patterned } from "../kms/schema.js";
import type { Members } from "./query.js";
import type { XmlContent } from "./xml.js";

export interface StsCall {
  readonly members: Members;
  readonly key: IssuedKey;
  readonly region: string;
  readonly now: Date;
  readonly request: AwsRequest;
  readonly principals: Principals;
  /** What the audit record is made from; filled as far as the call gets, with nothing secret in it. */
  readonly trace: Pick<CallTrace, "parameters" | "resources" | "questions" | "shownAnswer">;
}

export interface StsOperation {
  readonly name: string;
  /** @throws AwsError */
  run(call: StsCall): XmlContent;
}

/** A number, which a form has as text. */
export const integer = (min: number, max: number) =>
  z.preprocess(
    (value) => (typeof value === "string" && /^-?\d{1,10}$/.test(value) ? Number(value) : value),
    z.int().min(min).max(max),
  );

/** A list; of an empty one a form has only the name. */
export const listOf = <Item extends z.ZodType>(item: Item, max: number) =>
  z.preprocess((value) => (value === "" ? [] : value), z.array(item).max(max));

export const serialNumber = patterned("[\\w+=/:,.@-]*", 9, 256);
/** A code is a secret for as long as it is good, and one that is mistyped tells of it: no error shows it. */
export const tokenCode = z
  .string()
  .refine((code) => code.length >= 6, { params: { constraint: "Member must have length greater than or equal to 6" } })
  .refine((code) => code.length <= 6, { params: { constraint: "Member must have length less than or equal to 6" } })
  .refine((code) => /^\d*$/.test(code), {
    params: { constraint: "Member must satisfy regular expression pattern: [\\d]*" },
  });

/** ExplainRequest: why a call was allowed or refused, by its request id. Calls between other accounts are nobody's to see. */
import { z } from "zod";
import { notFound, validationError } from "../errors.js";
import type { Decisions } from "../iam/decisions.js";
import type { ControlOperation } from "./control-service.js";

const input = z.strictObject({ RequestId: z.string().min(1).max(128).optional() });

export const explainOperation = (decisions: Decisions): readonly [string, ControlOperation] => [
  "ExplainRequest",
  (json, { accountId }) => {
    const parsed = input.safeParse(json);
    if (!parsed.success) throw validationError(`This is no request to explain:\n${z.prettifyError(parsed.error)}`);
    const { RequestId } = parsed.data;
    const call = decisions.explain(accountId, RequestId);
    if (call !== undefined) return { ...call };
    throw notFound(
      RequestId === undefined
        ? "No call has been refused for want of permission"
        : `There is no call ${RequestId} among the newest`,
    );
  },
];

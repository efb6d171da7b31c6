/** `nitro-decrypt kms explain`: why a call to a simulated KMS was allowed or refused, policy by policy. */
import { z } from "zod";
import { CONTROL_SERVICE, CONTROL_TARGET_PREFIX } from "../../simulator/control/control-service.js";
import type { ExplainedCall } from "../../simulator/iam/decisions.js";
import { formatExplanation } from "../../simulator/iam/format-explanation.js";
import { defineCommand } from "../command.js";
import { parseOptions } from "../options.js";
import { call, readConnection } from "./connection.js";

const usage = `Explains the decision on a call to a simulated KMS that runs: every policy that was asked, every statement, and what
did not match, with the wanted and the actual values of conditions under one another.

Usage: nitro-decrypt kms explain --folder FOLDER [--request ID]

  --folder FOLDER   the --folder of the running "nitro-decrypt kms"
  --request ID      the call's request id, which every AWS SDK shows with an error; the newest refused call if left out
  --json            the explanation as JSON
  --help            this text

The newest 1000 calls can be explained, fewer if they are large. Policies are shown as they were at the call.
`;

const OPTIONS = { folder: { type: "string" }, request: { type: "string" }, json: { type: "boolean" } } as const;

const answerSchema = z.looseObject({ eventName: z.string(), requestId: z.string(), decisions: z.array(z.unknown()) });

export const explain = defineCommand({
  name: "kms explain",
  summary: "why a call to a simulated KMS was allowed or refused",
  usage,
  async execute(argv, io) {
    const options = parseOptions(argv, OPTIONS);
    const connection = await readConnection(options.folder, io);
    const operation = { service: CONTROL_SERVICE, target: `${CONTROL_TARGET_PREFIX}ExplainRequest` };
    const input = options.request === undefined ? {} : { RequestId: options.request };
    const answer = answerSchema.parse(await call(connection, operation, input, io));
    io.stdout(options.json ? `${JSON.stringify(answer)}\n` : describe(answer as unknown as ExplainedCall));
    return 0;
  },
});

function describe({ eventName, eventTime, requestId, errorCode, decisions }: ExplainedCall): string {
  const head = `${eventName}, ${eventTime}, request ${requestId}${errorCode === undefined ? "" : `: ${errorCode}`}\n`;
  if (decisions.length === 0) return `${head}It came to no decision: it failed before, or needs no permission.\n`;
  return `${head}\n${decisions.map(formatExplanation).join("\n\n")}\n`;
}

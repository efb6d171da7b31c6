/** How the guest tells the host what it found: lines on its console among all others. */
import { z } from "zod";

const PREFIX = "@result ";

const resultSchema = z.union([
  /** What the guest is about to do. */
  z.strictObject({ step: z.string() }),
  /** A check that came to its end, and why it failed if it did. */
  z.strictObject({ name: z.string(), ms: z.number(), failure: z.string().optional() }),
  /** The last one: all checks were run. */
  z.strictObject({ end: z.literal(true) }),
]);
export type Result = z.infer<typeof resultSchema>;

export const formatResult = (result: Result): string => `${PREFIX}${JSON.stringify(result)}`;

/** The result that a line of the console holds, if it is one. */
export function parseResult(line: string): Result | undefined {
  const start = line.indexOf(PREFIX); // something else may have begun the line
  if (start < 0) return undefined;
  try {
    return resultSchema.parse(JSON.parse(line.slice(start + PREFIX.length)));
  } catch {
    return undefined; // a line that was cut by the kernel's: its check is missing, which is a failure
  }
}

/** Amazon Resource Names of KMS, as the IAM user guide writes them: `arn:partition:service:region:account:resource`. */

export interface Arn {
  readonly partition: string;
  readonly service: string;
  readonly region: string;
  readonly accountId: string;
  readonly resource: string;
}

/** The parts of `text`, or undefined if it is not an ARN. */
export function parseArn(text: string): Arn | undefined {
  const [prefix, partition = "", service = "", region = "", accountId = "", ...rest] = text.split(":");
  const resource = rest.join(":");
  if (prefix !== "arn" || partition === "" || service === "" || resource === "") return undefined;
  return { partition, service, region, accountId, resource };
}

/** Every partition. */
const PARTITIONS: ReadonlySet<string> = new Set([
  "aws",
  "aws-cn",
  "aws-eusc",
  "aws-iso",
  "aws-iso-b",
  "aws-iso-e",
  "aws-iso-f",
  "aws-us-gov",
]);

/** Whether AWS has that partition. */
export const isPartition = (text: string): boolean => PARTITIONS.has(text);

/** The partition that a Region belongs to (General Reference, "Amazon Resource Names"). */
export function partitionOf(region: string): string {
  if (region.startsWith("cn-")) return "aws-cn";
  if (region.startsWith("us-gov-")) return "aws-us-gov";
  if (region.startsWith("eusc-")) return "aws-eusc";
  if (region.startsWith("us-isob-")) return "aws-iso-b";
  if (region.startsWith("us-isof-")) return "aws-iso-f";
  if (region.startsWith("us-iso-")) return "aws-iso";
  if (region.startsWith("eu-isoe-")) return "aws-iso-e";
  return "aws";
}

/** The domain that a Region's endpoints end in. */
export function dnsSuffixOf(region: string): string {
  const suffixes: Readonly<Record<string, string>> = {
    "aws-cn": "amazonaws.com.cn",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
  };
  return suffixes[partitionOf(region)] ?? "amazonaws.com";
}

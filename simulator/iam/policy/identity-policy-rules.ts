/**
 * What IAM refuses in an identity policy beyond the grammar (IAM User Guide, "IAM JSON policy elements: Resource" and
 * "… Sid"), in its words.
 */
import { malformedPolicy } from "../../errors.js";
import { isPartition } from "../arn.js";
import type { Statement } from "./document.js";

/** A key policy's statement ids may have spaces; these may not. @throws AwsError MalformedPolicyDocumentException */
export function assertSid({ Sid = "" }: Statement): void {
  if (!/^[A-Za-z0-9]*$/.test(Sid)) {
    throw malformedPolicy(
      "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
    );
  }
}

/** @throws AwsError MalformedPolicyDocumentException */
export function assertArns({ Resource, NotResource }: Statement): void {
  for (const resource of Resource ?? NotResource ?? []) if (resource !== "*") assertArn(resource);
}

function assertArn(resource: string): void {
  const [prefix, partition, service, region, ...rest] = resource.split(":");
  if (partition !== undefined && !isPartitionPattern(partition)) throw wrongPartition(resource);
  if (partition === undefined || prefix !== "arn") {
    throw malformedPolicy(`Resource ${resource} must be in ARN format or "*".`);
  }
  if (service === undefined || hasWildcard(service)) {
    throw malformedPolicy("Resource vendor must be fully qualified and cannot contain regexes.");
  }
  if (service === "" || (rest.length < 2 && resource.includes("::"))) {
    throw malformedPolicy("The policy failed legacy parsing");
  }
  if (service === "iam" && region !== undefined && region !== "") {
    throw malformedPolicy(`IAM resource ${resource} cannot contain region information.`);
  }
}

const hasWildcard = (text: string): boolean => /[*?]/.test(text);

const isPartitionPattern = (text: string): boolean => isPartition(text) || hasWildcard(text);

/** IAM shows the ARN as it was taken apart, with an asterisk for what is not there. */
function wrongPartition(resource: string) {
  const [, partition = "", service = "*", region = "*", account = "*", ...rest] = resource.split(":");
  const shown = ["arn", partition, service, region, account, rest.length === 0 ? "*" : rest.join(":")].join(":");
  return malformedPolicy(`Partition "${partition}" is not valid for resource "${shown}".`);
}

/** docs/simulated-kms.md: what it lists is there, what it says to type exists, and what it shows is so. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { kms } from "../cli/kms.js";
import { faultPlan } from "../simulator/endpoint/faults.js";
import { explainAuthorization } from "../simulator/iam/explanation.js";
import { formatExplanation } from "../simulator/iam/format-explanation.js";
import { compileKeyPolicy } from "../simulator/iam/policy/compile.js";
import { OPERATIONS } from "../simulator/kms/operations/table.js";
import { recordedIo } from "./support/io.js";
import { projectRoot } from "./support/project.js";

const page = readFileSync(join(projectRoot, "docs/simulated-kms.md"), "utf8");

/** The fenced block after `<!-- marker -->`. */
function blockAfter(marker: string): string {
  const start = page.indexOf("```", page.indexOf(`<!-- ${marker} -->\n\`\`\``));
  const body = page.indexOf("\n", start) + 1;
  return page.slice(body, page.indexOf("```", body));
}

it("lists every operation once", () => {
  const table = page.slice(page.indexOf("<!-- operations -->"), page.indexOf("Key specs:"));
  const rows = [...table.matchAll(/^\| ([^|]+) \| ([A-Z][^|]+) \|$/gm)];
  expect(rows.flatMap(([, , names = ""]) => names.split(", ")).sort()).toEqual([...OPERATIONS.keys()].sort());
});

it("shows a fault plan that is one", () => {
  expect(faultPlan.parse(JSON.parse(blockAfter("fault plan"))).faults).toHaveLength(6);
});

describe("the commands", () => {
  const calls = [...page.matchAll(/nitro-decrypt kms ?([a-z]*)([^`\n]*)/g)].map(([, name = "", rest = ""]) => ({
    name,
    options: [...rest.matchAll(/--[a-z][a-z-]*/g)].map(([option]) => option),
  }));

  it("are those of nitro-decrypt, with options that they have", async () => {
    expect(new Set(calls.map(({ name }) => name))).toEqual(new Set(["", "explain", "faults", "audit", "cost"]));
    for (const { name, options } of calls) {
      const io = recordedIo({});
      expect(await kms.run([...(name === "" ? [] : [name]), "--help"], io)).toBe(0);
      expect(options.filter((option) => !io.out.match(/--[\w-]+/g)?.includes(option))).toEqual([]);
    }
  });
});

it("shows the explanation of a Decrypt for another image than the policy's", () => {
  const key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
  const role = "arn:aws:iam::111122223333:role/enclave-parent";
  const pcr = (end: string): string => "a0".repeat(24) + end.repeat(24);
  const policy = {
    Version: "2012-10-17",
    Statement: [
      {
        ...{ Sid: "Administrators", Effect: "Allow", Principal: { AWS: "arn:aws:iam::111122223333:role/admin" } },
        ...{ Action: "kms:*", Resource: "*" },
      },
      {
        ...{ Sid: "Enclave", Effect: "Allow", Principal: { AWS: role }, Action: "kms:Decrypt", Resource: "*" },
        Condition: {
          StringEqualsIgnoreCase: { "kms:RecipientAttestation:PCR0": pcr("b1") },
          StringEquals: { "kms:EncryptionContext:tenant": "a" },
        },
      },
    ],
  };
  const explanation = explainAuthorization({
    principal: {
      kind: "session",
      arn: "arn:aws:sts::111122223333:assumed-role/enclave-parent/i-0123456789abcdef0",
      accountId: "111122223333",
      userId: "AROAEXAMPLE:i-0123456789abcdef0",
      roleArn: role,
      policies: [],
    },
    action: "kms:Decrypt",
    resource: {
      arn: key,
      accountId: "111122223333",
      keyPolicy: compileKeyPolicy(JSON.stringify(policy)),
      grants: () => false,
    },
    values: new Map([
      ["kms:recipientattestation:pcr0", [pcr("c2")]],
      ["kms:encryptioncontext:tenant", ["a"]],
    ]),
  });
  expect(blockAfter("explain")).toBe(`${formatExplanation(explanation)}\n`);
});

/** deploy/policies.mjs prints what docs/deploy.md shows, and nothing for releases that pin too little. */
import { describe, expect, it } from "vitest";
import { blockAfter, keyPolicy, run } from "./page.js";

const ACCOUNT = "111122223333";
const arn = (name: string): string => `arn:aws:iam::${ACCOUNT}:role/${name}`;
const PRINCIPALS = [
  ...["--administrator", arn("key-admin"), "--encrypter", arn("writer")],
  ...["--role", arn("nitro-decrypt-parent"), "--context", "tenant"],
];
type Pcrs = Readonly<Record<number, string>>;
const PCRS: Pcrs = Object.fromEntries(
  [0, 1, 2, 16].map((index) => [
    index,
    String(index % 10)
      .repeat(95)
      .concat("a"),
  ]),
);

describe("deploy/policies.mjs", () => {
  it("prints the key policy of the document", () => {
    const shown = JSON.parse(blockAfter("deploy/policies.mjs key").replace(/<PCR(\d+)>/g, (_, n) => PCRS[n] ?? ""));
    const printed = JSON.parse(keyPolicy({ blue: PCRS }, PRINCIPALS).stdout);
    const [{ Action: cut }, ...rest] = shown.Statement;
    expect(printed.Statement.slice(1)).toEqual(rest);
    expect(printed.Statement[0]).toEqual({ ...shown.Statement[0], Action: expect.arrayContaining(cut) });
  });

  it("prints the role's policy of the document", () => {
    const shown = JSON.parse(blockAfter("deploy/policies.mjs role"));
    const { stdout } = run("policies.mjs", ["role", "--key", shown.Statement[0].Resource[0]]);
    expect(JSON.parse(stdout)).toEqual(shown);
  });

  it.each<[string, Record<number, unknown>, string]>([
    ["without PCR16", { ...PCRS, 16: undefined }, "PCR16 is not 96"],
    ["without PCR2", { ...PCRS, 2: undefined }, "PCR2 is not 96"],
    ["of debug mode", { ...PCRS, 0: "0".repeat(96) }, "PCR0 is zero"],
    ["cut", { ...PCRS, 1: "ab" }, "PCR1 is not 96"],
  ])("refuses a release %s", (_what, pcrs, message) => {
    const { status, stderr, stdout } = keyPolicy({ blue: pcrs }, PRINCIPALS);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toContain(message);
  });

  it.each([[[]], [["else"]], [["key"]], [["role"]], [["trust", "--unknown"]]])("refuses %j as wrong usage", (args) => {
    expect(run("policies.mjs", args).status).toBe(2);
  });

  it("gives the role to EC2 alone", () => {
    const { Statement } = JSON.parse(run("policies.mjs", ["trust"]).stdout);
    expect(Statement).toMatchObject([{ Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" }]);
  });
});

/** `nitro-decrypt context lint`: from arguments, JSON, headers; what a configuration adds; no value is printed. */
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { configuredPairs } from "../../../cli/context/configured-pairs.js";
import { context } from "../../../cli/context.js";
import { utf8 } from "../../../shared/bytes.js";
import { sdkMessage } from "../../support/esdk-message.js";
import { testFolder } from "../../support/folder.js";
import { recordedIo } from "../../support/io.js";
import { projectRoot } from "../../support/project.js";

async function run(args: readonly string[], input?: string) {
  const io = recordedIo(input === undefined ? {} : { input: utf8(input) });
  const exitCode = await context.run(["lint", ...args], io);
  return { exitCode, out: io.out, err: io.err };
}

function file(content: string | Uint8Array): string {
  const path = join(testFolder(), "file");
  writeFileSync(path, content);
  return path;
}

const configuration = JSON.parse(readFileSync(join(projectRoot, "test/readme/enclave.json"), "utf8"));
const configured = (changes: object, authorization: object = {}): string =>
  JSON.stringify({ ...configuration, ...changes, authorization: { ...configuration.authorization, ...authorization } });

describe("context lint", () => {
  it("has nothing to say of a clean context", async () => {
    expect(await run(["tenant=acme", "query=a=b"])).toEqual({
      exitCode: 0,
      out: "1 context: 0 serious, 0 minor\n",
      err: "",
    });
  });

  it("warns of serious things with exit code 1, without the value", async () => {
    const { exitCode, out } = await run(["tenant=acme", "user=alice@example.com"]);
    expect(exitCode).toBe(1);
    expect(out).toContain("arguments: serious: CONTEXT_PERSONAL_DATA: the pair user holds an e-mail address");
    expect(out).not.toContain("alice");
  });

  it("warns of minor things with exit code 0", async () => {
    expect(await run(["--pairs", file("{}")])).toMatchObject({ exitCode: 0 });
  });

  it("reads a list of contexts from stdin, and reports in JSON", async () => {
    const { exitCode, out } = await run(["--pairs", "-", "--json"], '[{"tenant":"acme"},{"password":"x1"}]');
    expect(exitCode).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      contexts: [{ source: "stdin, 1", warnings: [] }, { warnings: [{ code: "CONTEXT_SECRET", pair: "password" }] }],
      serious: 1,
      minor: 0,
    });
  });

  it("reads the headers of messages, without the pair that the SDK adds", async () => {
    const clean = file(await sdkMessage(utf8("x"), { suite: 0x0578, context: { tenant: "acme" } }));
    const wrong = file(await sdkMessage(utf8("x"), { suite: 0x0478, context: { ssn: "123-45-6789" } }));
    expect(await run(["--message", clean])).toMatchObject({ exitCode: 0, out: "1 context: 0 serious, 0 minor\n" });
    const { exitCode, out } = await run(["--message", clean, "--message", wrong]);
    expect(exitCode).toBe(1);
    expect(out).toContain(`${wrong}: serious: CONTEXT_PERSONAL_DATA`);
  });

  it("demands what a configuration requires, and advises what its policies ask about", async () => {
    const config = file(configured({ messages: { requiredPairs: ["record"] } }));
    const { exitCode, out } = await run(["purpose=billing", "--expect", "region", "--config", config]);
    expect(exitCode).toBe(1);
    expect(out.match(/: \w+: CONTEXT_\w+: the pair \w+/g)).toEqual([
      ": serious: CONTEXT_PAIR_MISSING: the pair region",
      ": serious: CONTEXT_PAIR_MISSING: the pair record",
      ": minor: CONTEXT_PAIR_ABSENT: the pair tenant",
    ]);
  });
});

describe("context lint is used wrongly", () => {
  it.each([
    ["with nothing to look at", [], 2, "expected NAME=VALUE, --pairs FILE or --message FILE"],
    ["with what is no pair, which it does not repeat", ["hunter2"], 2, "argument 1 is no pair"],
    ["with a name twice", ["a=1", "a=2"], 2, "argument 2 gives a name for the second time"],
    ["with a file that is not there", ["--pairs", "/nonexistent/pairs"], 2, "there is no such file"],
    ["with a message that is not there", ["--message", "/nonexistent/message"], 1, "there is no such file"],
  ])("%s", async (_, args, exitCode, message) => {
    const outcome = await run(args);
    expect(outcome).toMatchObject({ exitCode, out: "" });
    expect(outcome.err).toContain(message);
    expect(outcome.err).not.toContain("hunter2");
  });

  it.each([
    ["JSON that is no context", '{"tenant": 1}'],
    ["a file that is no JSON", "tenant=acme"],
    ["an empty list", "[]"],
  ])("%s", async (_, content) => {
    expect(await run(["--pairs", file(content)])).toMatchObject({ exitCode: 1 });
  });

  it("a file that is no message, and a link to one", async () => {
    const message = file(await sdkMessage(utf8("x"), { suite: 0x0478 }));
    const link = join(testFolder(), "link");
    symlinkSync(message, link);
    for (const path of [file("no message"), link]) {
      expect(await run(["--message", path])).toMatchObject({ exitCode: 1, out: "" });
    }
  });

  it("another subcommand", async () => {
    const io = recordedIo();
    expect(await context.run(["check"], io)).toBe(2);
    expect(io.err).toContain('expected lint, got "check"');
  });
});

describe("configuredPairs", () => {
  it("has the tenant's pair where data keys are kept by it", () => {
    const dataKeys = { kind: "cached", maxAgeSeconds: 60, maxMessages: 10, maxBytes: 1_000_000, capacity: 10 };
    const bytes = utf8(configured({ messages: { tenantPair: "customer", dataKeys } }));
    expect(configuredPairs(bytes).expectedPairs).toEqual(["customer"]);
  });

  it("has what the schema does not leave optional, and what policies read in any way", () => {
    const schema = `${configuration.authorization.schema.join("\n")}`.replace(
      "{ tenant?: String }",
      "{ tenant: String, purpose?: String, region?: String }, encryptionContextKeys: Set<String>",
    );
    const policies = `permit(principal, action, resource) when { context.encryptionContext.tenant == principal.tenant };
      forbid(principal, action, resource) unless { context.encryptionContext has purpose };
      forbid(principal, action, resource) when { context has encryptionContext.region };
      forbid(principal, action, resource) unless { context.encryptionContextKeys.contains("case") };`;
    expect(configuredPairs(utf8(configured({}, { schema, policies })))).toEqual({
      expectedPairs: ["tenant"],
      policyPairs: ["tenant", "purpose", "region", "case"],
    });
  });

  it("refuses what is no configuration", () => {
    expect(() => configuredPairs(utf8("{}"))).toThrowCode("ERR_CONFIGURATION");
  });
});

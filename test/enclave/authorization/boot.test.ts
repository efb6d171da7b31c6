/** What an enclave refuses to start with: schemas and policies that do not hold, each one change from the example. */
import { describe, expect, it } from "vitest";
import { ServiceError } from "../../../shared/errors.js";
import { ACTIONS, POLICIES, policyOf, REQUEST, SCHEMA } from "./example.js";

/** The message with which a configuration is refused. */
function refusalOf(change: Parameters<typeof policyOf>[0]): string {
  expect(() => policyOf(change)).toThrowCode("ERR_CONFIGURATION");
  try {
    policyOf(change);
  } catch (error) {
    if (error instanceof ServiceError) return error.message;
  }
  throw new Error("it was not refused");
}

/** The example with one text of the schema replaced. */
function refusalOfSchema(from: string, to: string): string {
  expect(SCHEMA).toContain(from);
  return refusalOf({ schema: SCHEMA.replace(from, to), policies: "" });
}

describe("a schema", () => {
  it("of the example is taken, without policies too", () => {
    expect(() => policyOf()).not.toThrow();
    expect(() => policyOf({ policies: "" })).not.toThrow();
  });

  it("that does not parse is refused with its line, in bytes as Cedar counts and not in characters", () => {
    const message = refusalOfSchema("entity Alias;", "// ünïcödé 😀😀😀\nentity Alias");
    expect(message).toMatch(
      /^authorization\.schema, line 11: failed to parse schema.*unexpected token `entity` \(expected /,
    );
  });

  it("that means nothing is refused in Cedar's words", () => {
    expect(refusalOfSchema("tenant: String,\n", "tenant: Txt,\n")).toContain("Txt");
    expect(refusalOfSchema('action "open";', 'action "open" in ["decrypt"];')).toContain("cycle in action hierarchy");
  });

  it("that hides a name of Cedar's is refused", () => {
    const message = refusalOfSchema("entity Alias;", "entity Alias;\nnamespace N { entity String; }");
    expect(message).toMatch(/^authorization\.schema, line 10: The name `String` shadows a builtin Cedar name/);
  });

  it.each([
    [
      "an action that the enclave serves",
      '"decrypt", "messages/decrypt" in',
      '"decrypt" in',
      'expected the action "messages/decrypt", which the enclave serves',
    ],
    [
      "the principal of an action",
      'action "random" appliesTo { principal: Caller',
      'action "random" appliesTo { principal: Key',
      'action "random": expected it to apply to principal Caller',
    ],
    [
      "the resource of an action",
      "principal: Caller, resource: Enclave",
      "principal: Caller, resource: Key",
      'action "random": expected it to apply to resource Enclave',
    ],
    ["aliases as parents of keys", "entity Key in [Alias];", "entity Key;", "entity Key: expected it to be in [Alias]"],
  ])("that lacks %s is refused", (_, from, to, message) => {
    expect(refusalOfSchema(from, to)).toBe(`authorization.schema: ${message}`);
  });

  it("is checked against every resource that an action is served for", () => {
    const actions = [...ACTIONS, { name: "functions/score", resources: ["Key", "Enclave"] as const }];
    const declare = (resources: string) =>
      `${SCHEMA}action "functions/score" appliesTo { principal: Caller, resource: ${resources}, context: Request };`;
    expect(() => policyOf({ schema: declare("[Enclave, Key]"), actions })).not.toThrow();
    expect(refusalOf({ schema: declare("[Key]"), actions })).toBe(
      'authorization.schema: action "functions/score": expected it to apply to resource Enclave',
    );
  });

  it("does not declare an action by a name that every object has", () => {
    const message = refusalOf({ actions: [{ name: "constructor", resources: [] }] });
    expect(message).toBe('authorization.schema: expected the action "constructor", which the enclave serves');
  });

  it.each([
    [
      "attributes of keys",
      "entity Key in [Alias];",
      "entity Key in [Alias] { owner?: String };",
      "entity Key: expected no attributes",
    ],
    [
      "attributes of the enclave",
      "entity Enclave;",
      "entity Enclave { owner?: String };",
      "entity Enclave: expected no attributes",
    ],
    [
      "tags",
      "entity Key in [Alias];",
      "entity Key in [Alias] tags String;",
      "entity Key: expected neither enum nor tags",
    ],
    [
      "a list of enclaves",
      "entity Enclave;",
      'entity Enclave enum ["enclave"];',
      "entity Enclave: expected neither enum nor tags",
    ],
    [
      "parents of callers",
      "entity Caller {",
      "entity Group;\nentity Caller in [Group] {",
      "entity Caller: expected no parents",
    ],
    ["parents of aliases", "entity Alias;", "entity Alias in [Alias];", "entity Alias: expected no parents"],
    [
      "further parents of keys",
      "entity Key in [Alias];",
      "entity Vault;\nentity Key in [Alias, Vault];",
      "entity Key: expected it to be in [Alias]",
    ],
    [
      "further context",
      "channel: String,",
      "channel: String, address?: String,",
      'action "decrypt", context.address: expected encryptionContext, encryptionContextKeys, channel, bytes, time only',
    ],
  ])("that declares %s, which no request has, is refused", (_, from, to, message) => {
    expect(refusalOfSchema(from, to)).toBe(`authorization.schema: ${message}`);
  });

  it.each([
    ["channel: String", "channel: Long", "context.channel: expected String"],
    ["bytes: Long", "bytes: String", "context.bytes: expected Long"],
    ["time: datetime", "time: String", "context.time: expected datetime"],
    [
      "encryptionContextKeys: Set<String>",
      "encryptionContextKeys: Set<Long>",
      "context.encryptionContextKeys: expected Set<String>",
    ],
    ["purpose?: String", "purpose?: Long", "context.encryptionContext: expected a record of Strings"],
    ["purpose?: String", "__entity?: String", "context.encryptionContext: expected a record of Strings"],
    ["{ tenant?: String, purpose?: String }", "Set<String>", "context.encryptionContext: expected a record of Strings"],
  ])("whose context has another type, %s as %s, is refused", (from, to, message) => {
    expect(refusalOfSchema(from, to)).toBe(`authorization.schema: action "decrypt", ${message}`);
  });

  it.each([
    ["datetime", "level"],
    ["ipaddr", "level"],
    ["Key", "level"],
    ["Set<decimal>", "level"],
    ["{ a: { b?: Alias } }", "level"],
    ["{ __extn: String }", "level"],
    ["Set<Set<Set<Set<Set<Set<Set<Set<Set<Long>>>>>>>>>", "level"],
    ["{a:{a:{a:{a:{a:{a:{a:{a:{a: Long}}}}}}}}}", "level"],
  ])("whose callers have an attribute of a type that no claim has, %s, is refused", (type, name) => {
    expect(refusalOfSchema("level?: Long", `level?: ${type}`)).toBe(
      `authorization.schema: entity Caller, attribute ${name}: expected String, Long, Bool, or Sets and records of them, 8 deep`,
    );
  });

  it.each(["Set<Set<Set<Set<Set<Set<Set<Set<Long>>>>>>>>", "{a:{a:{a:{a:{a:{a:{a:{a: Long}}}}}}}}"])(
    "whose callers have an attribute that is nested eight deep, %s, is taken",
    (type) => {
      expect(() => policyOf({ schema: SCHEMA.replace("level?: Long", `level?: ${type}`), policies: "" })).not.toThrow();
    },
  );

  it("may name its types, in other namespaces too", () => {
    const schema = `${SCHEMA.replace("roles?: Set<String>", "roles?: N::Roles").replace("bytes: Long", "bytes: Size")}
      type Size = __cedar::Long;
      namespace N { type Role = String; type Roles = Set<Role>; }`;
    const policies =
      'permit(principal, action, resource) when { principal has roles && principal.roles.contains("r") };';
    expect(() => policyOf({ schema, policies })).not.toThrow();
    const wrong = schema.replace("type Role = String", "type Role = ipaddr");
    expect(refusalOf({ schema: wrong, policies: "" })).toContain("attribute roles: expected");
  });
});

describe("policies", () => {
  it("that do not parse are refused with their line", () => {
    expect(refusalOf({ policies: POLICIES.replace("permit(principal == ", "permit(principal = ") })).toMatch(
      /^authorization\.policies, line 12: /,
    );
  });

  it.each([
    [
      "a misspelt attribute",
      "principal.tenant",
      "principal.tennant",
      4,
      "attribute `tennant` on entity type `Caller` not found (did you mean `tenant`?)",
    ],
    ["a misspelt pair", ".tenant ==", ".tenent ==", 4, "tenent"],
    [
      "an action that is not declared",
      'action == Action::"random"',
      'action == Action::"rand"',
      12,
      'unrecognized action `Action::"rand"`',
    ],
    [
      "an entity type that is not declared",
      "resource == Key",
      "resource == Keys",
      9,
      "unrecognized entity type `Keys`",
    ],
    [
      "an optional attribute that is not guarded",
      'context.channel == "parent"',
      "principal.level > 1",
      15,
      "unable to guarantee safety of access to optional attribute `level`",
    ],
    ["a type that does not fit", 'context.channel == "parent"', "context.channel == 1", 15, "types"],
    ["a condition that never holds", 'context.channel == "parent"', "false", 14, "policy is impossible"],
    [
      "a scope that never holds",
      'action == Action::"random", resource',
      'action == Action::"random", resource is Key',
      11,
      "unable to find an applicable action",
    ],
    ["letters of several scripts", '"parent"', '"p\u0430rent"', 15, "mixed scripts"],
  ])("with %s are refused with line and Cedar's words", (_, from, to, line, words) => {
    expect(POLICIES).toContain(from);
    const message = refusalOf({ policies: POLICIES.replace(from, to) });
    expect(message).toMatch(new RegExp(`^authorization\\.policies, line ${line}: `));
    expect(message).toContain(words);
  });

  it("are all named when several do not validate, up to five", () => {
    const policies = 'permit(principal, action, resource) when { principal.nothing == "x" };\n'.repeat(6);
    const message = refusalOf({ policies });
    expect(message.match(/line \d: for policy `policy\d`/g)).toEqual(
      [0, 1, 2, 3, 4].map((index) => `line ${index + 1}: for policy \`policy${index}\``),
    );
  });

  it("are static: a template is refused", () => {
    const policies = `${POLICIES}\n\npermit(principal == ?principal, action, resource);`;
    expect(refusalOf({ policies })).toBe(
      "authorization.policies, line 21: expected policies without slots, it has a template",
    );
  });

  it("have ids of their own: the same twice is refused", () => {
    expect(refusalOf({ policies: POLICIES.replace('@id("plain")', '@id("own cards")') })).toBe(
      'authorization.policies, line 8: expected every policy id once, "own cards" is also in line 2',
    );
  });

  it("may not take the id that another one has by its place", () => {
    const open = "permit(principal, action, resource);";
    expect(refusalOf({ policies: `@id("policy1") ${open}\n${open}` })).toBe(
      'authorization.policies, line 2: expected every policy id once, "policy1" is also in line 1',
    );
  });

  it.each(["@id", '@id("")', '@id("a,b")', '@id("a\\nb")', `@id("${"a".repeat(129)}")`])(
    "have ids that can stand in a log: %s is refused",
    (annotation) => {
      expect(refusalOf({ policies: POLICIES.replace('@id("plain")', annotation) })).toBe(
        "authorization.policies, line 8: expected an @id of letters, digits, spaces and . _ : / -, at most 128 of them",
      );
    },
  );

  it("are refused where they are no Unicode text", () => {
    const policies = POLICIES.replace('"parent"', '"p\ud800"');
    expect(refusalOf({ policies })).toContain("expected policies in Unicode text, without lone surrogates");
  });

  it.each([
    ["a chain", 31, (length: number) => Array.from({ length }, (_, i) => `context.bytes == ${i}`).join(" || ")],
    ["a sum", 31, (length: number) => `context.bytes < ${"1 + ".repeat(length)}1`],
    ["choices", 30, (length: number) => `${"if context.bytes < 0 then true else ".repeat(length)}true`],
    ["sets", 23, (length: number) => `${"[".repeat(length)}1${"]".repeat(length)}.isEmpty()`],
    ["brackets that mean nothing", 23, (length: number) => `${"(".repeat(length)}true${")".repeat(length)}`],
  ])(
    "whose conditions are too deep are refused, whether Cedar could evaluate them or not: %s",
    (_, most, condition) => {
      const policies = (length: number) => `\npermit(principal, action, resource) when { ${condition(length)} };`;
      expect(() => policyOf({ policies: policies(most) })).not.toThrow();
      expect(refusalOf({ policies: policies(most + 1) })).toBe(
        "authorization.policies, line 2: expected less depth, a chain of 30 or 24 brackets at most; sets have contains",
      );
    },
  );

  it("may have brackets in texts and comments, as many as they like", () => {
    const text = `"${"(".repeat(50)}\\"${"[".repeat(50)}"`;
    const policies = `permit(principal, action, resource) // ${"{".repeat(50)} "
      when { context.channel != ${text} };`;
    expect(() => policyOf({ policies })).not.toThrow();
  });

  it("without an id are named by their place in the text, whatever stands between them", () => {
    const policy = (channel: number) =>
      `// permit(principal, action, resource);\r\n  forbid(principal // who\r\n, action,\r\n resource) when { context.bytes == ${channel} };`;
    const policies = `permit(principal, action, resource);${Array.from({ length: 24 }, (_, i) => policy(i + 1)).join("\n\n")}`;
    const numbered = policyOf({ policies });
    for (const bytes of [1, 2, 9, 10, 11, 19, 20, 24]) {
      const decision = numbered.decide({ ...REQUEST, bytes });
      expect(decision).toMatchObject({ allowed: false, policyIds: [`policy${bytes}`] });
    }
    expect(numbered.decide({ ...REQUEST, bytes: 25 })).toMatchObject({ allowed: true, policyIds: ["policy0"] });
  });
});

/** Requests that break the service model are refused in AWS's words, member by member, before anything else is looked at. */
import type { KMSClient } from "@aws-sdk/client-kms";
import { GenerateRandomCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { OPERATIONS } from "../../../simulator/kms/operations/table.js";
import { errorOf, kmsClient } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";
import type { Member, Members } from "./service-model.js";
import { SERVICE_MODEL } from "./service-model.js";

const clock = clockAt();
let kms: SimulatedKms;
let client: KMSClient;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  client = kmsClient(kms, clock);
});

afterAll(async () => {
  client.destroy();
  await kms.close();
});

/** The error that a request ends with whose JSON the SDK did not write. */
function refusalOf(operation: string, input: object): Promise<{ name: string; message: string }> {
  const command = new GenerateRandomCommand({});
  const body = JSON.stringify(input);
  command.middlewareStack.add(
    (next) => (args) => {
      const { request } = args as { request: { body: string; headers: Record<string, string> } };
      request.body = body;
      request.headers["x-amz-target"] = `TrentService.${operation}`;
      request.headers["content-length"] = String(Buffer.byteLength(body));
      return next(args);
    },
    { step: "build", name: "replaceBody", priority: "low" },
  );
  return errorOf(client.send(command));
}

const atLeast = (what: string, limit = 0) => `Member must have ${what} greater than or equal to ${limit}`;
const atMost = (what: string, limit = 0) => `Member must have ${what} less than or equal to ${limit}`;
const anyOf = ({ shown, values = [] }: Member) =>
  `Member must satisfy enum value set: [${(shown ?? values).join(", ")}]`;

/** Values that break one constraint or more, as an error shows them, and the constraints in AWS's order. */
function* wrongValues(member: Member): Iterable<[value: unknown, shown: string, constraints: readonly string[]]> {
  const { kind, min = 0, max = 0, most = Infinity, pattern, sample } = member;
  const plain = (value: string | number): [unknown, string, readonly string[]] => [
    ...([value, `Value '${value}'`, broken(member, value)] as const),
  ];
  const list = (value: readonly string[], constraint: string): [unknown, string, readonly string[]] => [
    ...([value, `Value '[${value.join(", ")}]'`, [constraint]] as const),
  ];
  const items = (...constraints: readonly string[]) => `Member must satisfy constraint: [${constraints.join(", ")}]`;
  if (kind === "enum") yield plain("FOO");
  if (kind === "number") yield* [plain(min - 1), plain(max + 1)];
  if (kind === "blob") yield ["", "Value", [atLeast("length", min)]];
  if (kind === "blob") yield [Buffer.alloc(max + 1).toString("base64"), "Value", [atMost("length", max)]];
  if (kind === "text" && min > 0) yield plain("a".repeat(min - 1));
  if (kind === "text") yield plain("a".repeat(max + 1));
  if (pattern !== undefined) yield plain("\u0100".repeat(Math.max(min, 1)));
  if (kind === "texts") yield list(["a", "a".repeat(max + 1)], items(atMost("length", max), atLeast("length", min)));
  if (kind === "enums") yield list(["FOO"], items(anyOf(member)));
  if (most < Infinity)
    yield list(
      Array.from({ length: most + 1 }, () => String([sample].flat()[0])),
      atMost("length", most),
    );
}

/** The constraints of a text, a number or an enum that the value breaks. */
function broken(member: Member, value: string | number): readonly string[] {
  const { kind, min = 0, max = Infinity, values, pattern } = member;
  const what = typeof value === "number" ? "value" : "length";
  const size = typeof value === "number" ? value : value.length;
  const whole = new RegExp(`^(?:${pattern ?? ".*"})$`, "su");
  return [
    ...(size < min ? [atLeast(what, min)] : []),
    ...(size > max ? [atMost(what, max)] : []),
    ...(kind === "enum" && !values?.includes(String(value)) ? [anyOf(member)] : []),
    ...(whole.test(String(value)) ? [] : [`Member must satisfy regular expression pattern: ${String(pattern)}`]),
  ];
}

const memberName = (name: string) => name.charAt(0).toLowerCase() + name.slice(1);
const refusal = (failures: readonly string[]) => ({
  name: "ValidationException",
  message: `${failures.length} validation error${failures.length === 1 ? "" : "s"} detected: ${failures.join("; ")}`,
});
const nullAt = (name: string, { sensitive }: Member) =>
  `Value ${sensitive ? "" : "null "}at '${memberName(name)}' failed to satisfy constraint: Member must not be null`;

/** A request with which nothing is wrong but, at the latest, that its key does not exist. */
const baseline = (members: Members) =>
  Object.fromEntries(requiredOf(members).map(([name, { sample }]) => [name, sample]));
const requiredOf = (members: Members) => Object.entries(members).filter(([, member]) => member.required);

/** A request that is wrong in one member, and everything that is wrong with that. */
interface Case {
  readonly title: string;
  readonly input: object;
  readonly failures: readonly string[];
}

function* casesOf(members: Members): Iterable<Case> {
  const valid = baseline(members);
  for (const [name, member] of Object.entries(members)) {
    const { [name]: _left, ...others } = valid;
    if (member.required) yield { title: `without ${name}`, input: others, failures: [nullAt(name, member)] };
    for (const [value, shown, constraints] of wrongValues(member)) {
      const input = { ...valid, [name]: value };
      const failures = constraints.map(
        (text) => `${shown} at '${memberName(name)}' failed to satisfy constraint: ${text}`,
      );
      yield { title: `with ${name} ${JSON.stringify(value).slice(0, 20)}`, input, failures };
    }
  }
}

const OFFERED = Object.entries(SERVICE_MODEL).filter(([operation]) => OPERATIONS.has(operation));

describe.each(OFFERED)("%s", (operation, members) => {
  it("has nothing against a request that the service model allows", async () => {
    expect((await refusalOf(operation, baseline(members))).message).not.toContain("failed to satisfy constraint");
  });

  it("names every required member that is not there", async () => {
    const atOnce = requiredOf(members).filter(([name]) => name !== "CiphertextBlob"); // looked for after the others
    const failures = atOnce.map(([name, member]) => nullAt(name, member));
    const { message } = await refusalOf(operation, {});
    for (const failure of failures) expect(message).toContain(failure);
    if (failures.length > 1) expect(message).toContain(`${failures.length} validation errors detected: `);
  });

  it.each([...casesOf(members)])("is refused $title", async ({ input, failures }) => {
    expect(await refusalOf(operation, input)).toEqual(refusal(failures));
  });

  it.each(Object.keys(members))("is refused with %s of another type", async (name) => {
    const { name: error } = await refusalOf(operation, { ...baseline(members), [name]: { of: "another type" } });
    expect(error).toBe("SerializationException");
  });
});

describe("Tags", () => {
  it.each([
    ["tagKey", "", { TagKey: "", TagValue: "b" }, atLeast("length", 1)],
    ["tagKey", "a".repeat(129), { TagKey: "a".repeat(129), TagValue: "b" }, atMost("length", 128)],
    ["tagValue", "b".repeat(257), { TagKey: "a", TagValue: "b".repeat(257) }, atMost("length", 256)],
  ])("are refused by number and member: %s", async (name, value, tag, constraint) => {
    const Tags = [{ TagKey: "first", TagValue: "" }, tag];
    expect(await refusalOf("CreateKey", { Tags })).toEqual(
      refusal([`Value '${value}' at 'tags.2.member.${name}' failed to satisfy constraint: ${constraint}`]),
    );
  });
});

/** Requests and answers as CloudTrail shows them (KMS Developer Guide, "Log entry examples"): in its names, without secrets. */

/** Capabilities and documents: not byte strings all of them, and not recorded either. */
const UNRECORDED = new Set(["Recipient", "GrantTokens", "GrantToken", "SecretAccessKey", "SessionToken"]);

/** Members in CloudTrail's lower camel case, byte strings left out; null if there are none. */
export function elements(members: object): Readonly<Record<string, unknown>> | null {
  const recorded = Object.entries(members).filter(
    ([name, value]) => !UNRECORDED.has(name) && !(value instanceof Uint8Array) && value !== undefined,
  );
  if (recorded.length === 0) return null;
  return Object.fromEntries(recorded.map(([name, value]) => [camelCase(name), element(value)]));
}

/** Names that stand in a map are the caller's, and stay as they are. */
function element(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Date) return DATE.format(value).replace(/\u202f/g, " ");
  if (Array.isArray(value)) return value.filter((item) => !(item instanceof Uint8Array)).map(element);
  return typeof value === "object" && value !== null ? elements(value) : value;
}

/** `KeyId` becomes `keyId`; `AWSAccountId` stays. */
export const camelCase = (name: string): string =>
  /^[A-Z](?![A-Z])/.test(name) ? name.charAt(0).toLowerCase() + name.slice(1) : name;

/** As in `Aug 10, 2022, 10:38:27 PM`. */
const DATE = new Intl.DateTimeFormat("en-US", { dateStyle: "medium", timeStyle: "medium", timeZone: "UTC" });

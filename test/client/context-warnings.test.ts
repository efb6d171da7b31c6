/** onContextWarning: told once of each thing, before anything is sent, and nothing without it. */
import { describe, expect, it } from "vitest";
import { connectEnclave } from "../../client/connect.js";
import { contextWatch } from "../../client/context-warnings.js";
import { connectEnclaveTls } from "../../client/node/index.js";
import type { ContextWarning } from "../../shared/context-lint.js";
import { startStack } from "../e2e/stack.js";

function recorded(expectedContextPairs?: readonly string[]) {
  const told: ContextWarning[] = [];
  const watch = contextWatch({
    onContextWarning: (warning) => void told.push(warning),
    ...(expectedContextPairs === undefined ? {} : { expectedContextPairs }),
  });
  return { watch, codes: () => told.map(({ code, pair }) => (pair === undefined ? code : `${code} ${pair}`)) };
}

describe("contextWatch", () => {
  it("tells each code once for each name of a pair", () => {
    const { watch, codes } = recorded();
    for (const value of ["alice@example.com", "bob@example.com"]) watch({ user: value, password: "x" });
    watch({ other: "alice@example.com" });
    watch({ tenant: "acme" });
    watch(undefined);
    expect(codes()).toEqual(["CONTEXT_PERSONAL_DATA user", "CONTEXT_SECRET password", "CONTEXT_PERSONAL_DATA other"]);
  });

  it("tells of expected pairs that are missing", () => {
    const { watch, codes } = recorded(["tenant"]);
    watch({ record: "42" });
    expect(codes()).toEqual(["CONTEXT_PAIR_MISSING tenant"]);
  });

  it("tells 1000 warnings and no more (pitfall 15)", () => {
    const { watch, codes } = recorded();
    for (let index = 0; index < 1_100; index++) watch({ [`n${index}`]: "alice@example.com" });
    expect(codes()).toHaveLength(1_000);
  });

  it("refuses options that do not go together", () => {
    expect(() => contextWatch({ expectedContextPairs: ["tenant"] })).toThrow(TypeError);
    expect(() => contextWatch({ onContextWarning: "log" as unknown as () => void })).toThrow(TypeError);
  });
});

describe("a connected enclave", () => {
  it("tells of calls over both channels, streams too, and sends nothing when the handler throws", async () => {
    const stack = await startStack();
    const { trustAnchor } = stack.simulation;
    const told: string[] = [];
    const options = { trustAnchor, policy: stack.policy, token: stack.token };
    const onContextWarning = ({ code }: ContextWarning) => void told.push(code);
    const encryptionContext = { tenant: "acme", email: "alice@example.com" };
    const sealed = await connectEnclave(stack.parent.url, { ...options, onContextWarning });
    const { message } = await sealed.encryptMessage({ plaintext: new Uint8Array([1]), encryptionContext });
    expect(told.splice(0)).toEqual(["CONTEXT_PERSONAL_DATA"]);
    const { host, port } = stack.parent.tlsAddress ?? { host: "", port: 0 };
    const tls = await connectEnclaveTls(`https://${host}:${port}`, { ...options, onContextWarning });
    async function* parts() {
      yield message;
    }
    const { plaintext } = await tls.decryptMessageStream(parts(), { encryptionContext });
    for await (const part of plaintext) expect([...part]).toEqual([1]);
    tls.close();
    expect(told.splice(0)).toEqual(["CONTEXT_PERSONAL_DATA"]);
    const refusing = await connectEnclave(stack.parent.url, {
      ...options,
      onContextWarning: ({ code }) => {
        throw new RangeError(code);
      },
    });
    await expect(refusing.decryptMessage({ message, encryptionContext })).rejects.toThrow(RangeError);
  });
});

/** Credentials from the parent: refreshed ahead of their end, once at a time, and failures visible while the old ones last. */
import { describe, expect, it } from "vitest";
import { CredentialsCache } from "../../../enclave/kms/credentials.js";
import { ServiceError } from "../../../shared/errors.js";
import { memoryLog, settle, TestClock } from "../fakes.js";

const MINUTE = 60_000;

function setUp() {
  const clock = new TestClock();
  const log = memoryLog();
  let answer: () => unknown = () => document(60);
  let requests = 0;
  const services = {
    request: async () => {
      requests += 1;
      return JSON.stringify(answer());
    },
  };
  const document = (minutes: number, changes: object = {}) => ({
    accessKeyId: `ASIAEXAMPLE${requests}`,
    secretAccessKey: "top-secret",
    sessionToken: "session",
    expiration: new Date(clock.now().getTime() + minutes * MINUTE).toISOString(),
    ...changes,
  });
  const answerWith = (next: () => unknown) => {
    answer = next;
  };
  const failing = (): never => {
    throw new ServiceError("ERR_CREDENTIALS", "the parent is gone");
  };
  const credentials = new CredentialsCache({ services, clock, log });
  return { clock, log, credentials, document, answerWith, failing, requests: () => requests };
}

describe("CredentialsCache", () => {
  it("fetches once for all who ask", async () => {
    const { credentials, requests } = setUp();
    const all = await Promise.all([credentials.get(), credentials.get(), credentials.get()]);
    expect(all[0]).toEqual({ accessKeyId: "ASIAEXAMPLE1", secretAccessKey: "top-secret", sessionToken: "session" });
    await credentials.get();
    expect(requests()).toBe(1);
    expect(credentials.state).toEqual({ status: "valid", expiresInSeconds: 3600, failure: undefined });
  });

  it("refreshes by itself five minutes ahead of the end", async () => {
    const { clock, credentials, requests } = setUp();
    await credentials.get();
    clock.advance(55 * MINUTE - 1);
    expect(requests()).toBe(1);
    clock.advance(1);
    await settle();
    expect(requests()).toBe(2);
    expect((await credentials.get()).accessKeyId).toBe("ASIAEXAMPLE2");
  });

  it("a failed refresh shows in the state while the old ones last, and is tried again", async () => {
    const { clock, log, credentials, document, answerWith, failing, requests } = setUp();
    await credentials.get();
    answerWith(failing);
    clock.advance(55 * MINUTE);
    await settle();
    expect(credentials.state).toMatchObject({ status: "valid", failure: "ERR_CREDENTIALS" });
    expect((await credentials.get()).accessKeyId).toBe("ASIAEXAMPLE1");
    expect(log.entries).toEqual([
      expect.objectContaining({ level: "warn", fields: { code: "ERR_CREDENTIALS", reason: "the parent is gone" } }),
    ]);
    answerWith(() => document(60));
    clock.advance(15_000);
    await settle();
    expect(requests()).toBe(3);
    expect(credentials.state).toMatchObject({ status: "valid", failure: undefined });
  });

  it("credentials that have ended are not used", async () => {
    const { clock, credentials, answerWith, failing } = setUp();
    await credentials.get();
    answerWith(failing);
    clock.advance(61 * MINUTE);
    await settle();
    expect(credentials.state.status).toBe("expired");
    await expect(credentials.get()).rejects.toThrowCode("ERR_CREDENTIALS");
  });

  it("pitfall 12: setting the wall clock back does not make them last longer", async () => {
    const { clock, credentials, requests } = setUp();
    await credentials.get();
    clock.now = () => new Date(0);
    clock.advance(60 * MINUTE);
    await settle();
    expect(credentials.state.status).toBe("valid"); // refreshed, since the monotonic clock went on
    expect(requests()).toBeGreaterThan(1);
  });

  it("takes credentials without an end, and asks again within minutes", async () => {
    const { clock, credentials, document, answerWith, requests } = setUp();
    answerWith(() => document(0, { sessionToken: undefined, expiration: undefined }));
    expect(await credentials.get()).toEqual({ accessKeyId: "ASIAEXAMPLE1", secretAccessKey: "top-secret" });
    clock.advance(10 * MINUTE);
    await settle();
    expect(requests()).toBe(2);
  });

  it.each<[string, object]>([
    ["an unknown field", { roleArn: "arn" }],
    ["no secret", { secretAccessKey: undefined }],
    ["an end that is no date", { expiration: "tomorrow" }],
    ["an end that has passed", { expiration: "2020-01-01T00:00:00Z" }],
  ])("refuses %s", async (_, changes) => {
    const { credentials, document, answerWith } = setUp();
    answerWith(() => document(60, changes));
    await expect(credentials.get()).rejects.toThrowCode("ERR_CREDENTIALS");
    expect(credentials.state.failure).toBe("ERR_CREDENTIALS");
  });

  it("forgets them when it is closed, and leaves no timer", async () => {
    const { clock, credentials } = setUp();
    await credentials.get();
    credentials.close();
    expect(credentials.state.status).toBe("none");
    expect(clock.waiting).toBe(0);
  });
});

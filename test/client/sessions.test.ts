/** Sessions: one attestation for all who wait, made anew by age, and none left open. */
import { describe, expect, it } from "vitest";
import { Sessions } from "../../client/sessions.js";
import type { AppraisedAttestation } from "../../shared/attestation/appraise.js";
import { ServiceError } from "../../shared/errors.js";

const NOW = new Date("2026-11-23T10:00:00Z");
const HOUR = 3_600_000;

class TestSession {
  closed = 0;
  readonly attestation: AppraisedAttestation;

  constructor(leafNotAfter: Date) {
    this.attestation = { attestation: { leafNotAfter } } as AppraisedAttestation; // all that sessions look at
  }

  close(): void {
    this.closed += 1;
  }
}

function setUp({ maxAgeMs = HOUR, leafMs = HOUR } = {}) {
  const opened: TestSession[] = [];
  const held: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const open = async (): Promise<TestSession> => {
    await new Promise<void>((resolve, reject) => void held.push({ resolve, reject }));
    const session = new TestSession(new Date(NOW.getTime() + leafMs));
    opened.push(session);
    return session;
  };
  let nowMs = NOW.getTime();
  const sessions = new Sessions({ open, maxAgeMs, clock: () => new Date(nowMs) });
  const advance = (ms: number): void => {
    nowMs += ms;
  };
  /** A session, of which the opening is let through at once. */
  const next = async (): Promise<TestSession> => {
    const current = sessions.current();
    held.at(-1)?.resolve();
    return current;
  };
  return { sessions, opened, held, next, advance };
}

describe("Sessions", () => {
  it("all who need a session at the same time wait for the same one", async () => {
    const { sessions, opened, held } = setUp();
    const all = [sessions.current(), sessions.current(), sessions.current()];
    expect(held).toHaveLength(1);
    held[0]?.resolve();
    expect(new Set(await Promise.all(all)).size).toBe(1);
    expect(await sessions.current()).toBe(opened[0]);
    expect(opened).toHaveLength(1);
  });

  it("a failure is told to all who wait, and whoever comes next tries again", async () => {
    const { sessions, opened, held, next } = setUp();
    const all = [sessions.current(), sessions.current()];
    held[0]?.reject(new ServiceError("ERR_STALE", "too old"));
    for (const outcome of all) await expect(outcome).rejects.toThrowCode("ERR_STALE");
    expect(await next()).toBe(opened[0]);
    expect(held).toHaveLength(2);
  });

  it.each([
    ["its age", { maxAgeMs: Number.MIN_VALUE }],
    ["pitfall 11: the end of the leaf certificate", { leafMs: 0 }],
  ])("is replaced after %s, and the old one closed", async (_, limits) => {
    const { next, sessions } = setUp(limits);
    const first = await next();
    const second = await next();
    expect(second).not.toBe(first);
    expect([first.closed, second.closed]).toEqual([1, 0]);
    expect(sessions.latest).toBe(second);
  });

  it("pitfall 11: is replaced once the leaf has ended, though the monotonic clock stood still meanwhile", async () => {
    const { next, advance } = setUp();
    const first = await next();
    advance(HOUR - 1);
    expect(await next()).toBe(first);
    advance(1);
    expect(await next()).not.toBe(first);
  });

  it("one that the enclave refused is replaced once for all who say so", async () => {
    const { sessions, held, opened, next } = setUp();
    const refused = await next();
    const both = [sessions.renewed(refused), sessions.renewed(refused)];
    held.at(-1)?.resolve();
    const [first, second] = await Promise.all(both);
    expect(first).toBe(second);
    expect(first).not.toBe(refused);
    expect(await sessions.renewed(refused)).toBe(first); // whoever comes late gets the one that is there
    expect(opened).toHaveLength(2);
  });

  it("whoever gives up ends nothing for those who still wait", async () => {
    const { sessions, held, opened } = setUp();
    const leaving = new AbortController();
    const left = sessions.current(leaving.signal);
    const stays = sessions.current();
    leaving.abort(new Error("no longer needed"));
    await expect(left).rejects.toBe(leaving.signal.reason);
    held[0]?.resolve();
    expect(await stays).toBe(opened[0]);
  });

  it("whoever has given up before opens nothing", async () => {
    const { sessions, held } = setUp();
    const reason = new Error("no longer needed");
    await expect(sessions.current(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(held).toEqual([]);
  });

  it("closes the session in use, and the one that is being opened when it closes", async () => {
    const used = setUp();
    const session = await used.next();
    used.sessions.close();
    expect(session.closed).toBe(1);
    await expect(used.sessions.current()).rejects.toBeInstanceOf(TypeError);

    const opening = setUp();
    const waiting = opening.sessions.current();
    opening.sessions.close();
    opening.held[0]?.resolve();
    await expect(waiting).rejects.toBeInstanceOf(TypeError);
    expect(opening.opened[0]?.closed).toBe(1);
    expect(opening.sessions.latest).toBeUndefined();
  });
});

/** The certificate in use: rotated by age, renewed through the parent, and kept when anything fails. */
import { beforeAll, describe, expect, it } from "vitest";
import { createCertificateSource } from "../../../enclave/channels/certificate-source.js";
import type { ServedCertificate } from "../../../enclave/channels/served-certificate.js";
import { TlsIdentity } from "../../../enclave/channels/tls-identity.js";
import type { TlsConfiguration } from "../../../enclave/configuration.js";
import { ServiceError } from "../../../shared/errors.js";
import { memoryLog, settle, TestClock } from "../fakes.js";
import type { Issued, WebPki } from "./web-pki.js";
import { at, createWebPki, DAY, FakeKeyStore, HOUR, issueServer, providedBy } from "./web-pki.js";

const CHECK_MS = HOUR;

let pki: WebPki;
let server: Issued;
beforeAll(async () => {
  pki = await createWebPki();
  server = await issueServer(pki.intermediate);
});

/** Keys are made and opened on other threads: more than a turn of the event loop. */
async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await settle();
}

function setUp(configuration: TlsConfiguration, keyStore = new FakeKeyStore()) {
  const clock = new TestClock();
  const log = memoryLog();
  const parent: { offer: () => Promise<string | undefined>; asked: number } = {
    offer: async () => undefined,
    asked: 0,
  };
  const time = { now: async () => clock.now() };
  const source = createCertificateSource(configuration, {
    trustedTime: () => time.now(),
    openPrivateKey: keyStore.open,
    fetchRenewal: () => {
      parent.asked += 1;
      return parent.offer();
    },
  });
  const identity = new TlsIdentity({ source, clock, log });
  const changes: ServedCertificate[] = [];
  identity.onChange((certificate) => changes.push(certificate));
  return { clock, log, parent, time, identity, changes, keyStore };
}

const failing = (code: "ERR_NSM" | "ERR_KMS_UNAVAILABLE" | "ERR_CERTIFICATE") => async (): Promise<never> => {
  throw new ServiceError(code, "no luck");
};

describe("a generated certificate", () => {
  const generated = (maxAgeSeconds = 7 * 86_400) => setUp({ certificate: "generated", maxAgeSeconds });

  it("is there when start returns, and outlives its use by an hour", async () => {
    const { identity, changes } = generated();
    expect(identity.state).toEqual({ kind: "generated", status: "none", notAfter: undefined, failure: undefined });
    await identity.start();
    expect(changes).toEqual([identity.current]);
    const notAfter = at(7 * DAY + HOUR).toISOString();
    expect(identity.state).toEqual({ kind: "generated", status: "serving", notAfter, failure: undefined });
  });

  it("is replaced at its age by another with another key, and not before", async () => {
    const { clock, identity, changes } = generated();
    await identity.start();
    const first = identity.current;
    clock.advance(7 * DAY - 1);
    await settle();
    expect(changes).toHaveLength(1);
    clock.advance(1);
    await eventually(() => changes.length === 2);
    expect(identity.current).not.toBe(first);
    expect(identity.current?.spki).not.toEqual(first?.spki);
    clock.advance(7 * DAY);
    await eventually(() => changes.length === 3);
  });

  it("keeps to ages that are beyond one timer's reach", async () => {
    const { clock, identity, changes } = generated(30 * 86_400);
    const after = clock.after.bind(clock);
    clock.after = (delayMs, run) => after(Math.min(delayMs, 24 * DAY), run); // as the system's clock does
    await identity.start();
    clock.advance(24 * DAY);
    await settle();
    expect(changes).toHaveLength(1);
    clock.advance(6 * DAY);
    await eventually(() => changes.length === 2);
  });

  it("pitfall 12: setting the wall clock does not keep it longer", async () => {
    const { clock, identity, changes } = generated();
    await identity.start();
    clock.now = () => new Date(0);
    clock.advance(7 * DAY);
    await eventually(() => changes.length === 2);
  });

  it("that cannot be made is tried again, ever more slowly, and shows in the state", async () => {
    const { clock, log, identity, time } = generated();
    let asked = 0;
    time.now = async () => {
      asked += 1;
      return failing("ERR_NSM")();
    };
    await identity.start();
    expect(identity.state).toMatchObject({ status: "none", failure: "ERR_NSM" });
    expect(log.entries).toEqual([
      { level: "warn", fields: { code: "ERR_NSM", reason: "no luck" }, message: "the TLS certificate was not renewed" },
    ]);
    for (const [delayMs, attempts] of [
      [1_000, 2],
      [2_000, 3],
      [4_000, 4],
      [8_000, 5],
      [16_000, 6],
      [32_000, 7],
      [60_000, 8],
      [60_000, 9],
    ] as const) {
      clock.advance(delayMs - 1);
      await settle();
      expect(asked).toBe(attempts - 1);
      clock.advance(1);
      await settle();
      expect(asked).toBe(attempts);
    }
    time.now = async () => clock.now();
    clock.advance(60_000);
    await eventually(() => identity.current !== undefined);
    expect(identity.state).toMatchObject({ status: "serving", failure: undefined });
    await settle();
    time.now = failing("ERR_NSM");
    clock.advance(7 * DAY);
    await settle();
    expect(identity.state.failure).toBe("ERR_NSM");
    time.now = async () => clock.now();
    clock.advance(1_000); // slow no longer
    await eventually(() => identity.state.failure === undefined);
  });

  it("that cannot be replaced stays in use, is tried again soon, and shows in the state", async () => {
    const { clock, identity, time, changes } = generated();
    await identity.start();
    time.now = failing("ERR_NSM");
    clock.advance(7 * DAY);
    await settle();
    expect(identity.current).toBe(changes[0]);
    expect(identity.state).toMatchObject({ status: "serving", failure: "ERR_NSM" });
    time.now = async () => clock.now();
    clock.advance(1_000);
    await eventually(() => changes.length === 2);
    expect(identity.state.failure).toBeUndefined();
  });

  it("is forgotten when it is closed, and no timer is left", async () => {
    const { clock, identity } = generated();
    await identity.start();
    identity.close();
    expect(identity.current).toBeUndefined();
    expect(clock.waiting).toBe(0);
  });

  it("that comes after the end is dropped", async () => {
    const { clock, identity, changes } = generated();
    const started = identity.start();
    identity.close();
    await started;
    expect(changes).toEqual([]);
    expect(identity.current).toBeUndefined();
    expect(clock.waiting).toBe(0);
  });
});

describe("a provided certificate", () => {
  function provided() {
    const keyStore = new FakeKeyStore();
    const configuration = providedBy(pki, server, keyStore);
    const all = setUp(configuration, keyStore);
    const offer = (issued: Issued, ciphertext = keyStore.seal(issued.pkcs8)) => {
      const text = JSON.stringify({ chain: [issued.pem, pki.intermediate.pem], privateKeyCiphertext: ciphertext });
      all.parent.offer = async () => text;
    };
    const serves = (issued: Issued) => all.identity.current?.certificateChainPem.startsWith(issued.pem) ?? false;
    return { ...all, offer, serves };
  }

  const renewal = () => issueServer(pki.intermediate, { notBefore: at(-HOUR), notAfter: at(90 * DAY) });

  it("does not hold up the start, and is served when KMS has opened its key", async () => {
    const { identity, keyStore, serves } = provided();
    let release = (): void => undefined;
    keyStore.held = new Promise((resolve) => {
      release = resolve;
    });
    await identity.start();
    await eventually(() => keyStore.calls.length === 1);
    expect(identity.state).toMatchObject({ kind: "provided", status: "none", failure: undefined });
    release();
    await eventually(() => identity.current !== undefined);
    expect(serves(server)).toBe(true);
    expect(identity.state).toMatchObject({ status: "serving", notAfter: at(30 * DAY).toISOString() });
  });

  it("is waited for while KMS cannot be reached, ever more slowly", async () => {
    const { clock, identity, keyStore, parent } = provided();
    keyStore.failWith = new ServiceError("ERR_KMS_UNAVAILABLE", "no way");
    await identity.start();
    await eventually(() => parent.asked === 1);
    await settle();
    expect(identity.state).toMatchObject({ status: "none", failure: "ERR_KMS_UNAVAILABLE" });
    clock.advance(1_000);
    await eventually(() => parent.asked === 2);
    await settle();
    expect(identity.state).toMatchObject({ status: "none", failure: "ERR_KMS_UNAVAILABLE" });
    keyStore.failWith = undefined;
    clock.advance(1_999);
    await settle();
    expect(identity.state.status).toBe("none");
    clock.advance(1);
    await eventually(() => identity.current !== undefined);
    expect(identity.state.failure).toBeUndefined();
  });

  it("is replaced by a renewal that the parent offers, at the next check", async () => {
    const { clock, identity, parent, offer, serves, changes } = provided();
    await identity.start();
    await eventually(() => parent.asked === 1);
    expect(serves(server)).toBe(true);
    await settle();
    const renewed = await renewal();
    offer(renewed);
    clock.advance(CHECK_MS - 1);
    await settle();
    expect(parent.asked).toBe(1);
    clock.advance(1);
    await eventually(() => serves(renewed));
    expect(changes).toHaveLength(2);
    expect(identity.state).toMatchObject({ notAfter: at(30 * DAY).toISOString(), failure: undefined });
  });

  it("begins with a renewal where there is one already, after the configured one", async () => {
    const { identity, offer, serves, changes } = provided();
    const renewed = await renewal();
    offer(renewed);
    await identity.start();
    await eventually(() => serves(renewed));
    expect(changes).toHaveLength(2);
  });

  it("that has ended when the enclave starts is replaced by a renewal", async () => {
    const root = { ...pki.root };
    const old = await issueServer(root, { notAfter: at(-HOUR) });
    const keyStore = new FakeKeyStore();
    const configuration = { ...providedBy(pki, old, keyStore), chain: [old.pem] };
    const { clock, identity, parent } = setUp(configuration, keyStore);
    await identity.start();
    await eventually(() => parent.asked === 1);
    await settle();
    expect(identity.state).toMatchObject({ status: "none", failure: "ERR_CERTIFICATE" });
    const renewed = await issueServer(root);
    const privateKeyCiphertext = keyStore.seal(renewed.pkcs8);
    parent.offer = async () => JSON.stringify({ chain: [renewed.pem], privateKeyCiphertext });
    clock.advance(2_000);
    await eventually(() => identity.current !== undefined);
    expect(identity.state).toMatchObject({ status: "serving", failure: undefined });
  });

  it("is not changed by being offered again, and KMS is not asked again", async () => {
    const { clock, identity, parent, offer, changes, keyStore } = provided();
    offer(server);
    await identity.start();
    await eventually(() => parent.asked === 1);
    await settle();
    clock.advance(CHECK_MS);
    await eventually(() => parent.asked === 2);
    await settle();
    expect(changes).toHaveLength(1);
    expect(keyStore.calls).toHaveLength(1);
  });

  it.each<[string, (all: ReturnType<typeof provided>) => unknown, string]>([
    ["what is no JSON", ({ parent }) => Object.assign(parent, { offer: async () => "{" }), "ERR_CERTIFICATE"],
    [
      "a certificate for other names",
      async ({ offer }) => offer(await issueServer(pki.intermediate, { dns: ["evil.example.com"] })),
      "ERR_CERTIFICATE",
    ],
    [
      "nothing, because it is gone",
      ({ parent }) => Object.assign(parent, { offer: failing("ERR_CERTIFICATE") }),
      "ERR_CERTIFICATE",
    ],
    [
      "what KMS does not open",
      ({ keyStore }) => Object.assign(keyStore, { failWith: new ServiceError("ERR_KMS_UNAVAILABLE", "no way") }),
      "ERR_KMS_UNAVAILABLE",
    ],
  ])("stays in use when the parent offers %s; the next check is an ordinary one", async (_, change, code) => {
    const all = provided();
    const { clock, log, identity, parent, offer, serves, changes } = all;
    await identity.start();
    await eventually(() => parent.asked === 1);
    await settle();
    offer(await issueServer(pki.intermediate));
    await change(all);
    clock.advance(CHECK_MS);
    await eventually(() => identity.state.failure !== undefined);
    await settle();
    expect(identity.state).toMatchObject({ status: "serving", failure: code });
    expect(log.entries.at(-1)).toMatchObject({ level: "warn", fields: { code } });
    expect([serves(server), changes.length]).toEqual([true, 1]);
    clock.advance(CHECK_MS - 1);
    await settle();
    expect(parent.asked).toBe(2);
    all.keyStore.failWith = undefined;
    const renewed = await renewal();
    offer(renewed);
    clock.advance(1);
    await eventually(() => serves(renewed));
    expect(identity.state.failure).toBeUndefined();
  });

  it("pitfall 15: a parent that never answers holds up one attempt, not those after it", async () => {
    const { clock, identity, parent } = provided();
    parent.offer = () => new Promise(() => undefined);
    await identity.start();
    await eventually(() => parent.asked === 1);
    clock.advance(60_000);
    await settle();
    expect(identity.state).toMatchObject({ status: "serving", failure: "ERR_TIMEOUT" });
    parent.offer = async () => undefined;
    clock.advance(CHECK_MS);
    await eventually(() => identity.state.failure === undefined);
  });

  it("that cannot be served at all is refused before anything starts", () => {
    const configuration = { ...providedBy(pki, server, new FakeKeyStore()), issuers: [pki.intermediate.pem] };
    expect(() => setUp(configuration)).not.toThrow();
    expect(() => setUp({ ...configuration, chain: [pki.intermediate.pem] })).toThrowCode("ERR_CERTIFICATE");
  });
});

/** connectEnclave: nothing but a nonce leaves before the enclave has been verified and appraised. */
import { describe, expect, it } from "vitest";
import type { ConnectOptions } from "../../client/connect.js";
import { connectEnclave } from "../../client/connect.js";
import type { EnclavePolicy } from "../../client/policy.js";
import { endpointKeysUserData } from "../../shared/attestation/endpoint-keys.js";
import { fromBase64Url, utf8 } from "../../shared/bytes.js";
import { CertificateCache } from "../../shared/certificate-cache.js";
import { generateKeyPair } from "../../shared/ohttp/key-configuration.js";
import { KEM_X25519_HKDF_SHA256 } from "../../shared/ohttp/suites.js";
import { generateProofKey } from "../../shared/proof-of-possession.js";
import { base64Of, PROBLEM_JSON, problemOf } from "../../shared/wire.js";
import { createDocumentMaker, examplePcrs } from "../../simulator/nsm/document.js";
import { HOUR, INSTANCE_ID, NOW, testPki } from "../simulator/fixtures.js";
import type { FakeParentOptions } from "./parent.js";
import { EXAMPLE_POLICY, fakeParent, json, problem, published, streamed } from "./parent.js";

const URL_OF_PARENT = "http://parent.test";
const pki = await testPki();
const maker = await createDocumentMaker({ pki, instanceId: INSTANCE_ID });
const proofKey = await generateProofKey();

function connect(parent: Omit<FakeParentOptions, "maker"> = {}, options: Partial<ConnectOptions> = {}) {
  const { fetch, sent } = fakeParent({ maker, ...parent });
  const { trustAnchor } = pki;
  const outcome = connectEnclave(URL_OF_PARENT, {
    trustAnchor,
    policy: EXAMPLE_POLICY,
    clock: () => NOW,
    fetch,
    ...options,
  });
  return { outcome, sent };
}

/** For JavaScript callers, whom no compiler stops. */
const untyped = (policy: unknown): Partial<ConnectOptions> => ({ policy: policy as EnclavePolicy });

describe("an enclave that is the right one", () => {
  it("is returned with what was verified and appraised", async () => {
    const enclave = await connect().outcome;
    expect(enclave.attestation.attestation.moduleId).toBe(maker.moduleId);
    expect(enclave.attestation.matchedAlternative).toBe(0);
  });

  it("was sent a fresh 32-byte nonce and nothing else", async () => {
    const nonces = new Set<string>();
    for (let round = 0; round < 2; round++) {
      const { outcome, sent } = connect();
      await outcome;
      expect(sent).toHaveLength(1);
      expect(sent[0]).toMatchObject({ method: "GET", body: undefined });
      const nonce = /^\/attestation\?nonce=([\w-]+)$/.exec(sent[0]?.path ?? "")?.[1] ?? "";
      expect(fromBase64Url(nonce)).toHaveLength(32);
      nonces.add(nonce);
    }
    expect(nonces.size).toBe(2);
  });

  it("is asked without cookies, cache or redirects", async () => {
    const { outcome, sent } = connect();
    await outcome;
    expect(sent[0]?.init).toMatchObject({ redirect: "error", credentials: "omit", cache: "no-store" });
  });

  it("may be any of several alternatives", async () => {
    const [reference] = EXAMPLE_POLICY.pcrs;
    const policy: EnclavePolicy = { ...EXAMPLE_POLICY, pcrs: [{ ...reference, 0: "bb".repeat(48) }, reference] };
    expect((await connect({}, { policy }).outcome).attestation.matchedAlternative).toBe(1);
  });

  it("is found below the path of the URL", async () => {
    const { fetch, sent } = fakeParent({ maker });
    const { trustAnchor } = pki;
    await connectEnclave("https://host.test/enclave", { trustAnchor, policy: EXAMPLE_POLICY, clock: () => NOW, fetch });
    expect(sent[0]?.path).toMatch(/^\/enclave\/attestation\?nonce=/);
  });

  it("fills a certificate cache that the caller gives", async () => {
    const cache = new CertificateCache();
    await connect({}, { cache }).outcome;
    expect(cache.size).toBeGreaterThan(0);
  });
});

describe("an enclave that is not", () => {
  const debugPcrs = async () =>
    new Map([...(await examplePcrs(INSTANCE_ID))].map(([i, value]) => [i, i <= 2 ? new Uint8Array(48) : value]));

  it("pitfall 9: refuses a document with another nonce", async () => {
    const { outcome } = connect({ fields: { nonce: utf8("a nonce of somebody else, 32 bytes") } });
    await expect(outcome).rejects.toThrowCode("ERR_NONCE_MISMATCH");
  });

  it("pitfall 9: refuses a document without a nonce", async () => {
    await expect(connect({ fields: { nonce: null } }).outcome).rejects.toThrowCode("ERR_NONCE_MISMATCH");
  });

  it("pitfall 7: refuses another PCR0, another PCR1 and another PCR2", async () => {
    for (const index of [0, 1, 2]) {
      const pcrs = (await examplePcrs(INSTANCE_ID)).set(index, new Uint8Array(48).fill(0xee));
      await expect(connect({ fields: { pcrs } }).outcome).rejects.toThrowCode("ERR_PCR_MISMATCH");
    }
  });

  it("refuses another configuration where PCR16 is pinned", async () => {
    const pcrs = [{ ...EXAMPLE_POLICY.pcrs[0], 16: "cc".repeat(48) }] as const;
    const policy: EnclavePolicy = { ...EXAMPLE_POLICY, pcrs, configuration: "pinned" };
    const pcrsWith = async (byte: number) => (await examplePcrs(INSTANCE_ID)).set(16, new Uint8Array(48).fill(byte));
    await connect({ fields: { pcrs: await pcrsWith(0xcc) } }, { policy }).outcome;
    const { outcome } = connect({ fields: { pcrs: await pcrsWith(0xcd) } }, { policy });
    await expect(outcome).rejects.toThrowCode("ERR_PCR_MISMATCH");
  });

  it("pitfall 6: refuses debug mode", async () => {
    await expect(connect({ fields: { pcrs: await debugPcrs() } }).outcome).rejects.toThrowCode("ERR_DEBUG_ENCLAVE");
  });

  it("pitfall 22: refuses a genuine document under another root", async () => {
    const other = await testPki();
    const { outcome } = connect({}, { trustAnchor: other.trustAnchor });
    await expect(outcome).rejects.toThrowCode("ERR_TRUST_ANCHOR");
  });

  it("refuses a document whose certificates have ended by the caller's clock", async () => {
    const { outcome } = connect({}, { clock: () => new Date(NOW.getTime() + 4 * HOUR) });
    await expect(outcome).rejects.toThrowCode("ERR_CERT_TIME");
  });

  it("pitfall 21: refuses a document that is old, and one from the future", async () => {
    for (const offsetMs of [-66_000, 6_000]) {
      const { outcome } = connect({ fields: { timestampMs: NOW.getTime() + offsetMs } });
      await expect(outcome).rejects.toThrowCode("ERR_STALE");
    }
  });

  it("pitfall 13: refuses keys that the document does not bind: a parent's own among them", async () => {
    const own = base64Of(published([await generateKeyPair(KEM_X25519_HKDF_SHA256, 0)]));
    const cases: Omit<FakeParentOptions, "maker">[] = [
      { editAttestation: (answer) => ({ ...answer, keyConfigurations: own }) },
      { editAttestation: (answer) => ({ ...answer, tlsKey: "AAAA" }) },
      { fields: { userData: null } },
      { fields: { userData: utf8("x") } },
    ];
    for (const parent of cases) {
      const { outcome, sent } = connect(parent);
      await expect(outcome).rejects.toThrowCode("ERR_USER_DATA_MISMATCH");
      expect(sent).toHaveLength(1);
    }
  });

  it("refuses a public key, which no document for clients has", async () => {
    await expect(connect({ fields: { publicKey: utf8("x") } }).outcome).rejects.toThrowCode("ERR_PUBLIC_KEY");
  });

  it("refuses a changed signature", async () => {
    const editSignature = (signature: Uint8Array) => signature.map((byte, index) => (index === 40 ? byte ^ 1 : byte));
    await expect(connect({ overrides: { editSignature } }).outcome).rejects.toThrowCode("ERR_COSE_SIGNATURE");
  });

  it("was sent its nonce and nothing else in every case", async () => {
    const cases: Omit<FakeParentOptions, "maker">[] = [
      { fields: { nonce: null } },
      { fields: { pcrs: await debugPcrs() } },
      { answer: () => json({ document: "AAAA", keyConfigurations: "AAAA" }) },
      { answer: () => json({}, 500) },
    ];
    for (const parent of cases) {
      const { outcome, sent } = connect(parent);
      await expect(outcome).rejects.toBeInstanceOf(Error);
      expect(sent.map(({ method, body }) => ({ method, body }))).toEqual([{ method: "GET", body: undefined }]);
    }
  });
});

describe("a parent that does not answer as it should", () => {
  it("hands on the code of a problem document", async () => {
    for (const code of ["ERR_BUSY", "ERR_NSM", "ERR_TIMEOUT"] as const) {
      await expect(connect({ answer: () => problem(code) }).outcome).rejects.toThrowCode(code);
    }
  });

  it("does not believe it where it speaks for the enclave, or without a known code", async () => {
    const unknown = JSON.stringify({ ...problemOf("ERR_BUSY", "r-1"), code: "ERR_OF_TOMORROW" });
    const answers = [
      ...(["ERR_KMS_DENIED", "ERR_NOT_AUTHORIZED", "ERR_INTERNAL"] as const).map((code) => () => problem(code)),
      () => new Response("<html>", { status: 502 }),
      () => new Response(unknown, { status: 502, headers: { "content-type": PROBLEM_JSON } }),
      () => new Response(JSON.stringify(problemOf("ERR_BUSY", "r-1")), { status: 503 }), // of another media type
    ];
    for (const answer of answers) {
      await expect(connect({ answer }).outcome).rejects.toThrowCode("ERR_ENCLAVE_UNAVAILABLE");
    }
  });

  it("refuses what is not of the expected form", async () => {
    const keys = '"keyConfigurations":"AAAA"';
    const bodies = [
      ...["", "{", "[]", "{}", `{"document":"%%%",${keys}}`, `{"document":"",${keys}}`, '{"document":"AAAA"}'],
      `{"document":"AAAA",${keys},"more":1}`,
    ];
    for (const body of bodies) {
      await expect(connect({ answer: () => new Response(body) }).outcome).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
    }
  });

  it("refuses key configurations that are none, though an enclave vouch for them", async () => {
    const keyConfigurations = Uint8Array.of(0, 1, 2);
    const userData = await endpointKeysUserData({ keyConfigurations, tlsKey: undefined });
    const { outcome } = connect({
      fields: { userData },
      editAttestation: (answer) => ({ ...answer, keyConfigurations: base64Of(keyConfigurations) }),
    });
    await expect(outcome).rejects.toThrowCode("ERR_OHTTP_MALFORMED");
  });

  it("refuses text that is not UTF-8", async () => {
    const answer = () => streamed([utf8('{"document":"'), Uint8Array.of(0xff, 0xfe)], "ends");
    await expect(connect({ answer }).outcome).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
  });

  it("refuses a document that was cut short", async () => {
    const { outcome } = connect({ overrides: { editDocument: (document) => document.subarray(0, -1) } });
    await expect(outcome).rejects.toThrowCode("ERR_CBOR_MALFORMED");
  });

  it("pitfall 15: reads no more than its limit of an endless answer", async () => {
    let pulled = 0;
    const answer = () =>
      new Response(
        new ReadableStream<Uint8Array>({
          pull(controller) {
            pulled += 4096;
            controller.enqueue(new Uint8Array(4096).fill(0x20));
          },
        }),
      );
    await expect(connect({ answer }).outcome).rejects.toThrowCode("ERR_MESSAGE_TOO_LARGE");
    expect(pulled).toBeLessThan(100_000);
  });

  it("tells a connection that was lost inside the answer", async () => {
    const answer = () => streamed([utf8('{"docu')], "breaks");
    await expect(connect({ answer }).outcome).rejects.toThrowCode("ERR_ENCLAVE_UNAVAILABLE");
  });

  it("tells a parent that is not there, with the platform's reason as the cause", async () => {
    const cause = new TypeError("fetch failed");
    const answer = () => Promise.reject(cause);
    const { outcome } = connect({ answer });
    await expect(outcome).rejects.toThrowCode("ERR_ENCLAVE_UNAVAILABLE");
    await expect(outcome).rejects.toHaveProperty("cause", cause);
  });

  it("gives up an answer that never comes, and one that never ends", async () => {
    const never: FakeParentOptions["answer"] = ({ init }) =>
      new Promise((_resolve, reject) => init.signal?.addEventListener("abort", () => reject(new Error("aborted"))));
    for (const answer of [never, () => streamed([utf8('{"docu')], "hangs")]) {
      await expect(connect({ answer }, { deadlineMs: 20 }).outcome).rejects.toThrowCode("ERR_TIMEOUT");
    }
  });

  it("gives up when the caller does, with the caller's reason", async () => {
    const controller = new AbortController();
    const reason = new Error("no longer needed");
    const answer = () => {
      controller.abort(reason);
      return streamed([], "hangs");
    };
    await expect(connect({ answer }, { signal: controller.signal }).outcome).rejects.toBe(reason);
    const { outcome, sent } = connect({}, { signal: controller.signal });
    await expect(outcome).rejects.toBe(reason);
    expect(sent).toEqual([]);
  });
});

describe("a program's mistakes are TypeErrors, and nothing is sent", () => {
  const [reference] = EXAMPLE_POLICY.pcrs;
  const mistakes: Readonly<Record<string, Partial<ConnectOptions>>> = {
    "pitfall 32: no reference values": untyped({ ...EXAMPLE_POLICY, pcrs: [] }),
    "pitfall 32: an empty set of them": untyped({ ...EXAMPLE_POLICY, pcrs: [{}] }),
    "pitfall 7: PCR0 alone": untyped({ ...EXAMPLE_POLICY, pcrs: [{ 0: reference[0] }] }),
    "no PCR1": untyped({ ...EXAMPLE_POLICY, pcrs: [{ 0: reference[0], 2: reference[2] }] }),
    "pitfall 8: a second alternative of PCR4 and PCR8": untyped({
      ...EXAMPLE_POLICY,
      pcrs: [reference, { 4: reference[0], 8: reference[0] }],
    }),
    "a nonce of the caller's": untyped({ ...EXAMPLE_POLICY, nonce: { kind: "unused", because: "why not" } }),
    "a configuration that is pinned without PCR16": untyped({ ...EXAMPLE_POLICY, configuration: "pinned" }),
    "a second alternative without PCR16": untyped({
      ...EXAMPLE_POLICY,
      pcrs: [{ ...reference, 16: reference[0] }, reference],
      configuration: "pinned",
    }),
    "a configuration that is not pinned, without a reason": untyped({
      ...EXAMPLE_POLICY,
      configuration: { kind: "unused", because: " " },
    }),
    "a configuration in other words": untyped({ ...EXAMPLE_POLICY, configuration: "any" }),
    "no policy": untyped(undefined),
    ...Object.fromEntries(
      (["pcrs", "configuration", "freshness", "debug"] as const).map((dimension) => {
        const { [dimension]: _left, ...rest } = EXAMPLE_POLICY;
        return [`no ${dimension}`, untyped(rest)];
      }),
    ),
    "a deadline of zero": { deadlineMs: 0 },
    "an age of zero": { attestationMaxAgeMs: 0 },
    "half a retry": { maxRetries: 0.5 },
    "a retry without a pause": { retryDelayMs: 0 },
    "a token that is none": { token: 5 as unknown as string },
    "a key to prove possession with, and no token": { proofKey },
  };
  for (const [title, options] of Object.entries(mistakes)) {
    it(title, async () => {
      const { outcome, sent } = connect({}, options);
      await expect(outcome).rejects.toBeInstanceOf(TypeError);
      expect(sent).toEqual([]);
    });
  }

  it("a URL of another scheme, with credentials, or with a query", async () => {
    for (const url of ["ftp://parent.test", "http://user:secret@parent.test", "http://parent.test/?a=b", "parent"]) {
      const { fetch, sent } = fakeParent({ maker });
      const { trustAnchor } = pki;
      const outcome = connectEnclave(url, { trustAnchor, policy: EXAMPLE_POLICY, fetch });
      await expect(outcome).rejects.toBeInstanceOf(TypeError);
      expect(sent).toEqual([]);
    }
  });

  it("a policy that is changed during the call has no effect on it", async () => {
    const mutable = structuredClone(EXAMPLE_POLICY) as { -readonly [Name in keyof EnclavePolicy]: EnclavePolicy[Name] };
    const answer = () => {
      mutable.debug = "dangerouslyAllow";
      return undefined;
    };
    const pcrs = new Map([...(await examplePcrs(INSTANCE_ID))].map(([i, v]) => [i, i <= 2 ? new Uint8Array(48) : v]));
    const { outcome } = connect({ answer, fields: { pcrs } }, { policy: mutable });
    await expect(outcome).rejects.toThrowCode("ERR_DEBUG_ENCLAVE");
  });
});

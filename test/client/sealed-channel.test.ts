/** Sealed requests from the client's side: who is believed, what is repeated, and when the enclave is attested anew. */
import { describe, expect, it } from "vitest";
import type { ConnectOptions } from "../../client/connect.js";
import { connectEnclave } from "../../client/connect.js";
import { encodeBinaryResponse } from "../../shared/bhttp.js";
import { utf8 } from "../../shared/bytes.js";
import type { ErrorCode } from "../../shared/errors.js";
import { generateKeyPair } from "../../shared/ohttp/key-configuration.js";
import { openRequest, sealRequest } from "../../shared/ohttp/request.js";
import { KEM_X25519_HKDF_SHA256 } from "../../shared/ohttp/suites.js";
import { base64Of } from "../../shared/wire.js";
import { createDocumentMaker } from "../../simulator/nsm/document.js";
import { INSTANCE_ID, NOW, testPki } from "../simulator/fixtures.js";
import type { FakeParentOptions, Inner, Sent } from "./parent.js";
import { EXAMPLE_POLICY, fakeParent, ohttp, problem, refusal, streamed } from "./parent.js";

const pki = await testPki();
const maker = await createDocumentMaker({ pki, instanceId: INSTANCE_ID });

const RANDOM: Inner = { body: { random: base64Of(utf8("1234")) } };
const OUTPUT: Inner = { body: { output: 1 } };
const isSealed = ({ path }: Sent): boolean => path === "/v1/sealed";

async function connected(parent: Omit<FakeParentOptions, "maker"> = {}, options: Partial<ConnectOptions> = {}) {
  const fake = fakeParent({
    ...{ maker, serve: ({ path }) => (path.startsWith("/v1/functions/") ? OUTPUT : RANDOM) },
    ...parent,
  });
  const { trustAnchor } = pki;
  const given = { trustAnchor, policy: EXAMPLE_POLICY, clock: () => NOW, fetch: fake.fetch, retryDelayMs: 1 };
  const enclave = await connectEnclave("http://parent.test", { ...given, ...options });
  return {
    ...{ enclave, sent: fake.sent, opened: fake.opened, rotate: fake.rotate, reboot: fake.reboot },
    attestations: () => fake.sent.filter(({ method }) => method === "GET").length,
    requests: () => fake.sent.filter(isSealed).length,
  };
}

/** Answers sealed requests in the parent's place with what `answers` say, in turn; after them, the enclave does. */
function inTurn(...answers: (() => Response | Promise<Response>)[]): NonNullable<FakeParentOptions["answer"]> {
  return (sent) => (isSealed(sent) ? answers.shift()?.() : undefined);
}

describe("a parent with several enclaves", () => {
  const pathOfSealed = async (location: string | undefined, url = "http://parent.test") => {
    const fake = fakeParent({ maker, serve: () => RANDOM, ...(location === undefined ? {} : { location }) });
    const { trustAnchor } = pki;
    const options = { trustAnchor, policy: EXAMPLE_POLICY, clock: () => NOW, fetch: fake.fetch };
    const enclave = await connectEnclave(url, options);
    await enclave.random(4);
    return fake.sent.at(-1)?.path;
  };

  it("says by the location of the attestation where its enclave is reached", async () => {
    expect(await pathOfSealed("enclaves/16/attestation")).toBe("/enclaves/16/v1/sealed");
    expect(await pathOfSealed("enclaves/16/attestation?nonce=x")).toBe("/enclaves/16/v1/sealed");
    expect(await pathOfSealed("enclaves/16/attestation", "http://parent.test/at/")).toBe("/at/enclaves/16/v1/sealed");
  });

  it.each([
    undefined,
    "",
    "https://elsewhere.test/attestation",
    "//elsewhere.test/attestation",
    "http://user:password@parent.test/attestation",
    "/enclaves/16/other",
    "http://[",
  ])("is not followed to %s", async (location) => {
    expect(await pathOfSealed(location)).toBe("/v1/sealed");
  });

  it("is not followed out of the URL that was given", async () => {
    expect(await pathOfSealed("../else/attestation", "http://parent.test/at/")).toBe("/at/v1/sealed");
  });
});

describe("attestation", () => {
  it("is made once for many calls, at once and one after the other", async () => {
    const { enclave, attestations, requests } = await connected();
    await Promise.all(Array.from({ length: 10 }, () => enclave.random(4)));
    await enclave.random(4);
    expect([attestations(), requests()]).toEqual([1, 11]);
  });

  it("is made anew by age, once for all calls that wait for it", async () => {
    const { enclave, attestations } = await connected({}, { attestationMaxAgeMs: Number.MIN_VALUE });
    const before = enclave.attestation;
    await Promise.all(Array.from({ length: 5 }, () => enclave.random(4)));
    expect(attestations()).toBe(2);
    expect(enclave.attestation).not.toBe(before);
  });

  it("pitfall 11: is not relied on past the end of its leaf certificate", async () => {
    const { enclave, attestations } = await connected({}, { clock: () => maker.leaf.notAfter, policy: ANY_AGE });
    await enclave.random(4);
    expect(attestations()).toBe(2);
  });

  it("is made anew when the enclave's key is another, and the call sealed to that one", async () => {
    const { enclave, rotate, attestations, requests, opened } = await connected();
    await enclave.random(4);
    await rotate();
    await Promise.all([enclave.random(4), enclave.random(4)]);
    expect(attestations()).toBe(2);
    expect(requests()).toBe(1 + 2 + 2);
    expect(opened).toHaveLength(3);
  });

  it("that fails when it is made anew is the call's failure, and nothing is sealed", async () => {
    let first: unknown;
    const editAttestation: FakeParentOptions["editAttestation"] = (answer) => (first ??= answer); // pitfall 9: replayed
    const { enclave, requests } = await connected({ editAttestation }, { attestationMaxAgeMs: Number.MIN_VALUE });
    await expect(enclave.random(4)).rejects.toThrowCode("ERR_NONCE_MISMATCH");
    expect(requests()).toBe(0);
  });

  it("an enclave that has booted again, whose keys have the same identifiers, is attested anew", async () => {
    const { enclave, reboot, attestations, requests, opened } = await connected();
    await enclave.random(4);
    await reboot();
    await enclave.random(4);
    expect([attestations(), requests()]).toEqual([2, 1 + 2]);
    expect(opened).toHaveLength(2);
  });
});

const ANY_AGE = {
  ...EXAMPLE_POLICY,
  freshness: { kind: "within", seconds: 4 * 3600, skewSeconds: 5 },
} as const;

describe("who is not the enclave", () => {
  it.each(["ERR_KMS_DENIED", "ERR_NOT_AUTHORIZED", "ERR_TOKEN_TIME", "ERR_REPLAYED", "ERR_INTERNAL"] as const)(
    "is not believed to say %s for it",
    async (code) => {
      const answer = inTurn(() => problem(code));
      const { enclave } = await connected({ answer }, { maxRetries: 0 });
      await expect(enclave.random(4)).rejects.toThrowCode("ERR_ENCLAVE_UNAVAILABLE");
    },
  );

  it.each(["ERR_OHTTP_MALFORMED", "ERR_MESSAGE_TOO_LARGE", "ERR_TIMEOUT"] as const)(
    "may say %s, which whoever carries requests can know",
    async (code) => {
      const { enclave } = await connected({ answer: inTurn(() => problem(code)) });
      await expect(enclave.random(4)).rejects.toThrowCode(code);
    },
  );

  it.each(["ERR_KEY_CONFIGURATION", "ERR_DECRYPTION_FAILED"] as const)(
    "may say %s, and is believed when he says so again after an attestation",
    async (code) => {
      const refuse = () => problem(code);
      const { enclave, attestations, requests } = await connected({ answer: inTurn(refuse, refuse) });
      await expect(enclave.random(4)).rejects.toThrowCode(code);
      expect([attestations(), requests()]).toEqual([2, 2]);
    },
  );

  it("cannot answer: neither with a key of his own, nor in the clear, nor with another answer of the enclave's", async () => {
    const own = inTurn(async () => ohttp(await answerOfSomebody()));
    await expect((await connected({ answer: own })).enclave.random(4)).rejects.toThrowCode("ERR_DECRYPTION_FAILED");

    const clear = inTurn(() => new Response(JSON.stringify(RANDOM.body)));
    await expect((await connected({ answer: clear })).enclave.random(4)).rejects.toThrowCode("ERR_OHTTP_MALFORMED");

    let kept: Uint8Array<ArrayBuffer> | undefined;
    const { enclave } = await connected({ editSealed: (sealed) => (kept ??= sealed) });
    await enclave.random(4);
    await expect(enclave.random(4)).rejects.toThrowCode("ERR_DECRYPTION_FAILED");
  });

  it("cannot change an answer, in any byte", async () => {
    for (const at of [0, 20, -1]) {
      const flip = (sealed: Uint8Array<ArrayBuffer>) =>
        sealed.map((byte, index) => (index === (at + sealed.length) % sealed.length ? byte ^ 1 : byte));
      const { enclave } = await connected({ editSealed: flip });
      await expect(enclave.random(4)).rejects.toThrowCode("ERR_DECRYPTION_FAILED");
    }
    const cut = await connected({ editSealed: (sealed) => sealed.slice(0, 10) });
    await expect(cut.enclave.random(4)).rejects.toThrowCode("ERR_OHTTP_MALFORMED");
  });

  it("pitfall 15: cannot make the client hold more than it asked for", async () => {
    const endless = inTurn(() => streamed([new Uint8Array(200_000)], "hangs", "message/ohttp-res"));
    const { enclave } = await connected({ answer: endless });
    await expect(enclave.random(4)).rejects.toThrowCode("ERR_MESSAGE_TOO_LARGE");
  });

  it("cannot have a function called twice: by calling the key unknown after he passed the request on", async () => {
    let lies = 1;
    const honest = fakeParent({ maker, serve: () => OUTPUT });
    const lying: typeof fetch = async (input, init) => {
      const answer = await honest.fetch(input, init);
      return init?.method === "POST" && lies-- > 0 ? problem("ERR_KEY_CONFIGURATION") : answer;
    };
    const { enclave } = await connected({}, { fetch: lying });
    await expect(enclave.callFunction("pay", {})).rejects.toThrowCode("ERR_KEY_CONFIGURATION");
    expect(honest.opened).toHaveLength(1);
    expect(honest.sent.map(({ method }) => method)).toEqual(["GET", "POST", "GET"]);
    expect(await enclave.callFunction("pay", {})).toBe(1);
  });
});

/** A sealed answer under keys that have nothing to do with the request. */
async function answerOfSomebody(): Promise<Uint8Array<ArrayBuffer>> {
  const own = await generateKeyPair(KEM_X25519_HKDF_SHA256, 0);
  const { sealed } = await sealRequest(own.configuration, utf8("x"));
  const { sealResponse } = await openRequest(own, sealed);
  return sealResponse(encodeBinaryResponse({ status: 200, fields: [], content: utf8("{}"), trailers: [] }));
}

describe("repetitions", () => {
  const busy = () => problem("ERR_BUSY");
  const lost = () => Promise.reject(new TypeError("fetch failed"));

  it.each([
    ["nobody answers", lost],
    ["somebody is busy", busy],
    ["the connection is lost within the answer", () => streamed([Uint8Array.of(0)], "breaks")],
  ])("a call that does no harm twice is made again when %s", async (_, answer) => {
    const { enclave, requests } = await connected({ answer: inTurn(answer, answer) });
    expect(await enclave.random(4)).toEqual(utf8("1234"));
    expect(requests()).toBe(3);
  });

  it("is sealed anew each time: the enclave takes none twice", async () => {
    const { enclave, sent } = await connected({ answer: inTurn(busy) });
    await enclave.random(4);
    const [first, second] = sent.filter(isSealed).map(({ body }) => base64Of(body ?? new Uint8Array()));
    expect(first).toBeDefined();
    expect(first).not.toBe(second);
  });

  it("and no more often than said", async () => {
    for (const maxRetries of [0, 1, 3]) {
      const { enclave, requests } = await connected({ answer: inTurn(...Array(10).fill(busy)) }, { maxRetries });
      await expect(enclave.random(4)).rejects.toThrowCode("ERR_BUSY");
      expect(requests()).toBe(1 + maxRetries);
    }
  });

  it.each<ErrorCode>(["ERR_KMS_UNAVAILABLE", "ERR_NOT_AUTHORIZED", "ERR_BUDGET", "ERR_TIMEOUT"])(
    "not for %s of the enclave, which is an answer",
    async (code) => {
      const { enclave, requests } = await connected({ serve: () => refusal(code) });
      await expect(enclave.random(4)).rejects.toThrowCode(code);
      expect(requests()).toBe(1);
    },
  );

  it("for an enclave that says that it is busy", async () => {
    const answers = [refusal("ERR_BUSY"), RANDOM];
    const { enclave, opened } = await connected({ serve: () => answers.shift() ?? RANDOM });
    expect(await enclave.random(4)).toEqual(utf8("1234"));
    expect(opened).toHaveLength(2);
  });

  it("a function is called once, unless its caller says that twice does no harm", async () => {
    for (const answer of [busy, lost]) {
      const once = await connected({ answer: inTurn(answer) });
      const outcome = once.enclave.callFunction("pay", {});
      await expect(outcome).rejects.toThrowCode(answer === busy ? "ERR_BUSY" : "ERR_ENCLAVE_UNAVAILABLE");
      expect(once.requests()).toBe(1);
      const twice = await connected({ answer: inTurn(answer) });
      expect(await twice.enclave.callFunction("pay", {}, { idempotent: true })).toBe(1);
      expect(twice.requests()).toBe(2);
    }
  });
});

describe("a call that its caller gives up", () => {
  const reason = new Error("no longer needed");

  it("before it is made sends nothing", async () => {
    const { enclave, requests } = await connected();
    await expect(enclave.random(4, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(requests()).toBe(0);
  });

  it("while it is under way ends with its reason, and its exchange with it", async () => {
    const leaving = new AbortController();
    let given: AbortSignal | null | undefined;
    const answer: FakeParentOptions["answer"] = (sent) => {
      if (!isSealed(sent)) return undefined;
      given = sent.init.signal;
      leaving.abort(reason);
      return streamed([Uint8Array.of(0)], "hangs", "message/ohttp-res");
    };
    const { enclave } = await connected({ answer });
    await expect(enclave.random(4, { signal: leaving.signal })).rejects.toBe(reason);
    expect(given?.aborted).toBe(true);
  });

  it("while it waits to be repeated is not repeated", async () => {
    const leaving = new AbortController();
    const answer = inTurn(() => {
      setImmediate(() => leaving.abort(reason));
      return problem("ERR_BUSY");
    });
    const { enclave, requests } = await connected({ answer }, { retryDelayMs: 60_000, deadlineMs: 120_000 });
    await expect(enclave.random(4, { signal: leaving.signal })).rejects.toBe(reason);
    expect(requests()).toBe(1);
  });

  it("while the enclave is attested ends nothing for other calls", async () => {
    const leaving = new AbortController();
    const { enclave } = await connected({}, { attestationMaxAgeMs: Number.MIN_VALUE });
    const left = enclave.random(4, { signal: leaving.signal });
    const stays = enclave.random(4);
    leaving.abort(reason);
    await expect(left).rejects.toBe(reason);
    expect(await stays).toEqual(utf8("1234"));
  });
});

it("a closed channel makes no call and has no attestation", async () => {
  const { enclave, requests } = await connected();
  enclave.close();
  await expect(enclave.random(4)).rejects.toBeInstanceOf(TypeError);
  expect(() => enclave.attestation).toThrow(TypeError);
  expect(requests()).toBe(0);
});

describe("enclaves that share their keys", () => {
  const LOCATION = "enclaves/a/attestation";
  const saysShared: FakeParentOptions["editAttestation"] = (answer) => ({ ...answer, shared: true });
  const sharing = (parent: Omit<FakeParentOptions, "maker"> = {}, options: Partial<ConnectOptions> = {}) =>
    connected({ location: LOCATION, editAttestation: saysShared, ...parent }, options);
  const posts = (sent: readonly Sent[]) => sent.filter(({ method }) => method === "POST").map(({ path }) => path);

  it("are sent what does no harm twice at the root, where any may serve it", async () => {
    const { enclave, sent, opened } = await sharing();
    await enclave.random(4);
    await enclave.callFunction("score", {}, { idempotent: true });
    expect(posts(sent)).toEqual(["/v1/sealed", "/v1/sealed"]);
    expect(opened.map(({ fields }) => fields.enclave)).toEqual([undefined, undefined]);
  });

  it("are sent all else where the one is that was attested, and which it names", async () => {
    const { enclave, sent, opened } = await sharing();
    await enclave.callFunction("pay", {});
    expect(posts(sent)).toEqual(["/enclaves/a/v1/sealed"]);
    expect(opened[0]?.fields.enclave).toBe(enclave.attestation.attestation.moduleId);
  });

  it("that do not are sent everything where the one is that was attested", async () => {
    const { enclave, sent, opened } = await sharing({ editAttestation: (answer) => answer });
    await enclave.random(4);
    expect(posts(sent)).toEqual(["/enclaves/a/v1/sealed"]);
    expect(opened[0]?.fields.enclave).toBe(enclave.attestation.attestation.moduleId);
  });

  it.each(["ERR_KEY_CONFIGURATION", "ERR_DECRYPTION_FAILED"] as const)(
    "among others that say %s: the one that was attested is asked next, and nothing is attested anew",
    async (code) => {
      const answer = inTurn(() => problem(code));
      const { enclave, sent, attestations } = await sharing({ answer });
      await enclave.random(4);
      expect(posts(sent)).toEqual(["/v1/sealed", "/enclaves/a/v1/sealed"]);
      expect(attestations()).toBe(1);
    },
  );

  it("when they have given the key up, are attested anew", async () => {
    const { enclave, rotate, sent, attestations } = await sharing();
    await rotate();
    await enclave.random(4);
    expect(posts(sent)).toEqual(["/v1/sealed", "/enclaves/a/v1/sealed", "/v1/sealed"]);
    expect(attestations()).toBe(2);
  });

  it("are believed under the seal that a call is another's: it is made again after an attestation, whatever it does", async () => {
    const answers = [refusal("ERR_OTHER_ENCLAVE")];
    const { enclave, opened, attestations } = await sharing({ serve: () => answers.shift() ?? OUTPUT });
    expect(await enclave.callFunction("pay", {})).toBe(1);
    expect([opened.length, attestations()]).toEqual([2, 2]);
  });

  it("that say so again are believed for good", async () => {
    const { enclave, opened } = await sharing({ serve: () => refusal("ERR_OTHER_ENCLAVE") });
    await expect(enclave.callFunction("pay", {})).rejects.toThrowCode("ERR_OTHER_ENCLAVE");
    expect(opened).toHaveLength(2);
  });

  it("are not spoken for by somebody on the way who says so in the clear", async () => {
    const { enclave, requests } = await sharing(
      { answer: (sent) => (sent.method === "POST" ? problem("ERR_OTHER_ENCLAVE") : undefined) },
      { maxRetries: 0 },
    );
    await expect(enclave.callFunction("pay", {})).rejects.toThrowCode("ERR_ENCLAVE_UNAVAILABLE");
    expect(requests()).toBe(0); // at the root
  });

  it.each(["yes", false, null])("are not shared where somebody on the way says %s", async (shared) => {
    const editAttestation: FakeParentOptions["editAttestation"] = (answer) => ({ ...answer, shared });
    await expect(sharing({ editAttestation })).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
  });
});

/**
 * The ways to cheat of a parent that carries sealed requests: it reads them, repeats them, puts its own key in the place of
 * the enclave's, asks for itself, with and without somebody's token, and answers in the enclave's place.
 */
import { randomBytes } from "node:crypto";
import { connectEnclave } from "../../client/connect.js";
import type { Enclave } from "../../client/enclave.js";
import { toHex, utf8 } from "../../shared/bytes.js";
import { isErrorCode, ServiceError } from "../../shared/errors.js";
import type { KeyConfiguration, OhttpKeyPair } from "../../shared/ohttp/key-configuration.js";
import {
  encodeKeyConfigurations,
  generateKeyPair,
  parseKeyConfigurations,
} from "../../shared/ohttp/key-configuration.js";
import { openRequest } from "../../shared/ohttp/request.js";
import { generateProofKey } from "../../shared/proof-of-possession.js";
import { attestationResponse, base64Of, bytesOf, decodeUtf8, parseJson } from "../../shared/wire.js";
import type { Attempt } from "./attempt.js";
import { refuse } from "./attempt.js";
import { fetchOver } from "./fetch-over.js";
import type { Hostile } from "./hostile-parent.js";
import type { HostileRelay, Seen } from "./hostile-relay.js";
import { sendSealed, serveRelay } from "./hostile-relay.js";
import type { Report } from "./report.js";
import type { Caller, Stage } from "./story.js";
import { CONTEXT, policyFor, SECRET } from "./story.js";

/** RFC 9458 §4.3: the identifiers of key, KEM, KDF and AEAD. */
const HEADER_BYTES = 7;
const SHOWN_BYTES = 8;
/** Requests go to the enclave's address directly; the URL's host is nobody's. */
const NOWHERE = "http://enclave.invalid";
const BY_ENCLAVE = { by: "enclave", record: { in: "log", label: "main enclave" } } as const;

type Title = { readonly id: string; readonly title: string };

export async function hostileRelay(
  stage: Stage,
  report: Report,
  open: (part: Promise<Hostile>) => Promise<Hostile>,
): Promise<void> {
  const relaying = serveRelay(stage.cloud.stack.sockets("main").enclave);
  await open(relaying);
  const relay = await relaying;
  const attempts = (title: Title, list: readonly Attempt[]) => refuse(report, stage.cloud.evidence, title, list);
  const enclave = await connectThrough(stage, relay);
  await decryptAs(stage, enclave);
  const seen = lastSealed(relay);
  assertUnreadable(stage, relay);
  await attempts({ id: "read-traffic", title: "A parent that reads the traffic" }, [await readTraffic(relay, seen)]);
  await attempts(
    { id: "replayed-request", title: "A parent that sends a sealed request again" },
    await replays(stage, relay, seen),
  );
  await attempts({ id: "substituted-key", title: "A parent that puts its own HPKE key in the enclave's place" }, [
    substitute(stage, relay),
  ]);
  await attempts(
    { id: "no-token", title: "A parent that asks for itself, without a token" },
    await withoutToken(stage),
  );
  await attempts({ id: "stolen-token", title: "A parent with a stolen token" }, stolenToken(stage));
  await attempts(
    { id: "forged-answer", title: "A parent that answers in the enclave's place" },
    forgedAnswers(stage, relay, enclave),
  );
}

const optionsOf = ({ cloud, keys }: Stage) => ({
  trustAnchor: cloud.kms.trustAnchor,
  policy: policyFor(keys.main.pcrs),
  maxRetries: 0,
});

const connectThrough = (stage: Stage, relay: HostileRelay): Promise<Enclave> =>
  connectEnclave(relay.url, { ...optionsOf(stage), ...stage.caller });

const decryptAs = ({ keys, ciphertext }: Stage, enclave: Enclave) =>
  enclave.decrypt({ ciphertext, keyId: keys.main.arn, encryptionContext: CONTEXT });

function lastSealed({ seen }: HostileRelay): Seen {
  const last = seen.filter(({ path }) => path === "/v1/sealed").at(-1);
  if (last === undefined) throw new TypeError("unreachable: a request has passed");
  return last;
}

/** Nothing that the client meant for the enclave alone may have passed in a form that can be read. */
function assertUnreadable({ ciphertext, caller }: Stage, { seen }: HostileRelay): void {
  const everything = seen.map(({ request, answer }) => Buffer.concat([request, answer]).toString("latin1")).join();
  const forms = [SECRET, base64Of(utf8(SECRET)), base64Of(ciphertext), caller.token, JSON.stringify(CONTEXT)];
  forms.push("tenant", CONTEXT.tenant, `"${CONTEXT.record}"`); // in quotes: two characters may stand in a ciphertext by chance
  if (!forms.some((form) => everything.includes(form))) return;
  throw new ServiceError("ERR_INTERNAL", "the parent can read something that was meant for the enclave alone");
}

/** A key pair of the parent's own that says of itself what the enclave's says. */
async function ownKeyPair({ seen }: HostileRelay): Promise<OhttpKeyPair> {
  const document = seen.find(({ path }) => path.startsWith("/attestation"));
  const answer = parseJson(attestationResponse, decodeUtf8(document?.answer ?? new Uint8Array()), "ERR_INTERNAL");
  const [{ kemId, keyId }] = parseKeyConfigurations(bytesOf(answer.keyConfigurations));
  return generateKeyPair(kemId, keyId);
}

async function readTraffic(relay: HostileRelay, { request, answer }: Seen): Promise<Attempt> {
  const own = await ownKeyPair(relay);
  const shown = `${toHex(request.subarray(0, HEADER_BYTES))}…${toHex(request.subarray(-SHOWN_BYTES))}`;
  const saw = `a request of ${request.length} bytes, ${shown}, and an answer of ${answer.length} bytes`;
  return {
    what: `saw ${saw}:\n${" ".repeat(23)}no token, no context, no card number; and has no key to open it with`,
    by: "parent",
    code: "ERR_DECRYPTION_FAILED",
    run: () => openRequest(own, request),
  };
}

/** Once without anything in the request that is good once, and once with: `bound` has a proof of possession. */
async function replays(stage: Stage, relay: HostileRelay, bound: Seen): Promise<Attempt[]> {
  const token = await stage.cloud.issuer.issue({ subject: "alice", claims: { tenant: CONTEXT.tenant } });
  await decryptAs(stage, await connectEnclave(relay.url, { ...optionsOf(stage), token }));
  return [
    replay(stage, lastSealed(relay), "the encapsulated key has been seen before"),
    replay(stage, bound, "and so has the proof of possession of a token that is bound to a key"),
  ];
}

/** The answer is sealed to the client; what it is, the enclave's log says. */
const replay = ({ cloud }: Stage, { path, request }: Seen, what: string): Attempt => ({
  ...BY_ENCLAVE,
  what,
  code: "ERR_REPLAYED",
  run: async () => {
    const since = cloud.evidence.mark();
    const address = cloud.stack.sockets("main").enclave;
    const { headers } = await sendSealed(address, { method: "POST", path, body: request });
    const id = headers["x-request-id"];
    const { code } = await since.line(
      "main enclave",
      ({ requestId, status }) => requestId === id && status !== undefined,
    );
    if (isErrorCode(code)) throw new ServiceError(code, "told in the log");
  },
});

const substitute = (stage: Stage, relay: HostileRelay): Attempt => ({
  what: "the document binds another key",
  by: "client",
  code: "ERR_USER_DATA_MISMATCH",
  run: async () => {
    const { configuration } = await ownKeyPair(relay);
    relay.conduct = { attestation: (answer) => withKey(answer, configuration) };
    await connectThrough(stage, relay).finally(() => {
      relay.conduct = {};
    });
  },
});

function withKey(answer: Uint8Array, configuration: KeyConfiguration): Uint8Array {
  const json = parseJson(attestationResponse, decodeUtf8(answer), "ERR_INTERNAL");
  return utf8(JSON.stringify({ ...json, keyConfigurations: base64Of(encodeKeyConfigurations([configuration])) }));
}

/** Anybody may connect; it is a good client, and has no token. */
async function withoutToken(stage: Stage): Promise<Attempt[]> {
  const address = stage.cloud.stack.sockets("main").enclave;
  const enclave = await connectEnclave(NOWHERE, { ...optionsOf(stage), fetch: fetchOver(address) });
  return [
    {
      ...BY_ENCLAVE,
      what: "sealed like any client's",
      code: "ERR_TOKEN_MISSING",
      run: () => decryptAs(stage, enclave),
    },
    {
      ...BY_ENCLAVE,
      what: "in plain: the measured configuration names no operation for that",
      code: "ERR_CHANNEL_CLOSED",
      run: () => plainDecrypt(stage),
    },
  ];
}

async function plainDecrypt({ cloud, ciphertext }: Stage): Promise<void> {
  const body = JSON.stringify({ ciphertext: base64Of(ciphertext), encryptionContext: CONTEXT });
  const fetchPlain = fetchOver(cloud.stack.sockets("main").enclave);
  const headers = { "content-type": "application/json" };
  const answer = await fetchPlain(`${NOWHERE}/v1/decrypt`, { method: "POST", headers, body });
  const { code } = (await answer.json()) as { code?: unknown };
  if (isErrorCode(code)) throw new ServiceError(code, "the enclave's problem document");
}

function stolenToken(stage: Stage): Attempt[] {
  const { token } = stage.caller;
  const as = async (thief: Partial<Caller>): Promise<unknown> => {
    const fetch = fetchOver(stage.cloud.stack.sockets("main").enclave);
    return decryptAs(stage, await connectEnclave(NOWHERE, { ...optionsOf(stage), ...thief, token, fetch }));
  };
  const attempt = { ...BY_ENCLAVE, code: "ERR_TOKEN_BINDING" } as const;
  return [
    { ...attempt, what: "it is bound to a key that the parent has not", run: () => as({}) },
    { ...attempt, what: "nor will another key do", run: async () => as({ proofKey: await generateProofKey() }) },
  ];
}

/** The answer's key comes from the request: who has not opened that cannot make one. */
function forgedAnswers(stage: Stage, relay: HostileRelay, enclave: Enclave): Attempt[] {
  const answering = (what: string, sealed: (answer: Uint8Array) => Uint8Array): Attempt => ({
    what,
    by: "client",
    code: "ERR_DECRYPTION_FAILED",
    run: async () => {
      relay.conduct = { sealed };
      await decryptAs(stage, enclave).finally(() => {
        relay.conduct = {};
      });
    },
  });
  const earlier = lastSealed(relay).answer;
  return [
    answering("with bytes of its own", (answer) => randomBytes(answer.length)),
    answering("with the enclave's answer to an earlier request", () => earlier),
  ];
}

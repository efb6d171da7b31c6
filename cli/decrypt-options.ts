/** The options of `nitro-decrypt decrypt`, as what they mean. */
import { webcrypto } from "node:crypto";
import type { AttestedOptions } from "../client/connect.js";
import { ServiceError } from "../shared/errors.js";
import { decodeUtf8 } from "../shared/wire.js";
import type { Io } from "./command.js";
import { CommandFailure } from "./command.js";
import { readInput } from "./input.js";
import type { OptionValues } from "./option-values.js";
import { optionValue } from "./option-values.js";
import { readReferencePcrs } from "./reference-pcrs.js";
import { parseRoot } from "./root.js";

const MAX_TOKEN_BYTES = 16 * 1024;
const MAX_KEY_BYTES = 16 * 1024;
const FRESHNESS = { kind: "within", seconds: 60, skewSeconds: 30 } as const;

/** Whom to trust, and who calls. */
export async function attestedOptions(values: OptionValues, io: Io): Promise<AttestedOptions> {
  const pcrs = await readReferencePcrs(optionValue(values, "pcrs") ?? "", io);
  const anyConfiguration = values["any-configuration"] === true;
  if (!anyConfiguration && pcrs[16] === undefined) {
    throw new CommandFailure(2, "--pcrs names no PCR16, the enclave's configuration; add it, or --any-configuration");
  }
  const proofKey = optionValue(values, "proof-key");
  return {
    trustAnchor: await parseRoot(optionValue(values, "root") ?? "aws", io),
    policy: {
      pcrs: [pcrs],
      configuration: anyConfiguration ? { kind: "unused", because: "--any-configuration" } : "pinned",
      freshness: FRESHNESS,
      debug: "reject",
    },
    token: await readToken(optionValue(values, "token") ?? "", io),
    ...(proofKey === undefined ? {} : { proofKey: await readProofKey(proofKey, io) }),
    clock: () => io.now(),
    signal: io.interrupted,
  };
}

async function readProofKey(file: string, io: Io): Promise<CryptoKeyPair> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  try {
    const { kty, crv, x, y, d } = JSON.parse(decodeUtf8(await readInput(file, io, MAX_KEY_BYTES)));
    const { subtle } = webcrypto;
    return {
      privateKey: await subtle.importKey("jwk", { kty, crv, x, y, d }, algorithm, false, ["sign"]),
      publicKey: await subtle.importKey("jwk", { kty, crv, x, y }, algorithm, true, ["verify"]),
    };
  } catch {
    // what is wrong with it may show parts of it
    throw new ServiceError(
      "ERR_MESSAGE_MALFORMED",
      `${file} is no private key: expected a JWK with kty "EC", crv "P-256", x, y and d`,
    );
  }
}

/** The token in a file. @throws ServiceError ERR_TOKEN_MISSING */
export async function readToken(file: string, io: Io): Promise<string> {
  const token = decodeUtf8(await readInput(file, io, MAX_TOKEN_BYTES)).trim();
  if (token === "") throw new ServiceError("ERR_TOKEN_MISSING", `${file} is empty: expected a token, a JWT`);
  return token;
}

/** Names all that is missing at once. */
export function assertGiven(values: OptionValues, names: readonly string[]): void {
  const missing = names.filter((name) => (optionValue(values, name) ?? "") === "").map((name) => `--${name}`);
  if (missing.length === 0) return;
  throw new CommandFailure(2, `${missing.join(", ")} ${missing.length > 1 ? "are" : "is"} required`);
}

export function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "tls:" && (url.port === "" || url.host !== text.slice("tls://".length))) {
    throw new CommandFailure(2, `--url expects tls://HOST:PORT and nothing more; got "${text}"`);
  }
  if (url && ["http:", "https:", "tls:"].includes(url.protocol) && url.host !== "") return url;
  throw new CommandFailure(2, `--url expects http://, https:// or tls://, a host and a port; got "${text}"`);
}

export function parseContext(given: readonly string[]): Readonly<Record<string, string>> {
  const context = new Map<string, string>();
  for (const pair of given) {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
    if (name === undefined || value === undefined)
      throw new CommandFailure(2, `--context has the form NAME=VALUE; got "${pair}"`);
    if (context.has(name)) throw new CommandFailure(2, `--context ${name} is given more than once`);
    context.set(name, value);
  }
  return Object.fromEntries(context);
}

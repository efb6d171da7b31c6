/**
 * Parsers throw nothing but ServiceError, whatever the bytes: 100,000 random and mutated inputs per run, spread over all
 * parsers of untrusted bytes. The seed is fixed; `SEED=n` takes another, `SLOW=1` ten times as many inputs.
 */
import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { parseAttestationDocument } from "../../shared/attestation/document.js";
import { equalBytes, utf8 } from "../../shared/bytes.js";
import { decodeCbor, encodeCbor } from "../../shared/cbor.js";
import { parseCiphertextForRecipient } from "../../shared/cms.js";
import { decodeCoseSign1, encodeProtectedHeader } from "../../shared/cose.js";
import type { DerReader } from "../../shared/der.js";
import { contextConstructed, readDer, TAG } from "../../shared/der.js";
import { metadataOf, parseEif } from "../../shared/eif/eif.js";
import { signingCertificateOf } from "../../shared/eif/signature-section.js";
import { ServiceError } from "../../shared/errors.js";
import { decodeNsmRequest, decodeNsmResponse, encodeNsmRequest, encodeNsmResponse } from "../../shared/nsm.js";
import { assertRsa2048Spki } from "../../shared/rsa-public-key.js";
import { decryptRequest, parseJson } from "../../shared/wire.js";
import { parseCertificate } from "../../shared/x509.js";
import { createPlatform, present } from "../support/attestation.js";
import { encodeEnvelope, seal } from "../support/cms-builder.js";
import { buildEif } from "../support/eif-builder.js";
import { buildSignedEif } from "../support/eif-signer.js";
import { mutated, randomBytes } from "../support/mutate.js";

const SEED = Number(process.env.SEED ?? 20261123);
const INPUTS = 100_000 * (process.env.SLOW === "1" ? 10 : 1);

type Parse = (bytes: Uint8Array<ArrayBuffer>) => unknown;

interface Parser {
  readonly parse: Parse;
  /** Names of valid inputs, to which the changes are made. */
  readonly samples: readonly string[];
}

/** Untrusted bytes go into each of these. */
const PARSERS: Readonly<Record<string, Parser>> = {
  "decodeCbor, definite": {
    samples: ["definite", "describe"],
    parse: (bytes) => {
      const value = decodeCbor(bytes, { maxBytes: 20_000 });
      if (!equalBytes(encodeCbor(value), bytes))
        throw new Error("accepted other CBOR than the one encoding of its value");
    },
  },
  "decodeCbor, indefinite maps and a tag": {
    samples: ["payload", "document"],
    parse: (bytes) => decodeCbor(bytes, { maxBytes: 20_000, indefiniteMaps: true, tag: 18, maxDepth: 3 }),
  },
  decodeCoseSign1: { samples: ["document"], parse: decodeCoseSign1 },
  parseAttestationDocument: { samples: ["document", "definite"], parse: parseAttestationDocument },
  "parseAttestationDocument, payload": {
    samples: ["payload", "definite payload"],
    parse: (payload) => parseAttestationDocument(frame(payload)),
  },
  decodeNsmRequest: { samples: ["extend", "attest"], parse: decodeNsmRequest },
  decodeNsmResponse: { samples: ["describe", "pcr"], parse: decodeNsmResponse },
  readDer: { samples: ["certificate", "root", "spki"], parse: (bytes) => readDer(bytes, 4096, readAnything) },
  parseCertificate: { samples: ["certificate", "root"], parse: parseCertificate },
  assertRsa2048Spki: { samples: ["spki"], parse: assertRsa2048Spki },
  parseCiphertextForRecipient: { samples: ["indefinite cms", "definite cms"], parse: parseCiphertextForRecipient },
  parseEif: {
    samples: ["eif", "signed eif"],
    parse: (bytes) => {
      const eif = parseEif(bytes);
      signingCertificateOf(eif);
      metadataOf(eif);
    },
  },
  parseJson: {
    samples: ["json"],
    parse: (bytes) => {
      const text = new TextDecoder().decode(bytes);
      parseJson(decryptRequest, text, "ERR_MESSAGE_MALFORMED");
    },
  },
};

/** A COSE_Sign1 around a payload, so that the changes are made inside. */
const frame = (payload: Uint8Array): Uint8Array =>
  encodeCbor([encodeProtectedHeader(), new Map(), payload, new Uint8Array(96)]);

const CONSTRUCTED = [TAG.sequence, TAG.set, contextConstructed(0), contextConstructed(3)];

/** Every method of the reader, by what stands next. */
function readAnything(reader: DerReader): void {
  while (!reader.atEnd) readOne(reader);
}

function readOne(reader: DerReader): void {
  const constructed = CONSTRUCTED.find((tag) => reader.nextIs(tag));
  if (constructed !== undefined) reader.constructed(constructed, readAnything);
  else if (reader.nextIs(TAG.boolean)) reader.boolean();
  else if (reader.nextIs(TAG.integer)) reader.unsignedInteger();
  else if (reader.nextIs(TAG.bitString)) reader.bitString();
  else if (reader.nextIs(TAG.objectIdentifier)) reader.objectIdentifier();
  else if (reader.nextIs(TAG.utcTime) || reader.nextIs(TAG.generalizedTime)) reader.time();
  else if (reader.nextIs(TAG.utf8String) || reader.nextIs(TAG.printableString)) reader.text();
  else if (reader.nextIs(TAG.null)) reader.null();
  else reader.content(present(reader.peekEncoded()[0]));
}

/** Whether `bytes` were accepted; anything but a ServiceError goes on to fail the test. */
function accepts(parse: Parse, bytes: Uint8Array<ArrayBuffer>): boolean {
  try {
    parse(bytes);
    return true;
  } catch (error) {
    if (error instanceof ServiceError) return false;
    throw error;
  }
}

const samples = new Map<string, Uint8Array<ArrayBuffer>>();
const samplesOf = (names: readonly string[]) => names.map((name) => present(samples.get(name)));

beforeAll(async () => {
  for (const [name, bytes] of Object.entries({ ...(await documentSamples()), ...keySamples(), ...messageSamples() })) {
    samples.set(name, new Uint8Array(bytes));
  }
});

async function documentSamples() {
  const platform = await createPlatform();
  const document = await platform.make({ nonce: utf8("nonce"), userData: new Uint8Array(40) });
  const definite = await platform.make({}, { form: "definite" });
  return {
    document,
    definite,
    payload: parseAttestationDocument(document).cose.payload,
    "definite payload": parseAttestationDocument(definite).cose.payload,
    certificate: platform.maker.leaf.certificateDer,
    root: platform.pki.root.certificateDer,
    "signed eif": await buildSignedEif(),
  };
}

function keySamples() {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    spki: publicKey.export({ type: "spki", format: "der" }),
    "indefinite cms": encodeEnvelope(seal(publicKey)),
    "definite cms": encodeEnvelope(seal(publicKey), { framing: "definite" }),
  };
}

function messageSamples() {
  const data = Uint8Array.of(1, 2, 3);
  const describeNsm = { versionMajor: 1, versionMinor: 0, versionPatch: 0, moduleId: "i-0", maxPcrs: 32 } as const;
  const json = { ciphertext: "AAAA", keyId: "alias/key", encryptionContext: { purpose: "test" } };
  return {
    extend: encodeNsmRequest({ kind: "ExtendPCR", index: 16, data }),
    attest: encodeNsmRequest({ kind: "Attestation", userData: data, nonce: null, publicKey: data }),
    describe: encodeNsmResponse({ kind: "DescribeNSM", ...describeNsm, lockedPcrs: [0, 1], digest: "SHA384" }),
    pcr: encodeNsmResponse({ kind: "DescribePCR", lock: true, data }),
    eif: buildEif(),
    json: utf8(JSON.stringify(json)),
  };
}

describe("on random and mutated inputs", () => {
  const parsers = Object.entries(PARSERS);
  const inputsEach = Math.ceil(INPUTS / parsers.length);
  let inputs = 0;

  it.each(parsers)("%s throws nothing but ServiceError", (_, { parse, samples: own }) => {
    let refused = 0;
    const input = fc.oneof(
      { weight: 6, arbitrary: mutated(samplesOf(own)) },
      { weight: 1, arbitrary: mutated([...samples.values()]) },
      { weight: 1, arbitrary: randomBytes },
    );
    const property = fc.property(input, (bytes) => {
      inputs += 1;
      if (!accepts(parse, bytes)) refused += 1;
    });
    fc.assert(property, { seed: SEED, numRuns: inputsEach });
    expect(refused).toBeGreaterThan(inputsEach / 4);
  });

  it("that makes 100,000 inputs in all", () => {
    expect(inputs).toBeGreaterThanOrEqual(INPUTS);
  });
});

describe("on the inputs that the changes are made to", () => {
  it.each(Object.entries(PARSERS))("%s accepts them", (_, { parse, samples: own }) => {
    expect(own.length).toBeGreaterThan(0);
    for (const bytes of samplesOf(own)) expect(accepts(parse, bytes)).toBe(true);
  });
});

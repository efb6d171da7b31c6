/**
 * `verifyAttestation` beside its floor: the P-384 signature checks that it cannot do without, done with `crypto.subtle`
 * alone, on the same signatures, with keys that are imported already, and all started at the same time. Five with a cold
 * cache of intermediates, two with a warm one.
 *
 * Both run in the same way: with a number of documents in flight, as in a service (bounds), and one document at a time
 * (reported). Rounds of the two stand side by side, in turning order, and each pair has its ratio.
 */
import { parseAttestationDocument } from "../shared/attestation/document.js";
import { verifyAttestation } from "../shared/attestation/verify.js";
import { UnverifiedPath } from "../shared/cert-path.js";
import { CertificateCache } from "../shared/certificate-cache.js";
import { encodeSigStructure } from "../shared/cose.js";
import { createDocumentMaker } from "../simulator/nsm/document.js";
import { createNitroPki } from "../simulator/pki/nitro-pki.js";
import type { Row } from "./table.js";
import { median } from "./table.js";

const COLD = { bound: 0.75, signatures: 5 };
const WARM = { bound: 0.65, signatures: 2 };
const IN_FLIGHT = 16;
const ECDSA_SHA384 = { name: "ECDSA", hash: "SHA-384" };

type Call = () => Promise<unknown>;

export async function run({ smoke }: { readonly smoke: boolean }): Promise<Row[]> {
  const now = new Date();
  const pki = await createNitroPki({ clock: () => now });
  const { trustAnchor } = pki;
  const document = await (await createDocumentMaker({ pki, instanceId: "i-0123456789abcdef0" })).make();
  const checks = await bareChecksOf(document);
  const warmCache = new CertificateCache();
  const verify = (cache: CertificateCache) => verifyAttestation(document, { trustAnchor, now, cache });
  const cases = [
    { name: "cold", call: () => verify(new CertificateCache()), ...COLD },
    { name: "warm", call: () => verify(warmCache), ...WARM },
  ];
  const rows: Row[] = [];
  for (const { name, call, signatures, bound } of cases) {
    const floor: Call = () => Promise.all(checks.slice(-signatures).map((check) => check()));
    const peer = `${signatures} bare P-384 verifications`;
    await inFlight(call, smoke ? 100 : 2_000); // for the compiler
    const together = await compare(floor, call, IN_FLIGHT, smoke ? 5 : 100);
    const single = await compare(floor, call, 1, smoke ? 20 : 500);
    rows.push(
      { name: `${peer}, ${IN_FLIGHT} documents in flight`, median: together.floor, unit: "ms" },
      { name: `verifyAttestation, ${name} cache, ${IN_FLIGHT} in flight`, ...together.row, unit: "ms", bound, peer },
      { name: `${peer}, one document at a time`, median: single.floor, unit: "ms" },
      { name: `verifyAttestation, ${name} cache, one at a time`, ...single.row, unit: "ms", peer },
    );
  }
  return rows;
}

/** The signature checks of a document, root's issue first and the document's own last, without all else. */
async function bareChecksOf(document: Uint8Array): Promise<readonly Call[]> {
  const { cose, caBundle, certificate } = parseAttestationDocument(document);
  const path = UnverifiedPath.parse([...caBundle, certificate]);
  const signed = path.rootToLeaf
    .slice(1)
    .map(({ rawSignature, tbsBytes }) => ({ rawSignature, bytes: tbsBytes }))
    .concat({ rawSignature: cose.rawSignature, bytes: encodeSigStructure(cose.protectedHeader, cose.payload) });
  const keys = await Promise.all(path.rootToLeaf.map((signer) => path.unverifiedKeyOf(signer)));
  return keys.map((key, i) => async () => {
    const check = signed[i];
    if (!check || !(await crypto.subtle.verify(ECDSA_SHA384, key, check.rawSignature, check.bytes))) {
      throw new Error("a signature of the benchmark's document does not verify");
    }
  });
}

/** Milliseconds per document for a call and its floor, in pairs of rounds, and the ratio of the pairs. */
async function compare(floor: Call, call: Call, documents: number, pairs: number) {
  const floors: number[] = [];
  const times: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const floorFirst = pair % 2 === 0;
    if (floorFirst) floors.push(await milliseconds(floor, documents));
    times.push(await milliseconds(call, documents));
    if (!floorFirst) floors.push(await milliseconds(floor, documents));
  }
  const ratio = median(times.map((time, pair) => (floors[pair] ?? Number.NaN) / time));
  return { floor: median(floors), row: { median: median(times), ratio } };
}

/** Milliseconds per call of some calls at once. */
async function milliseconds(call: Call, count: number): Promise<number> {
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: count }, call));
  return (performance.now() - startedAt) / count;
}

/** `count` calls, some at once. */
async function inFlight(call: Call, count: number): Promise<void> {
  for (let done = 0; done < count; done += IN_FLIGHT) await milliseconds(call, IN_FLIGHT);
}

/** The attestation documents of the machine's NSM, which have everything but a signature. */
import { deepEqual, ok, rejects } from "node:assert/strict";
import { parseAttestationDocument } from "../../../shared/attestation/document.js";
import { PCR_BYTES } from "../../../shared/attestation/pcr.js";
import type { DecodedCbor } from "../../../shared/cbor.js";
import { decodeCbor, encodeCbor, isCborBytes } from "../../../shared/cbor.js";
import { NSM_MAX_RESPONSE_BYTES } from "../../../shared/nsm.js";
import type { Check } from "../../vm/guest/checks.js";
import { MODULE_ID } from "../launch.js";
import type { CheckedNsm } from "./checked-nsm.js";

/** What nsm-check of AWS puts into each field of a document. */
const FIELD_BYTES = 1024;

export const documentChecks = ({ client }: CheckedNsm): readonly Check[] => [
  {
    name: "a document has the fields that were asked for, up to 1024 bytes each, and null for the others",
    async run() {
      const [userData, nonce, publicKey] = [0x75, 0x6e, 0x70].map((byte) => new Uint8Array(FIELD_BYTES).fill(byte));
      if (!userData || !nonce || !publicKey) throw new Error("unreachable: three fields");
      const full = payloadOf(await client.attest({ userData, nonce, publicKey }, "caller"));
      deepEqual([full.get("user_data"), full.get("nonce"), full.get("public_key")], [userData, nonce, publicKey]);
      const bare = payloadOf(await client.attest({ userData: null, nonce, publicKey: null }, "kms"));
      deepEqual([bare.get("user_data"), bare.get("nonce"), bare.get("public_key")], [null, nonce, null]);
    },
  },
  {
    name: "a document names the enclave, and holds the locked registers as DescribePCR has them",
    async run() {
      const before = Date.now();
      const payload = payloadOf(await client.attest({ userData: null, nonce: null, publicKey: null }, "kms"));
      deepEqual([payload.get("module_id"), payload.get("digest")], [MODULE_ID, "SHA384"]);
      const age = Math.abs(Number(payload.get("timestamp")) - before);
      ok(age < 60_000, `the document's time is ${age} ms from the machine's`);
      const pcrs = payload.get("pcrs");
      if (!(pcrs instanceof Map)) throw new Error("pcrs is not a map");
      deepEqual([...pcrs.keys()], (await client.describe()).lockedPcrs);
      for (const [index, value] of pcrs) {
        ok(isCborBytes(value) && value.length === PCR_BYTES);
        deepEqual((await client.describePcr(Number(index))).data, value);
      }
    },
  },
  {
    name: "our reader of documents refuses it for its algorithm: QEMU's NSM has none, and no key",
    async run() {
      const document = await client.attest({ userData: null, nonce: null, publicKey: null }, "kms");
      await rejects(async () => parseAttestationDocument(document), { code: "ERR_COSE_ALGORITHM" });
    },
  },
];

/** The payload of a COSE_Sign1 that nobody signed: its header names the algorithm -1, its signature is 64 zeros. */
function payloadOf(document: Uint8Array): Map<unknown, DecodedCbor> {
  const message = decodeCbor(document, { maxBytes: NSM_MAX_RESPONSE_BYTES });
  if (!Array.isArray(message)) throw new Error("the document is not an array");
  const [header, unprotected, payload, signature, ...others] = message;
  deepEqual([header, others.length], [encodeCbor(new Map([[1, -1]])), 0]);
  deepEqual(signature, new Uint8Array(64));
  ok(unprotected instanceof Map && unprotected.size === 0);
  const fields = isCborBytes(payload) ? decodeCbor(payload, { maxBytes: NSM_MAX_RESPONSE_BYTES }) : undefined;
  if (!(fields instanceof Map)) throw new Error("the payload is not a map");
  return fields;
}

/** The recorded attestation documents of AWS, where the folder of recorded vectors lies beside the project. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAttestationDocument } from "../../shared/attestation/document.js";
import { projectRoot } from "./project.js";

export interface RecordedDocument {
  readonly id: string;
  readonly kind: string;
  readonly expected: "accept" | "reject";
  readonly verify_at_ms: number;
  readonly file: string;
}

const folder = join(projectRoot, "../shared/vectors");
const index = join(folder, "index.json");

/** Why tests on recorded documents are skipped; undefined where they can run. */
export const missingRecords = existsSync(index) ? undefined : "the recorded vectors (../shared/vectors) are not here";

/** All recorded attestation documents; none only where the whole folder is absent. */
export function recordedDocuments(): readonly RecordedDocument[] {
  if (missingRecords !== undefined) return [];
  const { vectors } = JSON.parse(readFileSync(index, "utf8")) as { vectors: readonly RecordedDocument[] };
  return vectors.filter(({ kind }) => kind === "attestation-document");
}

export const readRecorded = ({ file }: RecordedDocument): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(join(folder, file)));

/** The certificates of a recorded document, root first. */
export function recordedChain(document: RecordedDocument): readonly Uint8Array<ArrayBuffer>[] {
  const { caBundle, certificate } = parseAttestationDocument(readRecorded(document));
  return [...caBundle, certificate];
}

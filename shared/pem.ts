/** PEM (RFC 7468 §3), for files that hold one object: text around the block and second blocks are refused. */
import { fromBase64 } from "./bytes.js";

/** Whether `text` looks like PEM at all. */
export const isPem = (text: string): boolean => text.trimStart().startsWith("-----BEGIN ");

/** The contents of the one block in `text`, or undefined unless there is exactly one, well formed and not empty. */
export function decodePem(text: string, label: "CERTIFICATE"): Uint8Array<ArrayBuffer> | undefined {
  const block = /^\s*-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----\s*$/.exec(text);
  if (block?.[1] !== label) return undefined;
  const bytes = fromBase64((block[2] ?? "").replace(/\s/g, ""));
  return bytes && bytes.length > 0 ? bytes : undefined;
}

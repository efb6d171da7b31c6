/**
 * One message of a rollover: looked at, re-encrypted by the enclave, held against what was asked for, and put in its place.
 * No plaintext is here at any time. The answer is believed because of the channel that it came over; what is looked at
 * here is that it is under the new key alone, has the same encryption context and is signed as the old one was, so
 * that a mistaken --to or configuration spoils nothing.
 */
import type { FileHandle } from "node:fs/promises";
import { withoutSignaturePair } from "../../shared/context-lint.js";
import { ServiceError } from "../../shared/errors.js";
import type { MessageHeader } from "../../shared/esdk/header.js";
import { headerOf, withFile } from "../message-header.js";
import { FileFailure, fileFailure } from "./failure.js";
import type { Inspected, InspectedMessage } from "./inspection.js";
import { inspectOpen } from "./inspection.js";
import type { Rollover } from "./keys.js";
import { isNew, keyNamesOf } from "./keys.js";
import type { ReEncrypt } from "./re-encrypt.js";
import { replace } from "./replacement.js";
import type { Pauses } from "./retries.js";
import { withPauses } from "./retries.js";

/** What a sealed request carries (shared/wire.ts). */
export const MAX_WHOLE_BYTES = 700 * 1024;
/** From here on a stream is better, where there are streams. */
const STREAM_BYTES = 256 * 1024;
const PART_BYTES = 256 * 1024;

export interface MessageWork {
  readonly rollover: Rollover;
  readonly keyIds: readonly string[] | undefined;
  readonly reEncrypt: ReEncrypt;
  readonly pauses: Pauses;
  readonly signal: AbortSignal;
}

/** A temporary path for the new file; resolves when the journal has it. */
export type Begin = () => Promise<string>;

/**
 * Re-encrypts the message in a file, if it still is under an old key; returns what was found there.
 * @throws FileFailure, ServiceError the reason why the file is as it was; the signal's reason
 */
export async function rollOver(path: string, work: MessageWork, begin: Begin): Promise<Inspected> {
  return withFile(path, async (file) => {
    const found = await inspectOpen(file, path, work.rollover);
    if (found.kind !== "message" || found.state !== "toDo") return found;
    assertCarried(found, work.reEncrypt);
    const temporary = await begin();
    const check = (made: FileHandle): Promise<void> => assertAnswer(made, found, work.rollover);
    const { pauses, signal } = work;
    await withPauses(pauses, signal, () =>
      replace(found, { temporary, content: newMessage(file, found, work), check, signal }),
    );
    return found;
  }).catch((error: unknown) => {
    throw fileFailure("FILE_UNREADABLE", error);
  });
}

function assertCarried({ bytes, header }: InspectedMessage, { stream }: ReEncrypt): void {
  if (!header.suite.commits) {
    throw new ServiceError("ERR_MESSAGE_MALFORMED", "it is a message without key commitment, which no enclave opens");
  }
  if (stream !== undefined || bytes <= MAX_WHOLE_BYTES) return;
  throw new ServiceError(
    "ERR_MESSAGE_TOO_LARGE",
    `it has more than ${MAX_WHOLE_BYTES} bytes; a tls:// URL takes any size`,
  );
}

async function* newMessage(file: FileHandle, old: InspectedMessage, work: MessageWork): AsyncGenerator<Uint8Array> {
  const { keyIds, signal, reEncrypt } = work;
  const encryptionContext = withoutSignaturePair(Object.fromEntries(old.header.encryptionContext));
  const options = { keyIds, encryptionContext, signed: old.header.suite.signed, signal };
  if (reEncrypt.stream === undefined || old.bytes <= STREAM_BYTES) {
    yield await reEncrypt.whole(await wholeOf(file, old), options);
  } else {
    yield* await reEncrypt.stream(partsOf(file, old), options);
  }
}

async function wholeOf(file: FileHandle, { bytes }: InspectedMessage): Promise<Uint8Array> {
  const whole = new Uint8Array(bytes);
  let length = 0;
  while (length < bytes) {
    const { bytesRead } = await file.read(whole, length, bytes - length, length);
    if (bytesRead === 0) throw new FileFailure("FILE_CHANGED", "it has become shorter meanwhile, and was left");
    length += bytesRead;
  }
  return whole;
}

/** The file up to the length that it had. Read at positions of its own, so that it can be read again. */
async function* partsOf(file: FileHandle, { bytes }: InspectedMessage): AsyncGenerator<Uint8Array> {
  for (let position = 0; position < bytes; ) {
    const part = new Uint8Array(Math.min(PART_BYTES, bytes - position));
    const { bytesRead } = await file.read(part, 0, part.length, position);
    if (bytesRead === 0) throw new FileFailure("FILE_CHANGED", "it has become shorter meanwhile, and was left");
    yield part.subarray(0, bytesRead);
    position += bytesRead;
  }
}

async function assertAnswer(made: FileHandle, old: InspectedMessage, rollover: Rollover): Promise<void> {
  const header = await headerOf(made).catch((cause: unknown) => {
    throw new FileFailure("ANSWER_REFUSED", "the answer is no message", { cause });
  });
  const keys = keyNamesOf(header);
  if (!keys.every((name) => isNew(name, rollover))) throw refused(`is under ${keys.join(", ")}`);
  if (rollover.to.kind === "branchKeys") assertTenants(keys, header);
  if (!header.suite.commits) throw refused("has no key commitment");
  if (header.suite.signed !== old.header.suite.signed) throw refused("is not signed as the old message was");
  if (canonical(header) !== canonical(old.header)) throw refused("has another encryption context");
}

/** The id of a branch key is the value of the tenant's pair; which pair that is the enclave knows. */
function assertTenants(keys: readonly string[], { encryptionContext }: MessageHeader): void {
  const tenants = new Set([...encryptionContext.values()].map((value) => `branch-key/${value}`));
  if (!keys.every((name) => tenants.has(name))) throw refused("is under the branch key of another tenant");
}

const refused = (what: string): FileFailure => new FileFailure("ANSWER_REFUSED", `the answer ${what}`);

const canonical = ({ encryptionContext }: MessageHeader): string =>
  JSON.stringify(Object.entries(withoutSignaturePair(Object.fromEntries(encryptionContext))).sort());

/**
 * Reference values in a file: what `nitro-decrypt pcrs --json` prints (`{"pcrs": {"0": …, "16": …}}`), what
 * `nitro-cli build-enclave` prints (`{"Measurements": {"PCR0": …}}`), or the PCRs themselves (`{"PCR0": …, "PCR16": …}`).
 */
import { z } from "zod";
import type { EnclavePcrs } from "../client/policy.js";
import { fromHex } from "../shared/bytes.js";
import { ServiceError } from "../shared/errors.js";
import { decodeUtf8, parseJson } from "../shared/wire.js";
import type { Io } from "./command.js";
import { readInput } from "./input.js";

const MAX_FILE_BYTES = 64 * 1024;
const PCR_NAME = /^PCR([0-9]|[12][0-9]|3[01])$/;

const measurements = z.record(z.string(), z.string());
const file = z.union([
  z
    .looseObject({ pcrs: measurements })
    .transform(({ pcrs }) => Object.fromEntries(Object.entries(pcrs).map(([index, value]) => [`PCR${index}`, value]))),
  z
    .object({ Measurements: measurements })
    .catchall(z.unknown())
    .transform(({ Measurements, ...beside }) => ({ ...beside, ...Measurements })), // PCR16 may stand beside it
  z.record(z.string(), z.unknown()),
]);

/** The values in `path`. What is no PCR there (a hash algorithm's name) is left out; a value of a wrong length is refused. */
export async function readReferencePcrs(path: string, io: Io): Promise<EnclavePcrs> {
  const given = Object.entries(parsePcrs(path, decodeUtf8(await readInput(path, io, MAX_FILE_BYTES))));
  const pcrs: Record<number, string> = {};
  for (const [name, value] of given) {
    const index = PCR_NAME.exec(name)?.[1];
    if (index === undefined) continue;
    if (typeof value !== "string" || fromHex(value)?.length !== 48) {
      throw malformed(`${path}: ${name} is not 96 hexadecimal digits`);
    }
    pcrs[Number(index)] = value;
  }
  const { 0: pcr0, 1: pcr1, 2: pcr2 } = pcrs;
  if (pcr0 === undefined || pcr1 === undefined || pcr2 === undefined) {
    throw malformed(`${path} has no PCR0, PCR1 and PCR2: expected {"PCR0": "…", "PCR1": "…", "PCR2": "…"}`);
  }
  return { ...pcrs, 0: pcr0, 1: pcr1, 2: pcr2 };
}

function parsePcrs(path: string, text: string): Readonly<Record<string, unknown>> {
  try {
    return parseJson(file, text, "ERR_MESSAGE_MALFORMED");
  } catch {
    throw malformed(`${path} is no JSON with PCRs: expected {"PCR0": "…", "PCR1": "…", "PCR2": "…"}`);
  }
}

const malformed = (message: string): ServiceError => new ServiceError("ERR_MESSAGE_MALFORMED", message);

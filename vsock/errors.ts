/** Errors as Node has them: a system error carries `code`, `errno`, `syscall`, `address` and `port`, a wrong argument a `code`. */
import { getSystemErrorName, inspect } from "node:util";

/** A failed system call on a vsock address. */
export interface VsockError extends Error {
  readonly code: string;
  /** The negative errno. */
  readonly errno: number;
  readonly syscall: string;
  /** `vsock://CID:PORT`, where the call had one. */
  readonly address?: string;
  readonly port?: number;
}

export interface Endpoint {
  readonly cid: number;
  readonly port: number;
}

export const formatEndpoint = ({ cid, port }: Endpoint): string => `vsock://${cid}:${port}`;

/** The error of `syscall`, which failed with the negative errno `errno`, as `connect ECONNRESET vsock://16:5000`. */
export function systemError(errno: number, syscall: string, endpoint?: Endpoint): VsockError {
  const code = getSystemErrorName(errno);
  if (endpoint === undefined) return Object.assign(new Error(`${syscall} ${code}`), { code, errno, syscall });
  const address = formatEndpoint(endpoint);
  const message = `${syscall} ${code} ${address}`;
  return Object.assign(new Error(message), { code, errno, syscall, address, port: endpoint.port });
}

/** @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE (no integer of `least` to `most`). */
export function assertInteger(value: unknown, name: string, least: number, most: number): asserts value is number {
  if (typeof value !== "number") throw argumentError(name, "a number", value);
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw rangeError(`expected ${name} as an integer of ${least} to ${most}, not ${value}`);
}

/** @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE (not `least` to `most` bytes). */
export function assertBytes(value: unknown, name: string, least: number, most: number): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) throw argumentError(name, "a Uint8Array", value);
  if (value.length >= least && value.length <= most) return;
  throw rangeError(`expected ${name} of ${least} to ${most} bytes, not ${value.length}`);
}

/** @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE (negative or not finite). */
export function assertDuration(value: unknown, name: string): asserts value is number {
  if (typeof value !== "number") throw argumentError(name, "a number", value);
  if (!(value >= 0 && Number.isFinite(value))) throw rangeError(`expected ${name} as zero or more, not ${value}`);
}

/** @throws TypeError ERR_INVALID_ARG_TYPE */
export function assertObject(value: unknown, name: string): asserts value is object {
  if (typeof value !== "object" || value === null) throw argumentError(name, "an object", value);
}

/** @throws TypeError ERR_INVALID_ARG_TYPE */
export function assertOptionalFunction(value: unknown, name: string): void {
  if (value !== undefined && typeof value !== "function") throw argumentError(name, "a function", value);
}

function argumentError(name: string, wanted: string, value: unknown): TypeError {
  const message = `expected ${name} as ${wanted}, not ${inspect(value, { depth: 0 })}`;
  return Object.assign(new TypeError(message), { code: "ERR_INVALID_ARG_TYPE" });
}

const rangeError = (message: string): RangeError =>
  Object.assign(new RangeError(message), { code: "ERR_OUT_OF_RANGE" });

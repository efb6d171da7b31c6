/**
 * The binary of addon.c: where it lies, how it is loaded, and what it offers. The only caller of the binary is this
 * folder; nothing of it is exported from the package. Every function answers with a negative errno instead of throwing.
 */
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

declare const native: unique symbol;
/** A connection, a listener, or an attempt to connect: an opaque value of the binary. */
export interface Handle {
  readonly [native]: never;
}

/** What a handle's `notify` is told. The numbers are those of addon.c. */
export const EVENT = {
  /** The attempt to connect ended: 0, or a negative errno. The handle is now a stream. */
  connect: 0,
  /** The count of bytes that lie at the front of the thread's read buffer, or a negative errno (UV_EOF at the end). */
  read: 1,
  /** The piece that had to wait was sent: its length, or a negative errno. */
  written: 2,
  /** Everything was sent and the peer has been told so: 0, or a negative errno. */
  shutdown: 3,
  /** One connection or more wait to be accepted, or a negative errno. */
  acceptable: 4,
  /** The descriptor is closed; the last event of a handle. */
  closed: 5,
} as const;

export type Notify = (event: number, value: number) => void;

/** The functions of addon.c. Numbers below zero are negative errno values, as libuv has them. */
export interface Binding {
  /** Begins to connect. `timeoutMs` is told to the kernel, whose own default is two seconds. */
  connect(cid: number, port: number, timeoutMs: number): Handle | number;
  listen(cid: number, port: number, backlog: number): Handle | number;
  /** A connection that waits, with its [cid, port]; -EAGAIN when none does. */
  accept(listener: Handle): Handle | number;
  /** Names the function that hears of the handle's events, once and before anything else. */
  watch(handle: Handle, notify: Notify): number;
  /** Reads from a stream, or looks out for connections at a listener. */
  start(handle: Handle): number;
  stop(handle: Handle): number;
  /**
   * Sends `bytes` from `offset` on; says how many were sent. When that is not all, a copy of up to 32 KiB more waits to be
   * sent, and "written" tells of it: until then nothing else may be written.
   */
  write(handle: Handle, bytes: Uint8Array, offset: number): number;
  shutdown(handle: Handle): number;
  close(handle: Handle): number;
  ref(handle: Handle): number;
  unref(handle: Handle): number;
  /** [cid, port] of the peer, or of this end. */
  address(handle: Handle, peer: boolean): readonly [cid: number, port: number] | number;
  /** Where every stream of this thread reads to. */
  readInto(buffer: Uint8Array): number;
  nsm(fd: number, request: Uint8Array, done: (status: number, response: Buffer | undefined) => void): number;
  addEntropy(fd: number, bytes: Uint8Array): number;
  setRealtimeClock(milliseconds: number): number;
}

const READ_BYTES = 65_536;

/** The binary as one thread uses it. All its streams read into one buffer, so an idle connection holds no memory. */
export class Addon {
  readonly binding: Binding;
  #buffer = Buffer.allocUnsafeSlow(READ_BYTES);

  constructor(binding: Binding) {
    this.binding = binding;
    binding.readInto(this.#buffer);
  }

  /** The `length` bytes that were just read. A long read gives its buffer away, a short one is copied out of it. */
  takeRead(length: number): Buffer {
    const bytes = this.#buffer.subarray(0, length);
    if (length < READ_BYTES / 2) return Buffer.from(bytes);
    const next = Buffer.allocUnsafeSlow(READ_BYTES);
    this.binding.readInto(next);
    this.#buffer = next;
    return bytes;
  }
}

let loaded: Addon | undefined;

/**
 * The addon, loaded when it is first needed.
 * @throws Error ERR_VSOCK_ADDON: there is no binary for this system, or it cannot be loaded; the message says what to do.
 */
export function addon(): Addon {
  loaded ??= loadAddon(findBinary());
  return loaded;
}

/**
 * Loads the binary at `path` for this thread in place of the one that ships. For tests, which bring their own.
 * @throws Error ERR_VSOCK_ADDON
 */
export function loadAddon(path: string): Addon {
  const module: { exports: Partial<Binding> } = { exports: {} };
  try {
    process.dlopen(module, path);
  } catch (cause) {
    throw addonError(`cannot load ${path}`, cause);
  }
  loaded = new Addon(module.exports as Binding); // what addon.c defines
  return loaded;
}

/** The binary beside this module, or where the package keeps it when the module was compiled to a dist folder. */
function findBinary(): string {
  if (process.platform !== "linux") throw addonError(`there is no AF_VSOCK on ${process.platform}, only on Linux`);
  const folder = dirname(fileURLToPath(import.meta.url));
  const name = `linux-${process.arch}.node`;
  const path = folders(folder)
    .map((prebuilds) => join(prebuilds, name))
    .find((candidate) => existsSync(candidate));
  if (path === undefined) throw addonError(`there is no prebuilt binary ${name}`);
  return path;
}

/** Never a folder outside the package: `dist/vsock` has its binaries in `vsock`, `vsock/dist` (the npm package) above it. */
function folders(folder: string): string[] {
  const beside = join(folder, "prebuilds");
  if (basename(folder) === "dist") return [beside, join(folder, "../prebuilds")];
  const compiled = basename(folder) === "vsock" && basename(dirname(folder)) === "dist";
  return compiled ? [beside, join(folder, "../../vsock/prebuilds")] : [beside];
}

function addonError(reason: string, cause?: unknown): Error {
  const advice =
    "`npm run build:native` builds it (cc and Node's headers are enough); unix:/path addresses need no addon";
  return Object.assign(new Error(`the vsock addon is missing: ${reason}. ${advice}`, { cause }), {
    code: "ERR_VSOCK_ADDON",
  });
}

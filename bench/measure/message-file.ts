/** Messages in a temporary file, one after another: a million of them take as much memory as their places. */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const BUFFER_BYTES = 1024 * 1024;

export class MessageFile {
  readonly #folder: string;
  readonly #file: number;
  /** Where each message begins, and how long it is; no message has no length. */
  readonly #begins: Float64Array;
  readonly #lengths: Uint32Array;
  /** What is not in the file yet. */
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);
  #buffered = 0;
  #written = 0;

  private constructor(folder: string, capacity: number) {
    this.#folder = folder;
    this.#file = openSync(join(folder, "messages"), "w+", 0o600);
    this.#begins = new Float64Array(capacity);
    this.#lengths = new Uint32Array(capacity);
  }

  /** An empty file with room for so many messages. */
  static async create(capacity: number): Promise<MessageFile> {
    return new MessageFile(await mkdtemp(join(tmpdir(), "nitro-decrypt-measure-")), capacity);
  }

  /** Appends a message of at most 1 MiB, which is read by `index`, a number below the capacity. */
  append(index: number, message: Uint8Array): void {
    if (this.#buffered + message.length > BUFFER_BYTES) this.flush();
    this.#begins[index] = this.bytes;
    this.#lengths[index] = message.length;
    this.#buffer.set(message, this.#buffered);
    this.#buffered += message.length;
  }

  /** Writes what is buffered: before the first message is read. */
  flush(): void {
    writeSync(this.#file, this.#buffer, 0, this.#buffered, this.#written);
    this.#written += this.#buffered;
    this.#buffered = 0;
  }

  read(index: number): Buffer {
    const message = Buffer.alloc(this.#lengths[index] ?? 0);
    const read = readSync(this.#file, message, 0, message.length, this.#begins[index] ?? 0);
    if (read !== message.length || read === 0) throw new Error(`message ${index} is not in the file`);
    return message;
  }

  get bytes(): number {
    return this.#written + this.#buffered;
  }

  async close(): Promise<void> {
    closeSync(this.#file);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/**
 * A folder of sealing seeds: one file for each fleet, `FLEET.MEASUREMENT.json`, replaced as a whole and never changed in
 * place, so that a parent that ends while it writes leaves the old file or the new one. Other files are left alone.
 */
import { open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { ServiceError } from "../shared/errors.js";
import type { SealingSeed } from "../shared/sealing-seed.js";
import { sealingSeeds } from "../shared/sealing-seed.js";
import { parseJson } from "../shared/wire.js";

const FILE = /^([a-z][a-z0-9-]{0,31}\.[0-9a-f]{64})\.json$/;
/** Above what the records of one fleet can be. */
const MAX_FILE_BYTES = 128 * 1024;

export class SeedFolder {
  readonly #folder: string;
  readonly #log: Logger;

  constructor(folder: string, log: Logger) {
    this.#folder = folder;
    this.#log = log;
  }

  /**
   * What it has, by name, the file that was written last at the end; at most `max`, the others are left where they are.
   * A file that cannot be read, or is not of its form, is logged and passed over. @throws ServiceError ERR_CONFIGURATION: there is no such folder.
   */
  async read(max: number): Promise<readonly (readonly [string, readonly SealingSeed[]])[]> {
    const found = [];
    for (const file of await this.#files()) {
      const [, name = ""] = FILE.exec(file) ?? [];
      const path = join(this.#folder, file);
      try {
        const { size, mtimeMs } = await stat(path);
        if (size > MAX_FILE_BYTES) throw new ServiceError("ERR_MESSAGE_TOO_LARGE", `more than ${MAX_FILE_BYTES} bytes`);
        const { seeds } = parseJson(sealingSeeds, await readFile(path, "utf8"), "ERR_MESSAGE_MALFORMED");
        found.push({ name, seeds, mtimeMs });
      } catch (error) {
        this.#log.error({ err: error, file }, "sealing seeds: a file cannot be read, its fleet begins without it");
      }
    }
    found.sort((a, b) => a.mtimeMs - b.mtimeMs);
    return found.slice(-max).map(({ name, seeds }) => [name, seeds] as const);
  }

  /** Replaces the file of a fleet; it is on the disk on return. */
  async write(name: string, seeds: readonly SealingSeed[]): Promise<void> {
    const path = join(this.#folder, `${name}.json`);
    const next = `${path}.next`;
    const file = await open(next, "w", 0o600);
    try {
      await file.writeFile(JSON.stringify({ seeds }));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, path);
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.#folder, `${name}.json`), { force: true });
  }

  async #files(): Promise<string[]> {
    try {
      return (await readdir(this.#folder)).filter((file) => FILE.test(file));
    } catch (cause) {
      throw new ServiceError("ERR_CONFIGURATION", "expected a folder for the sealing seeds", { cause });
    }
  }
}

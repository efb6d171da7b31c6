/** Unpacks what `npm pack` makes (a gzipped ustar of regular files) without a `tar` command. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";

const BLOCK = 512;

const text = (block: Buffer, from: number, length: number): string =>
  block
    .subarray(from, from + length)
    .toString("utf8")
    .split("\0", 1)[0] ?? "";

/** Writes every file of `tarball` below `folder`, without the leading `package/`; returns their paths. */
export function unpackTarball(tarball: Buffer, folder: string): string[] {
  const archive = gunzipSync(tarball);
  const paths: string[] = [];
  for (let offset = 0; offset + BLOCK <= archive.length; ) {
    const header = archive.subarray(offset, offset + BLOCK);
    const name = [text(header, 345, 155), text(header, 0, 100)].filter((part) => part !== "").join("/");
    if (name === "") break; // the closing blocks of zeros
    const size = Number.parseInt(text(header, 124, 12), 8);
    if (text(header, 156, 1) === "0") {
      const path = name.replace(/^package\//, "");
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), archive.subarray(offset + BLOCK, offset + BLOCK + size));
      paths.push(path);
    }
    offset += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return paths;
}

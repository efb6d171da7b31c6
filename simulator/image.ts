/**
 * Enclave images for the simulator: kernel, command line and ramdisks, as in an EIF, and the PCRs that an enclave booted
 * from them has. A ramdisk can be made from a folder of program files, so that changing the enclave's code changes its
 * measurements, as it does on real hardware.
 *
 * A folder becomes an uncompressed "newc" cpio archive (Linux Documentation/driver-api/early-userspace/buffer-format.rst)
 * in which nothing but paths, contents and kinds can differ: entries sorted by path, owner root, no times, fixed modes.
 * It is not byte for byte what `nitro-cli build-enclave` would make of the same files: that goes through a container image.
 */
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { pcr3OfRole, pcr4OfInstance, zeroPcr } from "../shared/attestation/pcr.js";
import { concatBytes, utf8 } from "../shared/bytes.js";
import { measureImage } from "../shared/eif/eif.js";

/** What the hypervisor measures, in bytes. The first ramdisk is the base system, the others the application. */
export interface EnclaveImage {
  readonly kernel: Uint8Array;
  readonly cmdline: Uint8Array;
  readonly ramdisks: readonly [Uint8Array, ...Uint8Array[]];
  /** DER of the certificate that signed the image; PCR8 is zero without it. */
  readonly signingCertificateDer?: Uint8Array;
}

/** Where an image's parts come from: bytes, a text, a file, or (ramdisks) a folder. */
export interface ImageSources {
  readonly kernel: Uint8Array | FileSource;
  readonly cmdline: string;
  readonly ramdisks: readonly [RamdiskSource, ...RamdiskSource[]];
  readonly signingCertificateDer?: Uint8Array;
}
export interface FileSource {
  readonly file: string;
}
export type RamdiskSource =
  | Uint8Array
  | FileSource
  | { readonly folder: string }
  | { readonly entries: RamdiskEntries };

/** Contents by path relative to the archive's root, "/" between names. */
export type RamdiskEntries = ReadonlyMap<string, RamdiskEntry>;
export type RamdiskEntry =
  | { readonly kind: "file"; readonly content: Uint8Array }
  | { readonly kind: "folder" }
  | { readonly kind: "link"; readonly target: string };

/** The circumstances that PCR3, PCR4 and debug mode depend on. */
export interface LaunchOptions {
  readonly instanceId: string;
  /** ARN of the parent instance's IAM role; PCR3 is zero without one. */
  readonly roleArn?: string;
  /** Attached with `--debug-mode`: the image's measurements (PCR 0, 1, 2 and 8) are zero. */
  readonly debug?: boolean;
}

/** Reads all parts of an image. */
export async function readImage(sources: ImageSources): Promise<EnclaveImage> {
  const { kernel, cmdline, signingCertificateDer } = sources;
  const [base, ...application] = sources.ramdisks;
  return {
    kernel: kernel instanceof Uint8Array ? kernel : await readFile(kernel.file),
    cmdline: utf8(cmdline),
    ramdisks: [await readRamdisk(base), ...(await Promise.all(application.map(readRamdisk)))],
    ...(signingCertificateDer === undefined ? {} : { signingCertificateDer }),
  };
}

async function readRamdisk(source: RamdiskSource): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source;
  if ("file" in source) return readFile(source.file);
  return ramdiskOf("folder" in source ? await entriesOfFolder(source.folder) : source.entries);
}

/** Every file, folder and symbolic link below `folder`. */
export async function entriesOfFolder(folder: string): Promise<RamdiskEntries> {
  const entries = new Map<string, RamdiskEntry>();
  const visit = async (prefix: string): Promise<void> => {
    for (const entry of await readdir(join(folder, prefix), { withFileTypes: true })) {
      const path = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
      const place = join(folder, path);
      if (entry.isDirectory()) {
        entries.set(path, { kind: "folder" });
        await visit(path);
      } else if (entry.isSymbolicLink()) {
        entries.set(path, { kind: "link", target: await readlink(place) });
      } else {
        entries.set(path, { kind: "file", content: await readFile(place) });
      }
    }
  };
  await visit("");
  return entries;
}

const MODE = { file: 0o100755, folder: 0o040755, link: 0o120777 } as const;

/** The cpio archive of `entries`: the same entries give the same bytes, in whatever order they come. */
export function ramdiskOf(entries: RamdiskEntries): Uint8Array<ArrayBuffer> {
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  const members = sorted.map(([path, entry], index) => cpioMember(path, MODE[entry.kind], contentOf(entry), index + 1));
  return concatBytes(...members, cpioMember("TRAILER!!!", 0, new Uint8Array(), 0));
}

function contentOf(entry: RamdiskEntry): Uint8Array {
  if (entry.kind === "folder") return new Uint8Array();
  return entry.kind === "file" ? entry.content : utf8(entry.target);
}

function cpioMember(path: string, mode: number, content: Uint8Array, inode: number): Uint8Array {
  const name = utf8(`${path}\0`);
  const links = 1;
  const none = 0; // owner, group, time, device numbers and (newc has none) checksum
  const fields = [inode, mode, none, none, links, none, content.length, none, none, none, none, name.length, none];
  const header = utf8(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`);
  return concatBytes(padded(concatBytes(header, name)), padded(content));
}

const padded = (bytes: Uint8Array): Uint8Array => concatBytes(bytes, new Uint8Array(-bytes.length & 3));

/**
 * PCR 0 to 15 of an enclave that boots `image`: 0, 1, 2 and 8 from the image, 3 from the role, 4 from the instance, zeros
 * elsewhere. In debug mode the image's four are zero and the other two are not.
 */
export async function bootPcrs(image: EnclaveImage, launch: LaunchOptions): Promise<ReadonlyMap<number, Uint8Array>> {
  const pcrs = new Map<number, Uint8Array>(Array.from({ length: 16 }, (_, index) => [index, zeroPcr()]));
  if (launch.debug !== true) {
    const { pcr0, pcr1, pcr2, pcr8 } = await measureImage(image);
    pcrs.set(0, pcr0).set(1, pcr1).set(2, pcr2);
    if (pcr8 !== undefined) pcrs.set(8, pcr8);
  }
  if (launch.roleArn !== undefined) pcrs.set(3, await pcr3OfRole(launch.roleArn));
  return pcrs.set(4, await pcr4OfInstance(launch.instanceId));
}

import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { concatBytes, isAllZero, toHex, utf8 } from "../../shared/bytes.js";
import type { EnclaveImage, LaunchOptions, RamdiskSource } from "../../simulator/image.js";
import { bootPcrs, entriesOfFolder, ramdiskOf, readImage } from "../../simulator/image.js";
import { runCommand } from "../support/project.js";
import { INSTANCE_ID } from "./fixtures.js";

const IMAGE: EnclaveImage = {
  kernel: utf8("kernel"),
  cmdline: utf8("reboot=k panic=30"),
  ramdisks: [utf8("init"), utf8("application")],
};
const LAUNCH: LaunchOptions = { instanceId: INSTANCE_ID };

const sha384 = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(
    createHash("sha384")
      .update(concatBytes(...parts))
      .digest(),
  );
const measured = (...parts: readonly Uint8Array[]): string => toHex(sha384(new Uint8Array(48), sha384(...parts)));

/** Index → value of the registers that are not zero. */
async function nonZero(image: EnclaveImage, launch: LaunchOptions = LAUNCH): Promise<Record<number, string>> {
  const set = [...(await bootPcrs(image, launch))].filter(([, value]) => !isAllZero(value));
  return Object.fromEntries(set.map(([index, value]) => [index, toHex(value)]));
}

describe("PCRs at boot", () => {
  const { kernel, cmdline, ramdisks } = IMAGE;
  const [base, application = new Uint8Array()] = ramdisks;
  const pcr4 = toHex(sha384(new Uint8Array(48), utf8(INSTANCE_ID)));

  test("are sixteen registers of 48 bytes", async () => {
    const pcrs = await bootPcrs(IMAGE, LAUNCH);
    expect([...pcrs.keys()]).toEqual(Array.from({ length: 16 }, (_, index) => index));
    for (const value of pcrs.values()) expect(value).toHaveLength(48);
  });

  test("follow the formulae for the image and the instance", async () => {
    expect(await nonZero(IMAGE)).toEqual({
      0: measured(kernel, cmdline, base, application),
      1: measured(kernel, cmdline, base),
      2: measured(application),
      4: pcr4,
    });
  });

  test("PCR3 is the role's, PCR8 the signing certificate's", async () => {
    const roleArn = "arn:aws:iam::111122223333:role/parent";
    const signed = { ...IMAGE, signingCertificateDer: utf8("a certificate") };
    const pcrs = await nonZero(signed, { ...LAUNCH, roleArn });
    expect(pcrs[3]).toBe(toHex(sha384(new Uint8Array(48), utf8(roleArn))));
    expect(pcrs[8]).toBe(measured(utf8("a certificate")));
  });

  test("pitfall 6: in debug mode 0, 1, 2 and 8 are zero, 3 and 4 are not", async () => {
    const signed = { ...IMAGE, signingCertificateDer: utf8("a certificate") };
    const pcrs = await nonZero(signed, { ...LAUNCH, roleArn: "arn:aws:iam::111122223333:role/parent", debug: true });
    expect(Object.keys(pcrs)).toEqual(["3", "4"]);
  });

  test.each([
    ["kernel", { kernel: utf8("kernel 2") }, [0, 1]],
    ["command line", { cmdline: utf8("reboot=k") }, [0, 1]],
    ["base ramdisk", { ramdisks: [utf8("init 2"), application] as const }, [0, 1]],
    ["application ramdisk", { ramdisks: [base, utf8("application 2")] as const }, [0, 2]],
    ["a further ramdisk", { ramdisks: [base, application, utf8("more")] as const }, [0, 2]],
  ] as const)("change with the %s", async (_, change, expected) => {
    const [before, after] = [await nonZero(IMAGE), await nonZero({ ...IMAGE, ...change } as EnclaveImage)];
    expect([0, 1, 2, 4].filter((index) => before[index] !== after[index])).toEqual(expected);
  });

  test("pitfall 7: bytes moved between the ramdisks keep PCR0 and change PCR1 and PCR2", async () => {
    const moved = await nonZero({ ...IMAGE, ramdisks: [utf8("initapp"), utf8("lication")] });
    const before = await nonZero(IMAGE);
    expect([0, 1, 2].map((index) => moved[index] === before[index])).toEqual([true, false, false]);
  });
});

describe("a ramdisk from a folder", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "nd-image-"));
    await mkdir(join(folder, "app/lib"), { recursive: true });
    await writeFile(join(folder, "app/main.js"), "main();\n");
    await writeFile(join(folder, "app/lib/a.js"), "export {};\n");
    await symlink("main.js", join(folder, "app/start"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test("holds every file, folder and link by its path", async () => {
    const entries = await entriesOfFolder(folder);
    expect([...entries.keys()].sort()).toEqual(["app", "app/lib", "app/lib/a.js", "app/main.js", "app/start"]);
    expect(entries.get("app/start")).toEqual({ kind: "link", target: "main.js" });
    expect(entries.get("app/main.js")).toMatchObject({ kind: "file", content: Buffer.from("main();\n") });
  });

  test("is the same in whatever order the entries come", async () => {
    const entries = await entriesOfFolder(folder);
    expect(ramdiskOf(new Map([...entries].reverse()))).toEqual(ramdiskOf(entries));
  });

  test("is an archive that cpio reads", async ({ skip }) => {
    const archive = join(folder, "archive.cpio");
    await writeFile(archive, ramdiskOf(await entriesOfFolder(folder)));
    const listing = runCommand("cpio", ["-it", "--quiet", "-F", archive], folder);
    if (listing.error !== undefined) return skip("cpio is not installed");
    expect(listing.stdout.trim().split("\n")).toEqual(["app", "app/lib", "app/lib/a.js", "app/main.js", "app/start"]);
  });

  test("has the newc header, four-byte alignment and the trailer", () => {
    const archive = ramdiskOf(new Map([["ab", { kind: "file", content: utf8("hello") }]]));
    const text = new TextDecoder().decode(archive);
    expect(text.slice(0, 110)).toMatch(/^070701(00000001)(000081ed)(00000000){2}(00000001)(00000000)(00000005)/);
    expect(text.slice(110, 113)).toBe("ab\0");
    expect(text.slice(116, 121)).toBe("hello");
    expect(text.slice(124, 130)).toBe("070701");
    expect(text).toContain("TRAILER!!!\0");
    expect(archive.length % 4).toBe(0);
  });

  test("gives the image other measurements when one byte of one file changes", async () => {
    const sources = { kernel: IMAGE.kernel, cmdline: "quiet", ramdisks: [utf8("init"), { folder }] as const };
    const before = await nonZero(await readImage(sources));
    expect(await nonZero(await readImage(sources))).toEqual(before);
    await writeFile(join(folder, "app/main.js"), "main(1);\n");
    const after = await nonZero(await readImage(sources));
    expect([0, 1, 2, 4].filter((index) => before[index] !== after[index])).toEqual([0, 2]);
  });

  test("gives the image other measurements when a file changes its name", async () => {
    const named = (path: string): RamdiskSource => ({
      entries: new Map([[path, { kind: "file", content: utf8("x") }]]),
    });
    const sources = { kernel: IMAGE.kernel, cmdline: "quiet" };
    const before = await nonZero(await readImage({ ...sources, ramdisks: [named("a")] }));
    expect((await nonZero(await readImage({ ...sources, ramdisks: [named("b")] })))[1]).not.toBe(before[1]);
  });

  test("reads kernel and ramdisks from files, too", async () => {
    const [kernel, ramdisk] = [join(folder, "vmlinuz"), join(folder, "ramdisk")];
    await writeFile(kernel, IMAGE.kernel);
    await writeFile(ramdisk, IMAGE.ramdisks[0]);
    const image = await readImage({
      kernel: { file: kernel },
      cmdline: "reboot=k panic=30",
      ramdisks: [{ file: ramdisk }, utf8("application")],
    });
    expect(await nonZero(image)).toEqual(await nonZero(IMAGE));
  });
});

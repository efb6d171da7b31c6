/** `nitro-decrypt nsm`: a simulated Nitro Security Module of one enclave, on a Unix socket. */
import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { toHex } from "../shared/bytes.js";
import { parseEif } from "../shared/eif/eif.js";
import { signingCertificateOf } from "../shared/eif/signature-section.js";
import type { EnclaveImage, RamdiskSource } from "../simulator/image.js";
import { bootPcrs, readImage } from "../simulator/image.js";
import { serveNsm } from "../simulator/nsm/server.js";
import { bootSimulatedNsm } from "../simulator/nsm/simulated-nsm.js";
import { createNitroPki } from "../simulator/pki/nitro-pki.js";
import type { Io } from "./command.js";
import { CommandFailure, defineCommand } from "./command.js";
import { installedImageFiles, packImage } from "./image.js";
import type { OptionValues } from "./options.js";
import { parseOptions, required } from "./options.js";
import { runUntilInterrupted, SERVICE_OPTIONS, SERVICE_USAGE } from "./service.js";
import { simulatedRoot } from "./simulated-root.js";

const usage = `Boots a simulated enclave as far as its Nitro Security Module is concerned, and serves the device.

Usage: nitro-decrypt nsm --listen unix:PATH [--pki FILE] [image options]

Its documents are signed under a simulated root; no verifier takes them for genuine.

  --listen unix:PATH   where to serve
  --pki FILE           the simulated root, shared with "nitro-decrypt kms"; made if it is not there
  --region REGION      default us-east-1
  --instance-id ID     the parent instance, i-<17 hex> (PCR4)
  --role-arn ARN       the parent instance's role (PCR3); zero without it
  --debug              debug mode: PCR 0, 1, 2 and 8 are zero

The image (PCR 0, 1, 2 and 8) is this installation's own enclave code, or:
  --eif FILE           an enclave image file
  --kernel FILE --cmdline TEXT --ramdisk PATH [--ramdisk PATH ...]
                       its parts; a ramdisk is a file, or a folder that is packed into one
${SERVICE_USAGE}`;

const OPTIONS = {
  ...SERVICE_OPTIONS,
  listen: { type: "string" },
  pki: { type: "string" },
  region: { type: "string", default: "us-east-1" },
  "instance-id": { type: "string", default: "i-0123456789abcdef0" },
  "role-arn": { type: "string" },
  debug: { type: "boolean", default: false },
  eif: { type: "string" },
  kernel: { type: "string" },
  cmdline: { type: "string" },
  ramdisk: { type: "string", multiple: true },
} as const;

type Values = OptionValues<typeof OPTIONS>;

export const nsm = defineCommand({
  name: "nsm",
  summary: "a simulated Nitro Security Module",
  usage,
  async execute(argv, io) {
    const options = parseOptions(argv, OPTIONS);
    const listen = required(options.listen, "listen");
    const instanceId = options["instance-id"];
    if (!/^i-[0-9a-f]{17}$/.test(instanceId)) throw new CommandFailure(2, "--instance-id has the form i-<17 hex>");
    const image = await imageOf(options, io);
    const root = await simulatedRoot(io, options.pki);
    const roleArn = options["role-arn"];
    const launch = { instanceId, debug: options.debug, ...(roleArn === undefined ? {} : { roleArn }) };
    const clock = io.now;
    const pki = await createNitroPki({ clock, region: options.region, root });
    const device = await bootSimulatedNsm({ pki, image, ...launch });
    const pcrs = pcrsInHex(await bootPcrs(image, launch));
    const server = await serveNsm(device, listen);
    const { moduleId } = device;
    const { trustAnchor } = pki;
    const lines = Object.entries(pcrs).map(([index, value]) => `  PCR${index} ${value}\n`);
    return runUntilInterrupted(
      io,
      server,
      {
        event: { service: "nsm", address: server.address, moduleId, pcrs, trustAnchor },
        text: `simulated NSM at ${server.address}\n  module ${moduleId}\n${lines.join("")}  root SHA-256 ${trustAnchor.sha256}\n`,
      },
      options.json,
    );
  },
});

/** The registers that an image and its circumstances set; the others are zero. */
const pcrsInHex = (pcrs: ReadonlyMap<number, Uint8Array>): Readonly<Record<string, string>> =>
  Object.fromEntries([0, 1, 2, 3, 4, 8].map((index) => [index, toHex(pcrs.get(index) ?? new Uint8Array())]));

async function imageOf({ eif, kernel, cmdline, ramdisk }: Values, io: Io): Promise<EnclaveImage> {
  const parts = kernel !== undefined || cmdline !== undefined || ramdisk !== undefined;
  if (eif !== undefined && parts) throw new CommandFailure(2, "--eif, or --kernel, --cmdline and --ramdisk: not both");
  if (eif !== undefined) return imageOfEif(await readInput(io, eif));
  if (!parts) return packImage(await installedImageFiles());
  const [base, ...application] = await Promise.all((ramdisk ?? []).map((path) => ramdiskSource(io, path)));
  if (base === undefined) throw new CommandFailure(2, "an image has at least one --ramdisk");
  return readImage({
    kernel: { file: resolve(io.cwd, required(kernel, "kernel")) },
    cmdline: required(cmdline, "cmdline"),
    ramdisks: [base, ...application],
  });
}

async function ramdiskSource(io: Io, path: string): Promise<RamdiskSource> {
  const place = resolve(io.cwd, path);
  try {
    return (await stat(place)).isDirectory() ? { folder: place } : { file: place };
  } catch (cause) {
    throw new CommandFailure(1, `${place} cannot be read`, { cause });
  }
}

function imageOfEif(bytes: Uint8Array): EnclaveImage {
  const eif = parseEif(bytes);
  const of = (type: string): Uint8Array[] =>
    eif.sections.filter((section) => section.type === type).map((s) => s.bytes);
  const [kernel, cmdline] = [of("kernel")[0], of("cmdline")[0]];
  const [base, ...application] = of("ramdisk");
  if (kernel === undefined || cmdline === undefined || base === undefined) {
    throw new TypeError("unreachable: parseEif takes bootable images only");
  }
  const signingCertificateDer = signingCertificateOf(eif);
  return {
    kernel,
    cmdline,
    ramdisks: [base, ...application],
    ...(signingCertificateDer === undefined ? {} : { signingCertificateDer }),
  };
}

async function readInput(io: Io, path: string): Promise<Uint8Array> {
  try {
    return await readFile(resolve(io.cwd, path));
  } catch (cause) {
    throw new CommandFailure(1, `${path} cannot be read`, { cause });
  }
}

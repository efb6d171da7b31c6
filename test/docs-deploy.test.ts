/** docs/deploy.md and deploy/: the commands exist, the policies do what is said of them, the units are what they should be. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DecryptCommand,
  EncryptCommand,
  GenerateRandomCommand,
  PutKeyPolicyCommand,
} from "@aws-sdk/client-kms";
import { describe, expect, it } from "vitest";
import { COMMANDS } from "../cli/commands.js";
import { TokenVerifier } from "../enclave/authorization/tokens.js";
import { measureConfiguration } from "../enclave/boot.js";
import { parseConfiguration } from "../enclave/configuration.js";
import { NsmClient } from "../enclave/nsm.js";
import { DEFAULT_LIMITS } from "../parent/limits.js";
import { createMetrics } from "../parent/metrics.js";
import { pcr16OfConfiguration } from "../shared/attestation/pcr.js";
import { toHex, utf8 } from "../shared/bytes.js";
import { ERRORS } from "../shared/errors.js";
import type { EnclaveImage } from "../simulator/image.js";
import type { BootedEnclave, Simulation } from "../simulator/simulation.js";
import { exampleImage, startSimulation } from "../simulator/simulation.js";
import { TestClock } from "./enclave/fakes.js";
import { clockAt } from "./simulator/fixtures.js";
import { testFolder } from "./support/folder.js";
import { recordedIo } from "./support/io.js";
import { projectRoot, runCommand } from "./support/project.js";
import { attest, errorNameOf, kmsClient, recipientKeyPair, recipientOf } from "./support/simulated-kms.js";

const read = (path: string): string => readFileSync(join(projectRoot, path), "utf8");
const page = read("docs/deploy.md");
const blocks = [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language = "", text = ""]) => ({
  language,
  text,
}));
/** The lines of commands, those that go on put together. */
const shell = blocks.filter(({ language }) => language === "sh").map(({ text }) => text.replaceAll("\\\n", " "));
const inCode = [
  ...shell.flatMap((text) => text.split("\n")),
  ...[...page.matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code),
];

function blockAfter(marker: string): string {
  const start = page.indexOf(`<!-- ${marker} -->`);
  expect(start, marker).toBeGreaterThan(0);
  const body = page.indexOf("\n", page.indexOf("```", start)) + 1;
  return page.slice(body, page.indexOf("```", body));
}

/** What `deploy/NAME` prints for these arguments, with the exit code. */
const run = (name: string, args: readonly string[], cwd = projectRoot) =>
  runCommand(process.execPath, [join(projectRoot, "deploy", name), ...args], cwd);

describe("the commands of docs/deploy.md", () => {
  const calls = inCode.flatMap((line) =>
    [...line.matchAll(/(?<![\w/-])nitro-decrypt ([a-z]+)\b([^|&]*)/g)].map(([, name = "", rest = ""]) => ({
      name,
      options: [...rest.matchAll(/--[a-z][a-z0-9-]*/g)].map(([option]) => option),
    })),
  );

  it("are those of nitro-decrypt, with options that they have", async () => {
    expect(new Set(calls.map(({ name }) => name))).toEqual(new Set(["pcrs", "decrypt", "inspect", "verify"]));
    for (const { name, options } of calls) {
      const usage = (await COMMANDS.find((command) => command.name === name)?.load())?.usage ?? "";
      expect(
        options.filter((option) => !usage.includes(option)),
        name,
      ).toEqual([]);
    }
  });

  it("are scripts of package.json", () => {
    const { scripts } = JSON.parse(read("package.json"));
    const named = inCode.flatMap((line) => [...line.matchAll(/npm run ([\w:-]+)/g)].map(([, name]) => name));
    const comingWithTheAddon = ["build:native"];
    const known = [...Object.keys(scripts), ...comingWithTheAddon];
    expect(named.filter((name) => !known.includes(name ?? ""))).toEqual([]);
    expect(named).toContain("image");
  });

  it("name files that exist, and all that deploy/ has", () => {
    const named = new Set([...page.matchAll(/\bdeploy\/([\w@.-]*\w)/g)].map(([, name = ""]) => name));
    expect([...named].sort()).toEqual(readdirSync(join(projectRoot, "deploy")).sort());
  });

  it("call nitro-cli with the options of its 1.5.0", () => {
    const known = new Map([
      ["run-enclave", ["--config"]],
      ["describe-enclaves", []],
      ["console", ["--enclave-name"]],
      ["explain", ["--error-code"]],
      ["terminate-enclave", ["--enclave-name"]],
    ]);
    const lines = [...inCode, ...read("deploy/nitro-decrypt-enclave@.service").split("\n")];
    for (const [, name = "", rest = ""] of lines.flatMap((line) => [...line.matchAll(/nitro-cli ([a-z-]+)(.*)/g)])) {
      const options = [...rest.matchAll(/--[\w-]+/g)].map(([option]) => option);
      expect(known.get(name), name).toEqual(expect.arrayContaining(options));
    }
  });

  it("are one shell's, which takes them", () => {
    for (const text of shell) expect(runCommand("sh", ["-n", "-c", text], projectRoot)).toMatchObject({ status: 0 });
  });
});

describe("what docs/deploy.md names", () => {
  it("has error codes and metrics that exist", () => {
    const codes = [...page.matchAll(/`(ERR_[A-Z_]+)`/g)].map(([, code = ""]) => code);
    expect(codes.filter((code) => !(code in ERRORS))).toEqual([]);
    const metrics = createMetrics(() => undefined)
      .registry.getMetricsAsArray()
      .map(({ name }) => name);
    const named = [...page.matchAll(/nitro_parent_\w+/g)].map(([name]) => name);
    expect(named.filter((name) => !metrics.includes(name))).toEqual([]);
  });

  it("has JSON that parses", () => {
    const texts = blocks.filter(({ language }) => language === "json").map(({ text }) => text);
    expect(texts.length).toBeGreaterThan(2);
    for (const text of texts) expect(() => JSON.parse(text)).not.toThrow();
  });

  it("shows what nitro-decrypt pcrs prints", async () => {
    const [command = "", ...lines] = blockAfter("nitro-decrypt pcrs").trim().split("\n");
    const [, , , ...argv] = command.split(" ");
    const io = recordedIo({ cwd: projectRoot });
    const pcrs = await COMMANDS.find(({ name }) => name === "pcrs")?.load();
    expect(await pcrs?.run(argv, io)).toBe(0);
    expect(io.out.split("\n").filter((line) => line.startsWith("PCR"))).toEqual(lines);
  });
});

const ACCOUNT = "111122223333";
const arn = (name: string): string => `arn:aws:iam::${ACCOUNT}:role/${name}`;
const PRINCIPALS = [
  ...["--administrator", arn("key-admin"), "--encrypter", arn("writer")],
  ...["--role", arn("nitro-decrypt-parent"), "--context", "tenant"],
];
type Pcrs = Readonly<Record<number, string>>;
const PCRS: Pcrs = Object.fromEntries(
  [0, 1, 2, 16].map((index) => [
    index,
    String(index % 10)
      .repeat(95)
      .concat("a"),
  ]),
);

/** The key policy for these releases, as the script prints it. */
function keyPolicy(releases: Readonly<Record<string, unknown>>, principals = PRINCIPALS) {
  const folder = testFolder();
  const args = Object.entries(releases).flatMap(([name, pcrs]) => {
    writeFileSync(join(folder, `${name}.json`), JSON.stringify({ pcrs }));
    return ["--release", `${name}=${name}.json`];
  });
  return run("policies.mjs", ["key", ...principals, ...args], folder);
}

describe("deploy/policies.mjs", () => {
  it("prints the key policy of the document", () => {
    const shown = JSON.parse(blockAfter("deploy/policies.mjs key").replace(/<PCR(\d+)>/g, (_, n) => PCRS[n] ?? ""));
    const printed = JSON.parse(keyPolicy({ blue: PCRS }).stdout);
    const [{ Action: cut }, ...rest] = shown.Statement;
    expect(printed.Statement.slice(1)).toEqual(rest);
    expect(printed.Statement[0]).toEqual({ ...shown.Statement[0], Action: expect.arrayContaining(cut) });
  });

  it("prints the role's policy of the document", () => {
    const shown = JSON.parse(blockAfter("deploy/policies.mjs role"));
    const { stdout } = run("policies.mjs", ["role", "--key", shown.Statement[0].Resource[0]]);
    expect(JSON.parse(stdout)).toEqual(shown);
  });

  it.each<[string, Record<number, unknown>, string]>([
    ["without PCR16", { ...PCRS, 16: undefined }, "PCR16 is not 96"],
    ["without PCR2", { ...PCRS, 2: undefined }, "PCR2 is not 96"],
    ["of debug mode", { ...PCRS, 0: "0".repeat(96) }, "PCR0 is zero"],
    ["cut", { ...PCRS, 1: "ab" }, "PCR1 is not 96"],
  ])("refuses a release %s", (_what, pcrs, message) => {
    const { status, stderr, stdout } = keyPolicy({ blue: pcrs });
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toContain(message);
  });

  it.each([[[]], [["else"]], [["key"]], [["role"]], [["trust", "--unknown"]]])("refuses %j as wrong usage", (args) => {
    expect(run("policies.mjs", args).status).toBe(2);
  });

  it("gives the role to EC2 alone", () => {
    const { Statement } = JSON.parse(run("policies.mjs", ["trust"]).stdout);
    expect(Statement).toMatchObject([{ Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" }]);
  });
});

describe("the policies, before a KMS that checks attestation", () => {
  const { spki } = recipientKeyPair();
  const EncryptionContext = { tenant: "acme" };
  const now = clockAt();
  const clock = new TestClock();
  const OLD = utf8("the old configuration");
  const NEW = utf8("the new configuration");
  const greenImage: EnclaveImage = { ...exampleImage(), ramdisks: [utf8("base"), utf8("green")] };

  const pinned = async ({ pcrs }: { pcrs: Pcrs }, configuration: Uint8Array): Promise<Pcrs> => ({
    ...pcrs,
    16: toHex(await pcr16OfConfiguration(configuration)),
  });

  /** A platform whose role has the printed policy, and a key that has the printed one for what `releases` says. */
  async function setUp(releases: (s: Simulation) => Promise<Readonly<Record<string, Pcrs>>>) {
    const rolePolicies = [run("policies.mjs", ["role", "--key", "*"]).stdout];
    const simulation = await startSimulation({ rolePolicies, clock: now });
    const operator = kmsClient(simulation.kms, now);
    const role = kmsClient(simulation.kms, now, await simulation.roleCredentials());
    const { KeyMetadata } = await operator.send(new CreateKeyCommand({}));
    const KeyId = KeyMetadata?.Arn ?? "";
    const admin = `arn:aws:iam::${simulation.accountId}:user/operator`;
    const principals = [
      "--administrator",
      admin,
      "--encrypter",
      admin,
      "--role",
      simulation.roleArn,
      "--context",
      "tenant",
    ];
    const { stdout: Policy } = keyPolicy(await releases(simulation), principals);
    await operator.send(new PutKeyPolicyCommand({ KeyId, Policy }));
    const encrypt = new EncryptCommand({ KeyId, Plaintext: utf8("a secret"), EncryptionContext });
    const { CiphertextBlob } = await operator.send(encrypt);
    const decrypt = async (enclave?: BootedEnclave, client: KMSClient = role, context: object = EncryptionContext) => {
      const recipient = enclave && { Recipient: recipientOf(await attest(enclave.nsm, spki)) };
      const input = { CiphertextBlob, EncryptionContext: { ...context }, ...recipient };
      return errorNameOf(client.send(new DecryptCommand(input)));
    };
    return { simulation, operator, role, decrypt, KeyId };
  }

  const boot = async (simulation: Simulation, image: EnclaveImage, configuration: Uint8Array, debug = false) => {
    const enclave = await simulation.bootEnclave(image, { debug });
    await measureConfiguration(new NsmClient(enclave.nsm, clock), configuration);
    return enclave;
  };

  it("let one release decrypt, and nothing else", async () => {
    const { simulation, operator, decrypt } = await setUp(async (s) => ({ blue: await pinned(s, OLD) }));
    await using _ = simulation;
    const blue = await boot(simulation, exampleImage(), OLD);
    expect(await decrypt(blue)).toBe("no error");
    expect(await decrypt()).toBe("AccessDeniedException");
    expect(await decrypt(undefined, operator)).toBe("AccessDeniedException");
    expect(await decrypt(blue, operator)).toBe("AccessDeniedException");
    expect(await decrypt(blue, undefined, {})).toBe("AccessDeniedException");
    expect(await decrypt(await boot(simulation, greenImage, OLD))).toBe("AccessDeniedException");
    expect(await decrypt(await boot(simulation, exampleImage(), NEW))).toBe("AccessDeniedException");
    expect(await decrypt(await boot(simulation, exampleImage(), OLD, true))).toBe("AccessDeniedException");
    expect(await decrypt(await simulation.bootEnclave(exampleImage()))).toBe("AccessDeniedException"); // no PCR16
  });

  it("let nobody decrypt before there is a release", async () => {
    const { simulation, decrypt } = await setUp(async () => ({}));
    await using _ = simulation;
    expect(await decrypt(await boot(simulation, exampleImage(), OLD))).toBe("AccessDeniedException");
  });

  it("let two releases decrypt, and no mixture of them, as lists of values would", async () => {
    const { simulation, operator, decrypt, KeyId } = await setUp(async (s) => {
      const green = await s.bootEnclave(greenImage);
      return { blue: await pinned(s, OLD), green: await pinned(green, NEW) };
    });
    await using _ = simulation;
    const mixture = await boot(simulation, exampleImage(), NEW);
    expect(await decrypt(await boot(simulation, exampleImage(), OLD))).toBe("no error");
    expect(await decrypt(await boot(simulation, greenImage, NEW))).toBe("no error");
    expect(await decrypt(mixture)).toBe("AccessDeniedException");

    const green = await simulation.bootEnclave(greenImage);
    const [old, next] = [await pinned(simulation, OLD), await pinned(green, NEW)];
    const lists = [0, 1, 2, 16].map((index) => [`kms:RecipientAttestation:PCR${index}`, [old[index], next[index]]]);
    const anybody = { Effect: "Allow", Principal: { AWS: "*" }, Resource: "*" };
    const Policy = JSON.stringify({
      Statement: [
        { ...anybody, Action: "kms:PutKeyPolicy" },
        { ...anybody, Action: "kms:Decrypt", Condition: { StringEqualsIgnoreCase: Object.fromEntries(lists) } },
      ],
    });
    await operator.send(new PutKeyPolicyCommand({ KeyId, Policy }));
    expect(await decrypt(mixture)).toBe("no error");
  });

  it("give the role random bytes for an enclave alone", async () => {
    const { simulation, role } = await setUp(async () => ({}));
    await using _ = simulation;
    const Recipient = recipientOf(await attest(simulation.nsm, spki));
    const ask = (more: object) => errorNameOf(role.send(new GenerateRandomCommand({ NumberOfBytes: 32, ...more })));
    expect(await ask({ Recipient })).toBe("no error");
    expect(await ask({})).toBe("AccessDeniedException");
  });
});

describe("deploy/trial-issuer.mjs and the configuration of step 3", () => {
  const hasJq = runCommand("jq", ["--version"], projectRoot).status === 0;

  it.skipIf(!hasJq)("give tokens that the configuration's enclave takes (needs jq)", async () => {
    const folder = testFolder();
    const made = run("trial-issuer.mjs", ["new", "issuer.key"], folder);
    expect(made).toMatchObject({ status: 0, stderr: "" });
    writeFileSync(join(folder, "issuer.json"), made.stdout);
    mkdirSync(join(folder, "test/readme"), { recursive: true });
    writeFileSync(join(folder, "test/readme/enclave.json"), read("test/readme/enclave.json"));
    const jq = shell.join("\n").match(/^jq .*enclave\.json$/m)?.[0] ?? "";
    const key = `arn:aws:kms:eu-west-1:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
    const made2 = runCommand("sh", ["-c", `KEY=${key} REGION=eu-west-1\n${jq}`], folder);
    expect(made2).toMatchObject({ status: 0, stderr: "" });
    const configuration = parseConfiguration(readFileSync(join(folder, "enclave.json")));
    expect(configuration.kms).toMatchObject({ region: "eu-west-1", keys: [{ arn: key, aliases: ["alias/cards"] }] });
    const { stdout } = run("trial-issuer.mjs", ["token", "issuer.key", "alice", "tenant=acme"], folder);
    const { iat } = JSON.parse(Buffer.from(stdout.split(".")[1] ?? "", "base64url").toString());
    const verifier = await TokenVerifier.create(configuration.authorization);
    const { principal } = await verifier.verify(`Bearer ${stdout.trim()}`, iat * 1000);
    expect(principal).toMatchObject({ id: "trial/alice", claims: { tenant: "acme" } });
    expect(run("trial-issuer.mjs", ["new", "issuer.key"], folder).status).not.toBe(0); // does not overwrite a key
  });
});

type Unit = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

/** Sections and their keys, each with all of its values. */
function parseUnit(text: string): Unit {
  const sections: Record<string, Record<string, string[]>> = {};
  let section = "";
  for (const line of text.split("\n").filter((one) => one !== "" && !one.startsWith("#"))) {
    const heading = /^\[(\w+)\]$/.exec(line)?.[1];
    if (heading !== undefined) section = heading;
    else {
      const [, key = "", value = ""] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? [];
      expect(key, line).not.toBe("");
      sections[section] = { ...sections[section], [key]: [...(sections[section]?.[key] ?? []), value] };
    }
  }
  return sections;
}

describe("the units of deploy/", () => {
  const parent = parseUnit(read("deploy/nitro-decrypt-parent.service"));
  const enclave = parseUnit(read("deploy/nitro-decrypt-enclave@.service"));

  it.each([
    ["nitro-decrypt-parent.service", parent],
    ["nitro-decrypt-enclave@.service", enclave],
  ])("%s is hardened, and runs absolute paths", (_name, { Unit, Service, Install, ...others }) => {
    expect([Unit, Install, Object.keys(others)]).toEqual([expect.anything(), expect.anything(), []]);
    expect(Service).toMatchObject({
      ...{ DynamicUser: ["yes"], CapabilityBoundingSet: [""], AmbientCapabilities: [""], NoNewPrivileges: ["yes"] },
      ...{ ProtectSystem: ["strict"], ProtectHome: ["yes"], PrivateTmp: ["yes"], RestrictNamespaces: ["yes"] },
      ...{ LockPersonality: ["yes"], RestrictSUIDSGID: ["yes"], SystemCallArchitectures: ["native"] },
      ...{ ProtectKernelModules: ["yes"], ProtectKernelTunables: ["yes"], ProtectControlGroups: ["yes"] },
      ...{ LimitCORE: ["0"], UMask: ["0077"] },
    });
    for (const key of ["ExecStart", "ExecStop"])
      for (const command of Service?.[key] ?? []) expect(command).toMatch(/^-?\/usr\/bin\/\S+/);
    expect(Service?.SystemCallFilter?.[0]).toMatch(/^@system-service/);
  });

  it("the parent's has IP, vsock and Unix sockets, no device, and time to close", () => {
    const { Service = {} } = parent;
    expect(Service.RestrictAddressFamilies).toEqual(["AF_INET AF_INET6 AF_UNIX AF_VSOCK"]);
    expect([Service.PrivateDevices, Service.SupplementaryGroups]).toEqual([["yes"], undefined]);
    expect(Service.MemoryDenyWriteExecute).toEqual(["no"]);
    // the API's requests, and then those of the enclaves to the services
    expect(Number(Service.TimeoutStopSec?.[0]) * 1000).toBeGreaterThan(2 * DEFAULT_LIMITS.closeDeadlineMs);
  });

  it("the enclave's reaches one device and no network, and starts no debug mode", () => {
    const { Unit: unit, Service = {} } = enclave;
    expect(Service.DeviceAllow).toEqual(["/dev/nitro_enclaves rw"]);
    expect(Service).toMatchObject({
      DevicePolicy: ["closed"],
      IPAddressDeny: ["any"],
      MemoryDenyWriteExecute: ["yes"],
    });
    expect(Service.RestrictAddressFamilies).toEqual(["AF_UNIX AF_VSOCK"]);
    expect(unit?.After).toEqual(["nitro-enclaves-allocator.service"]);
    expect(Service).toMatchObject({ Type: ["forking"], Restart: ["always"] });
  });

  it("the parent's options are options, and list the enclaves' CIDs", async () => {
    const [, options = ""] = /^PARENT_OPTIONS=(.*)$/m.exec(read("deploy/parent.env")) ?? [];
    const usage = (await COMMANDS.find(({ name }) => name === "parent")?.load())?.usage ?? "";
    const names = [...options.matchAll(/--[\w-]+/g)].map(([name]) => name);
    expect(names.filter((name) => !usage.includes(`  ${name} `))).toEqual([]);
    const cids = [...options.matchAll(/--enclave-cid (\d+)/g)].map(([, cid]) => Number(cid));
    expect(cids).toEqual(["blue", "green"].map((name) => JSON.parse(read(`deploy/${name}.json`)).enclave_cid));
  });

  it("the enclaves fit into what the allocator takes, two at a time", () => {
    const enclaves = ["blue", "green"].map((name) => JSON.parse(read(`deploy/${name}.json`)));
    const allocator = Object.fromEntries(
      [...read("deploy/allocator.yaml").matchAll(/^(\w+): (\d+)$/gm)].map(([, k, v]) => [k, v]),
    );
    const sum = (key: string) => enclaves.reduce((total, one) => total + one[key], 0);
    expect({ memory_mib: sum("memory_mib"), cpu_count: sum("cpu_count") }).toEqual({
      memory_mib: Number(allocator.memory_mib),
      cpu_count: Number(allocator.cpu_count),
    });
    for (const { enclave_name, ...one } of enclaves) {
      expect(one).toEqual({
        eif_path: `/var/lib/nitro-decrypt/${enclave_name}.eif`,
        ...{ enclave_cid: expect.any(Number), cpu_count: 2, memory_mib: 1024 }, // and no debug_mode
      });
    }
  });

  const systemd = runCommand("systemd-analyze", ["--version"], projectRoot);
  it.skipIf(systemd.status !== 0)(
    "systemd has no complaint, and rates them as the document says (needs systemd-analyze)",
    () => {
      const root = testFolder();
      const units = join(root, "etc/systemd/system");
      for (const folder of [units, join(root, "usr/bin")]) mkdirSync(folder, { recursive: true });
      for (const name of ["node", "nitro-cli"])
        writeFileSync(join(root, "usr/bin", name), "#!/bin/sh\n", { mode: 0o755 });
      const oneshot = "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/usr/bin/node\n";
      writeFileSync(join(units, "nitro-enclaves-allocator.service"), oneshot);
      for (const target of ["sysinit", "basic", "network-online", "shutdown", "multi-user"])
        writeFileSync(join(units, `${target}.target`), "[Unit]\nDefaultDependencies=no\n");
      for (const slice of ["system", "-"]) writeFileSync(join(units, `${slice}.slice`), "[Slice]\n");
      for (const name of ["nitro-decrypt-parent.service", "nitro-decrypt-enclave@.service"])
        writeFileSync(join(units, name), read(`deploy/${name}`));
      const names = ["nitro-decrypt-parent.service", "nitro-decrypt-enclave@blue.service"];
      const verify = ["verify", "--man=no", "--recursive-errors=no", `--root=${root}`, ...names];
      expect(runCommand("systemd-analyze", verify, root)).toMatchObject({ status: 0, stdout: "", stderr: "" });
      const said = /says (\d\.\d) for the parent and (\d\.\d) for the enclave/.exec(page)?.slice(1);
      const rated = names.map((name) => {
        const args = ["security", "--offline=true", "--no-pager", `--root=${root}`, name];
        return /exposure level for \S+: (\d\.\d)/.exec(runCommand("systemd-analyze", args, root).stdout)?.[1];
      });
      if (/^systemd 252\b/.test(systemd.stdout)) expect(rated).toEqual(said);
      for (const figure of rated) expect(Number(figure)).toBeLessThanOrEqual(2);
    },
  );
});

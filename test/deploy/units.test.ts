/** The units of deploy/, and the files that they run with. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { COMMANDS } from "../../cli/commands.js";
import { DEFAULT_LIMITS } from "../../parent/limits.js";
import { testFolder } from "../support/folder.js";
import { projectRoot, runCommand } from "../support/project.js";
import { page, read } from "./page.js";

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
    expect(read("deploy/allocator.yaml")).toMatch(/^---\n(.+\n)+$/); // its reader takes no empty line
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

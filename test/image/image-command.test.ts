/** `npm run image` with the builders that a machine has: fakes on its PATH, which answer as the real ones do. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { pcr16OfConfiguration } from "../../shared/attestation/pcr.js";
import { toHex } from "../../shared/bytes.js";
import { testFolder } from "../support/folder.js";
import { projectRoot, runCommand } from "../support/project.js";

const CONFIGURATION = join(projectRoot, "test/readme/enclave.json");
const ID = `sha256:${"ab".repeat(32)}`;
const PCRS = { PCR0: "01".repeat(48), PCR1: "02".repeat(48), PCR2: "03".repeat(48) };

const DOCKER = `case "$1" in version) ;; image) echo ${ID} ;; build) for last; do :; done; ls -A "$last" >> "$0.saw" ;; esac`;
const NITRO_CLI = `echo "$@" >> "$0.saw"
[ "$1" = --version ] || echo '${JSON.stringify({ Measurements: { HashAlgorithm: "Sha384 { ... }", ...PCRS } })}'`;

/** Runs the script with `commands` and coreutils on its PATH, by name and shell text. */
function runImage(commands: Readonly<Record<string, string>>, args: readonly string[]) {
  const folder = testFolder();
  for (const [name, text] of Object.entries(commands)) {
    writeFileSync(join(folder, name), `#!/bin/sh\nPATH=/usr/bin:/bin\n${text}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  const script = join(projectRoot, "scripts/image/image.mjs");
  const command = ["-i", `PATH=${folder}`, process.execPath, script, ...args];
  const { status, stdout, stderr } = runCommand("/usr/bin/env", command, folder);
  const saw = (name: string): string => readFileSync(join(folder, `${name}.saw`), "utf8");
  return { status, stdout, stderr, folder, saw };
}

describe("npm run image", () => {
  it("says in one line what is missing where nothing builds images", () => {
    const { status, stdout, stderr } = runImage({ docker: "exit 1" }, ["--config", CONFIGURATION]);
    const line = "npm run image needs docker with its daemon, or buildah: neither works here\n";
    expect({ status, stdout, stderr }).toEqual({ status: 1, stdout: "", stderr: line });
  });

  it("needs a configuration that is there", () => {
    expect(runImage({ docker: DOCKER }, []).stderr).toBe("npm run image needs a configuration: -- --config FILE\n");
    const { stderr } = runImage({ docker: DOCKER }, ["--config", "/nowhere.json"]);
    expect(stderr).toBe("expected the enclave's configuration at /nowhere.json\n");
  });

  it("builds the image from the files that .dockerignore lets through, where there is no nitro-cli", () => {
    const { status, stdout, saw } = runImage({ docker: DOCKER }, ["--config", CONFIGURATION]);
    expect(stdout).toContain(`image nitro-decrypt-enclave ${ID}\nnitro-cli is not installed here`);
    expect(status).toBe(0);
    const context = [".dockerignore", ".npmrc", "Dockerfile.enclave", "enclave", "enclave.json", "package-lock.json"];
    expect(saw("docker").trim().split("\n").sort()).toEqual(
      [...context, "package.json", "scripts", "shared", "transport", "tsconfig.base.json", "vsock"].sort(),
    );
  });

  it("makes the enclave image file and prints what to pin, where there is nitro-cli", async () => {
    const commands = { docker: DOCKER, "nitro-cli": NITRO_CLI };
    const { stdout, saw } = runImage(commands, ["--config", CONFIGURATION, "--output", "enclave.eif"]);
    const pcr16 = toHex(await pcr16OfConfiguration(readFileSync(CONFIGURATION)));
    const lines = Object.entries({ ...PCRS, PCR16: pcr16 }).map(([name, value]) => `${name} ${value}\n`);
    expect(stdout).toContain(lines.join(""));
    const command = "build-enclave --docker-uri nitro-decrypt-enclave --output-file enclave.eif\n";
    expect(saw("nitro-cli")).toBe(`--version\n${command}`);
  });
});

/** From arguments to a command: help, version, unknown commands, and how failures are told. */
import { describe, expect, it } from "vitest";
import { runCli } from "../../cli/cli.js";
import type { Command } from "../../cli/command.js";
import { CommandFailure, defineCommand } from "../../cli/command.js";
import { COMMANDS } from "../../cli/commands.js";
import { parseHostPort, parseOptions, parsePort, required } from "../../cli/options.js";
import { ServiceError } from "../../shared/errors.js";
import { recordedIo } from "../support/io.js";

const OPTIONS = { commands: COMMANDS, version: "1.2.3" };

async function run(...argv: string[]) {
  const io = recordedIo();
  const exitCode = await runCli(argv, io, OPTIONS);
  return { exitCode, out: io.out, err: io.err };
}

describe("the command line", () => {
  it("lists every command on --help, -h and help", async () => {
    for (const argument of ["--help", "-h", "help"]) {
      const { exitCode, out, err } = await run(argument);
      expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
      for (const { name, summary } of COMMANDS) expect(out).toMatch(new RegExp(`^ +${name} +${summary}$`, "m"));
    }
  });

  it("tells its version", async () => {
    expect(await run("--version")).toEqual({ exitCode: 0, out: "1.2.3\n", err: "" });
  });

  it("shows the list and exits 2 without a command", async () => {
    const { exitCode, out, err } = await run();
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
    expect(err).toContain("Usage: nitro-decrypt COMMAND");
  });

  it("exits 2 on a command that there is not", async () => {
    for (const name of ["decript", "toString", "__proto__", "--verbose"]) {
      const { exitCode, out, err } = await run(name);
      expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
      expect(err).toContain(`there is no command "${name}"`);
    }
  });

  it("hands the rest of its arguments to the command", async () => {
    const seen: string[][] = [];
    const echo: Command = {
      name: "echo",
      summary: "",
      usage: "",
      run: async (argv) => {
        seen.push([...argv]);
        return 7;
      },
    };
    const commands = [{ name: "echo", summary: "", load: async () => echo }];
    expect(await runCli(["echo", "--a", "b"], recordedIo(), { commands, version: "" })).toBe(7);
    expect(seen).toEqual([["--a", "b"]]);
  });
});

describe("every command", () => {
  for (const entry of COMMANDS) {
    it(`${entry.name} has the name and summary of the list, and a help text that names it`, async () => {
      const command = await entry.load();
      expect({ name: command.name, summary: command.summary }).toEqual({ name: entry.name, summary: entry.summary });
      const { exitCode, out, err } = await run(entry.name, "--help");
      expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
      expect(out).toContain(`nitro-decrypt ${entry.name}`);
      expect(out).toContain("--json");
    });

    it(`${entry.name} exits 2 on an option that it does not know`, async () => {
      const { exitCode, out, err } = await run(entry.name, "--no-such-option");
      expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
      expect(err).toContain("--no-such-option");
    });
  }
});

describe("a failure", () => {
  const failing = (error: unknown) =>
    defineCommand({
      name: "fails",
      summary: "",
      usage: "how to use it\n",
      execute: async () => {
        throw error;
      },
    });

  async function fail(error: unknown, ...argv: string[]) {
    const io = recordedIo();
    const exitCode = await failing(error).run(argv, io);
    return { exitCode, out: io.out, err: io.err };
  }

  it("of a ServiceError is exit code 1, with the code on stderr", async () => {
    expect(await fail(new ServiceError("ERR_STALE", "it is too old", { cause: new Error("secret") }))).toEqual({
      exitCode: 1,
      out: "",
      err: "nitro-decrypt fails: ERR_STALE: it is too old\n",
    });
  });

  it("with --json is also one JSON document on stdout", async () => {
    const { exitCode, out, err } = await fail(new ServiceError("ERR_STALE", "it is too old"), "--json");
    expect(exitCode).toBe(1);
    expect(JSON.parse(out)).toEqual({ error: { code: "ERR_STALE", message: "it is too old" } });
    expect(err).toContain("ERR_STALE");
  });

  it("of the usage is exit code 2, and says where help is", async () => {
    const { exitCode, err } = await fail(new CommandFailure(2, "--x is required"));
    expect(exitCode).toBe(2);
    expect(err).toBe('nitro-decrypt fails: --x is required\nRun "nitro-decrypt fails --help" for its usage.\n');
  });

  it("that nobody foresaw is ERR_INTERNAL with its reason", async () => {
    const { exitCode, err } = await fail(new RangeError("out of range"));
    expect(exitCode).toBe(1);
    expect(err).toBe("nitro-decrypt fails: ERR_INTERNAL: unexpected failure (RangeError: out of range)\n");
  });

  it("does not happen when help is asked for, but after -- nothing is an option", async () => {
    expect(await fail(new Error("no"), "-x", "--help")).toEqual({ exitCode: 0, out: "how to use it\n", err: "" });
    expect((await fail(new Error("no"), "--", "--help")).exitCode).toBe(1);
  });
});

describe("option values", () => {
  it("HOST:PORT takes names, IPv4, and IPv6 in brackets", () => {
    expect(parseHostPort("kms.us-east-1.amazonaws.com:443", "x")).toEqual({
      host: "kms.us-east-1.amazonaws.com",
      port: 443,
    });
    expect(parseHostPort("127.0.0.1:0", "x")).toEqual({ host: "127.0.0.1", port: 0 });
    expect(parseHostPort("[::1]:8080", "x")).toEqual({ host: "::1", port: 8080 });
  });

  it("HOST:PORT refuses everything else as wrong usage", () => {
    for (const text of ["", "host", "host:", ":80", "host:65536", "::1:80", "a b:80", "host:80:90", "host:-1"]) {
      expect(() => parseHostPort(text, "listen")).toThrow(new CommandFailure(2, "--listen has the form HOST:PORT"));
    }
  });

  it("ports are numbers up to 65535", () => {
    expect(parsePort("65535", "port")).toBe(65_535);
    for (const text of ["", "65536", "-1", "1e3", "0x10", "http"]) {
      expect(() => parsePort(text, "port")).toThrow(CommandFailure);
    }
  });

  it("a required option is neither absent nor empty", () => {
    expect(required("value", "config")).toBe("value");
    for (const value of [undefined, ""]) expect(() => required(value, "config")).toThrow("--config is required");
  });

  it("arguments that are no options are refused", () => {
    expect(() => parseOptions(["stray"], { json: { type: "boolean" } })).toThrow(/stray/);
  });
});

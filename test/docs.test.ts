/** The documents stay true: error codes, links, examples and the output that they show. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { AuthorizationPolicy } from "../enclave/authorization/policies.js";
import { parseConfiguration } from "../enclave/configuration.js";
import { utf8 } from "../shared/bytes.js";
import { ERRORS } from "../shared/errors.js";
import { createKeyForEnclave } from "./readme/simulation.js";
import { projectRoot, runCommand } from "./support/project.js";

const read = (path: string): string => readFileSync(join(projectRoot, path), "utf8");

describe("docs/errors.md", () => {
  const rows = [...read("docs/errors.md").matchAll(/^\| `(ERR_[A-Z_]+)` \| (\d{3}) \| (.+?) \| (.+?) \| (.+?) \|$/gm)];
  const documented = rows.map((row) => row[1]);

  it("lists every code of the source once", () => {
    expect([...documented].sort()).toEqual(Object.keys(ERRORS).sort());
  });

  it("gives each code its HTTP status, meaning, cause and remedy", () => {
    for (const [, code, status, ...columns] of rows) {
      expect(Number(status), code).toBe(ERRORS[code as keyof typeof ERRORS].status);
      for (const column of columns) expect(column.length, code).toBeGreaterThan(5);
    }
  });

  it("lists no code that the source never throws", () => {
    const source = ["shared", "client", "vsock", "transport", "enclave", "parent", "simulator", "cli"]
      .flatMap((part) =>
        readdirSync(join(projectRoot, part), { recursive: true, encoding: "utf8" }).map((path) => join(part, path)),
      )
      .filter((path) => path.endsWith(".ts") && path !== "shared/errors.ts")
      .map(read)
      .join("\n");
    expect(documented.filter((code) => !source.includes(`"${code}"`))).toEqual([]);
  });
});

describe("links between the documents", () => {
  const documents = [
    "README.md",
    "SECURITY.md",
    "CHANGELOG.md",
    ...readdirSync(join(projectRoot, "docs"), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".md"))
      .map((path) => join("docs", path)),
  ];

  it.each(documents)("every relative link of %s leads to a file", (document) => {
    const targets = [...read(document).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map((match) => match[1] ?? "");
    expect(targets.filter((target) => !existsSync(join(projectRoot, dirname(document), target)))).toEqual([]);
  });

  it.each(["SECURITY.md", "docs/verification.md"])("every source file and test that %s names exists", (document) => {
    const named = [
      ...read(document).matchAll(
        /`((?:shared|client|vsock|enclave|parent|simulator|cli|test|bench|docs|scripts)\/[\w./-]+\.(?:ts|md|sh|txt))`/g,
      ),
    ].map((match) => match[1] ?? "");
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((path) => !existsSync(join(projectRoot, path)))).toEqual([]);
  });
});

describe("README.md", () => {
  const readme = read("README.md");
  /** The fenced block after `<!-- marker -->`. */
  function blockOf(marker: string): string {
    const start = readme.indexOf(`<!-- ${marker} -->\n\`\`\``);
    expect(start, marker).toBeGreaterThan(0);
    const body = readme.indexOf("\n", readme.indexOf("```", start)) + 1;
    return readme.slice(body, readme.indexOf("```", body));
  }

  it.each(["client.ts", "stream.ts", "function.ts", "attest-kms.ts", "simulation.ts", "enclave.json"])(
    "shows test/readme/%s, which is compiled or run",
    (name) => {
      expect(blockOf(`test/readme/${name}`)).toBe(read(`test/readme/${name}`));
    },
  );

  it("shows a configuration that the enclave takes, with its defaults", () => {
    const shown = JSON.parse(read("test/readme/enclave.json"));
    const { recipient, limits, channels, authorization, messages, kms, ...rest } = shown;
    const { failover, ...withoutFailover } = kms;
    const { loggable, budgets, skewSeconds, maxTokenAgeSeconds, ...callers } = authorization;
    const required = {
      ...rest,
      kms: withoutFailover,
      channels: { tls: { certificate: "generated" } },
      authorization: callers,
    };
    const { keys: _, regions: _own, ...withDefaults } = parseConfiguration(utf8(JSON.stringify(required)));
    const asTexts = { schema: authorization.schema.join("\n"), policies: authorization.policies.join("\n") };
    const noneLoggable = { loggable: { encryptionContext: [] } };
    expect(withDefaults).toEqual({ ...shown, authorization: { ...authorization, ...asTexts, ...noneLoggable } });
    expect([
      recipient,
      limits,
      channels,
      messages,
      failover,
      loggable,
      budgets,
      skewSeconds,
      maxTokenAgeSeconds,
    ]).not.toContain(undefined);
  });

  it("shows policies that validate, and permit what they say", () => {
    const { keys, authorization } = parseConfiguration(utf8(read("test/readme/enclave.json")));
    const served = [
      ...["decrypt", "data-keys", "messages/decrypt", "messages/encrypt", "messages/re-encrypt"].map((name) => ({
        name,
        resources: ["Key"] as const,
      })),
      ...["random", "caches/wipe"].map((name) => ({ name, resources: ["Enclave"] as const })),
    ];
    const policy = new AuthorizationPolicy({ ...authorization, actions: served });
    const principal = { id: "idp/alice", issuer: "idp", subject: "alice", claims: { tenant: "acme" } };
    const ask = (tenant: string) =>
      policy.decide({
        ...{ principal, action: "decrypt", key: keys.resolve("alias/cards"), channel: "sealed" },
        ...{ encryptionContext: { tenant }, bytes: 1, now: new Date() },
      });
    expect(ask("acme")).toMatchObject({ allowed: true, policyIds: ["own-cards"] });
    expect(ask("globex")).toMatchObject({ allowed: false });
  });

  it("shows a simulation that runs", async () => {
    expect(await createKeyForEnclave()).toMatch(/^arn:aws:kms:us-east-1:\d{12}:key\//);
  });

  it("shows what the demo prints, but for times and identifiers", () => {
    const { stdout, status } = runCommand(process.execPath, ["dist/cli/main.js", "demo"], projectRoot);
    expect(status).toBe(0);
    expect(lineShapes(blockOf("npm run demo"))).toEqual(lineShapes(stdout));
  });

  it("shows every row that the benchmarks print", () => {
    const block = blockOf("npm run bench");
    for (const suite of ["verify", "cms", "authorization", "kms", "channels", "enclave"])
      expect(block).toContain(`${suite}\n`);
  });
});

/** The lines of a run without what differs from run to run. */
const lineShapes = (text: string): string[] =>
  text
    .trim()
    .split("\n")
    .map((line) =>
      line
        .replace(/ +\d+(?:\.\d+)? m?s$/, " TIME")
        .replace(/\d+(?:\.\d+)? m?s\b/g, "TIME")
        .replace(/:\d{4,5}\b/g, ":PORT")
        .replace(/i-[0-9a-f]{17}(?:-enc[0-9a-f]{16})?/g, "MODULE")
        .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "UUID")
        .replace(/\b[0-9a-f]{12}…/g, "HASH…")
        .replace(/…[0-9a-f]{16}\b/g, "…BYTES")
        .replace(/\b[0-9a-f]{2}(?=0020000100)/g, "ID") // of a key for sealed requests
        .replace(/\d+ (?=files|bytes)/g, "N ")
        .trimEnd(),
    );

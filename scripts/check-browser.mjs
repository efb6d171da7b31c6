/**
 * Drives the built client in headless Chromium: a page of another origin, under a Content-Security-Policy without `eval`
 * and inline scripts, attests the enclave of a running stack, decrypts through it, and is refused where it should be.
 *
 * Chromium is $CHROMIUM or on the PATH; `--install` installs it first (Debian, as root). Where there is none one line says
 * so, and nothing is checked. The last line is `N passed, N failed`; exit code 1 if anything failed.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleClient } from "./browser/bundle.mjs";
import { ENCRYPTION_CONTEXT, startStack } from "./browser/stack.mjs";

const DEADLINE_MS = 60_000;
const SECRET = "a secret that only the enclave sees";

/** What each check of the page must find. */
const EXPECTED = {
  "decrypts through a sealed request": `${SECRET}, KEM ${0x0020}`,
  "decrypts with a token bound to a key that cannot leave the page": `${SECRET}, extractable: false`,
  "decrypts on a platform without X25519, with the enclave's P-256 key": `${SECRET}, KEM ${0x0010}`,
  "refuses an enclave with another configuration": "ERR_PCR_MISMATCH",
  "is refused without a token": "ERR_TOKEN_MISSING",
  "is refused a ciphertext that was changed": "ERR_KMS_REFUSED",
  "gives up when it is told to": "told to",
  "gives up a request that is under way": "told to, requests: 1, aborted: true",
  "leaves no global behind but zod's own": "__zod_globalConfig,__zod_globalRegistry",
};

/** Without what Chromium asks the network for by itself: the page has all it needs on loopback. */
const CHROMIUM_OPTIONS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];

const PAGE = `<!doctype html><title>nitro-decrypt</title><script type="module" src="/page.mjs"></script>`;

function findChromium() {
  const candidates = [process.env.CHROMIUM, "chromium", "chromium-browser", "google-chrome"].filter(Boolean);
  return candidates.find((name) => spawnSync(name, ["--version"]).status === 0);
}

function installChromium() {
  for (const args of [["update"], ["install", "-y", "chromium"]]) {
    const { status, stderr } = spawnSync("apt-get", args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`apt-get ${args.join(" ")} failed: ${stderr}`);
  }
}

/** The page's server: itself, the client, what it needs, and where it tells its results. */
async function servePage() {
  const { text } = await bundleClient();
  let stack;
  let tell;
  const results = new Promise((resolve) => {
    tell = resolve;
  });
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://page");
    const send = (type, body) => response.writeHead(200, { ...headersFor(stack), "content-type": type }).end(body);
    if (pathname === "/") send("text/html", PAGE);
    else if (pathname === "/page.mjs")
      send("text/javascript", readFileSync(new URL("./browser/page.mjs", import.meta.url)));
    else if (pathname === "/nitro-decrypt.js") send("text/javascript", text);
    else if (pathname === "/stack") send("application/json", JSON.stringify(await describe(stack)));
    else if (pathname === "/token") send("text/plain", await stack.tokenFor(searchParams.get("jkt")));
    else if (pathname === "/results") {
      const parts = await request.toArray();
      send("text/plain", "");
      tell(JSON.parse(Buffer.concat(parts).toString()));
    } else response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${server.address().port}`;
  const serve = (running) => {
    stack = running;
  };
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { origin, results, close, serve };
}

const headersFor = ({ url }) => ({
  "content-security-policy": `default-src 'none'; script-src 'self'; connect-src 'self' ${url}`,
});

const describe = async ({ url, pcrs, trustAnchor, ciphertext, tokenFor }) => ({
  ...{ url, pcrs, trustAnchor, encryptionContext: ENCRYPTION_CONTEXT },
  ciphertext: Buffer.from(ciphertext).toString("base64"),
  token: await tokenFor(),
});

const fail = () => {
  throw new Error("Chromium ended without results");
};

async function runInChromium(chromium, page) {
  const folder = mkdtempSync(join(tmpdir(), "nd-chromium-"));
  const options = [...CHROMIUM_OPTIONS, `--user-data-dir=${join(folder, "profile")}`];
  // Its temporary files too are in the folder: it is killed, and would leave them.
  const env = { ...process.env, TMPDIR: folder };
  const child = spawn(chromium, [...options, `${page.origin}/`], { stdio: "ignore", detached: true, env });
  const exited = once(child, "exit");
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no results within ${DEADLINE_MS} ms`)), DEADLINE_MS);
  });
  try {
    return await Promise.race([page.results, late, exited.then(fail)]);
  } finally {
    clearTimeout(timer);
    if (child.exitCode === null) process.kill(-child.pid, "SIGKILL"); // its processes too, which share its group
    await exited;
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

async function check(chromium) {
  const page = await servePage();
  const stack = await startStack([page.origin], SECRET);
  page.serve(stack);
  try {
    return await runInChromium(chromium, page);
  } finally {
    page.close();
    await stack.close();
  }
}

if (process.argv.includes("--install") && findChromium() === undefined) installChromium();
const chromium = findChromium();
if (chromium === undefined) {
  console.log("no Chromium: install it (apt-get install chromium), name it in CHROMIUM, or call this with --install");
  console.log("0 passed, 0 failed, 1 skipped");
} else {
  const results = await check(chromium);
  const failed = Object.entries(EXPECTED).filter(([name, expected]) => {
    const isRight = results[name] === expected;
    console.log(`${isRight ? " ✓" : " ✗"} ${name}${isRight ? "" : `: expected "${expected}", got "${results[name]}"`}`);
    return !isRight;
  });
  console.log(`${Object.keys(EXPECTED).length - failed.length} passed, ${failed.length} failed`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}

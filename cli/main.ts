#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { z } from "zod";
import { parseJson } from "../shared/wire.js";
import { runCli } from "./cli.js";
import { COMMANDS } from "./commands.js";
import { processIo } from "./process-io.js";

// What the AWS SDK would say on Node 20 is about releases after the one that package-lock.json pins.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";

const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
const { version } = parseJson(z.object({ version: z.string() }), manifest, "ERR_CONFIGURATION");
process.exitCode = await runCli(process.argv.slice(2), processIo(), { commands: COMMANDS, version });

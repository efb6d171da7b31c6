#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { z } from "zod";
import { parseJson } from "../shared/wire.js";
import { runCli } from "./cli.js";
import { COMMANDS } from "./commands.js";
import { processIo } from "./process-io.js";

const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
const { version } = parseJson(z.object({ version: z.string() }), manifest, "ERR_CONFIGURATION");
process.exitCode = await runCli(process.argv.slice(2), processIo(), { commands: COMMANDS, version });

/** Fenced blocks of documents that show commands and what they print: run anew, in this process. */
import type { CommandEntry } from "../../cli/commands.js";
import { recordedIo } from "./io.js";

/** The content of every fenced block after `<!-- marker -->`. */
export function blocksAfter(page: string, marker: string): readonly string[] {
  return page
    .split(`<!-- ${marker} -->\n\`\`\``)
    .slice(1)
    .map((text) => text.slice(text.indexOf("\n") + 1, text.indexOf("\n```") + 1));
}

interface Setting {
  readonly commands: readonly CommandEntry[];
  readonly cwd: string;
  readonly now?: () => Date;
  /** What a command of the document is run as. */
  readonly rewrite?: (argv: readonly string[]) => readonly string[] | Promise<readonly string[]>;
}

/** The block with the output of its `$ nitro-decrypt …` lines as it is now, what goes to stderr behind what goes to stdout. */
export async function consoleOutput(block: string, { commands, cwd, now, rewrite = (argv) => argv }: Setting) {
  let output = "";
  for (const line of commandsIn(block)) {
    const [, name = "", ...argv] = line.replaceAll("\\\n", " ").trim().split(/\s+/);
    const command = await commands.find((entry) => entry.name === name)?.load();
    const io = recordedIo(now === undefined ? { cwd } : { cwd, now });
    await command?.run(await rewrite(argv), io);
    output += `$ ${line}\n${io.out}${io.err}`;
  }
  return output;
}

/** Commands with their continued lines. */
const commandsIn = (block: string): readonly string[] =>
  [...block.matchAll(/^\$ (nitro-decrypt (?:[^\n]*\\\n)*[^\n]*)$/gm)].map(([, command = ""]) => command);

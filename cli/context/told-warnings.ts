/** Warnings of encryption contexts on stderr, each once, however many contexts have the same fault. */
import type { ContextWarning } from "../../shared/context-lint.js";
import { lintEncryptionContext, withoutSignaturePair } from "../../shared/context-lint.js";
import type { Io } from "../command.js";
import { printable } from "../report.js";

export class ToldWarnings {
  readonly #command: string;
  readonly #io: Io;
  readonly #told = new Set<string>();

  constructor(command: string, io: Io) {
    this.#command = command;
    this.#io = io;
  }

  readonly tell = ({ code, message }: ContextWarning): void => {
    const line = `${code}: ${printable(message)}`;
    if (this.#told.has(line)) return;
    this.#told.add(line);
    this.#io.stderr(`nitro-decrypt ${this.#command}: warning: ${line}\n`);
  };

  /** Looks at the context of a message. */
  look(context: Readonly<Record<string, string>>): void {
    for (const warning of lintEncryptionContext(withoutSignaturePair(context))) this.tell(warning);
  }
}

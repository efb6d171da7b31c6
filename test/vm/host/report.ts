/** Reads the guest's console as it comes, and tells what its checks found. */
import { parseResult } from "../results.js";

export interface ReportOptions {
  readonly say: (line: string) => void;
  /** For what is under way, with the time. */
  readonly progress: (line: string) => void;
  /** Shows all of the console. */
  readonly isVerbose: boolean;
}

/** How much of the console is shown when the guest did not come to its end. */
const TOLD_LINES = 40;

export class Report {
  readonly #options: ReportOptions;
  readonly #others: string[] = [];
  #passed = 0;
  #failed = 0;
  #isComplete = false;

  constructor(options: ReportOptions) {
    this.#options = options;
  }

  line(text: string): void {
    const result = parseResult(text);
    if (result === undefined) this.#other(text.trimEnd());
    else if ("step" in result) this.#options.progress(result.step);
    else if ("end" in result) this.#isComplete = true;
    else if (result.failure === undefined) this.#pass(`ok - ${result.name} (${result.ms} ms)`);
    else this.#fail(`not ok - ${result.name} (${result.ms} ms): ${result.failure}`);
  }

  /** Says the last line, and returns the exit code. `failure` is why the machine did not end by itself. */
  finish(failure: string | undefined): number {
    if (failure !== undefined) this.#fail(`not ok - ${failure}`);
    else if (!this.#isComplete) this.#fail("not ok - the guest ended before its last check");
    if (this.#failed > 0 && !this.#options.isVerbose) this.#tellConsole();
    this.#options.say(`${this.#passed} passed, ${this.#failed} failed`);
    return this.#failed === 0 && this.#passed > 0 ? 0 : 1;
  }

  #other(text: string): void {
    this.#others.push(text);
    if (this.#others.length > TOLD_LINES) this.#others.shift();
    if (this.#options.isVerbose) this.#options.say(`  | ${text}`);
  }

  #pass(text: string): void {
    this.#passed += 1;
    this.#options.say(text);
  }

  #fail(text: string): void {
    this.#failed += 1;
    this.#options.say(text);
  }

  #tellConsole(): void {
    this.#options.say("The end of the guest's console:");
    for (const text of this.#others) this.#options.say(`  | ${text}`);
  }
}

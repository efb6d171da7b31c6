/** The lines that a process writes, kept, and waited for by whoever needs one. */
export class Lines {
  readonly #lines: string[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #writer: string;

  /** `writer` is whose lines these are: the console has them as well. */
  constructor(writer: string) {
    this.#writer = writer;
  }

  get length(): number {
    return this.#lines.length;
  }

  get last(): string | undefined {
    return this.#lines.at(-1);
  }

  push(line: string): void {
    this.#lines.push(line);
    process.stdout.write(`${this.#writer}: ${line}\n`);
    for (const look of [...this.#waiting]) look();
  }

  /** The first line from number `start` on that has `text`, now or once it comes. @throws the signal's reason. */
  find(text: string, start: number, signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const line = this.#lines.slice(start).find((candidate) => candidate.includes(text));
        if (line === undefined) return;
        this.#waiting.delete(look);
        resolve(line);
      };
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      this.#waiting.add(look);
      look();
    });
  }
}

/** Entries under a name, each with an id of its own, in the order in which they were added. */
export class Index<Entry> {
  readonly #entries = new Map<string, Map<string, Entry>>();

  get(name: string): Iterable<Entry> {
    return this.#entries.get(name)?.values() ?? [];
  }

  count(name: string): number {
    return this.#entries.get(name)?.size ?? 0;
  }

  add(name: string, id: string, entry: Entry): void {
    const present = this.#entries.get(name);
    if (present === undefined) this.#entries.set(name, new Map([[id, entry]]));
    else present.set(id, entry);
  }

  remove(name: string, id: string): void {
    const present = this.#entries.get(name);
    present?.delete(id);
    if (present?.size === 0) this.#entries.delete(name);
  }
}

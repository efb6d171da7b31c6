/** A binary heap: values by a number, the least first. */

interface Entry<T> {
  readonly order: number;
  readonly value: T;
}

export class MinHeap<T> {
  readonly #entries: Entry<T>[] = [];

  get size(): number {
    return this.#entries.length;
  }

  /** The least number; infinity when the heap is empty. */
  get least(): number {
    return this.#orderAt(0);
  }

  push(order: number, value: T): void {
    const entry = { order, value };
    let place = this.#entries.length;
    this.#entries.push(entry);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.#orderAt(parent) <= order) break;
      this.#move(parent, place);
      place = parent;
    }
    this.#entries[place] = entry;
  }

  /** Takes out the value with the least number. */
  pop(): T | undefined {
    const first = this.#entries[0];
    const last = this.#entries.pop();
    if (last !== undefined && this.#entries.length > 0) this.#sink(last);
    return first?.value;
  }

  /** Puts `entry` where it belongs, from the root down. */
  #sink(entry: Entry<T>): void {
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      const child = this.#orderAt(left + 1) < this.#orderAt(left) ? left + 1 : left;
      if (this.#orderAt(child) >= entry.order) break;
      this.#move(child, place);
      place = child;
    }
    this.#entries[place] = entry;
  }

  #orderAt(place: number): number {
    return this.#entries[place]?.order ?? Number.POSITIVE_INFINITY;
  }

  #move(from: number, to: number): void {
    const entry = this.#entries[from];
    if (entry !== undefined) this.#entries[to] = entry;
  }
}

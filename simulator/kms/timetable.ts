/** What is to happen when: one date per name. Asking for what is due costs nothing while nothing is. */
export class Timetable {
  readonly #dates = new Map<string, number>();
  /** Not after the earliest date. */
  #earliest = Number.POSITIVE_INFINITY;

  /** Sets the date of `name`, or takes it away. */
  set(name: string, date: Date | undefined): void {
    if (date === undefined) {
      this.#dates.delete(name);
      return;
    }
    this.#dates.set(name, date.getTime());
    this.#earliest = Math.min(this.#earliest, date.getTime());
  }

  /** Takes out the names whose date has come, earliest first. */
  takeDue(now: Date): readonly string[] {
    if (now.getTime() < this.#earliest) return [];
    const due = [...this.#dates].filter(([, date]) => date <= now.getTime()).sort(([, a], [, b]) => a - b);
    for (const [name] of due) this.#dates.delete(name);
    this.#earliest = [...this.#dates.values()].reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    return due.map(([name]) => name);
  }
}

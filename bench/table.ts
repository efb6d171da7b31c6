/** The rows of a benchmark and their table. A figure with a bound is a ratio to a peer that was measured in the same run. */

export interface Row {
  readonly name: string;
  /** Median of the runs. */
  readonly median: number;
  readonly unit: string;
  /** To the peer, as "times its speed": 1 is as fast, 0.5 half as fast. */
  readonly ratio?: number;
  /** What the ratio must reach. */
  readonly bound?: number;
  /** What the ratio is to. */
  readonly peer?: string;
  /** A further ratio, to another peer. */
  readonly second?: { readonly ratio: number; readonly peer: string };
}

/** The middle value; of an even number of values the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const low = sorted[Math.floor((sorted.length - 1) / 2)];
  const high = sorted[Math.ceil((sorted.length - 1) / 2)];
  if (low === undefined || high === undefined) throw new TypeError("median: no values");
  return (low + high) / 2;
}

/** Whether a row with a bound misses it. */
export const isBelow = ({ ratio, bound }: Row): boolean =>
  bound !== undefined && !(ratio !== undefined && ratio >= bound);

/** The rows as an aligned table. */
export function formatTable(rows: readonly Row[]): string {
  const cells = rows.map((row) => [row.name, `${format(row.median)} ${row.unit}`, verdict(row)]);
  const width = (column: number): number => Math.max(...cells.map((line) => line[column]?.length ?? 0));
  const [first, second] = [width(0), width(1)];
  return cells
    .map(([name = "", figure = "", note = ""]) =>
      `${name.padEnd(first)}  ${figure.padStart(second)}  ${note}`.trimEnd(),
    )
    .join("\n");
}

const format = (value: number): string => value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 3);

function verdict(row: Row): string {
  if (row.ratio === undefined) return "";
  const second = row.second === undefined ? "" : `, ${row.second.ratio.toFixed(2)} of ${row.second.peer}`;
  const ratio = `${row.ratio.toFixed(2)} of ${row.peer ?? "the floor"}${second}`;
  return row.bound === undefined ? ratio : `${ratio}, bound ${row.bound}: ${isBelow(row) ? "BELOW" : "ok"}`;
}

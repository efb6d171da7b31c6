/**
 * The plot of the measurement, SVG: a bar for each run, on a logarithmic scale. Its colours suit light and dark pages, and what
 * it shows stands in its description as well, for those who do not see it.
 */
import type { Comparison } from "./comparison.js";

const WIDTH = 860;
const LEFT = 300;
const RIGHT = 150;
const TOP = 64;
const ROW = 40;
const BAR = 22;
const BOTTOM = 56;
/** The ends of the scale, as powers of ten. */
const [LOW, HIGH] = [2, 6];

const STYLE = `
    text { font: 13px system-ui, sans-serif; fill: #1f2328; }
    .title { font-size: 15px; font-weight: 600; }
    .muted { fill: #59636e; font-size: 12px; }
    .grid { stroke: #d1d9e0; }
    .none { fill: #b35900; }
    .cached { fill: #7d6fb0; }
    .branch { fill: #1a7f64; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; }
      .muted { fill: #9198a1; }
      .grid { stroke: #3d444d; }
      .none { fill: #e08a3c; }
      .cached { fill: #a99ae0; }
      .branch { fill: #3fb68f; }
    }`;

const TITLE = "Calls to AWS KMS for a million requests";

/** Draws it. */
export function drawPlot(comparisons: readonly Comparison[]): string {
  const height = TOP + ROW * comparisons.length + BOTTOM;
  const axis = TOP + ROW * comparisons.length;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title desc">
  <title id="title">${TITLE}</title>
  <desc id="desc">${escaped(descriptionOf(comparisons))}</desc>
  <style>${STYLE}
  </style>
  <text class="title" x="16" y="26">${TITLE}</text>
  <text class="muted" x="16" y="46">Half of them encrypt, half decrypt objects of 200 bytes; 100 tenants, Zipf access. Logarithmic scale.</text>
${ticks(axis).join("\n")}
${comparisons.map(bar).join("\n")}
  <text class="muted" x="${LEFT}" y="${axis + 42}">calls, and their price by the public list for us-east-1</text>
</svg>
`;
}

const xOf = (value: number): number => {
  const share = (Math.log10(Math.max(value, 10 ** LOW)) - LOW) / (HIGH - LOW);
  return Math.round(LEFT + share * (WIDTH - LEFT - RIGHT));
};

const ticks = (axis: number): string[] =>
  Array.from({ length: HIGH - LOW + 1 }, (_, index) => {
    const value = 10 ** (LOW + index);
    const x = xOf(value);
    return `  <line class="grid" x1="${x}" y1="${TOP - 6}" x2="${x}" y2="${axis}"/>
  <text class="muted" x="${x}" y="${axis + 20}" text-anchor="middle">${grouped(value)}</text>`;
  });

function bar(comparison: Comparison, index: number): string {
  const { run, callsPerMillion } = comparison;
  const y = TOP + ROW * index + (ROW - BAR) / 2;
  const end = xOf(callsPerMillion);
  return `  <text x="${LEFT - 12}" y="${y + 16}" text-anchor="end">${escaped(run.title)}</text>
  <rect class="${run.kind}" x="${LEFT}" y="${y}" width="${Math.max(end - LEFT, 2)}" height="${BAR}" rx="2"/>
  <text x="${end + 8}" y="${y + 16}">${escaped(figureOf(comparison))}</text>`;
}

const figureOf = ({ callsPerMillion, pricePerMillion }: Comparison): string =>
  `${grouped(Math.round(callsPerMillion))} · $${pricePerMillion.toFixed(pricePerMillion < 0.1 ? 4 : 2)}`;

const descriptionOf = (comparisons: readonly Comparison[]): string =>
  comparisons.map((comparison) => `${comparison.run.title}: ${figureOf(comparison)}`).join("; ");

const grouped = (value: number): string => value.toLocaleString("en-US");
const escaped = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

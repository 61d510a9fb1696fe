// The class's runs as dots over each value, with mean and interval.
import { isNumber, percent } from "../lib/format.js";
import { html } from "../lib/html.js";
import { ticks } from "../lib/plot.js";
import { texts } from "../texts/en.js";

const said = texts.board;
const narrow = matchMedia("(max-width: 700px)");
/** An accuracy below this is no good network's. */
const BROKEN = 0.3;

/** @param {{rows: any[], say: (value: number | null) => string, title: string, axis: string}} props */
export function BoardChart({ rows, say, title, axis }) {
  const [width, height, left, right, top, bottom] = [narrow.matches ? 380 : 900, 320, 58, 12, 14, 44];
  const known = rows.flatMap((row) => [row.low, row.high, ...row.runs.map((/** @type {any} */ run) => run.accuracy)]).filter((value) => isNumber(value) && value > BROKEN);
  // As near as dots and intervals allow: of good networks they differ by tenths of a point. What broke lies at the bottom.
  const [least, most] = known.length ? [Math.min(...known), Math.max(...known)] : [0.9, 1];
  const margin = Math.max(0.1 * (most - least), 0.002);
  const [low, high] = [Math.max(0, least - margin), Math.min(1, most + margin)];
  const marks = ticks(low, high, 5);
  const step = marks[1] - marks[0];
  const decimals = step > 0.0099 ? 0 : step > 0.00099 ? 1 : 2;
  const slot = (width - left - right) / rows.length;
  const x = (/** @type {number} */ i) => left + slot * (i + 0.5);
  const y = (/** @type {number} */ share) => top + (height - top - bottom) * (1 - (Math.max(low, share) - low) / (high - low));
  return html`<svg class="dots" viewBox="0 0 ${width} ${height}" role="img" aria-label=${title}>
    ${marks.map((share) => html`<line x1=${left} x2=${width - right} y1=${y(share)} y2=${y(share)} class="rule" /><text x=${left - 6} y=${y(share) + 4} text-anchor="end">${percent(share, decimals)}</text>`)}
    ${rows.map(
      (row, i) => html`
        ${isNumber(row.mean) && html`<line x1=${x(i) - slot / 4} x2=${x(i) + slot / 4} y1=${y(row.mean)} y2=${y(row.mean)} class="mean" />`}
        ${isNumber(row.low) && isNumber(row.high) && html`<line x1=${x(i)} x2=${x(i)} y1=${y(row.low)} y2=${y(row.high)} class="interval" />`}
        ${row.runs.filter((/** @type {any} */ run) => isNumber(run.accuracy)).map((/** @type {any} */ run, /** @type {number} */ n) => html`<circle cx=${x(i) + (slot / 2.6) * (((n * 0.618 + 0.5) % 1) - 0.5)} cy=${y(run.accuracy)} r="4.5" fill="var(--series-${run.visitor?.colour ?? 7})" fill-opacity="0.75"><title>${said.of(run.visitor?.name ?? said.teacherName, run.seed, percent(run.accuracy))}</title></circle>`)}
        <text x=${x(i)} y=${height - 26} text-anchor="middle">${say(row.value)}</text>`,
    )}
    <text x=${(left + width) / 2} y=${height - 6} text-anchor="middle">${axis}</text>
  </svg>`;
}

// Line charts with labels at the lines' ends, a cursor for pointer and keyboard, and a table twin.
import { texts } from "../texts/en.js";
import { inFrame, outOfFrames } from "./frames.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { draw, scales } from "./plot.js";
import { useTheme } from "./theme.js";

/**
 * @typedef {{
 *   key: string, label: string, colour: number, points: [number, number][], dash?: number[], faded?: boolean,
 *   strong?: boolean, broken?: boolean, name?: string }} Series
 * label: at the line's end, "": none; name: in readout and table; colour: 1 … 8; broken: it ends in a cross
 */

const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 2], [1, 4], [14, 4], [6, 2, 2, 2]];
const TABLE_ROWS = 20;
const READOUT_ROWS = 8;

/** Colour and dash of the nth line: no two of 64 have both in common. @param {number} n */
export const look = (n) => ({ colour: (n % 8) + 1, dash: DASHES[Math.floor(n / 8) % 8] });

/** What a logarithmic scale can show: a loss may come out as exactly zero. @param {Series} line @returns {Series} */
const positive = (line) => ({ ...line, points: line.points.filter(([, y]) => y > 0) });

/** @param {Series} line */
const nameOf = (line) => line.name ?? line.label;

/**
 * @param {{
 *   title: string, series: Series[], xName: string, log?: boolean, format: (value: number) => string,
 *   formatX?: (value: number) => string, formatTick?: (value: number) => string,
 *   range?: [number | null, number | null], xMax?: number, height?: number, aside?: any, mark?: number | null,
 *   labelWidth?: number, onDraw?: (points: [number, number][], ended: boolean) => void }} given
 * xMax: where the chart ends, though a line may go on; mark: a value shown at the right edge; onDraw: what a pointer draws on the chart, in its units
 */
export function LineChart(given) {
  const props = given.log ? { ...given, series: given.series.map(positive) } : given;
  const { title, series, xName, format, formatX = String, height = 300 } = props;
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const drawn = useRef(/** @type {[number, number][] | null} */ (null));
  const [width, setWidth] = useState(0);
  const [cursor, setCursor] = useState(/** @type {number | null} */ (null));
  const [spoken, setSpoken] = useState("");
  useTheme();
  const to = scales(props, width, height);

  useLayoutEffect(() => {
    const place = /** @type {HTMLElement} */ (canvas.current?.parentElement);
    const observer = new ResizeObserver(() => setWidth(place.clientWidth));
    observer.observe(place);
    setWidth(place.clientWidth);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() =>
    inFrame(canvas, () => {
      const node = canvas.current;
      const context = node?.getContext("2d");
      if (!node || !context || width === 0) return;
      const ratio = devicePixelRatio;
      if (node.width !== Math.round(width * ratio)) {
        node.width = width * ratio;
        node.height = height * ratio;
      }
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      draw(context, props, to, cursor);
    }),
  );
  useEffect(() => () => outOfFrames(canvas), []);

  /** @param {number} pixel */
  const nearest = (pixel) => stops(series, to.high).reduce((/** @type {number | null} */ best, x) => (best === null || Math.abs(to.x(x) - pixel) < Math.abs(to.x(best) - pixel) ? x : best), null);
  /** @param {KeyboardEvent} event */
  const press = (event) => {
    if (event.key === "Escape") setCursor(null);
    const xs = stops(series, to.high);
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined || xs.length === 0) return;
    event.preventDefault();
    const at = cursor === null ? (by < 0 ? xs.length : -1) : xs.findIndex((x) => x >= cursor);
    const next = xs[Math.max(0, Math.min(xs.length - 1, at + by))];
    setCursor(next);
    setSpoken(`${xName} ${formatX(next)}: ${readout(series, next).slice(0, READOUT_ROWS).map(({ line, value }) => `${nameOf(line)} ${format(value)}`).join(", ")}`);
  };
  /** @param {PointerEvent} event */
  const point = (event) => {
    const { left, top } = /** @type {Element} */ (event.currentTarget).getBoundingClientRect();
    if (drawn.current === null) return setCursor(nearest(event.clientX - left));
    const next = /** @type {[number, number]} */ ([to.xOf(event.clientX - left), to.yOf(event.clientY - top)]);
    drawn.current = [...drawn.current.filter(([x]) => x < next[0]), next];
    props.onDraw?.(drawn.current, false);
  };
  /** @param {PointerEvent} event */
  const grab = (event) => {
    if (!props.onDraw) return;
    /** @type {Element} */ (event.currentTarget).setPointerCapture(event.pointerId);
    drawn.current = [];
    point(event);
  };
  const lift = () => {
    if (drawn.current) props.onDraw?.(drawn.current, true);
    drawn.current = null;
  };

  const rows = cursor === null ? [] : readout(series, cursor);
  const latest = series.filter((line) => line.points.length > 0).slice(0, READOUT_ROWS).map((line) => `${nameOf(line)}: ${format(/** @type {any} */ (line.points.at(-1))[1])}`);
  return html`<figure class="chart" aria-label=${title}>
    <div class="head"><h2>${title}</h2>${props.aside}</div>
    <div class="plot" role="application" tabindex="0" aria-label=${texts.chart.summary(title, series.length, latest.join(", "))}
      onKeyDown=${press} onBlur=${() => setCursor(null)} onPointerMove=${point} onPointerDown=${grab} onPointerUp=${lift}
      onPointerCancel=${lift} onPointerLeave=${() => setCursor(null)}>
      <canvas ref=${canvas} style=${{ height: `${height}px` }} aria-hidden="true"></canvas>
      ${rows.length > 0 &&
      html`<div class="readout" data-side=${to.x(/** @type {number} */ (cursor)) > width / 2 ? "left" : "right"} aria-hidden="true">
        <b>${xName} ${formatX(/** @type {number} */ (cursor))}</b>
        ${rows.slice(0, READOUT_ROWS).map(({ line, value }) => html`<div style=${{ color: `var(--series-${line.colour})` }}><span>${nameOf(line)}</span><span>${format(value)}</span></div>`)}
        ${rows.length > READOUT_ROWS && html`<div>${texts.chart.more(rows.length - READOUT_ROWS)}</div>`}
      </div>`}
      <div class="only-read" aria-live="polite">${spoken}</div>
    </div>
    <${Twin} ...${{ series, xName, format, formatX, title }} />
  </figure>`;
}

/** Every x at which a line has a point, up to the chart's end. @param {Series[]} series @param {number} [end] */
const stops = (series, end = Infinity) => [...new Set(series.flatMap((line) => line.points.map(([x]) => x)))].filter((x) => x <= end).sort((a, b) => a - b);

/** What each line is at an x, or was last before it, while it lasts; the highest first. @param {Series[]} series @param {number} x */
function readout(series, x) {
  return series
    .flatMap((line) => {
      const value = line.points.filter((point) => point[0] <= x).at(-1)?.[1];
      return value === undefined || /** @type {any} */ (line.points.at(-1))[0] < x ? [] : [{ line, value }];
    })
    .sort((a, b) => b.value - a.value);
}

/** The chart's figures as a table, made when it is opened. @param {any} props */
function Twin({ series, xName, format, formatX, title }) {
  const [open, setOpen] = useState(false);
  const xs = open ? stops(series) : [];
  const every = Math.max(1, Math.ceil(xs.length / TABLE_ROWS));
  const at = (/** @type {Series} */ line, /** @type {number} */ x) => line.points.find((point) => point[0] === x)?.[1];
  return html`<details onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}>
    <summary>${texts.chart.asTable}<span class="only-read">: ${title}</span></summary>
    ${open &&
    (xs.length === 0
      ? html`<p class="note">${texts.chart.empty}</p>`
      : html`<div class="scroll" tabindex="0" role="group" aria-label=${title}>
          <table class="table">
            <thead><tr><th scope="col">${xName}</th>${series.map((/** @type {Series} */ line) => html`<th scope="col" class="number">${nameOf(line)}</th>`)}</tr></thead>
            <tbody>${xs.filter((_, i) => (xs.length - 1 - i) % every === 0).map(
              (x) => html`<tr><th scope="row">${formatX(x)}</th>${series.map((/** @type {Series} */ line) => html`<td class="number">${at(line, x) === undefined ? "" : format(at(line, x))}</td>`)}</tr>`,
            )}</tbody>
          </table>
        </div>`)}
  </details>`;
}

// Line charts: uPlot draws the lines; labels at their ends, a cursor for the keyboard and a table are added here.
import { texts } from "../texts/en.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./html.js";
import { token, useTheme } from "./theme.js";

/**
 * @typedef {{
 *   key: string, label: string, colour: number, points: [number, number][], dash?: number[], faded?: boolean,
 *   strong?: boolean, broken?: boolean, name?: string }} Series
 * label: at the line's end; name: in readout and table; colour: 1 … 8; broken: it ends in a cross
 */

const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 2], [1, 4], [14, 4], [6, 2, 2, 2]];
const TABLE_ROWS = 20;
const READOUT_ROWS = 8;

/** Colour and dash of the nth line: no two of 64 have both in common. @param {number} n */
export const look = (n) => ({ colour: (n % 8) + 1, dash: DASHES[Math.floor(n / 8) % 8] });

/**
 * @param {{
 *   title: string, series: Series[], xName: string, log?: boolean, format: (value: number) => string,
 *   formatX?: (value: number) => string, range?: [number | null, number | null], xMax?: number, height?: number,
 *   aside?: any, overlay?: any, mark?: number | null, labelWidth?: number,
 *   onDraw?: (points: [number, number][], ended: boolean) => void }} props
 * mark: a value shown at the right edge; onDraw: what a pointer draws on the chart, in its units
 */
export function LineChart(props) {
  const { title, series, xName, log = false, format, formatX = String, height = 300, labelWidth = 92 } = props;
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {any} */ (null));
  const latest = useRef(props);
  latest.current = props;
  const [at, setAt] = useState(/** @type {number | null} */ (null));
  const [spoken, setSpoken] = useState("");
  const colours = useTheme();
  const data = useMemo(() => align(series), [series]);
  const ids = series.map(({ key, colour, faded, strong }) => [key, colour, Number(faded), Number(strong)]).join();

  useLayoutEffect(() => {
    const node = place.current;
    if (!node) return;
    const chart = new uPlot(options(latest, node.clientWidth || 400, height, labelWidth, setAt), data, node);
    plot.current = chart;
    const observer = new ResizeObserver(() => {
      if (node.clientWidth && node.clientWidth !== chart.width) chart.setSize({ width: node.clientWidth, height });
    });
    observer.observe(node);
    return () => {
      observer.disconnect();
      chart.destroy();
      plot.current = null;
    };
  }, [ids, colours, log, height, labelWidth]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [data, props.mark, props.range?.[0], props.range?.[1], props.xMax, series]);

  /** @param {KeyboardEvent} event */
  const move = (event) => {
    const xs = data[0];
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") setAt(null);
    if (by === undefined || xs.length === 0) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(xs.length - 1, (at ?? (by < 0 ? xs.length : -1)) + by));
    const left = plot.current.valToPos(xs[next], "x");
    plot.current.setCursor({ left, top: 20 }, false);
    setAt(next);
    setSpoken(readout(series, data, next).map(({ line, value }) => `${line.name ?? line.label}: ${format(value)}`).slice(0, READOUT_ROWS).join(", "));
  };

  const latestValues = series
    .filter((line) => line.points.length > 0)
    .slice(0, READOUT_ROWS)
    .map((line) => `${line.name ?? line.label}: ${format(line.points[line.points.length - 1][1])}`)
    .join(", ");
  const rows = at === null || at >= data[0].length ? [] : readout(series, data, at);
  const side = at !== null && plot.current && plot.current.cursor.left > plot.current.bbox.width / 2 / devicePixelRatio ? "left" : "right";
  return html`<figure class="chart" style=${{ margin: 0 }} aria-label=${title}>
    <div class="head"><h2>${title}</h2>${props.aside}</div>
    <div
      class="plot"
      role="application"
      aria-roledescription="chart"
      aria-label=${texts.chart.summary(title, series.length, latestValues)}
      tabindex="0"
      onKeyDown=${move}
      onBlur=${() => setAt(null)}
    >
      <div ref=${place} aria-hidden="true"></div>
      ${rows.length > 0 &&
      html`<div class="readout" data-side=${side} aria-hidden="true">
        <b>${xName} ${formatX(data[0][/** @type {number} */ (at)])}</b>
        ${rows.slice(0, READOUT_ROWS).map(
          ({ line, value }) => html`<div style=${{ color: `var(--series-${line.colour})` }}><span>${line.name ?? line.label}</span><span>${format(value)}</span></div>`,
        )}
        ${rows.length > READOUT_ROWS && html`<div>${texts.chart.more(rows.length - READOUT_ROWS)}</div>`}
      </div>`}
      ${props.overlay}
      <div class="only-read" aria-live="polite">${spoken}</div>
    </div>
    <${Twin} series=${series} data=${data} xName=${xName} format=${format} formatX=${formatX} title=${title} />
  </figure>`;
}

/** The chart's figures as a table, made when it is opened. @param {any} props */
function Twin({ series, data, xName, format, formatX, title }) {
  const [open, setOpen] = useState(false);
  const every = Math.max(1, Math.ceil(data[0].length / TABLE_ROWS));
  const rows = open ? data[0].map((/** @type {any} */ _, /** @type {number} */ i) => i).filter((/** @type {number} */ i) => (data[0].length - 1 - i) % every === 0) : [];
  return html`<details onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}>
    <summary>${texts.chart.asTable}<span class="only-read">: ${title}</span></summary>
    ${open &&
    (series.length === 0
      ? html`<p class="note">${texts.chart.empty}</p>`
      : html`<div class="scroll" tabindex="0" role="group" aria-label=${title}>
          <table class="table">
            <thead><tr><th scope="col">${xName}</th>${series.map((/** @type {Series} */ line) => html`<th scope="col" class="number">${line.name ?? line.label}</th>`)}</tr></thead>
            <tbody>${rows.map(
              (/** @type {number} */ i) => html`<tr><th scope="row">${formatX(data[0][i])}</th>${series.map((/** @type {Series} */ _, /** @type {number} */ s) => html`<td class="number">${data[s + 1][i] == null ? "" : format(data[s + 1][i])}</td>`)}</tr>`,
            )}</tbody>
          </table>
        </div>`)}
  </details>`;
}

/** Every line over the x values of all. @param {Series[]} series @returns {any[]} */
export function align(series) {
  const xs = [...new Set(series.flatMap((line) => line.points.map(([x]) => x)))].sort((a, b) => a - b);
  const index = new Map(xs.map((x, i) => [x, i]));
  const rows = series.map((line) => {
    const row = new Array(xs.length).fill(null);
    for (const [x, y] of line.points) row[/** @type {number} */ (index.get(x))] = y;
    return row;
  });
  return [xs, ...rows];
}

/** What each line is at an x, or was last before it; the highest first. @param {Series[]} series @param {any[]} data @param {number} at */
function readout(series, data, at) {
  return series
    .map((line, s) => {
      let i = at;
      while (i >= 0 && data[s + 1][i] == null) i--;
      const ended = line.points.length > 0 && line.points[line.points.length - 1][0] < data[0][at];
      return { line, value: i < 0 || ended ? null : data[s + 1][i] };
    })
    .filter((row) => row.value !== null)
    .sort((a, b) => b.value - a.value);
}

/** @param {any} latest @param {number} width @param {number} height @param {number} labelWidth @param {(at: number | null) => void} setAt */
function options(latest, width, height, labelWidth, setAt) {
  const { series, log, format, formatX = String } = latest.current;
  const [ink, line] = [token("quiet"), token("line")];
  const font = `12px ${token("font")}`;
  const axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
  return {
    width,
    height,
    padding: [14, labelWidth, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false },
      points: { size: 7 },
    },
    scales: {
      x: { time: false, range: (/** @type {any} */ _, /** @type {number} */ low, /** @type {number} */ high) => [0, Math.max(latest.current.xMax ?? 0, high ?? 0, 1)] },
      y: {
        distr: log ? 3 : 1,
        range: (/** @type {any} */ _, /** @type {number | null} */ low, /** @type {number | null} */ high) => yRange(latest.current, low, high),
      },
    },
    axes: [
      { ...axis, size: 30, space: 70, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map(formatX) },
      { ...axis, size: 54, values: (/** @type {any} */ _, /** @type {(number | null)[]} */ at) => at.map((value) => (value === null ? "" : format(value))), filter: log ? logTicks : undefined },
    ],
    series: [
      {},
      ...series.map((/** @type {Series} */ one) => ({
        stroke: token(`series-${one.colour}`),
        dash: one.dash,
        width: one.strong ? 3 : 2,
        alpha: one.faded ? 0.35 : 1,
        spanGaps: true,
        points: { show: false },
      })),
    ],
    hooks: {
      draw: [(/** @type {any} */ chart) => ends(chart, latest.current, font)],
      setCursor: [(/** @type {any} */ chart) => setAt(chart.cursor.left < 0 ? null : (chart.cursor.idx ?? null))],
      ready: [(/** @type {any} */ chart) => pen(chart, latest)],
    },
  };
}

/** Powers of ten, with 2 and 5 where there are few of them. @param {any} chart @param {number[]} ticks */
function logTicks(chart, ticks) {
  const decades = Math.log10(chart.scales.y.max / chart.scales.y.min);
  return ticks.map((tick) => {
    const leading = Math.round(tick / 10 ** Math.floor(Math.log10(tick) + 1e-9));
    return leading === 1 || (decades < 2.2 && (leading === 2 || leading === 5)) ? tick : null;
  });
}

/** @param {any} props @param {number | null} low @param {number | null} high @returns {[number, number]} */
function yRange({ range, log }, low, high) {
  if (low === null || high === null) return log ? [0.05, 5] : [range?.[0] ?? 0, range?.[1] ?? 1];
  if (log) return [Math.max(low / 1.2, 1e-6), Math.max(high * 1.2, low * 3)];
  const margin = Math.max((high - low) * 0.06, 1e-3);
  return [range?.[0] ?? low - margin, range?.[1] ?? high + margin];
}

/** The labels at the lines' ends, moved apart where they would overlap. @param {any} chart @param {any} props @param {string} font */
function ends(chart, props, font) {
  const { ctx, bbox } = chart;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = font.replace("12px", `${12 * ratio}px`);
  ctx.textBaseline = "middle";
  const labels = props.series.flatMap((/** @type {Series} */ line) => {
    const last = line.points[line.points.length - 1];
    if (!last) return [];
    const y = Math.max(bbox.top, Math.min(bbox.top + bbox.height, chart.valToPos(last[1], "y", true)));
    return [{ line, x: chart.valToPos(last[0], "x", true), y, at: y }];
  });
  spread(labels, 13 * ratio, bbox.top, bbox.top + bbox.height);
  const edge = bbox.left + bbox.width;
  for (const { line, x, y, at } of labels) {
    ctx.globalAlpha = line.faded ? 0.55 : 1;
    ctx.fillStyle = ctx.strokeStyle = token(`series-${line.colour}`);
    ctx.lineWidth = 2 * ratio;
    if (line.broken) cross(ctx, x, y, 5 * ratio);
    else disc(ctx, x, y, 3 * ratio);
    if (at === null) continue;
    if (edge - x < 60 * ratio) {
      ctx.lineWidth = ratio;
      ctx.globalAlpha *= 0.6;
      ctx.beginPath();
      ctx.moveTo(x + 4 * ratio, y);
      ctx.lineTo(edge + 8 * ratio, at);
      ctx.stroke();
      ctx.globalAlpha = line.faded ? 0.55 : 1;
    }
    const left = edge - x < 60 * ratio ? edge + 11 * ratio : x + 9 * ratio;
    ctx.font = font.replace("12px", `${line.strong ? "bold " : ""}${12 * ratio}px`);
    ctx.fillText(line.label, left, edge - x < 60 * ratio ? at : y);
  }
  if (typeof props.mark === "number") {
    const y = chart.valToPos(props.mark, "y", true);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = ctx.fillStyle = token("ink");
    ctx.lineWidth = 1.5 * ratio;
    ctx.setLineDash([4 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(edge, y);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.beginPath();
    ctx.moveTo(edge - 7 * ratio, y);
    ctx.lineTo(edge, y - 7 * ratio);
    ctx.lineTo(edge + 7 * ratio, y);
    ctx.lineTo(edge, y + 7 * ratio);
    ctx.fill();
  }
  ctx.restore();
}

/** @param {{line: Series, y: number, at: number | null}[]} labels @param {number} apart @param {number} top @param {number} bottom */
function spread(labels, apart, top, bottom) {
  const room = Math.floor((bottom - top) / apart);
  const shown = [...labels].sort((a, b) => Number(b.line.strong ?? 0) - Number(a.line.strong ?? 0) || Number(a.line.faded ?? 0) - Number(b.line.faded ?? 0));
  for (const label of shown.splice(room)) label.at = null;
  const sorted = shown.sort((a, b) => a.y - b.y);
  let floor = -Infinity;
  for (const label of sorted) floor = label.at = Math.max(label.y, floor + apart);
  let ceiling = bottom;
  for (const label of sorted.reverse()) ceiling = (label.at = Math.min(/** @type {number} */ (label.at), ceiling)) - apart;
}

/** @param {CanvasRenderingContext2D} ctx @param {number} x @param {number} y @param {number} r */
function cross(ctx, x, y, r) {
  ctx.beginPath();
  ctx.moveTo(x - r, y - r);
  ctx.lineTo(x + r, y + r);
  ctx.moveTo(x + r, y - r);
  ctx.lineTo(x - r, y + r);
  ctx.stroke();
}

/** @param {CanvasRenderingContext2D} ctx @param {number} x @param {number} y @param {number} r */
function disc(ctx, x, y, r) {
  ctx.beginPath();
  ctx.arc(x, y, r, 0, 2 * Math.PI);
  ctx.fill();
}

/** Lets a pointer draw on the chart, where onDraw is given. @param {any} chart @param {any} latest */
function pen(chart, latest) {
  const over = /** @type {HTMLElement} */ (chart.over);
  /** @type {[number, number][] | null} */
  let drawn = null;
  const point = (/** @type {PointerEvent} */ event) => {
    const box = over.getBoundingClientRect();
    /** @type {[number, number]} */
    const next = [chart.posToVal(event.clientX - box.left, "x"), chart.posToVal(event.clientY - box.top, "y")];
    drawn = [...(drawn ?? []).filter(([x]) => x < next[0]), next];
  };
  over.addEventListener("pointerdown", (event) => {
    if (!latest.current.onDraw) return;
    over.setPointerCapture(event.pointerId);
    drawn = null;
    point(event);
    latest.current.onDraw(drawn, false);
  });
  over.addEventListener("pointermove", (event) => {
    if (!drawn) return;
    point(event);
    latest.current.onDraw?.(drawn, false);
  });
  const end = () => {
    if (drawn) latest.current.onDraw?.(drawn, true);
    drawn = null;
  };
  over.addEventListener("pointerup", end);
  over.addEventListener("pointercancel", end);
}

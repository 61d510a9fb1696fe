// Draws lines on a canvas: axes, lines, labels at their ends moved apart, a mark, a cursor.
import { token as lookUp } from "./theme.js";

/**
 * @typedef {import("./chart.js").Series} Series
 * @typedef {{left: number, right: number, top: number, bottom: number}} Box pixels of the plotting area
 * @typedef {{box: Box, x: (value: number) => number, y: (value: number) => number, xOf: (pixel: number) => number,
 *   yOf: (pixel: number) => number, high: number, yLow: number, yHigh: number}} Scales values to pixels, and back
 */

/** Of a logarithmic scale: what blows up leaves the chart rather than flatten the rest. */
const MOST_LOSS = 10;

/** @param {any} props of a LineChart @param {number} width @param {number} height @returns {Scales} */
export function scales({ series, log, range, xMax, labelWidth = labelRoom(series) }, width, height) {
  const box = { left: 50 * fontScale(), right: Math.max(60, width - labelWidth), top: 12, bottom: height - 24 };
  const points = series.flatMap((/** @type {Series} */ line) => line.points);
  const high = xMax ?? Math.max(...points.map((/** @type {any} */ point) => point[0]), 1);
  const values = points.filter((/** @type {any} */ point) => point[0] <= high).map((/** @type {any} */ point) => point[1]);
  const [yLow, yHigh] = yRange(log, range, values);
  const forth = log ? Math.log : (/** @type {number} */ value) => value;
  const back = log ? Math.exp : forth;
  const [low, span] = [forth(yLow), forth(yHigh) - forth(yLow)];
  return {
    box,
    high,
    yLow,
    yHigh,
    x: (value) => box.left + (value / high) * (box.right - box.left),
    y: (value) => box.bottom - ((forth(value) - low) / span) * (box.bottom - box.top),
    xOf: (pixel) => ((pixel - box.left) / (box.right - box.left)) * high,
    yOf: (pixel) => back(low + ((box.bottom - pixel) / (box.bottom - box.top)) * span),
  };
}

/** Pixels beside the lines for the longest of their labels. @param {Series[]} series */
const labelRoom = (series) => Math.min(170, 30 + 7 * fontScale() * Math.max(5, ...series.map((line) => line.label.length)));

/** How much larger than usual letters are: on a projector. To ask the browser makes it compute all styles anew. */
let scale = 0;
const fontScale = () => (scale ||= parseFloat(getComputedStyle(document.documentElement).fontSize) / 15);
addEventListener("resize", () => (scale = 0));

/** @param {boolean} log @param {[number | null, number | null] | undefined} range @param {number[]} values */
function yRange(log, range, values) {
  if (values.length === 0) return log ? [0.05, 3] : [range?.[0] ?? 0, range?.[1] ?? 1];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (log) return [low / 1.15, Math.min(Math.max(high * 1.15, low * 3), Math.max(MOST_LOSS, low * 3))];
  return [range?.[0] ?? low, range?.[1] ?? Math.max(high, low + 1e-3)];
}

/** Round numbers from low to high, about n of them. @param {number} low @param {number} high @param {number} n */
export function ticks(low, high, n) {
  const rough = (high - low) / n;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (/** @type {number} */ ([1, 2, 2.5, 5, 10].find((one) => one * power >= rough * 0.999)));
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

/** Powers of ten; with their halves and fifths where those are few. @param {number} low @param {number} high */
export function logTicks(low, high) {
  const leading = Math.log10(high / low) < 2.5 ? [1, 2, 5] : [1];
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const one of leading) if (one * 10 ** power >= low && one * 10 ** power <= high) found.push(one * 10 ** power);
  return found;
}

/** Colours of style.css as they are now, each looked up once a drawing. @type {Map<string, string>} */
const colours = new Map();

/** @param {string} name */
function token(name) {
  if (!colours.has(name)) colours.set(name, lookUp(name));
  return /** @type {string} */ (colours.get(name));
}

/**
 * @param {CanvasRenderingContext2D} ctx in CSS pixels
 * @param {any} props of a LineChart
 * @param {Scales} to
 * @param {number | null} cursor x value
 */
export function draw(ctx, props, to, cursor) {
  const { box } = to;
  colours.clear();
  const size = 12 * fontScale();
  const font = (/** @type {boolean} */ bold) => `${bold ? "600 " : ""}${size}px ${token("font")}`;
  ctx.font = font(false);
  ctx.textBaseline = "middle";
  axes(ctx, props, to);
  ctx.save();
  ctx.beginPath();
  ctx.rect(box.left, box.top - 3, box.right - box.left + 3, box.bottom - box.top + 5);
  ctx.clip();
  ctx.lineJoin = "round";
  for (const line of props.series) stroke(ctx, line, to);
  ctx.setLineDash([]);
  ctx.restore();
  if (cursor !== null) path(ctx, [[to.x(cursor), box.top], [to.x(cursor), box.bottom]], token("edge"), 1);
  ends(ctx, props.series.map((/** @type {Series} */ line) => upTo(line, to.high)), to, font, size + 1);
  if (typeof props.mark === "number") mark(ctx, to.y(props.mark), box);
}

/** Of round numbers: 0.05, not 0.050. @param {number} value */
const brief = (value) => String(Number(value.toPrecision(2)));

/** @param {CanvasRenderingContext2D} ctx @param {any} props @param {Scales} to */
function axes(ctx, { log, format, formatTick = log ? brief : format, formatX = String }, to) {
  const { box, high, yLow, yHigh } = to;
  const [ink, rule] = [token("quiet"), token("line")];
  ctx.fillStyle = ink;
  ctx.textAlign = "right";
  for (const value of log ? logTicks(yLow, yHigh) : ticks(yLow, yHigh, 5)) {
    path(ctx, [[box.left, to.y(value)], [box.right, to.y(value)]], rule, 1);
    ctx.fillText(formatTick(value), box.left - 7, to.y(value));
  }
  ctx.textAlign = "center";
  for (const value of ticks(0, high, Math.max(2, Math.floor((box.right - box.left) / 110)))) {
    path(ctx, [[to.x(value), box.bottom], [to.x(value), box.bottom + 4]], rule, 1);
    ctx.fillText(formatX(value), to.x(value), box.bottom + 14);
  }
}

/** @param {CanvasRenderingContext2D} ctx @param {Series} line @param {Scales} to */
function stroke(ctx, line, to) {
  ctx.globalAlpha = line.faded ? 0.4 : 1;
  ctx.setLineDash(line.dash ?? []);
  path(ctx, line.points.map(([x, y]) => [to.x(x), to.y(y)]), token(`series-${line.colour}`), line.strong ? 3 : 2);
  ctx.globalAlpha = 1;
}

/** @param {CanvasRenderingContext2D} ctx @param {number[][]} points @param {string} colour @param {number} width */
function path(ctx, points, colour, width) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.beginPath();
  for (const [x, y] of points) ctx.lineTo(x, y);
  ctx.stroke();
}

/** A line as far as the chart goes; it ends between two points where it goes on. @param {Series} line @param {number} high @returns {Series & {goesOn?: boolean}} */
function upTo(line, high) {
  const after = line.points.findIndex(([x]) => x > high);
  if (after < 1) return after === 0 ? { ...line, points: [] } : line;
  const [[x0, y0], [x1, y1]] = [line.points[after - 1], line.points[after]];
  return { ...line, goesOn: true, points: [...line.points.slice(0, after), [high, y0 + ((y1 - y0) * (high - x0)) / (x1 - x0)]] };
}

/** @param {CanvasRenderingContext2D} ctx @param {(Series & {goesOn?: boolean})[]} series @param {Scales} to @param {(bold: boolean) => string} font @param {number} apart */
function ends(ctx, series, { box, x, y }, font, apart) {
  const labels = series.flatMap((line) => {
    const last = line.points.at(-1);
    const at = last ? Math.max(box.top, Math.min(box.bottom, y(last[1]))) : 0;
    return last ? [{ line, x: x(last[0]), y: at, at: line.label ? at : null }] : [];
  });
  const named = labels.filter(({ at }) => at !== null);
  const edge = box.right;
  const isNear = (/** @type {{x: number}} */ label) => edge - label.x < 50;
  spread(named.filter(isNear), apart, box.top, box.bottom);
  for (const column of columns(named.filter((label) => !isNear(label)))) spread(column, apart, box.top, box.bottom);
  ctx.textAlign = "left";
  for (const label of labels) {
    const { line, at } = label;
    const colour = token(`series-${line.colour}`);
    ctx.globalAlpha = line.faded ? 0.6 : 1;
    ctx.fillStyle = colour;
    if (!line.goesOn) end(ctx, label, Boolean(line.broken), colour);
    if (at === null) continue;
    const left = isNear(label) ? edge + 12 : label.x + 12;
    if (Math.abs(at - label.y) > 3) path(ctx, [[label.x + 4, label.y], [left - 3, at]], colour, 1);
    ctx.font = font(Boolean(line.strong));
    ctx.fillText(line.label, left, at);
  }
  ctx.globalAlpha = 1;
}

/** Ends of lines in groups that stand at about the same place. @template {{x: number}} T @param {T[]} labels @returns {T[][]} */
function columns(labels) {
  /** @type {T[][]} */
  const found = [];
  for (const label of [...labels].sort((a, b) => a.x - b.x)) {
    const last = found.at(-1);
    if (last && label.x - last[0].x < 30) last.push(label);
    else found.push([label]);
  }
  return found;
}

/** A disc, or a cross where a line is broken. @param {CanvasRenderingContext2D} ctx @param {{x: number, y: number}} at @param {boolean} broken @param {string} colour */
function end(ctx, { x, y }, broken, colour) {
  if (broken) {
    path(ctx, [[x - 5, y - 5], [x + 5, y + 5]], colour, 2);
    path(ctx, [[x + 5, y - 5], [x - 5, y + 5]], colour, 2);
    return;
  }
  ctx.beginPath();
  ctx.arc(x, y, 3, 0, 2 * Math.PI);
  ctx.fill();
}

/**
 * Moves labels apart; those for which there is no room, faded ones first, get none.
 * @param {{line: Series, y: number, at: number | null}[]} labels @param {number} apart @param {number} top @param {number} bottom
 */
export function spread(labels, apart, top, bottom) {
  const weight = (/** @type {{line: Series}} */ { line }) => 2 * Number(line.strong ?? false) - Number(line.faded ?? false);
  const shown = [...labels].sort((a, b) => weight(b) - weight(a));
  for (const label of shown.splice(Math.floor((bottom - top) / apart) + 1)) label.at = null;
  shown.sort((a, b) => a.y - b.y);
  let floor = -Infinity;
  for (const label of shown) floor = label.at = Math.max(label.y, floor + apart);
  let ceiling = bottom;
  for (const label of shown.reverse()) ceiling = (label.at = Math.min(/** @type {number} */ (label.at), ceiling)) - apart;
}

/** @param {CanvasRenderingContext2D} ctx @param {number} y @param {Box} box */
function mark(ctx, y, { left, right }) {
  ctx.setLineDash([4, 4]);
  path(ctx, [[left, y], [right, y]], token("ink"), 1.5);
  ctx.setLineDash([]);
  ctx.fillStyle = token("ink");
  ctx.beginPath();
  for (const [dx, dy] of [[-7, 0], [0, -7], [7, 0], [0, 7]]) ctx.lineTo(right + dx, y + dy);
  ctx.fill();
}

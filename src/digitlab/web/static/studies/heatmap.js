// The heat map of a study's cells: conditions by learning rates, for mouse, finger and keyboard, with a table twin.
import { count, percent, rate } from "../lib/format.js";
import { html, useEffect, useMemo, useRef, useState } from "../lib/html.js";
import { texts } from "../texts/en.js";
import { idOf } from "./chapter.js";
import { ink, shade } from "./colours.js";

const said = texts.studies;
const GAP = 2;
/** Height of a row, room for the rates below, and width of a label's letters, in pixels: all grow with the page's letters. */
function measures() {
  const em = parseFloat(getComputedStyle(document.documentElement).fontSize);
  return { em, row: 2.4 * em, below: 3 * em, letter: 0.48 * em };
}

/**
 * @typedef {{title: string, rows: string[], groups: string[], rates: number[], cells: Map<string, any>}} Panel
 */

/** How many levels of an axis there are. @param {any[]} cells @param {string} axis */
const levels = (cells, axis) => new Set(cells.map((cell) => cell.labels[axis])).size;

/** The axis of the most levels, the last of several: it makes the rows. @param {any[]} cells @param {string[]} axes */
const rowAxisOf = (cells, axes) => axes.reduce((best, axis) => (levels(cells, axis) >= levels(cells, best) ? axis : best), axes[0] ?? "");

/**
 * The panels of a map: one axis makes the rows, every combination of the others a panel.
 * @param {any[]} cells @param {string[]} axes @returns {Panel[]}
 */
export function panels(cells, axes) {
  const rowAxis = rowAxisOf(cells, axes);
  const others = axes.filter((axis) => axis !== rowAxis && levels(cells, axis) > 1);
  /** @type {Map<string, Panel>} */
  const found = new Map();
  for (const cell of cells) {
    const title = others.map((axis) => cell.labels[axis]).join(", ");
    const row = cell.labels[rowAxis] ?? "";
    const panel = found.get(title) ?? /** @type {Panel} */ ({ title, rows: [], groups: [], rates: [], cells: new Map() });
    found.set(title, panel);
    if (!panel.rows.includes(row)) {
      panel.rows.push(row);
      panel.groups.push(cell.groups[rowAxis] ?? "");
    }
    if (!panel.rates.includes(cell.rate)) panel.rates.push(cell.rate);
    panel.cells.set(`${row}~${cell.rate}`, cell);
  }
  for (const panel of found.values()) panel.rates.sort((a, b) => a - b);
  return [...found.values()];
}

/** @param {{cells: any[], axes: string[], chosen: string, choose: (id: string) => void, brief?: boolean}} props */
export function HeatMap({ cells, axes, chosen, choose, brief }) {
  const shown = useMemo(() => panels(cells, axes), [cells, axes]);
  const range = useMemo(() => rangeOf(cells), [cells]);
  const rowName = said.axis(rowAxisOf(cells, axes));
  return html`<div class="maps">
      ${shown.map(
        (panel) => html`<${Map_} key=${panel.title} panel=${panel} rowName=${rowName} range=${range} chosen=${chosen} choose=${choose} />`,
      )}
    </div>
    ${!brief && html`<${Legend} range=${range} />`}
    <${Twin} cells=${cells} axes=${axes} choose=${choose} />`;
}

/** Largest and least error of the cells, for the colours. @param {any[]} cells @returns {[number, number]} */
function rangeOf(cells) {
  const errors = cells.filter((cell) => cell.validation_accuracy !== null).map((cell) => Math.max(1 - cell.validation_accuracy, 1e-4));
  if (errors.length === 0) return [0.01, 1];
  const least = Math.min(...errors);
  return [least, Math.max(...errors, least * 1.2)];
}

/** Where an error lies between the largest, 0, and the least, 1; on a logarithmic scale. @param {number} error @param {[number, number]} range */
const placeOf = (error, [least, most]) => Math.max(0, Math.min(1, Math.log(most / error) / Math.log(most / least)));

/** @param {{panel: Panel, rowName: string, range: [number, number], chosen: string, choose: (id: string) => void}} props */
function Map_({ panel, rowName, range, chosen, choose }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [width, setWidth] = useState(600);
  const [at, setAt] = useState(/** @type {[number, number] | null} */ (null));
  useEffect(() => {
    const node = place.current;
    if (!node) return;
    const observer = new ResizeObserver(() => setWidth(node.clientWidth));
    observer.observe(node);
    return () => observer.disconnect();
  }, []);

  const { rows, rates, groups } = panel;
  const { em, row: tall, below, letter } = measures();
  const left = Math.min(Math.max(...rows.map((row) => row.length), 4) * letter + 14, width * 0.34);
  const size = Math.min((width - left) / rates.length, 9 * em);
  const height = rows.length * tall;
  const one = at && cellAt(panel, at[0], at[1]);
  const every = Math.ceil((Math.max(...rates.map((r) => rate(r).length)) * letter + 8) / size);

  /** @param {KeyboardEvent} event */
  const move = (event) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Escape") setAt(null);
    if ((event.key === "Enter" || event.key === " ") && one) {
      event.preventDefault();
      choose(idOf(one));
    }
    if (!by) return;
    event.preventDefault();
    setAt(at ? next(panel, at, by[0], by[1]) : first(panel));
  };

  return html`<figure class="map" style=${{ margin: 0 }}>
    ${panel.title && html`<figcaption>${panel.title}</figcaption>`}
    <div ref=${place} class="place" tabindex="0" role="application" aria-roledescription=${said.heatMap}
      aria-label=${said.mapSummary(panel.title, rows.length, rates.length)} onKeyDown=${move} onBlur=${() => setAt(null)} onMouseLeave=${() => setAt(null)}>
      <svg width=${width} height=${height + below} aria-hidden="true">
        ${rows.map(
          (row, y) => html`<text class="label" x=${left - 8} y=${(y + 0.5) * tall} text-anchor="end" dominant-baseline="central">${shortened(row, Math.floor((left - 10) / letter))}</text>
            ${y > 0 && groups[y] !== groups[y - 1] && new Set(groups).size < rows.length && html`<line class="apart" x1="0" x2=${left + size * rates.length} y1=${y * tall - GAP / 2} y2=${y * tall - GAP / 2} />`}`,
        )}
        ${rows.map((row, y) =>
          rates.map((r, x) => {
            const cell = panel.cells.get(`${row}~${r}`);
            if (!cell) return null;
            const current = at?.[0] === x && at?.[1] === y;
            return html`<${Square} key=${`${row}~${r}`} cell=${cell} range=${range} x=${left + x * size} y=${y * tall} size=${size} tall=${tall}
              marked=${idOf(cell) === chosen} current=${current} enter=${() => setAt([x, y])} choose=${() => choose(idOf(cell))} />`;
          }),
        )}
        ${rates.map((r, x) => x % every === 0 && html`<text class="label" x=${left + (x + 0.5) * size} y=${height + em} text-anchor="middle">${rate(r)}</text>`)}
        <text class="label" x=${left + (size * rates.length) / 2} y=${height + 2.3 * em} text-anchor="middle">${said.rate}</text>
        <text class="label" x="0" y=${height + 2.3 * em}>${rowName}</text>
      </svg>
      ${at && one && html`<div class="readout" data-side=${at[0] > rates.length / 2 ? "left" : "right"} aria-hidden="true">
        <b>${said.cell(Object.entries(one.labels), one.rate)}</b>${readout(one).map((line) => html`<div>${line}</div>`)}</div>`}
      <div class="only-read" aria-live="polite">${one ? `${said.cell(Object.entries(one.labels), one.rate)}: ${readout(one).join(", ")}` : ""}</div>
    </div>
  </figure>`;
}

/** @param {Panel} panel @param {number} x @param {number} y */
const cellAt = (panel, x, y) => panel.cells.get(`${panel.rows[y]}~${panel.rates[x]}`);

/** The first cell of the first row. @param {Panel} panel @returns {[number, number]} */
const first = (panel) => [Math.max(0, panel.rates.findIndex((_, x) => cellAt(panel, x, 0))), 0];

/**
 * The next cell in a direction: rows may have rates of their own, so that places are empty.
 * @param {Panel} panel @param {[number, number]} at @param {number} dx @param {number} dy @returns {[number, number]}
 */
function next(panel, at, dx, dy) {
  const { rates, rows } = panel;
  for (let [x, y] = [at[0] + dx, at[1] + dy]; x >= 0 && y >= 0 && x < rates.length && y < rows.length; x += dx, y += dy) {
    if (cellAt(panel, x, y)) return [x, y];
    if (!dy) continue;
    // In the next row, the nearest rate that there is.
    const there = rates.map((_, i) => i).filter((i) => cellAt(panel, i, y)).sort((a, b) => Math.abs(a - x) - Math.abs(b - x));
    if (there.length) return [there[0], y];
  }
  return at;
}

/** @param {string} text @param {number} most letters */
const shortened = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** What is said of a cell. @param {any} cell */
function readout(cell) {
  if (cell.runs.length === 0) return [said.unknown(cell.seeds)];
  const broken = (cell.outcomes.diverged ?? 0) + (cell.outcomes.collapsed ?? 0);
  return [
    cell.validation_accuracy !== null && said.reaches(percent(cell.validation_accuracy)),
    said.seeds(cell.runs.length, cell.seeds),
    broken > 0 && said.brokeHere(cell.outcomes.diverged ?? 0, cell.outcomes.collapsed ?? 0),
    cell.state === "best" && said.isBest,
  ].filter(Boolean);
}

/** @param {any} props */
function Square({ cell, range, x, y, size, tall, marked, current, enter, choose }) {
  const known = cell.validation_accuracy !== null;
  const broke = cell.state === "diverged" || cell.state === "collapsed";
  const [w, h] = [Math.max(size - GAP, 3), tall - GAP];
  const place = known ? placeOf(Math.max(1 - cell.validation_accuracy, 1e-4), range) : 0;
  const part = cell.seeds ? cell.runs.length / cell.seeds : 0;
  const text = broke ? "✕" : known && w > tall ? (100 * cell.validation_accuracy).toFixed(1) : "";
  return html`<g class="cell" data-state=${cell.state ?? "unknown"} onMouseEnter=${enter} onClick=${choose}>
    <rect x=${x} y=${y} width=${w} height=${h} rx="3" class=${known && !broke ? "filled" : "hollow"} fill=${known && !broke ? shade(place) : undefined} />
    ${part > 0 && part < 1 && html`<rect class="part" x=${x} y=${y + h - 4} width=${w * part} height="4" />`}
    ${text && html`<text x=${x + w / 2} y=${y + h / 2} text-anchor="middle" dominant-baseline="central" fill=${broke ? undefined : ink(place)} class=${broke ? "cross" : "figure"}>${text}</text>`}
    ${cell.state === "best" && html`<rect class="best" x=${x + 1.5} y=${y + 1.5} width=${w - 3} height=${h - 3} rx="2" />`}
    ${(marked || current) && html`<rect class=${marked ? "marked" : "current"} x=${x - 1} y=${y - 1} width=${w + 2} height=${h + 2} rx="4" />`}
  </g>`;
}

/** @param {{range: [number, number]}} props */
function Legend({ range }) {
  const steps = Array.from({ length: 24 }, (_, i) => i / 23);
  return html`<p class="legend note">
    <span>${percent(1 - range[1], 1)}</span>
    <svg width="120" height="12" aria-hidden="true">${steps.map((at, i) => html`<rect x=${i * 5} y="0" width="5.5" height="12" fill=${shade(at)} />`)}</svg>
    <span>${percent(1 - range[0], 1)}</span>
    <span class="item"><i class="swatch best"></i>${said.legend.best}</span>
    <span class="item"><i class="swatch broke">✕</i>${said.legend.broke}</span>
    <span class="item"><i class="swatch"></i>${said.legend.unknown}</span>
  </p>`;
}

/** @param {{cells: any[], axes: string[], choose: (id: string) => void}} props */
function Twin({ cells, axes, choose }) {
  const [open, setOpen] = useState(false);
  return html`<details onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}>
    <summary>${texts.chart.asTable}<span class="only-read">: ${said.map}</span></summary>
    ${open &&
    html`<div class="scroll tall" tabindex="0" role="group" aria-label=${said.map}><table class="table">
      <thead><tr>${axes.map((axis) => html`<th scope="col">${said.axis(axis)}</th>`)}<th scope="col" class="number">${said.rate}</th><th scope="col" class="number">${said.accuracy}</th>
        <th scope="col" class="number">${said.known_}</th><th scope="col">${said.state}</th><th scope="col"><span class="only-read">${said.open}</span></th></tr></thead>
      <tbody>${cells.map(
        (cell) => html`<tr>${axes.map((axis, i) => (i === 0 ? html`<th scope="row">${cell.labels[axis]}</th>` : html`<td>${cell.labels[axis]}</td>`))}
          <td class="number">${rate(cell.rate)}</td><td class="number">${percent(cell.validation_accuracy)}</td><td class="number">${count(cell.runs.length)} / ${count(cell.seeds)}</td>
          <td>${said.states[/** @type {"fine"} */ (cell.state ?? "unknown")]}</td>
          <td><button class="button quiet" onClick=${() => choose(idOf(cell))} aria-label=${said.runsOf(said.cell(Object.entries(cell.labels), cell.rate))}>${said.open}</button></td></tr>`,
      )}</tbody>
    </table></div>`}
  </details>`;
}

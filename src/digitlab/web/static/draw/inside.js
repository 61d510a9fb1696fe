// Inside one network: hidden units that fire, which can be cut, and what the first layer answers to.
// @ts-check

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../lib/html.js";
import { contributions, INPUT_SIZE } from "../lib/network.js";
import { token, useTheme } from "../lib/theme.js";
import { WeightImages } from "../lib/weights.js";
import { texts } from "../texts/en.js";
import { largest } from "./examples.js";

const said = texts.draw.inside;
const CELL = { width: 20, height: 30 };
/** Units of a layer that are shown; all of them answer. */
const MOST_UNITS = 600;
const SHOWN = 8;

/**
 * @typedef {import("../lib/network.js").Network} Network
 * @typedef {import("../lib/network.js").Answer} Answer
 *
 * @param {object} props
 * @param {Network} props.network
 * @param {Answer | null} props.answer   null: nothing is drawn
 * @param {string[]} props.classNames
 * @param {ReadonlyArray<ReadonlySet<number>>} props.cut
 * @param {(layer: number, unit: number) => void} props.onCut  cuts, or mends what was cut
 */
export function Inside({ network, answer, classNames, cut, onCut }) {
  const hidden = network.sizes.slice(1, -1);
  return html`<div class="inside">
    ${hidden.map(
      (units, layer) => html`<${Units} key=${layer} layer=${layer} count=${units} values=${answer?.hidden[layer] ?? null}
        cut=${cut[layer]} onCut=${(/** @type {number} */ unit) => onCut(layer, unit)} />`,
    )}
    ${answer && html`<${FirstLayer} network=${network} answer=${answer} classNames=${classNames} />`}
  </div>`;
}

/**
 * A layer's units as bars. By keys: arrows go from unit to unit, space cuts.
 * @param {{layer: number, count: number, values: import("../lib/network.js").Numbers | null, cut: ReadonlySet<number> | undefined,
 *   onCut: (unit: number) => void}} props
 */
function Units({ layer, count, values, cut, onCut }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const [across, setAcross] = useState(50);
  const [at, setAt] = useState(0);
  const [focused, setFocused] = useState(false);
  const colours = useTheme();
  const shown = Math.min(count, MOST_UNITS);
  const columns = Math.min(across, shown);
  const rows = Math.ceil(shown / columns);
  useEffect(() => {
    const node = canvas.current?.parentElement;
    if (!node) return;
    const observer = new ResizeObserver(() => setAcross(node.clientWidth < 420 ? 20 : node.clientWidth < 640 ? 25 : 50));
    observer.observe(node);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const most = values ? Math.max(...values.subarray(0, shown), 1e-9) : 1;
    const [line, accent, bad, ink] = ["line", "accent", "bad", "ink"].map(token);
    context.clearRect(0, 0, columns * CELL.width, rows * CELL.height);
    for (let unit = 0; unit < shown; unit++) {
      const [left, top] = [(unit % columns) * CELL.width, Math.floor(unit / columns) * CELL.height];
      const height = Math.round((Math.max(values?.[unit] ?? 0, 0) / most) * (CELL.height - 6));
      context.fillStyle = line;
      context.fillRect(left + 2, top + CELL.height - 4, CELL.width - 4, 2);
      context.fillStyle = accent;
      context.fillRect(left + 2, top + CELL.height - 2 - height, CELL.width - 4, height);
      if (cut?.has(unit)) {
        context.strokeStyle = bad;
        context.lineWidth = 3;
        context.beginPath();
        context.moveTo(left + 4, top + 8);
        context.lineTo(left + CELL.width - 4, top + CELL.height - 6);
        context.moveTo(left + CELL.width - 4, top + 8);
        context.lineTo(left + 4, top + CELL.height - 6);
        context.stroke();
      }
      if (focused && unit === at) {
        context.strokeStyle = ink;
        context.lineWidth = 2;
        context.strokeRect(left + 1, top + 1, CELL.width - 2, CELL.height - 2);
      }
    }
  }, [values, cut, columns, colours, at, focused]);

  /** @param {MouseEvent} event */
  const click = (event) => {
    const box = /** @type {HTMLCanvasElement} */ (canvas.current).getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const unit = Math.floor(((event.clientY - box.top) / box.height) * rows) * columns + column;
    if (unit >= shown) return;
    setAt(unit);
    onCut(unit);
  };
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -shown, End: shown };
    if (event.key in moves) setAt(Math.max(0, Math.min(shown - 1, at + moves[/** @type {"End"} */ (event.key)])));
    else if (event.key === " " || event.key === "Enter") onCut(at);
    else return;
    event.preventDefault();
  };
  const firing = Array.from(values ?? []).filter((value) => value > 0).length;
  const strongest = values ? largest(values) : 0;
  return html`<div class="units">
    <div class="row between">
      <h3>${said.layer(layer + 1, count)}</h3>
      <span class="note">${values ? said.firing(firing, count) : ""}${cut?.size ? ` ${said.cut(cut.size)}` : ""}</span>
    </div>
    <canvas ref=${canvas} width=${columns * CELL.width} height=${rows * CELL.height} tabindex="0" role="slider"
      aria-label=${said.unitsOf(layer + 1)} aria-valuemin="1" aria-valuemax=${shown} aria-valuenow=${at + 1}
      aria-valuetext=${said.unit(at + 1, values?.[at] ?? 0, Boolean(cut?.has(at)))} title=${said.clickToCut}
      onClick=${click} onKeyDown=${key} onFocus=${() => setFocused(true)} onBlur=${() => setFocused(false)} />
    ${values && values[strongest] > 0 && html`<button class="button" onClick=${() => onCut(strongest)}>${said.cutStrongest(strongest + 1)}</button>`}
  </div>`;
}

/** Of the units that fire most, where their answer comes from: each weight times what it sees.
 * @param {{network: Network, answer: Answer, classNames: string[]}} props */
function FirstLayer({ network, answer, classNames }) {
  const isLinear = network.layers.length === 1;
  const values = isLinear ? answer.logits : answer.hidden[0];
  const { matrix, labels } = useMemo(() => {
    const order = Array.from(values, (_, unit) => unit).sort((a, b) => values[b] - values[a]);
    const units = order.slice(0, SHOWN).filter((unit) => isLinear || values[unit] > 0);
    const parts = contributions(network, answer, units);
    const names = units.map((unit) => (isLinear ? classNames[unit] : String(unit + 1)));
    return { matrix: { rows: units.length, columns: INPUT_SIZE, values: parts }, labels: names };
  }, [network, answer]);
  if (!matrix.rows) return html`<p class="note">${said.nothingFires}</p>`;
  return html`<div class="parts">
    <h3>${isLinear ? said.classes : said.parts}</h3>
    <${WeightImages} matrix=${matrix} shown=${matrix.rows} labels=${labels} across=${matrix.rows} title=${said.picture(labels)} />
    <p class="note key"><span><i class="patch low"></i>${said.against}</span> <span><i class="patch high"></i>${said.towards}</span></p>
  </div>`;
}

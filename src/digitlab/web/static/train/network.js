// The network as a chain of layers that are widened by dragging, by arrow keys or by typing.
import { count } from "../lib/format.js";
import { html, useRef } from "../lib/html.js";
import { texts } from "../texts/en.js";
import { GRIDS, MAX_LAYERS, MAX_WIDTH, parameterCount } from "./setup.js";
import { Typed } from "./typed.js";

const said = texts.train.network;
/** Pixels of a drag that double a layer. */
const DOUBLING = 22;

/** @param {number} units */
const barHeight = (units) => 16 + 8.5 * Math.log2(units);

/** The next wider or narrower of the usual widths. @param {number} units @param {number} by */
function stepped(units, by) {
  const grid = GRIDS.width;
  if (by > 0) return grid.find((width) => width > units) ?? MAX_WIDTH;
  return [...grid].reverse().find((width) => width < units) ?? 1;
}

/** @param {{hidden: number[], onChange: (hidden: number[]) => void, invalid: boolean}} props */
export function NetworkChain({ hidden, onChange, invalid }) {
  const set = (/** @type {number} */ at, /** @type {number} */ units) =>
    onChange(hidden.map((width, i) => (i === at ? Math.max(1, Math.min(MAX_WIDTH, Math.round(units) || 1)) : width)));
  return html`<div class="network" role="group" aria-label=${said.title}>
    <div class="chain">
      <div class="layer fixed"><div class="units" style=${{ height: `${barHeight(784)}px` }}></div><span>784</span><small>${said.pixels}</small></div>
      ${hidden.map(
        (units, at) => html`<${Layer} key=${at} at=${at} units=${units} invalid=${invalid} set=${(/** @type {number} */ value) => set(at, value)}
          remove=${() => onChange(hidden.filter((_, i) => i !== at))} />`,
      )}
      <div class="layer fixed"><div class="units" style=${{ height: `${barHeight(10)}px` }}></div><span>10</span><small>${said.digits}</small></div>
    </div>
    <div class="row between">
      <button class="button" disabled=${hidden.length >= MAX_LAYERS} onClick=${() => onChange([...hidden, hidden.at(-1) ?? 100])}>${said.add}</button>
      <span class="note">${said.parameters(count(parameterCount(hidden)))}</span>
    </div>
  </div>`;
}

/** @param {{at: number, units: number, set: (units: number) => void, remove: () => void, invalid: boolean}} props */
function Layer({ at, units, set, remove, invalid }) {
  const from = useRef(/** @type {{y: number, units: number} | null} */ (null));
  /** @param {KeyboardEvent} event */
  const press = (event) => {
    const by = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 }[event.key];
    if (event.key === "Delete") remove();
    if (!by) return;
    event.preventDefault();
    set(stepped(units, by));
  };
  /** @param {PointerEvent} event */
  const grab = (event) => {
    /** @type {Element} */ (event.currentTarget).setPointerCapture(event.pointerId);
    from.current = { y: event.clientY, units };
  };
  /** @param {PointerEvent} event */
  const drag = (event) => {
    if (from.current) set(from.current.units * 2 ** ((from.current.y - event.clientY) / DOUBLING));
  };
  const release = () => void (from.current = null);
  return html`<div class="layer">
    <button class="icon remove" onClick=${remove} aria-label=${said.remove(at + 1)} title=${said.remove(at + 1)}>×</button>
    <div class="grip" role="slider" tabindex="0" aria-label=${said.width(at + 1)} title=${said.drag} aria-orientation="vertical"
      aria-valuemin="1" aria-valuemax=${MAX_WIDTH} aria-valuenow=${units} aria-valuetext=${said.units(units)}
      onKeyDown=${press} onPointerDown=${grab} onPointerMove=${drag} onPointerUp=${release} onPointerCancel=${release}>
      <div class="units" style=${{ height: `${barHeight(units)}px` }}></div>
    </div>
    <${Typed} type="number" min="1" max=${MAX_WIDTH} value=${units} aria-label=${said.typed(at + 1)} aria-invalid=${invalid ? "true" : null}
      onCommit=${(/** @type {string} */ text) => set(Number(text))} />
  </div>`;
}

// What the network sees, and the steps from the drawing to it.
// @ts-check

import { html } from "../lib/html.js";
import { DIGIT_SIDE, SIDE } from "../lib/prepare.js";
import { texts } from "../texts/en.js";
import { SIDE as UNITS } from "./drawing.js";
import { Grey } from "./grey.js";

const said = texts.draw.steps;
const COARSE = 70;

/**
 * @typedef {import("../lib/prepare.js").Prepared} Prepared
 *
 * @param {object} props
 * @param {Uint8Array} props.image           that the networks see
 * @param {Prepared | null} props.prepared   null: it is an image of 28 x 28 already
 * @param {Uint8Array} props.plain           the drawing, only made small
 * @param {boolean} props.isAsDrawn          made small as it was drawn
 * @param {(isAsDrawn: boolean) => void} props.onAsDrawn
 * @param {string} props.other               what would be read the other way; "": the same
 */
export function Seen({ image, prepared, plain, isAsDrawn, onAsDrawn, other }) {
  const way = (/** @type {boolean} */ value, /** @type {string} */ text) => html`<label class="check">
    <input type="radio" name="way" checked=${isAsDrawn === value} onChange=${() => onAsDrawn(value)} />${text}
  </label>`;
  return html`<section class="card seen" aria-labelledby="seen-title">
    <h2 id="seen-title">${said.title}</h2>
    <div class="eye">
      <${Grey} side=${SIDE} values=${image} title=${said.image} />
      <div>
        <fieldset class="ways">
          <legend class="only-read">${said.way}</legend>
          ${way(false, said.asMade)} ${way(true, said.asDrawn)}
        </fieldset>
        <p class="note other" role="status">${other}</p>
      </div>
    </div>
    ${prepared?.box ? html`<${Steps} prepared=${prepared} plain=${plain} isAsDrawn=${isAsDrawn} />` : html`<p class="note">${prepared ? said.blank : said.asItIs}</p>`}
  </section>`;
}

/** @param {{prepared: Prepared, plain: Uint8Array, isAsDrawn: boolean}} props */
function Steps({ prepared, plain, isAsDrawn }) {
  const { box, fitted, offset, image, isWidened, doubt } = prepared;
  if (!box) return null;
  const unit = SIDE / UNITS;
  const side = Math.max(box.right - box.left, box.bottom - box.top) * unit;
  const frame = { left: ((box.left + box.right) * unit - side) / 2, top: ((box.top + box.bottom) * unit - side) / 2, side };
  const square = coarse(prepared.square);
  const middle = massOf(image);
  return html`<ol class="steps" data-off=${isAsDrawn ? "" : null}>
      <li><${Grey} side=${SIDE} values=${plain} frame=${frame} title=${said.found} /><span>${said.found}</span></li>
      <li><${Grey} side=${square.rows} values=${square.values} most=${1} title=${said.cut} /><span>${said.cut}</span></li>
      <li><${Grey} side=${DIGIT_SIDE} values=${fitted} title=${said.fitted} /><span>${said.fitted}</span></li>
      <li><${Grey} side=${SIDE} values=${image} frame=${{ ...offset, side: DIGIT_SIDE }} cross=${middle} title=${said.centred} /><span>${said.centred}</span></li>
    </ol>
    ${isWidened && html`<p class="note">${said.widened}</p>`}
    ${doubt && html`<p class="note bad" role="status">${said.doubt[doubt]}</p>`}`;
}

/** A square of few pixels, as it is shown small: each is one of the many.
 * @param {import("../lib/prepare.js").Ink} square */
function coarse({ rows, values }) {
  const step = Math.ceil(rows / COARSE);
  const side = Math.floor(rows / step);
  const found = new Float32Array(side * side);
  for (let i = 0; i < found.length; i++) found[i] = values[Math.floor(i / side) * step * rows + (i % side) * step];
  return { rows: side, values: found };
}

/** The centre of mass, on pixels' corners. @param {Uint8Array} image */
function massOf(image) {
  let [mass, x, y] = [0, 0, 0];
  image.forEach((grey, i) => {
    mass += grey;
    x += grey * ((i % SIDE) + 0.5);
    y += grey * (Math.floor(i / SIDE) + 0.5);
  });
  return mass ? { x: x / mass, y: y / mass } : null;
}

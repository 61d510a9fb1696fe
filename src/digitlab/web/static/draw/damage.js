// Break it: biases set to zero, noise on weights, units cut; and all of it mended.
// @ts-check

import { html } from "../lib/html.js";
import { texts } from "../texts/en.js";

const said = texts.draw.damage;
/** In standard deviations of a layer's weights. */
export const MOST_NOISE = 4;
/** @type {import("./breaking.js").Damage} */
export const WHOLE = { zeroBiases: false, noise: 0, draw: 1 };

/** @param {import("./breaking.js").Damage} damage */
export const isDamaged = ({ zeroBiases, noise }) => zeroBiases || noise > 0;

/**
 * @param {object} props
 * @param {import("./breaking.js").Damage} props.damage
 * @param {number} props.cutCount
 * @param {(damage: import("./breaking.js").Damage) => void} props.onChange
 * @param {() => void} props.onMend
 */
export function BreakIt({ damage, cutCount, onChange, onMend }) {
  const { zeroBiases, noise, draw } = damage;
  return html`<section class="card damage" aria-labelledby="damage-title">
    <h2 id="damage-title">${said.title}</h2>
    <label class="check"><input type="checkbox" checked=${zeroBiases} onChange=${() => onChange({ ...damage, zeroBiases: !zeroBiases })} />${said.biases}</label>
    <div class="field">
      <label for="noise">${said.noise}</label>
      <div class="row noise">
        <input id="noise" type="range" min="0" max=${MOST_NOISE} step="0.05" value=${noise} aria-valuetext=${said.size(noise)}
          onInput=${(/** @type {any} */ event) => onChange({ ...damage, noise: Number(event.target.value) })} />
        <output for="noise">${said.size(noise)}</output>
      </div>
    </div>
    <div class="row">
      <button class="button" disabled=${!noise} onClick=${() => onChange({ ...damage, draw: draw + 1 })}>${said.another}</button>
      <button class="button" disabled=${!isDamaged(damage) && !cutCount} onClick=${onMend}>${said.mend}</button>
    </div>
    <p class="note">${said.hint}</p>
  </section>`;
}

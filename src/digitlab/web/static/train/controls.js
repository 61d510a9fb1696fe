// The set-up's controls: sliders over usual values that take any other by typing, and the options behind "more".
import { count, rate, readRate } from "../lib/format.js";
import { html } from "../lib/html.js";
import { texts } from "../texts/en.js";
import { GRIDS, MORE, NEEDS, written } from "./setup.js";
import { Typed } from "./typed.js";

const said = texts.train;

/**
 * @param {{name: string, label: string, value: number, grid: number[], onChange: (value: number) => void, invalid: boolean,
 *   say?: (value: number) => string, read?: (text: string) => number, hint?: string}} props
 */
export function Slider({ name, label, value, grid, onChange, invalid, say = count, read = Number, hint }) {
  const values = grid.includes(value) ? grid : [...grid, value].sort((a, b) => a - b);
  const typed = (/** @type {string} */ text) => {
    const number = read(text.replaceAll(/(?<=\d),(?=\d{3})/g, ""));
    if (number > 0) onChange(number);
  };
  return html`<div class="field slider">
    <label for=${`${name}-typed`}>${label}${hint && html` <small>${hint}</small>`}</label>
    <${Typed} id=${`${name}-typed`} class="typed" type="text" inputmode="decimal" autocomplete="off" value=${say(value)} onCommit=${typed} aria-invalid=${invalid ? "true" : null} />
    <input type="range" min="0" max=${values.length - 1} step="1" value=${values.indexOf(value)} aria-label=${label} aria-valuetext=${say(value)}
      onInput=${(/** @type {any} */ event) => onChange(values[event.target.valueAsNumber])} />
  </div>`;
}

/**
 * @param {{setup: import("./setup.js").Setup, onChange: (change: Partial<import("./setup.js").Setup>) => void, field: string | null, available: number,
 *   linked: boolean, onLink: (linked: boolean) => void}} props
 * field: the option that the server refused; linked: learning rate / batch size stays as it is
 */
export function Controls({ setup, onChange, field, available, linked, onLink }) {
  const setRate = (/** @type {number} */ learning_rate) => {
    const batch_size = Math.max(1, Math.round((setup.batch_size * learning_rate) / setup.learning_rate));
    onChange(linked ? { learning_rate, batch_size } : { learning_rate });
  };
  const setBatch = (/** @type {number} */ size) => {
    const batch_size = Math.max(1, Math.round(size));
    onChange(linked ? { batch_size, learning_rate: (setup.learning_rate * batch_size) / setup.batch_size } : { batch_size });
  };
  const images = GRIDS.train_size.filter((size) => size < available).concat(available);
  const whole = (/** @type {string} */ text) => Math.round(Number(text));
  return html`<${Slider} name="learning_rate" label=${said.options.learning_rate} value=${setup.learning_rate} grid=${GRIDS.learning_rate} onChange=${setRate} invalid=${field === "learning_rate"} say=${rate} read=${readRate} />
    <${Slider} name="batch_size" label=${said.options.batch_size} value=${setup.batch_size} grid=${GRIDS.batch_size} onChange=${setBatch} invalid=${field === "batch_size"} read=${whole} />
    <label class="check small"><input type="checkbox" checked=${linked} onChange=${(/** @type {any} */ event) => onLink(event.target.checked)} />${said.linked}</label>
    <${Slider} name="train_size" label=${said.options.train_size} value=${setup.train_size ?? available} grid=${images} invalid=${field === "train_size"} read=${whole}
      onChange=${(/** @type {number} */ size) => onChange({ train_size: size === available ? null : size })} />
    <${Slider} name="epochs" label=${said.options.epochs} value=${setup.epochs} grid=${GRIDS.epochs} hint=${setup.more.steps && said.insteadOf(count(Number(setup.more.steps)))}
      onChange=${(/** @type {number} */ epochs) => onChange({ epochs, more: without(setup.more, "steps") })} invalid=${field === "epochs"} read=${whole} />
    <div class="field inline"><label for="seed">${said.options.seed}</label>
      <${Typed} id="seed" type="number" min="0" step="1" value=${setup.seed} aria-invalid=${field === "seed" ? "true" : null}
        onCommit=${(/** @type {string} */ text) => onChange({ seed: Math.max(0, Math.round(Number(text)) || 0) })} />
    </div>`;
}

/**
 * @param {{setup: import("./setup.js").Setup, options: any[], onChange: (change: Partial<import("./setup.js").Setup>) => void, field: string | null, names: string[]}} props
 * names: of the data sets that are here
 */
export function More({ setup, options, onChange, field, names }) {
  const byName = new Map(options.map((option) => [option.name, option]));
  const set = (/** @type {string} */ name, /** @type {string} */ value) => {
    onChange({ more: value === "" ? without(setup.more, name) : { ...setup.more, [name]: value } });
  };
  const counts = (/** @type {string} */ name) => !NEEDS[name] || (setup.more[NEEDS[name][0]] ?? usual(byName.get(NEEDS[name][0]))) === NEEDS[name][1];
  const shown = MORE.filter((name) => byName.has(name) && counts(name));
  return html`<details class="more" open=${MORE.includes(field ?? "") || undefined}>
    <summary>${said.more}${Object.keys(setup.more).length > 0 && html` <small>${Object.entries(setup.more).map(([name, value]) => `${said.options[/** @type {"data"} */ (name)] ?? name} ${written(name, value)}`).join(" · ")}</small>`}</summary>
    <div class="options">
      ${shown.map((name) => {
        const option = byName.get(name);
        const choices = name === "data" ? names : option.choices;
        const value = setup.more[name] ?? "";
        const bad = field === name ? "true" : null;
        return html`<div class="field" title=${option.help}>
          <label for=${`more-${name}`}>${said.options[/** @type {"data"} */ (name)] ?? name}</label>
          ${choices?.length
            ? html`<select id=${`more-${name}`} value=${value || usual(option)} onChange=${(/** @type {any} */ event) => set(name, event.target.value === usual(option) ? "" : event.target.value)} aria-invalid=${bad}>
                ${choices.map((/** @type {string} */ choice) => html`<option value=${choice}>${choice}</option>`)}
              </select>`
            : html`<${Typed} id=${`more-${name}`} type="text" inputmode="decimal" placeholder=${usual(option)} value=${value} onCommit=${(/** @type {string} */ text) => set(name, text.trim())} aria-invalid=${bad} />`}
        </div>`;
      })}
    </div>
  </details>`;
}

/** @param {Record<string, string>} more @param {string} name */
const without = (more, name) => Object.fromEntries(Object.entries(more).filter(([other]) => other !== name));

/** @param {any} option */
const usual = (option) => (option?.name === "validation_size" ? "10000" : option?.default === null || option?.default === undefined ? "" : String(option.default));

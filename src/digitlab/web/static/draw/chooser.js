// Which networks are drawn on: those of the page by a press, those of the store by their keys.
// @ts-check

import { get, post, useSignal } from "../lib/api.js";
import { percent, rate } from "../lib/format.js";
import { html, useState } from "../lib/html.js";
import { add } from "../lib/live.js";
import { texts } from "../texts/en.js";
import { drawable, MOST } from "./networks.js";

const said = texts.draw.networks;
/** Of the page's runs and of the store's, as many as can be overlooked. */
const [PAGE_RUNS, STORE_RUNS] = [12, 15];
/** The exercise's network with one hidden layer, as Train sets it up. */
const USUAL = { hidden: [100], learning_rate: 0.125, batch_size: 100, epochs: 3, validation_size: 10000 };

/**
 * @param {object} props
 * @param {import("../lib/live.js").LiveRun[]} props.runs
 * @param {string[]} props.keys
 * @param {(keys: string[]) => void} props.onChange
 */
export function Chooser({ runs, keys, onChange }) {
  const offered = drawable(runs).slice(0, PAGE_RUNS);
  const toggle = (/** @type {string} */ key) =>
    onChange(keys.includes(key) ? keys.filter((each) => each !== key) : [...keys, key].slice(-MOST));
  return html`<section class="card chooser" aria-labelledby="networks-title">
    <h2 id="networks-title">${said.title}</h2>
    ${offered.length > 0
      ? html`<div class="row" role="group" aria-label=${said.page}>${offered.map(
          (run) => html`<button class="chip" aria-pressed=${keys.includes(run.key) ? "true" : "false"} onClick=${() => toggle(run.key)} title=${run.title}>
            <b>${run.network}</b> ${about(run.spec)}</button>`,
        )}</div>`
      : keys.length === 0 && html`<${Start} />`}
    <${FromStore} keys=${keys} onAdd=${toggle} />
  </section>`;
}

/** No network yet: one is trained by a press. */
function Start() {
  const [says, setSays] = useState("");
  const train = async () => {
    setSays(said.starting);
    try {
      const { runs } = await post("train", { runs: [USUAL], title: null });
      add(runs);
    } catch (error) {
      setSays(/** @type {Error} */ (error).message);
    }
  };
  return html`<div class="row start"><p>${said.none}</p>
    <button class="button primary" onClick=${train}>${said.train}</button><p class="note" role="status">${says}</p></div>`;
}

/** @param {{keys: string[], onAdd: (key: string) => void}} props */
function FromStore({ keys, onAdd }) {
  const [rows, setRows] = useState(/** @type {any[] | null} */ (null));
  const [says, setSays] = useState("");
  const signal = useSignal();
  const look = async (/** @type {string} */ prefix) => {
    setSays("");
    try {
      const found = await get("runs", { key: prefix, outcome: "completed", sort: "-finished", limit: STORE_RUNS }, signal());
      setRows(found.rows);
      setSays(found.rows.length ? "" : prefix ? said.unknown : said.emptyStore);
    } catch (error) {
      setSays(/** @type {Error} */ (error).message);
    }
  };
  const submit = (/** @type {any} */ event) => {
    event.preventDefault();
    const key = event.target.elements.key.value.trim().toLowerCase();
    if (/^[0-9a-f]{64}$/.test(key)) onAdd(key);
    else if (/^[0-9a-f]*$/.test(key)) void look(key);
    else setSays(said.noKey);
  };
  return html`<details onToggle=${(/** @type {any} */ event) => event.target.open && !rows && look("")}>
    <summary>${said.store}</summary>
    <form class="row" onSubmit=${submit}>
      <label class="field"><span class="label">${said.key}</span><input type="text" name="key" autocomplete="off" spellcheck="false" size="18" maxlength="64" /></label>
      <button class="button">${said.find}</button>
    </form>
    <p class="note" role="status">${says}</p>
    ${rows && rows.length > 0 && html`<ul class="stored">${rows.map(
      (row) => html`<li><button class="button quiet" disabled=${keys.includes(row.key)} onClick=${() => onAdd(row.key)}>
        <b>${row.network}</b> ${said.row(row)} · ${percent(row.test_accuracy)}</button></li>`,
    )}</ul>`}
  </details>`;
}

/** How a network was trained, in few words. @param {any} spec a RunSpec's document */
export const about = (spec) =>
  spec ? said.about(rate(spec.optimiser?.learning_rate ?? NaN), spec.batch_size, spec.train_size, spec.seed) : "";

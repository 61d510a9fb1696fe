// The keyboard's twin of drawing: a test image by number or class, and the most confident mistakes.
// @ts-check

import { percent } from "../lib/format.js";
import { html, useEffect, useState } from "../lib/html.js";
import { texts } from "../texts/en.js";
import { imageAt, MOST_MISTAKES, mistakesOf } from "./examples.js";
import { Grey } from "./grey.js";

const said = texts.draw.images;

/**
 * @typedef {import("./examples.js").Examples} Examples
 *
 * @param {object} props
 * @param {Examples | null} props.examples
 * @param {string} props.says
 * @param {number | null} props.index       of the image on the canvas
 * @param {number | null} props.digit       the class that is looked for
 * @param {string[]} props.classNames
 * @param {import("../lib/network.js").Network | null} props.network  whose mistakes are shown
 * @param {string} props.networkKey
 * @param {string} props.networkName
 * @param {(index: number) => void} props.onIndex
 * @param {(by: number) => void} props.onNext  to another one of the class
 * @param {(digit: number | null) => void} props.onDigit
 */
export function TestImages({ examples, says, index, digit, classNames, network, networkKey, networkName, onIndex, onNext, onDigit }) {
  return html`<section class="card images" aria-labelledby="images-title">
    <h2 id="images-title">${said.title}</h2>
    <div class="row">
      <button class="button" onClick=${() => onNext(-1)} aria-label=${said.previous} title=${said.previous}>‹</button>
      <label class="field"><span class="label">${said.number}</span>
        <input type="number" min="0" max=${(examples?.count ?? 10000) - 1} value=${index ?? ""} placeholder="0"
          onInput=${(/** @type {any} */ event) => {
            const wanted = event.target.valueAsNumber;
            if (Number.isInteger(wanted) && wanted >= 0 && wanted < (examples?.count ?? 0)) onIndex(wanted);
          }} /></label>
      <button class="button" onClick=${() => onNext(1)} aria-label=${said.next} title=${said.next}>›</button>
      <label class="field"><span class="label">${said.class}</span>
        <select value=${digit === null ? "" : String(digit)} onChange=${(/** @type {any} */ event) => onDigit(event.target.value === "" ? null : Number(event.target.value))}>
          <option value="">${said.any}</option>${classNames.map((name, i) => html`<option value=${String(i)}>${name}</option>`)}
        </select></label>
    </div>
    ${says && html`<p class="note bad" role="status">${says}</p>`}
    ${network && html`<${Mistakes} key=${networkKey} network=${network} name=${networkName} examples=${examples} classNames=${classNames} index=${index} onIndex=${onIndex} />`}
  </section>`;
}

/** @param {any} props */
function Mistakes({ network, name, examples, classNames, index, onIndex }) {
  const [open, setOpen] = useState(false);
  const [found, setFound] = useState(/** @type {{network: any, mistakes: import("./examples.js").Mistake[]} | null} */ (null));
  useEffect(() => {
    if (!open || !examples || found?.network === network) return;
    let isOver = false;
    void mistakesOf(network, examples, { isOver: () => isOver }).then((mistakes) => {
      if (!isOver) setFound({ network, mistakes });
    });
    return () => void (isOver = true);
  }, [open, network, examples]);
  return html`<details onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}>
    <summary>${said.mistakes}</summary>
    ${open && !found && html`<p class="note" role="status">${said.looking(name)}</p>`}
    ${open && found && html`<p class="note">${said.missed(found.mistakes.length, examples.count, name)}</p>
      <div class="row mistakes">${found.mistakes.slice(0, MOST_MISTAKES).map(
        (mistake) => html`<button class="mistake" key=${mistake.index} aria-pressed=${mistake.index === index ? "true" : "false"} onClick=${() => onIndex(mistake.index)}
          aria-label=${said.mistake(mistake.index, classNames[mistake.label], classNames[mistake.answer], percent(mistake.probability, 0))}>
          <${Picture} examples=${examples} index=${mistake.index} />
          <small>${said.as(classNames[mistake.label], classNames[mistake.answer])}</small></button>`,
      )}</div>`}
  </details>`;
}

/** @param {{examples: Examples, index: number}} props */
function Picture({ examples, index }) {
  const [values] = useState(() => imageAt(examples, index));
  return html`<${Grey} side=${28} values=${values} title="" />`;
}

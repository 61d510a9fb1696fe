// What each network answers: ten probabilities, the likeliest marked.
// @ts-check

import { percent } from "../lib/format.js";
import { html } from "../lib/html.js";
import { texts } from "../texts/en.js";
import { largest } from "./examples.js";

const said = texts.draw.answers;

/**
 * @param {object} props
 * @param {import("./networks.js").Loaded} props.loaded
 * @param {string} props.title
 * @param {string} props.about            how it was trained
 * @param {string[]} props.classNames
 * @param {ArrayLike<number> | null} props.probabilities  null: nothing is drawn
 * @param {number | null} props.label     the class of a test image
 * @param {boolean} props.isChosen        its inside is shown
 * @param {boolean} props.isBroken
 * @param {() => void} props.onChoose
 * @param {() => void} props.onRemove
 */
export function Answers({ loaded, title, about, classNames, probabilities, label, isChosen, isBroken, onChoose, onRemove }) {
  const best = probabilities ? largest(probabilities) : -1;
  const isSure = probabilities !== null && Number.isFinite(probabilities[best]);
  const right = label !== null && isSure ? (best === label ? "right" : "wrong") : null;
  return html`<section class="card answers" data-chosen=${isChosen ? "" : null} aria-label=${title}>
    <div class="head">
      <h2>${title}</h2>
      <button class="icon" onClick=${onRemove} aria-label=${said.remove(title)} title=${said.remove(title)}>×</button>
    </div>
    <p class="note about">${about}${isBroken && html` <b class="bad">${said.broken}</b>`}</p>
    ${loaded.network
      ? html`<p class="verdict" data-right=${right}>
            ${isSure ? html`<b>${classNames[best]}</b> <span>${percent(probabilities?.[best], 1)}</span> ${right && html`<span class="mark">${said[right](classNames[label ?? 0])}</span>`}` : html`<span class="quiet">${probabilities ? said.overflow : said.blank}</span>`}
          </p>
          <table class="bars" aria-label=${said.table(title)}><tbody>
            ${classNames.map((name, i) => {
              const share = isSure ? (probabilities?.[i] ?? 0) : 0;
              return html`<tr data-best=${isSure && i === best ? "" : null}>
                <th scope="row">${name}</th><td class="bar-of"><i style=${{ width: `${100 * share}%` }} /></td>
                <td class="number">${isSure ? share.toFixed(3) : "–"}</td></tr>`;
            })}
          </tbody></table>
          <button class="button quiet" aria-pressed=${isChosen ? "true" : "false"} onClick=${onChoose}>${said.inside}</button>`
      : html`<p class="note" role="status">${loaded.says}</p>`}
    ${loaded.network?.note && html`<p class="note differs">${texts.shell.differs(loaded.network.note)}</p>`}
  </section>`;
}

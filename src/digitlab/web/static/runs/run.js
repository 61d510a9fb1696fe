// One run: how it learned, what it takes for what, its most confident mistakes, and what can be done with it.
import { ApiError, bytes, get, useAsking, useSignal } from "../lib/api.js";
import { LineChart } from "../lib/chart.js";
import { Command, Copy } from "../lib/copy.js";
import { count, isNumber, loss, percent, rate, seconds } from "../lib/format.js";
import { html, useState } from "../lib/html.js";
import { link } from "../lib/route.js";
import { texts } from "../texts/en.js";
import { Digit } from "./digit.js";
import { shade, ink } from "../studies/colours.js";

const said = texts.runs.run;

/** @param {{id: string}} props id: the run's key, or its first digits */
export function Run({ id }) {
  const [run, setRun] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState("");
  useAsking((signal) => get(`runs/${id}`, {}, signal).then(setRun, (error) => setProblem(error.says)), [id]);
  if (problem) return html`<p class="says" role="alert">${problem} <a href="/runs">${texts.runs.back}</a></p>`;
  if (!run) return html`<p class="empty" role="status">${texts.runs.loading}</p>`;
  const { metrics, outcome } = run;
  return html`<div class="run-page">
    <p><a href="/runs">${texts.runs.back}</a></p>
    <h1>${run.title} <span class="outcome" data-outcome=${outcome}>${texts.runs.outcomes[/** @type {"completed"} */ (outcome)]}</span></h1>
    ${run.says && html`<p class="says">${run.says}</p>`}
    <dl class="facts" aria-label=${said.facts}>
      ${fact(said.test, percent(metrics.test_accuracy))}
      ${fact(said.testLoss, loss(metrics.test_loss))}
      ${metrics.validation_accuracy !== null && fact(said.validation, percent(metrics.validation_accuracy))}
      ${fact(said.parameters, count(run.parameters))} ${fact(said.steps, count(metrics.steps))} ${fact(said.seed, run.spec.seed)}
      ${fact(said.seconds, seconds(run.provenance.seconds))} ${fact(said.finished, run.provenance.finished.slice(0, 16).replace("T", " "))}
    </dl>
    <${Actions} run=${run} />
    <div class="halves"><${Losses} run=${run} /> <${Accuracy} run=${run} /></div>
    ${outcome === "diverged" ? html`<p class="note">${said.noImages}</p>` : html`<${Images} run=${run} />`}
    <section class="card"><h2>${said.command}</h2><${Command} text=${run.command} label=${said.command} />
      <p class="row key"><span>${said.key}: <code>${run.key}</code></span><${Copy} text=${run.key} label=${said.key} /></p><p class="note">${said.keyNote}</p></section>
    <${Leaves} title=${said.spec} document=${run.spec} /> <${Leaves} title=${said.where} document=${run.provenance} />
  </div>`;
}

/** @param {string} name @param {any} value */
const fact = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;

/** @param {{run: any}} props */
function Actions({ run }) {
  const [says, setSays] = useState("");
  const signal = useSignal();
  const save = async () => {
    try {
      const found = await bytes(`runs/${run.key}/weights`, {}, signal(), (state) => setSays(state.says));
      const address = URL.createObjectURL(new Blob([found.bytes]));
      const anchor = Object.assign(document.createElement("a"), { href: address, download: `${run.key.slice(0, 12)}.safetensors` });
      anchor.click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
      setSays("");
    } catch (error) {
      setSays(error instanceof ApiError ? error.says : String(error));
    }
  };
  const whole = run.outcome !== "diverged";
  const options = Object.fromEntries(Object.entries(run.options).map(([name, value]) => [name, Array.isArray(value) ? value.join(",") : value]));
  return html`<div class="row actions" role="group" aria-label=${said.actions}>
    ${whole && html`<a class="button primary" href=${link("/draw", { key: run.key })}>${said.draw}</a>`}
    <a class="button" href=${link("/train", options)}>${said.train}</a>
    <a class="button" href=${link("/runs", { pick: run.key, network: run.network })}>${said.compare}</a>
    ${whole && html`<a class="button" href=${`/api/reports/runs/${run.key}`} target="_blank" rel="noopener">${said.report}</a>
    <button class="button" onClick=${save}>${said.save}</button>`}
    <span class="note" role="status">${says}</span>
  </div>`;
}

/** A curve as [step, value], as far as it is a number. @param {any} curve @param {string} name @returns {[number, number][]} */
export const points = (curve, name) =>
  (curve[name] ?? []).flatMap((/** @type {any} */ value, /** @type {number} */ i) => (isNumber(value) ? [[curve.step[i], value]] : []));

/** @param {{run: any}} props */
function Losses({ run }) {
  const broken = run.outcome !== "completed";
  const series = [
    { key: "training", label: "training", name: said.training, colour: 1, points: points(run.curve, "training_loss"), broken },
    { key: "validation", label: "validation", name: said.validationLoss, colour: 2, dash: [6, 3], points: points(run.curve, "validation_loss"), broken },
  ].filter((line) => line.points.length > 0);
  return html`<section class="card"><${LineChart} title=${said.losses} series=${series} xName=${said.step} formatX=${count} log=${true} format=${loss} /></section>`;
}

/** @param {{run: any}} props */
function Accuracy({ run }) {
  const series = [{ key: "accuracy", label: percent(run.metrics.validation_accuracy, 1), name: said.validation, colour: 3, points: points(run.curve, "validation_accuracy") }];
  if (series[0].points.length === 0) return null;
  return html`<section class="card"><${LineChart} title=${said.accuracy} series=${series} xName=${said.step} formatX=${count} format=${(/** @type {number} */ value) => percent(value, 1)} range=${[null, null]} /></section>`;
}

/** What follows from the predictions at once, and the mistakes once the network is there again. @param {{run: any}} props */
function Images({ run }) {
  const [confusion, setConfusion] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState("");
  useAsking((signal) => get(`runs/${run.key}/confusion`, {}, signal).then(setConfusion, (error) => setProblem(error.says)), [run.key]);
  if (problem) return html`<p class="says">${problem}</p>`;
  if (!confusion) return null;
  return html`<div class="halves"><${Matrix} confusion=${confusion} /> <${ByClass} confusion=${confusion} /></div>
    <${Mistakes} run=${run} names=${confusion.classes.map((/** @type {any} */ one) => one.name)} />`;
}

/** @param {{confusion: any}} props */
function Matrix({ confusion }) {
  const { counts, classes } = confusion;
  const most = Math.max(1, ...counts.flatMap((/** @type {number[]} */ row, /** @type {number} */ i) => row.filter((_, j) => i !== j)));
  /** @param {number} n */
  const place = (n) => Math.log1p(n) / Math.log1p(most);
  return html`<section class="card"><h2>${said.confusion}</h2><p class="note">${said.confusionNote(count(confusion.images))}</p>
    <div class="scroll" tabindex="0" role="group" aria-label=${said.confusion}><table class="matrix">
      <thead><tr><td></td>${classes.map((/** @type {any} */ one) => html`<th scope="col">${one.name}</th>`)}</tr></thead>
      <tbody>${counts.map(
        (/** @type {number[]} */ row, /** @type {number} */ i) => html`<tr><th scope="row">${classes[i].name}</th>
          ${row.map((n, j) => html`<td class=${i === j ? "right" : n ? "wrong" : "none"} title=${i === j ? "" : said.takenFor(classes[i].name, classes[j].name, n)}
            style=${i !== j && n ? { background: shade(0.25 + 0.75 * place(n)), color: ink(0.25 + 0.75 * place(n)) } : {}}>${n || "·"}</td>`)}</tr>`,
      )}</tbody>
    </table></div></section>`;
}

/** @param {{confusion: any}} props */
function ByClass({ confusion }) {
  const all = [{ name: said.all, images: confusion.images, accuracy: confusion.accuracy }, ...confusion.classes];
  const least = Math.min(...all.map((one) => one.accuracy.low ?? 1));
  const from = Math.max(0, Math.floor(20 * least) / 20);
  /** @param {number} share */
  const x = (share) => `${(100 * (share - from)) / (1 - from)}%`;
  return html`<section class="card"><h2>${said.byClass}</h2><p class="note">${said.byClassNote}</p>
    <div class="scroll" tabindex="0" role="group" aria-label=${said.byClass}><table class="table classes">
      <thead><tr><th scope="col">${said.actual}</th><th scope="col" class="number">${said.images}</th><th scope="col" class="number">${texts.runs.columns.test_accuracy}</th><th scope="col" class="number">${said.interval}</th>
        <th class="axis" aria-hidden="true"><span class="ends"><i>${percent(from, 0)}</i><i>100 %</i></span></th></tr></thead>
      <tbody>${all.map(
        ({ name, images, accuracy }) => html`<tr><th scope="row">${name}</th><td class="number">${count(images)}</td><td class="number">${percent(accuracy.value)}</td>
          <td class="number">${accuracy.low === null ? "–" : `${(100 * accuracy.low).toFixed(1)} to ${(100 * accuracy.high).toFixed(1)}`}</td>
          <td class="axis" aria-hidden="true">${accuracy.value !== null && html`<svg width="100%" height="16"><line x1=${x(accuracy.low)} x2=${x(accuracy.high)} y1="8" y2="8" /><circle cx=${x(accuracy.value)} cy="8" r="4" /></svg>`}</td></tr>`,
      )}</tbody>
    </table></div></section>`;
}

/** @param {{run: any, names: string[]}} props */
function Mistakes({ run, names }) {
  const [found, setFound] = useState(/** @type {{mistakes: any[], note: string} | null} */ (null));
  const [says, setSays] = useState("");
  useAsking((signal) => {
    bytes(`runs/${run.key}/mistakes`, { limit: 24 }, signal, (state) => setSays(said.again(percent(state.progress, 0)))).then(
      (answer) => setFound(JSON.parse(new TextDecoder().decode(answer.bytes))),
      (error) => setSays(error.says),
    );
  }, [run.key]);
  return html`<section class="card"><h2>${said.mistakes}</h2><p class="note">${said.mistakesNote}</p>
    ${found?.note && html`<p class="says">${texts.shell.differs(found.note)}</p>`}
    ${!found && html`<p class="note" role="status">${says}</p>`}
    <ul class="digits">${found?.mistakes.map((one) => {
      const words = said.mistaken(names[one.label], names[one.predicted], percent(one.probabilities[one.predicted], 1));
      return html`<li key=${one.index}><a href=${link("/draw", { key: run.key, image: one.index })}><${Digit} image=${one.image} title=${words} /><span><b>${words}</b><small>${said.testImage(one.index)}</small></span></a></li>`;
    })}</ul></section>`;
}

/** A document's fields as a table. @param {{title: string, document: any}} props */
function Leaves({ title, document: whole }) {
  return html`<details class="card"><summary>${title}</summary>
    <div class="scroll" tabindex="0" role="group" aria-label=${title}><table class="table leaves"><thead><tr><th scope="col">${said.setting}</th><th scope="col">${said.value}</th></tr></thead><tbody>${leaves(whole).map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`)}</tbody></table></div>
  </details>`;
}

/** @param {any} part @param {string} [above] @returns {[string, string][]} */
function leaves(part, above = "") {
  return Object.entries(part).flatMap(([name, value]) => {
    const path = above + name.replaceAll("_", " ");
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return leaves(value, `${path}: `);
    if (Array.isArray(value)) return [[path, value.slice(0, 12).join(", ") + (value.length > 12 ? ", …" : "") || "none"]];
    return [/** @type {[string, string]} */ ([path, name === "learning_rate" ? rate(value) : String(value ?? "–")])];
  });
}

// Two runs beside each other: what differs, their curves, and the test images on which they disagree.
import { get, useAsking } from "../lib/api.js";
import { LineChart } from "../lib/chart.js";
import { count, isNumber, loss, percent } from "../lib/format.js";
import { html, useState } from "../lib/html.js";
import { link } from "../lib/route.js";
import { Digit } from "../runs/digit.js";
import { points } from "../runs/run.js";
import { WrittenTable } from "../studies/table.js";
import { texts } from "../texts/en.js";

const said = texts.compare;

/** @param {{route: import("../lib/route.js").Route}} props */
export default function Compare({ route }) {
  const { a, b } = route.params;
  const [found, setFound] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState("");
  useAsking((signal) => {
    setFound(null);
    setProblem("");
    if (!a || !b) return;
    Promise.all([get("compare", { a, b }, signal), get(`runs/${a}`, {}, signal), get(`runs/${b}`, {}, signal)]).then(
      ([pair, runA, runB]) => setFound({ pair, runs: [runA, runB] }),
      (error) => setProblem(error.says),
    );
  }, [a, b]);
  if (!a || !b) return html`<div class="empty"><h1>${said.title}</h1><p>${said.choose}</p><p><a class="button primary" href="/runs">${said.toRuns}</a></p></div>`;
  if (problem) return html`<p class="says" role="alert">${problem} <a href="/runs">${said.toRuns}</a></p>`;
  if (!found) return html`<p class="empty" role="status">${said.loading}</p>`;
  const { pair, runs } = found;
  return html`<div class="compare">
    <div class="row between"><h1>${said.title}</h1>
      <div class="row"><a class="button" href=${link("/compare", { a: b, b: a })}>${said.swap}</a>
      <a class="button" href=${link("/api/reports/compare", { a: pair.a, b: pair.b })} target="_blank" rel="noopener">${said.report}</a></div></div>
    <div class="sides">${runs.map((/** @type {any} */ run, /** @type {number} */ i) => html`<${Side} name=${"AB"[i]} run=${run} colour=${i + 1} />`)}</div>
    <section class="card answer-card"><h2>${said.verdict}</h2>${pair.verdict.map((/** @type {string} */ sentence) => html`<p class="sentence">${sentence}</p>`)}
      ${pair.difference && html`<${Difference} pair=${pair} />`}</section>
    <section class="card">${pair.settings.rows.length ? html`<${WrittenTable} table=${pair.settings} />` : html`<h2>${said.settings}</h2><p class="note">${said.same}</p>`}</section>
    <div class="thirds">
      <${Curves} runs=${runs} quantity="training_loss" title=${said.loss} log=${true} format=${loss} />
      <${Curves} runs=${runs} quantity="validation_loss" title=${said.validationLoss} log=${true} format=${loss} />
      <${Curves} runs=${runs} quantity="validation_accuracy" title=${said.accuracy} log=${false} format=${(/** @type {number} */ value) => percent(value, 1)} />
    </div>
    <div class="halves">${pair.tables.map((/** @type {any} */ table) => html`<section class="card"><${WrittenTable} table=${table} /></section>`)}</div>
    ${pair.difference && html`<${Disagreements} pair=${pair} />`}
  </div>`;
}

/** @param {{name: string, run: any, colour: number}} props */
function Side({ name, run, colour }) {
  return html`<section class="card pair-side" aria-label=${said.of(name)} data-side=${name}>
    <h2><span class="letter" style=${{ color: `var(--series-${colour})` }}>${name}</span> <a href=${`/runs/${run.key}`}>${run.title}</a></h2>
    <p><b>${percent(run.metrics.test_accuracy)}</b> <span class="note">${texts.runs.columns.test_accuracy}</span> · <span class="note">${texts.runs.outcomes[/** @type {"completed"} */ (run.outcome)]}, ${texts.runs.columns.seed} ${run.spec.seed}</span></p>
  </section>`;
}

/** The interval on an axis that holds zero. @param {{pair: any}} props */
function Difference({ pair }) {
  const { value, low, high } = pair.difference;
  if (!isNumber(value) || !isNumber(low) || !isNumber(high)) return null;
  const reach = 1.15 * Math.max(Math.abs(low), Math.abs(high), 1e-4);
  /** @param {number} at */
  const x = (at) => `${50 + (50 * at) / reach}%`;
  /** @param {number} share */
  const points_ = (share) => `${share >= 0 ? "+" : "−"}${Math.abs(100 * share).toFixed(2)}`;
  const words = said.differenceNote(points_(value), points_(low), points_(high));
  return html`<div class="difference">
    <svg width="100%" height="56" role="img" aria-label=${`${said.difference}. ${words}`}>
      <line class="zero" x1="50%" x2="50%" y1="0" y2="38" /><line class="interval" x1=${x(low)} x2=${x(high)} y1="19" y2="19" /><circle cx=${x(value)} cy="19" r="7" />
      <text x="50%" y="52" text-anchor="middle">${said.zero}</text>
    </svg>
    <p class="row between note ends" aria-hidden="true"><span>← A</span><span>B →</span></p>
  </div>`;
}

/** @param {{runs: any[], quantity: string, title: string, log: boolean, format: (value: number) => string}} props */
function Curves({ runs, quantity, title, log, format }) {
  const series = runs
    .map((run, i) => ({ key: `${"AB"[i]}${run.key}`, label: "AB"[i], name: `${"AB"[i]}: ${run.title}`, colour: i + 1, dash: i ? [6, 3] : [], points: points(run.curve, quantity), broken: run.outcome !== "completed" }))
    .filter((line) => line.points.length > 0);
  if (series.length === 0) return null;
  return html`<section class="card"><${LineChart} title=${title} series=${series} xName=${said.step} formatX=${count} log=${log} format=${format} height=${260} labelWidth=${40} /></section>`;
}

/** @param {{pair: any}} props */
function Disagreements({ pair }) {
  const sides = [
    { name: "A", images: pair.disagreements.filter((/** @type {any} */ one) => one.a === one.label) },
    { name: "B", images: pair.disagreements.filter((/** @type {any} */ one) => one.b === one.label) },
  ];
  return html`<section class="card"><h2>${said.images}</h2>
    <p class="note">${pair.disagreement_count ? said.imagesNote(count(pair.disagreements.length), count(pair.disagreement_count)) : said.noImages}</p>
    <div class="halves">${sides.map(
      ({ name, images }) => images.length > 0 && html`<div><h3>${said.only(name)}</h3>
        <ul class="digits">${images.map((/** @type {any} */ one) => {
          const [other, taken] = name === "A" ? ["B", one.b] : ["A", one.a];
          const words = said.read(pair.class_names[one.label], other, pair.class_names[taken]);
          return html`<li key=${one.index}><div><${Digit} image=${one.image} title=${words} /><span><b>${words}</b><small>${texts.runs.run.testImage(one.index)}</small></span></div></li>`;
        })}</ul></div>`,
    )}</div></section>`;
}

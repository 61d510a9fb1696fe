// One study: how far it is, what it says, its heat map with the runs below each cell, pictures, findings, tables.
import { get, useAsking, useSignal } from "../lib/api.js";
import { Command } from "../lib/copy.js";
import { count, loss, percent } from "../lib/format.js";
import { html, useState } from "../lib/html.js";
import { useConnection } from "../lib/live.js";
import { link, navigate } from "../lib/route.js";
import { texts } from "../texts/en.js";
import { Control, isUnderWay } from "./control.js";
import { HeatMap } from "./heatmap.js";
import { Picture } from "./picture.js";
import { WrittenTable } from "./table.js";
import { later } from "./view.js";

const said = texts.studies;

/** @param {{name: string, params: Record<string, string>}} props */
export function Chapter({ name, params }) {
  const [study, setStudy] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState("");
  const scale = params.scale;
  const lost = useConnection() === "lost"; // what was told meanwhile is not told again

  const signal = useSignal();
  const load = (/** @type {AbortSignal} */ of) => get(`studies/${name}`, { scale }, of).then(setStudy, (error) => setProblem(error.says));
  useAsking((shown) => {
    if (lost) return;
    setProblem("");
    load(shown);
    // While it runs only its cells are asked for; what it says comes once it is done.
    return later(
      () =>
        get(`studies/${name}/cells`, { scale }, shown).then(
          (/** @type {any} */ now) => {
            setStudy((/** @type {any} */ before) => {
              if (!before) return before;
              const ended = now.standing.is_done !== before.standing.is_done || isUnderWay(before.job) !== isUnderWay(now.job);
              if (ended) load(shown);
              return { ...before, ...now };
            });
          },
          () => {},
        ),
      500,
      name,
    );
  }, [name, scale, lost]);

  if (problem) return html`<p class="says" role="alert">${problem} <a href="/studies">${said.back}</a></p>`;
  if (!study) return html`<p class="empty" role="status">${said.loading}</p>`;
  const shown = study.standing.scale;
  return html`<div class="chapter">
    <p><a href="/studies">${said.back}</a></p>
    <div class="row between">
      <div><h1>${study.title}</h1><p class="question">${study.question}</p></div>
      ${study.answer &&
      html`<a class="button" href=${link("/api/reports/studies", { study: name, scale: shown })} target="_blank" rel="noopener" title=${said.reportTitle}>${said.reportOne}</a>`}
    </div>
    <div class="row scales" role="group" aria-label=${said.scale}>
      ${study.scales.map((/** @type {any} */ one) => (one.scale === shown ? study.standing : one)).map(
        (/** @type {any} */ one) => html`<a class="chip" href=${link(`/studies/${name}`, { scale: one.scale })} aria-current=${one.scale === shown ? "true" : null}>
          ${one.scale} <small>${said.chip(count(one.known), count(Math.max(one.due, one.planned)), one.is_done)}</small></a>`,
      )}
    </div>
    ${study.answer &&
    html`<section class="card answer-card" aria-label=${said.answer}>
      <p class="answer">${study.answer.sentence}</p>
      <p class="note">${study.answer.how_sure}. ${said.rests(count(study.run_count), study.seeds)}</p>
    </section>`}
    ${study.missing && html`<p class="says">${study.missing}</p>`}
    ${(!study.standing.is_done || isUnderWay(study.job)) &&
    html`<section class="card" aria-label=${said.progress}>
      <p class="note">${said.known(shown, count(study.standing.known), count(Math.max(study.standing.due, study.standing.planned)), study.standing.is_done)}
        ${!isUnderWay(study.job) && !study.standing.is_done ? said.next(study.standing.stage) : ""}</p>
      <${Control} study=${study} scale=${shown} changed=${() => load(signal())} />
    </section>`}
    <${Cells} study=${study} params=${params} />
    ${study.sentences.length > 0 &&
    html`<section class="card"><h2>${said.sentences}</h2><ul class="sentences">${study.sentences.map((/** @type {string} */ one) => html`<li>${one}</li>`)}</ul></section>`}
    ${study.pictures.length > 0 &&
    html`<div class="pictures">${study.pictures.map((/** @type {any} */ picture) => html`<${Pictured} key=${picture.url} picture=${picture} />`)}</div>`}
    ${study.findings.length > 0 && html`<${Findings} findings=${study.findings} />`}
    ${study.tables.map((/** @type {any} */ table) => html`<section class="card" key=${table.title}><${WrittenTable} table=${table} /></section>`)}
    ${study.methods.length > 0 &&
    html`<details class="card"><summary>${said.methods}</summary>${study.methods.map((/** @type {string} */ one) => html`<p class="method">${one}</p>`)}</details>`}
    <section class="card"><h2>${said.command}</h2><${Command} text=${study.command} label=${said.command} /></section>
  </div>`;
}

/** The cells with the runs of the one that is chosen. @param {{study: any, params: Record<string, string>}} props */
function Cells({ study, params }) {
  const open = params.cell ?? "";
  const choose = (/** @type {string} */ id) => navigate(`/studies/${study.name}`, { ...params, scale: study.standing.scale, cell: id === open ? null : id });
  const chosen = study.cells.find((/** @type {any} */ cell) => idOf(cell) === open);
  if (study.cells.length === 0) return null;
  return html`<div class=${chosen ? "cells opened" : "cells"}>
    <section class="card" aria-label=${said.map}>
      <h2>${said.map}</h2>
      <p class="note">${study.tuned ? said.mapNote : said.mapNoteUntuned}</p>
      <${HeatMap} cells=${study.cells} axes=${study.axes} chosen=${open} choose=${choose} />
    </section>
    ${chosen && html`<${CellRuns} cell=${chosen} close=${() => choose(open)} />`}
  </div>`;
}

/** @param {any} cell */
export const idOf = (cell) => [...Object.values(cell.labels), cell.rate].join("~");

/** @param {{cell: any, close: () => void}} props */
function CellRuns({ cell, close }) {
  const name = said.cell(Object.entries(cell.labels), cell.rate);
  return html`<section class="card cell-runs" aria-label=${said.runsOf(name)}>
    <div class="row between"><h2>${name}</h2><button class="icon" onClick=${close} aria-label=${said.close}>✕</button></div>
    <p>${said.mean(percent(cell.validation_accuracy), loss(cell.validation_loss), cell.outcomes.completed ?? 0, cell.seeds)}</p>
    ${cell.runs.length === 0
      ? html`<p class="note">${said.noRuns}</p>`
      : html`<div class="scroll" tabindex="0" role="group" aria-label=${said.runsOf(name)}><table class="table">
          <thead><tr><th scope="col">${said.seed}</th><th scope="col">${said.outcome}</th><th scope="col" class="number">${said.accuracyBrief}</th><th scope="col" class="number">${said.lossBrief}</th></tr></thead>
          <tbody>${cell.runs.map(
            (/** @type {any} */ run) => html`<tr><th scope="row"><a href=${`/runs/${run.key}`}>${said.seedOf(run.seed)}</a></th><td>${run.outcome}</td>
              <td class="number">${percent(run.validation_accuracy)}</td><td class="number">${loss(run.validation_loss)}</td></tr>`,
          )}</tbody>
        </table></div>`}
    ${cell.runs.length > 1 && html`<p><a class="button" href=${link("/compare", { a: cell.runs[0].key, b: cell.runs[1].key })}>${said.compareTwo}</a></p>`}
  </section>`;
}

/** @param {{picture: any}} props */
function Pictured({ picture }) {
  const pixels = innerWidth < 520 ? 350 : 560;
  return html`<figure class="card pictured">
    <figcaption><h2>${picture.title}</h2></figcaption>
    <${Picture} url=${picture.url} title=${picture.title} pixels=${pixels} />
    <p class="note">${picture.caption}</p>
    <${WrittenTable} table=${picture.table} folded=${true} />
  </figure>`;
}

/** @param {{findings: any[]}} props */
function Findings({ findings }) {
  return html`<section class="card"><h2>${said.findings}</h2>
    <div class="scroll" tabindex="0" role="group" aria-label=${said.findings}><table class="table findings">
      <thead><tr><th scope="col">${said.what}</th><th scope="col" class="number">${said.estimate}</th><th scope="col" class="number">${said.interval}</th><th scope="col">${said.n}</th><th scope="col">${said.verdict}</th></tr></thead>
      <tbody>${findings.map(
        (finding) => html`<tr><th scope="row">${finding.title}</th><td class="number">${finding.estimate}</td><td class="number">${finding.interval}</td><td>${finding.n} ${finding.n_of}</td>
          <td>${finding.verdict}<details><summary>${said.method}</summary><p class="note">${finding.method}</p></details></td></tr>`,
      )}</tbody>
    </table></div>
  </section>`;
}

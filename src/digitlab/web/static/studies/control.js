// Start and stop of a study, with how far it is.
import { ApiError, post } from "../lib/api.js";
import { count, percent, seconds } from "../lib/format.js";
import { html, useState } from "../lib/html.js";
import { texts } from "../texts/en.js";

const said = texts.studies;

/** @param {any} job */
export const isUnderWay = (job) => job?.status === "running" || job?.status === "waiting";

/** @param {{study: any, scale: string, changed: () => void, brief?: boolean}} props study: a card or a chapter */
export function Control({ study, scale, changed, brief }) {
  const [problem, setProblem] = useState("");
  const [sent, setSent] = useState(false);
  const { job, name } = study;
  const standing = (study.standings ?? study.scales).find((/** @type {any} */ one) => one.scale === scale);
  const live = isUnderWay(job);

  /** @param {string} what @param {unknown} body */
  const ask = async (what, body) => {
    setSent(true);
    try {
      await post(`studies/${name}/${what}`, body);
      setProblem("");
    } catch (error) {
      setProblem(error instanceof ApiError ? error.says : String(error));
    }
    setSent(false);
    changed();
  };

  const failed = job?.status === "failed" ? job.says : "";
  return html`<div class="control">
    ${live && html`<${Progress} job=${job} />`}
    <div class="row">
      ${live
        ? html`<button class="button" disabled=${sent} onClick=${() => ask("stop", {})} aria-label=${said.of(said.stop, study.title)}>${said.stop}</button>`
        : standing && !standing.is_done && !study.cannot_run &&
          html`<button class=${brief ? "button" : "button primary"} disabled=${sent} onClick=${() => ask("run", { scale })} aria-label=${said.of(said.start(standing.known > 0), study.title)}>
            ${said.start(standing.known > 0)}</button>
          <span class="note">${said.atScale(scale, count(Math.max(standing.due, standing.planned) - standing.known))}</span>`}
    </div>
    ${study.cannot_run && !standing?.is_done && html`<p class="note">${study.cannot_run}</p>`}
    ${(problem || failed) && html`<p class="says" role="alert">${problem || failed}</p>`}
  </div>`;
}

/** @param {{job: any}} props */
function Progress({ job }) {
  if (job.status === "waiting") return html`<p class="note" role="status">${said.waiting}</p>`;
  const share = Math.max(0, Math.min(1, job.share));
  return html`<div class="progress">
    <p class="row between"><span>${said.stage(job.stage || said.begins)}</span><span class="note">${said.runs(count(job.runs), count(job.of))}</span></p>
    <progress max="1" value=${share} aria-label=${said.stage(job.stage)}>${percent(share, 0)}</progress>
    <p class="note">
      ${[
        job.seconds_left === null ? said.leftUnknown : said.left(seconds(job.seconds_left)),
        job.best !== null && said.best(percent(job.best)),
        job.broken > 0 && said.broken(job.broken),
      ]
        .filter(Boolean)
        .join(" · ")}
    </p>
  </div>`;
}

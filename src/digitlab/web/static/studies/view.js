// Studies: every question as a card with its answer so far; opened, the report's chapter and its cells.
import { ApiError, get, useAsking, useSignal } from "../lib/api.js";
import { count } from "../lib/format.js";
import { html, useEffect, useState } from "../lib/html.js";
import { onStudy, useConnection } from "../lib/live.js";
import { link, navigate } from "../lib/route.js";
import { texts } from "../texts/en.js";
import { Chapter } from "./chapter.js";
import { Control, isUnderWay } from "./control.js";
import { HeatMap } from "./heatmap.js";
import { Picture } from "./picture.js";

const said = texts.studies;

/** @param {{route: import("../lib/route.js").Route}} props */
export default function Studies({ route }) {
  return route.rest
    ? html`<${Chapter} key=${route.rest} name=${route.rest} params=${route.params} />`
    : html`<${Cards} />`;
}

function Cards() {
  const [cards, setCards] = useState(/** @type {any[] | null} */ (null));
  const [problem, setProblem] = useState("");
  const connection = useConnection();
  const signal = useSignal();
  const load = () =>
    get("studies", {}, signal()).then(
      (found) => {
        setCards(found);
        setProblem("");
      },
      (/** @type {ApiError} */ error) => setProblem(error.says),
    );
  useEffect(() => void (connection !== "lost" && load()), [connection]);
  useEffect(() => later(load, 1500), []);

  return html`<div class="studies">
    <div class="row between">
      <div><h1>${said.title}</h1><p class="note">${said.about}</p></div>
      ${cards?.some((card) => card.answer) &&
      html`<a class="button" href="/api/reports/studies" target="_blank" rel="noopener" title=${said.reportTitle}>${said.report}</a>`}
    </div>
    ${problem && html`<p class="says" role="alert">${problem}</p>`}
    ${!cards && !problem && html`<p class="empty" role="status">${said.loading}</p>`}
    <div class="cards">${cards?.map((card) => html`<${Card} key=${card.name} card=${card} changed=${load} />`)}</div>
  </div>`;
}

/** @param {{card: any, changed: () => void}} props */
function Card({ card, changed }) {
  const href = link(`/studies/${card.name}`, { scale: card.scale });
  const standing = card.standings.find((/** @type {any} */ one) => one.scale === card.scale);
  const { answer } = card;
  return html`<article class="card study" aria-label=${card.title}>
    <h2><a href=${href}>${card.title}</a></h2>
    <p class="question">${card.question}</p>
    ${answer?.picture && html`<${Picture} url=${answer.picture} title=${answer.picture_title} pixels=${350} />`}
    ${!answer && (standing.known > 0 || isUnderWay(card.job)) && html`<${SoFar} card=${card} />`}
    ${answer
      ? html`<p class="answer">${answer.sentence}</p><p class="note">${answer.how_sure}</p>`
      : html`<p class="note">${standing.known > 0 ? said.halfKnown : said.nothingKnown}</p>`}
    <p class="foot"><span class="note">${said.known(card.scale, count(standing.known), count(Math.max(standing.due, standing.planned)), standing.is_done)}</span></p>
    <${Control} study=${card} scale=${card.scale} changed=${changed} brief=${true} />
    ${isUnderWay(card.job) && html`<a href=${link(`/studies/${card.name}`, { scale: card.job.scale })}>${said.watch}</a>`}
  </article>`;
}

/** What is known of a study that is not done: its heat map, which fills while it runs. @param {{card: any}} props */
function SoFar({ card }) {
  const [found, setFound] = useState(/** @type {any} */ (null));
  useAsking((signal) => {
    const load = () => get(`studies/${card.name}/cells`, { scale: card.scale }, signal).then(setFound, () => {});
    load();
    return later(load, 1000, card.name);
  }, [card.name, card.scale]);
  /** @param {string} id */
  const open = (id) => navigate(`/studies/${card.name}`, { scale: card.scale, cell: id });
  return found && html`<${HeatMap} cells=${found.cells} axes=${found.axes} chosen="" choose=${open} brief=${true} />`;
}

/**
 * Calls back when there is news of a study, at most so often. Returns what ends that.
 * @param {() => void} callback @param {number} milliseconds @param {string} [name] of this study alone
 */
export function later(callback, milliseconds, name) {
  /** @type {ReturnType<typeof setTimeout> | null} */
  let due = null;
  const end = onStudy((message) => {
    if ((name && message.name !== name) || due !== null) return;
    due = setTimeout(() => {
      due = null;
      callback();
    }, milliseconds);
  });
  return () => {
    end();
    if (due !== null) clearTimeout(due);
  };
}

// Board: everyone's runs of one question, and how sure the class is by now.
import { get, post, useAsking } from "../lib/api.js";
import { isNumber, percent } from "../lib/format.js";
import { html, useRef, useState } from "../lib/html.js";
import { add, isLive, useRuns } from "../lib/live.js";
import { link } from "../lib/route.js";
import { texts } from "../texts/en.js";
import { presetParams, written } from "../train/setup.js";
import { BoardChart } from "./chart.js";

const said = texts.board;
/** Milliseconds between two looks at the board. */
const PAUSE = 1000;

/** @param {{route: import("../lib/route.js").Route, about: any}} props */
export default function Board({ route, about }) {
  const runs = useRuns();
  const [lesson, setLesson] = useState(/** @type {any} */ (null));
  const [presets, setPresets] = useState(/** @type {any[]} */ ([]));
  const [board, setBoard] = useState(/** @type {any} */ (null));
  const [says, setSays] = useState(/** @type {string | null} */ (null));
  const asked = useRef(0);
  const name = route.rest || lesson?.preset || presets[0]?.name;
  const ended = runs.filter((run) => !isLive(run)).length;

  /** @param {Promise<any>} work */
  const attempt = (work) => work.then((value) => (setSays(null), value), (error) => void setSays(error.message));
  useAsking((signal) => {
    void attempt(get("board", {}, signal)).then((found) => found && setLesson(found));
    get("presets", {}, signal).then(setPresets, () => {});
    const timer = setInterval(() => get("board", {}, signal).then(setLesson, () => {}), 5000);
    return () => clearInterval(timer);
  }, []);
  useAsking((signal) => {
    if (!name || !lesson) return;
    const wait = Math.max(0, asked.current + PAUSE - Date.now());
    const timer = setTimeout(() => {
      asked.current = Date.now();
      void attempt(get(`board/${name}`, {}, signal)).then((found) => found && setBoard(found));
    }, wait);
    return () => clearTimeout(timer);
  }, [name, lesson !== null, ended, runs.length]);

  if (lesson === null) return html`<h1>${said.title}</h1><p class="empty">${says}</p>`;
  const shown = board?.preset.name === name ? board : null;
  const { preset } = shown ?? { preset: presets.find((one) => one.name === name) };
  const isTeacher = about?.role === "owner";
  const values = preset?.race?.values ?? [null];
  const say = (/** @type {number | null} */ value) => (value === null ? said.one : written(preset?.race?.axis ?? "", value));
  /** @param {(number | null)[]} which @param {number | null} seed */
  const train = (which, seed) => {
    const options = which.map((value) => ({ ...preset.runs[values.indexOf(value)], ...(seed === null ? {} : { seed }) }));
    return attempt(post("train", { runs: options, title: preset.title })).then((answer) => answer && add(answer.runs));
  };
  const set = (/** @type {any} */ change) => attempt(post("board", { preset: lesson.preset, frozen: lesson.frozen, ...change })).then((now) => now && setLesson(now));
  const all = shown?.rows.flatMap((/** @type {any} */ row) => row.runs) ?? [];
  const nextSeed = Math.max(-1, ...all.map((/** @type {any} */ run) => run.seed)) + 1;
  return html`<div class="board">
    <div class="row between"><h1>${preset ? said.ofPreset(preset.title) : said.title}</h1><span class="note">${said.visitors(lesson.visitors)}</span></div>
    <nav class="row" aria-label=${said.presets}>
      ${presets.map((one) => html`<a class="chip" href=${`/board/${one.name}`} aria-current=${one.name === name ? "true" : null}>${one.title}${one.name === lesson.preset ? html` <small>(${said.here})</small>` : ""}</a>`)}
    </nav>
    ${preset && html`<p class="tip"><b>${preset.question}</b> ${preset.watch} <a href=${link("/train", presetParams(preset, {}))}>${said.toTrain}</a></p>`}
    ${lesson.frozen && html`<p class="says" role="status">${said.frozen}</p>`}
    ${says && html`<p class="says" role="alert">${says}</p>`}
    <section class="card" aria-label=${preset ? said.chart(preset.title) : said.title}>
      ${shown && all.length > 0 ? html`<${BoardChart} rows=${shown.rows} say=${say} title=${said.chart(preset.title)} axis=${preset.race ? texts.train.race.axes[/** @type {"seed"} */ (preset.race.axis)] : ""} />` : html`<p class="empty">${said.empty}</p>`}
      <p class="note">${said.explain}</p>
    </section>
    ${preset &&
    html`<section class="card scroll" tabindex="0" aria-label=${said.asTable}><table class="table">
      <thead><tr><th scope="col">${preset.race ? texts.train.race.axes[/** @type {"seed"} */ (preset.race.axis)] : said.value}</th><th scope="col" class="number">${said.runs}</th><th scope="col" class="number">${said.mean}</th><th scope="col" class="roomy">${said.interval}</th><th scope="col" class="number roomy">${said.broken}</th><th></th></tr></thead>
      <tbody>${values.map((/** @type {number | null} */ value) => {
        const row = shown?.rows.find((/** @type {any} */ one) => one.value === value);
        return html`<tr><th scope="row">${say(value)}</th><td class="number">${row?.count ?? 0}</td><td class="number">${percent(row?.mean)}</td>
          <td class="roomy">${isNumber(row?.low) && isNumber(row?.high) ? `${percent(row.low)} – ${percent(row.high)}` : "–"}</td><td class="number roomy">${row?.broken ?? 0}</td>
          <td><button class="button" disabled=${lesson.frozen && !isTeacher} aria-label=${said.addOf(say(value))} onClick=${() => train([value], isTeacher ? nextSeed : null)}>${said.add}</button></td></tr>`;
      })}</tbody>
    </table></section>`}
    ${isTeacher && preset &&
    html`<section class="card"><h2>${said.teacher}</h2><div class="row">
      <button class="button primary" onClick=${() => train(values, nextSeed)}>${said.start(values.length)}</button>
      <button class="button" disabled=${lesson.preset === name} onClick=${() => set({ preset: name })}>${lesson.preset === name ? said.isSet : said.set}</button>
      <button class="button" aria-pressed=${lesson.frozen ? "true" : "false"} onClick=${() => set({ frozen: !lesson.frozen })}>${lesson.frozen ? said.thaw : said.freeze}</button>
      <button class="button" onClick=${() => attempt(post("train/clear", { keys: all.map((/** @type {any} */ run) => run.key) }))}>${said.clear}</button>
      <button class="button" onClick=${() => save(name, shown?.rows ?? [])}>${said.export}</button>
    </div></section>`}
  </div>`;
}

/** The board's runs as a file. @param {string} name @param {any[]} rows */
function save(name, rows) {
  const lines = rows.flatMap((row) => row.runs.map((/** @type {any} */ run) => [row.value ?? "", run.seed, run.visitor?.name ?? "", run.status, run.accuracy ?? "", run.key].join()));
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(new Blob([["value,seed,visitor,status,test_accuracy,key", ...lines, ""].join("\n")], { type: "text/csv" }));
  anchor.download = `board-${name}.csv`;
  anchor.click();
  URL.revokeObjectURL(anchor.href);
}

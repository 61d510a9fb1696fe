// A race: one setting's values side by side, the ridge of the best and the broken ones marked.
import { get, useAsking } from "../lib/api.js";
import { isNumber, percent } from "../lib/format.js";
import { html, useState } from "../lib/html.js";
import { isLive } from "../lib/live.js";
import { ticks } from "../lib/plot.js";
import { texts } from "../texts/en.js";
import { isBroken } from "./list.js";
import { setting, written } from "./setup.js";

const said = texts.train.race;
const narrow = matchMedia("(max-width: 700px)");
/** Two seeds of such a network differ by this much or less, mostly: twice √2 times the 0.1 points that README's table of 24 seeds gives. */
export const SEED_SPREAD = 0.003;

/** @typedef {import("../lib/live.js").LiveRun} LiveRun @typedef {import("./setup.js").Axis} Axis */

/** Which setting tells the runs of a race apart. @param {LiveRun[]} runs @returns {Axis | "seed"} */
export function axisOf(runs) {
  const differs = (/** @type {string} */ name) => new Set(runs.map((run) => String(setting(run, name)))).size > 1;
  if (differs("learning_rate") && !differs("batch_size")) return "learning_rate";
  if (differs("batch_size")) return "batch_size";
  if (differs("train_size")) return "train_size";
  if (differs("seed") && !differs("network")) return "seed";
  return new Set(runs.map((run) => run.network.split("-").length)).size > 1 ? "depth" : "width";
}

/** @param {LiveRun} run @param {Axis | "seed"} axis */
export function valueOf(run, axis) {
  const hidden = run.network.split("-").slice(1, -1).map(Number);
  return axis === "depth" ? hidden.length : axis === "width" ? (hidden[0] ?? 0) : Number(setting(run, axis));
}

/** @param {Axis | "seed"} axis @param {number} value */
export const sayValue = (axis, value) => written(axis, value);

/** The best that ended well. @param {LiveRun[]} runs */
export const winner = (runs) => runs.filter((run) => !isBroken(run) && run.accuracy !== null).reduce((/** @type {LiveRun | null} */ best, run) => (best && Number(best.accuracy) >= Number(run.accuracy) ? best : run), null);

/** One sentence on how a race ended. @param {LiveRun[]} runs @param {Axis | "seed"} axis */
export function ending(runs, axis) {
  const done = runs.filter((run) => run.status === "done");
  const best = winner(done);
  if (!best) return runs.some(isBroken) ? said.allBroken : said.stopped;
  const say = (/** @type {LiveRun} */ run) => sayValue(axis, valueOf(run, axis));
  const near = done.filter((run) => run !== best && Number(best.accuracy) - Number(run.accuracy) < SEED_SPREAD);
  const broken = runs.filter(isBroken);
  return [
    said.wins(say(best), said.axes[axis], percent(best.accuracy, 1)),
    near.length > 0 ? said.within(near.map(say)) : said.clear,
    broken.length > 0 ? said.broke(broken.map(say)) : "",
  ].filter(Boolean).join(" ");
}

/** What the seeds of one network say together, once all have ended: the server computes it. @param {LiveRun[]} runs @param {boolean} wanted */
function useSeeds(runs, wanted) {
  const [words, setWords] = useState("");
  const race = wanted ? runs[0].race : null;
  useAsking((signal) => {
    setWords("");
    if (!race) return;
    get(`live/races/${race}/seeds`, {}, signal).then(
      ({ count, mean, low, high }) => setWords(isNumber(low) ? said.seeds(count, percent(mean, 1), percent(low, 1), percent(high, 1)) : said.seedsBroke),
      (error) => setWords(error.message),
    );
  }, [race]);
  return words;
}

/** @param {{runs: LiveRun[], looks: Map<string, {colour: number}>, onSelect: (run: LiveRun) => void, children?: any}} props */
export function RaceProfile({ runs, looks, onSelect, children }) {
  const axis = axisOf(runs);
  const sorted = [...runs].sort((a, b) => valueOf(a, axis) - valueOf(b, axis));
  const best = winner(sorted);
  const [width, height, left, right, top, bottom] = [narrow.matches ? 370 : innerWidth > 1500 ? 900 : 640, 200, 46, 16, 22, 42];
  const x = (/** @type {number} */ i) => left + ((width - left - right) * (i + 0.5)) / sorted.length;
  const known = sorted.map((run) => run.accuracy).filter((value) => value !== null);
  const low = Math.max(0, Math.floor(10 * (Math.min(0.9, ...known.filter((value) => value > 0.2)) - 0.03)) / 10);
  const y = (/** @type {number} */ share) => top + (height - top - bottom) * (1 - (Math.max(low, share) - low) / (1 - low));
  const every = Math.ceil(sorted.length / (narrow.matches ? 8 : 16));
  const line = sorted.map((run, i) => (run.accuracy === null || isBroken(run) ? "" : `${x(i)},${y(run.accuracy)}`)).filter(Boolean).join(" ");
  const over = runs.every((run) => !isLive(run));
  const seeds = useSeeds(runs, over && axis === "seed");
  return html`<section class="card race" aria-labelledby="race-title">
    <h2 id="race-title">${said.title(said.axes[axis], runs.length)}</h2>
    <svg viewBox="0 0 ${width} ${height}" role="img" aria-label=${said.picture(said.axes[axis])}>
      ${ticks(low, 1, 4).map((share) => html`<line x1=${left} x2=${width - right} y1=${y(share)} y2=${y(share)} class="rule" /><text x=${left - 6} y=${y(share) + 4} text-anchor="end">${percent(share, 0)}</text>`)}
      <polyline points=${line} class="ridge" />
      ${sorted.map((run, i) => {
        const colour = `var(--series-${looks.get(run.key)?.colour ?? 1})`;
        const at = run.accuracy ?? low;
        return html`<g class="dot-of" onClick=${() => onSelect(run)} data-live=${isLive(run) ? "" : null}>
          <title>${sayValue(axis, valueOf(run, axis))}: ${percent(run.accuracy, 1)}</title>
          ${isBroken(run)
            ? html`<path d="M${x(i) - 5} ${y(low) - 11}l10 10m0-10l-10 10" stroke=${colour} stroke-width="2.5" />`
            : html`<circle cx=${x(i)} cy=${y(at)} r=${run === best ? 7 : 5} fill=${isLive(run) ? "var(--card)" : colour} stroke=${colour} stroke-width="2.5" />`}
          ${run === best && html`<text x=${x(i)} y=${y(at) - 11} text-anchor="middle" class="best">${percent(run.accuracy, 1)}</text>`}
          ${i % every === 0 && html`<text x=${x(i)} y=${height - 24} text-anchor="middle">${sayValue(axis, valueOf(run, axis))}</text>`}
        </g>`;
      })}
      <text x=${(width + left) / 2} y=${height - 6} text-anchor="middle">${said.axes[axis]}</text>
    </svg>
    <p class=${over ? "tip" : "note"} role="status">${!over ? said.going : axis === "seed" ? seeds : ending(runs, axis)}</p>
    ${children}
  </section>`;
}

// Predict before you see: a mark where the curve will end, or the value that will win; afterwards, kindly, the miss.
import { percent, points } from "../lib/format.js";
import { html } from "../lib/html.js";
import { isLive } from "../lib/live.js";
import { texts } from "../texts/en.js";
import { axisOf, sayValue, valueOf, winner } from "./race.js";

const said = texts.train.guess;

/**
 * @typedef {{accuracy: number | null, drawn: [number, number][], value: number | null}} Guess
 * accuracy: where the curve ends; drawn: the curve, drawn by hand; value: of the race's winner
 */
/** @type {Guess} */
export const NO_GUESS = { accuracy: null, drawn: [], value: null };

/**
 * @param {{guess: Guess, onChange: (guess: Guess) => void, race: {axis: import("./setup.js").Axis, values: number[]} | null}} props
 * race: what will be raced, where a race was chosen last
 */
export function GuessField({ guess, onChange, race }) {
  const share = guess.accuracy ?? 0.5;
  return html`<div class="guess tip">
    <div class="field"><label for="guess">${said.ask}</label>
      <input id="guess" type="range" min="0" max="100" step="0.5" value=${100 * share} aria-valuetext=${percent(guess.accuracy, 1)}
        onInput=${(/** @type {any} */ event) => onChange({ ...guess, drawn: [], accuracy: event.target.valueAsNumber / 100 })} /></div>
    <p>${guess.accuracy === null ? said.place : said.placed(percent(guess.accuracy, 1))}</p>
    ${race && html`<div class="field"><label for="guess-value">${said.askValue(texts.train.race.axes[race.axis])}</label>
      <select id="guess-value" value=${guess.value ?? ""} onChange=${(/** @type {any} */ event) => onChange({ ...guess, value: event.target.value === "" ? null : Number(event.target.value) })}>
        <option value="">–</option>${race.values.map((value) => html`<option value=${value}>${sayValue(race.axis, value)}</option>`)}
      </select></div>`}
  </div>`;
}

/** What came of a guess, in one sentence; null while the runs train. @param {Guess} guess @param {import("../lib/live.js").LiveRun[]} runs */
export function verdict(guess, runs) {
  if (runs.length === 0 || runs.some(isLive)) return null;
  const best = winner(runs);
  if (runs.length > 1) {
    if (guess.value === null || !best) return best ? null : said.noneLearned;
    const axis = axisOf(runs);
    const mine = runs.find((run) => valueOf(run, axis) === guess.value);
    const behind = Number(best.accuracy) - Number(mine?.accuracy ?? 0);
    return mine === best ? said.rightValue(sayValue(axis, guess.value)) : said.otherValue(sayValue(axis, guess.value), sayValue(axis, valueOf(best, axis)), points(behind));
  }
  if (guess.accuracy === null) return null;
  const [run] = runs;
  if (run.status === "diverged" || run.status === "collapsed") return said.broke(percent(guess.accuracy, 1));
  if (run.accuracy === null || run.status !== "done") return null;
  const off = run.accuracy - guess.accuracy;
  const kind = Math.abs(off) < 0.005 ? said.exact : Math.abs(off) < 0.02 ? said.close : off > 0 ? said.better : said.worse;
  return said.verdict(percent(guess.accuracy, 1), percent(run.accuracy, 1), points(Math.abs(off)), kind);
}

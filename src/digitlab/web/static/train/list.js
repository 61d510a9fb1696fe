// The runs of the page: where each is, what came of it, and what can be done with it.
import { inFrame, outOfFrames } from "../lib/frames.js";
import { Component, html } from "../lib/html.js";
import { count, loss, percent, seconds } from "../lib/format.js";
import { isLive } from "../lib/live.js";
import { link } from "../lib/route.js";
import { texts } from "../texts/en.js";

const said = texts.train.runs;

/**
 * @typedef {import("../lib/live.js").LiveRun} LiveRun
 * @typedef {{stop: (run: LiveRun) => void, pin: (run: LiveRun) => void, repeat: (run: LiveRun) => void,
 *   remove: (run: LiveRun) => void, select: (run: LiveRun) => void}} Actions
 */

/** A stroke in the line's colour and dash. @param {{colour: number, dash: number[], broken: boolean}} props */
const Swatch = ({ colour, dash, broken }) => html`<svg class="swatch" width="30" height="12" aria-hidden="true">
  <line x1="1" y1="6" x2=${broken ? 20 : 29} y2="6" stroke="var(--series-${colour})" stroke-width="3" stroke-dasharray=${dash.join(" ")} />
  ${broken && html`<path d="M20 1l9 10m0-10l-9 10" stroke="var(--series-${colour})" stroke-width="2" />`}
</svg>`;

/** @param {LiveRun} run */
export const isBroken = (run) => run.status === "diverged" || run.status === "collapsed" || run.status === "failed";

/** One run; drawn anew only when something of it changed, and not all in one frame. */
class Row extends Component {
  /** @param {any} next */
  shouldComponentUpdate(next) {
    const changed = ["run", "name", "selected", "pinned", "faded", "colour"].some((name) => next[name] !== this.props[name]);
    if (changed) inFrame(this, () => this.forceUpdate());
    return false;
  }

  componentWillUnmount() {
    outOfFrames(this);
  }

  render() {
    const { run, name, selected, pinned, faded, colour, dash, actions } = /** @type {any} */ (this.props);
    const live = isLive(run);
    const share = run.step_count ? run.step / run.step_count : 0;
    const label = `${run.network} ${name}`;
    return html`<li class="run" data-status=${run.status} data-key=${run.key} data-faded=${faded ? "" : null} data-selected=${selected ? "" : null}>
      <button class="what" aria-pressed=${selected ? "true" : "false"} onClick=${() => actions.select(run)}>
        <${Swatch} colour=${colour} dash=${dash} broken=${isBroken(run)} />
        <span><b>${run.network}</b> <span class="name">${name}</span>${run.visitor && html` <small>${run.visitor.name}</small>`}</span>
      </button>
      <span class="where">
        ${live && run.status === "training"
          ? html`<span class="steps still">${said.step(count(run.step), count(run.step_count))}</span>
              <span class="left still">${run.steps_per_second ? said.speed(count(run.steps_per_second)) : ""} ${run.seconds_left !== null ? said.left(seconds(run.seconds_left)) : ""}</span>
              <span class="progress" aria-hidden="true"><i style=${{ transform: `scaleX(${share})` }}></i></span>`
          : html`<span class="steps">${said.status(run)}</span>`}
      </span>
      <span class="value"><span class="still"><small>${said.loss}</small> ${loss(run.training_loss)}</span></span>
      <span class="value"><span class="still"><small>${said.accuracy}</small> ${percent(run.accuracy, 1)}</span></span>
      <span class="do">
        ${live && html`<button class="button quiet" onClick=${() => actions.stop(run)} aria-label=${said.of(said.stop, label)}>${said.stop}</button>`}
        ${run.status === "done" &&
        html`<a class="button quiet" href=${link("/draw", { key: run.key })} aria-label=${said.of(said.draw, label)}>${said.draw}</a>
          <button class="button quiet" onClick=${() => actions.repeat(run)} title=${said.repeatTitle} aria-label=${said.of(said.repeatTitle, label)}>${said.repeat}</button>`}
        <button class="button quiet" aria-pressed=${pinned ? "true" : "false"} onClick=${() => actions.pin(run)} title=${said.pinTitle} aria-label=${said.of(said.pin, label)}>${pinned ? said.pinned : said.pin}</button>
        ${!live && html`<button class="icon" onClick=${() => actions.remove(run)} aria-label=${said.of(said.remove, label)} title=${said.remove}>×</button>`}
      </span>
      ${run.says && html`<p class="why">${run.says}</p>`}
    </li>`;
  }
}

/**
 * @param {{runs: LiveRun[], names: Map<string, string>, looks: Map<string, {colour: number, dash: number[]}>, selected: string | null,
 *   pinned: Set<string>, faded: Set<string>, actions: Actions, stopAll: () => void, clear: () => void}} props
 */
export function RunList({ runs, names, looks, selected, pinned, faded, actions, stopAll, clear }) {
  const live = runs.filter(isLive).length;
  return html`<section class="card runs" aria-labelledby="runs-title">
    <div class="row between">
      <h2 id="runs-title">${said.title(runs.length)}</h2>
      <span class="row">
        ${live > 1 && html`<button class="button" onClick=${stopAll}>${said.stopAll(live)}</button>`}
        ${runs.length > live && html`<button class="button" onClick=${clear} title=${said.clearTitle}>${said.clear}</button>`}
      </span>
    </div>
    <ul>
      ${[...runs].reverse().map((run) => {
        const look = looks.get(run.key) ?? { colour: 1, dash: [] };
        return html`<${Row} key=${run.key} run=${run} name=${names.get(run.key) ?? ""} colour=${look.colour} dash=${look.dash}
          selected=${selected === run.key} pinned=${pinned.has(run.key)} faded=${faded.has(run.key)} actions=${actions} />`;
      })}
    </ul>
  </section>`;
}

// Train: a network is set up, learns before your eyes, and is raced against others.
import { ApiError, get, post, useAsking } from "../lib/api.js";
import { LineChart, look } from "../lib/chart.js";
import { Command, Copy } from "../lib/copy.js";
import { count, isNumber, loss, percent } from "../lib/format.js";
import { Later } from "../lib/frames.js";
import { html, useEffect, useMemo, useRef, useState } from "../lib/html.js";
import { add, isLive, useRuns } from "../lib/live.js";
import { link, navigate } from "../lib/route.js";
import { texts } from "../texts/en.js";
import { Controls, More } from "./controls.js";
import { GuessField, NO_GUESS, verdict } from "./guess.js";
import { FirstLayer } from "./layer.js";
import { isBroken, RunList } from "./list.js";
import { NetworkChain } from "./network.js";
import { axisOf, RaceProfile, winner } from "./race.js";
import * as setups from "./setup.js";

/** @typedef {import("../lib/live.js").LiveRun} LiveRun @typedef {import("./guess.js").Guess} Guess */

const said = texts.train;
const PINS = "digitlab.pins";
/** Milliseconds after the last change of the set-up until a new run starts beside one that trains. */
const PAUSE = 700;
/** Runs that the charts show besides the latest group and the pinned ones. */
const OLDER = 8;
const POINTS = 200;
const COUNTS = [4, 8, 16, 32];
const AXES = /** @type {import("./setup.js").Axis[]} */ (["learning_rate", "depth", "batch_size", "width", "train_size"]);

/** Facts of the server that do not change while the page is open. */
function useFacts() {
  const [facts, setFacts] = useState({ options: [], presets: [], datasets: [] });
  useAsking((signal) => {
    for (const name of /** @type {const} */ (["options", "presets", "datasets"]))
      get(name, {}, signal).then((value) => setFacts((before) => ({ ...before, [name]: value })), () => {});
  }, []);
  return /** @type {{options: any[], presets: any[], datasets: any[]}} */ (facts);
}

/** Which runs stay in full colour whatever comes; this browser remembers them. */
function usePins() {
  const [pins, setPins] = useState(() => new Set(/** @type {string[]} */ (JSON.parse(localStorage.getItem(PINS) ?? "[]"))));
  const toggle = (/** @type {string} */ key) => {
    const next = new Set(pins);
    if (!next.delete(key)) next.add(key);
    localStorage.setItem(PINS, JSON.stringify([...next].slice(-64)));
    setPins(next);
  };
  return /** @type {const} */ ([pins, toggle]);
}

/** @param {{route: import("../lib/route.js").Route, about: any}} props */
export default function Train({ route, about }) {
  const { params } = route;
  const facts = useFacts();
  const runs = useRuns();
  const [pins, togglePin] = usePins();
  const [refused, setRefused] = useState(/** @type {ApiError | null} */ (null));
  const [sending, setSending] = useState(false);
  const [chosen, setChosen] = useState(/** @type {string | null} */ (null));
  const [group, setGroup] = useState(/** @type {string[]} */ ([]));
  const [guess, setGuess] = useState(/** @type {Guess} */ (NO_GUESS));
  const [guessed, setGuessed] = useState(/** @type {{guess: Guess, keys: string[]} | null} */ (null));
  const stage = useRef(/** @type {HTMLElement | null} */ (null));
  const moved = useRef(false);

  const setup = useMemo(() => setups.fromParams(params), [JSON.stringify(params)]);
  const race = raceOf(params, setup);
  const predicting = params.predict === "1";
  const dataset = facts.datasets.find(({ name }) => name === (setup.more.data ?? "mnist"));
  const images = dataset?.train_size ?? 60000;
  const preset = facts.presets.find(({ name }) => name === params.preset);

  /** @param {Record<string, unknown>} next @param {boolean} [step] whether Back undoes it */
  const go = (next, step = false) => navigate("/train", next, { replace: !step });
  const kept = () => ({ preset: params.preset, race: params.race, values: params.values, predict: params.predict, linked: params.linked, x: params.x });
  const change = (/** @type {Partial<import("./setup.js").Setup>} */ part) => {
    moved.current = true;
    setRefused(null);
    go({ ...setups.toParams({ ...setup, ...part }), ...kept() });
  };
  const setParam = (/** @type {string} */ name, /** @type {string | null} */ value) => go({ ...params, [name]: value });

  const send = async (/** @type {Record<string, any>[]} */ options, /** @type {Guess | null} */ marked) => {
    moved.current = false;
    setSending(true);
    setRefused(null);
    try {
      const { runs: answered } = await post("train", { runs: options, title: preset?.title ?? null });
      const keys = answered.map((/** @type {LiveRun} */ run) => run.key);
      add(answered);
      setGroup(keys);
      setChosen(null);
      setGuessed(marked ? { guess: marked, keys } : null);
      setGuess(NO_GUESS);
      if (matchMedia("(max-width: 900px)").matches) stage.current?.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    } catch (error) {
      setRefused(error instanceof ApiError ? error : new ApiError(0, String(error)));
    }
    setSending(false);
  };
  // A visitor of a class who chose no seed is given one, so that the class repeats the experiment.
  const optionsOf = (/** @type {import("./setup.js").Setup} */ one) => {
    const { seed, ...others } = setups.toOptions(one, images);
    return about?.role === "visitor" && !("seed" in params) ? others : { ...others, seed };
  };
  const train = () => send([optionsOf(setup)], predicting ? guess : null);
  const startRace = () => send(race.values.map((value) => optionsOf(setups.withValue(setup, race.axis, value))), predicting ? guess : null);

  // A change while a run trains starts a new one beside it.
  const training = runs.some((run) => group.includes(run.key) && isLive(run));
  useEffect(() => {
    if (!moved.current || !training || predicting) return;
    const timer = setTimeout(() => {
      moved.current = false;
      void train();
    }, PAUSE);
    return () => clearTimeout(timer);
  }, [setup]);

  const act = async (/** @type {string} */ what, /** @type {string[]} */ keys) => {
    try {
      await post(`train/${what}`, { keys });
    } catch (error) {
      setRefused(/** @type {ApiError} */ (error));
    }
  };
  /** @type {import("./list.js").Actions} */
  const actions = {
    stop: (run) => void act("cancel", [run.key]),
    remove: (run) => void act("clear", [run.key]),
    pin: (run) => togglePin(run.key),
    select: (run) => setChosen(run.key),
    repeat: (run) => void send(Array.from({ length: 8 }, (_, i) => ({ ...run.options, seed: Number(setups.setting(run, "seed")) + i })), null),
  };

  const current = groupOf(runs, group);
  const shown = shownRuns(runs, current, pins);
  const shownKeys = shown.map((run) => run.key).join();
  const namesOf = (/** @type {(name: string, value: any) => string} */ say) => new Map([...setups.shortNames(shown, say), ...(current.length > 1 ? setups.shortNames(current, say) : [])]);
  const groupKeys = current.map((run) => run.key).join();
  const names = useMemo(() => namesOf(said.say), [shownKeys, groupKeys]);
  const longNames = useMemo(() => namesOf(said.sayLong), [shownKeys, groupKeys]);
  const looks = new Map(runs.map((run, at) => [run.key, look(at)]));
  const inGroup = new Set(current.map((run) => run.key));
  const faded = new Set(runs.filter((run) => !inGroup.has(run.key) && !pins.has(run.key)).map((run) => run.key));
  const selected = shown.find((run) => run.key === chosen) ?? standIn(current);
  const outcome = guessed && verdict(guessed.guess, runs.filter((run) => guessed.keys.includes(run.key)));
  const guessedGroup = guessed?.keys.some((key) => inGroup.has(key)) ? guessed.guess : guess;
  const ready = !predicting || guess.accuracy !== null || guess.value !== null;

  // The set-up is not drawn anew ten times a second while something trains.
  const panel = useMemo(
    () => html`<section class="card setup" aria-label=${said.setup}>
      <${NetworkChain} hidden=${setup.hidden} onChange=${(/** @type {number[]} */ hidden) => change({ hidden })} invalid=${refused?.field === "hidden"} />
      <${Controls} setup=${setup} onChange=${change} field=${refused?.field ?? null} available=${images - Number(setup.more.validation_size ?? setups.VALIDATION_SIZE)}
        linked=${params.linked === "1"} onLink=${(/** @type {boolean} */ linked) => setParam("linked", linked ? "1" : null)} />
      <${More} setup=${setup} options=${facts.options} onChange=${change} field=${refused?.field ?? null} names=${facts.datasets.filter((one) => one.is_here).map((one) => one.name)} />
      <label class="check"><input type="checkbox" checked=${predicting} onChange=${() => setParam("predict", predicting ? null : "1")} />${said.guess.title}</label>
      ${predicting && html`<${GuessField} guess=${guess} onChange=${setGuess} race=${race} />`}
      ${refused && html`<p class="says" role="alert">${refused.says}</p>`}
      <div class="go">
        <button class="button primary large" onClick=${train} disabled=${sending || !ready}>${said.train}</button>
        <span class="note">${ready ? said.about(count(setups.stepCount(setup, images))) : said.guess.first}</span>
      </div>
      <fieldset class="racing"><legend>${said.race.legend}</legend>
        <div class="row">
          <select aria-label=${said.race.axis} value=${race.axis} onChange=${(/** @type {any} */ event) => go({ ...params, race: event.target.value === "learning_rate" ? null : event.target.value, values: race.custom ? null : params.values })}>
            ${AXES.map((axis) => html`<option value=${axis}>${said.race.axes[axis]}</option>`)}
          </select>
          <select aria-label=${said.race.count} value=${race.custom ? "" : String(race.count)} onChange=${(/** @type {any} */ event) => setParam("values", event.target.value === "8" ? null : event.target.value)}>
            ${race.custom && html`<option value="">${said.race.values(race.values.length)}</option>`}
            ${COUNTS.map((n) => html`<option value=${n}>${said.race.values(n)}</option>`)}
          </select>
          <button class="button" onClick=${startRace} disabled=${sending || !ready}>${said.race.start}</button>
        </div>
        <p class="note">${said.race.from(said.say(race.axis, race.values[0]) || "0", said.say(race.axis, race.values[race.values.length - 1]))}</p>
      </fieldset>
      <${Copy} text=${location.origin + link("/train", params)} label=${said.linkLabel}>${said.copyLink}</${Copy}>
    </section>`,
    [setup, refused, sending, guess, facts, about, params.race, params.values, params.predict],
  );

  return html`<div class="train">
    <h1 class="only-read">${said.title}</h1>
    <div class="try row" role="group" aria-label=${said.try}>
      <span class="note" aria-hidden="true">${said.try}</span>
      ${facts.presets.map(
        (one) => html`<a class="chip" href=${link("/train", setups.presetParams(one, params))} aria-current=${one.name === params.preset ? "true" : null}>${one.title}</a>`,
      )}
    </div>
    ${preset?.watch &&
    html`<p class="tip watch"><b>${preset.question}</b> ${preset.watch} ${about?.classroom ? html`<a href=${`/board/${preset.name}`}>${said.toBoard}</a>` : ""}</p>`}
    <div class="desk">
      ${panel}
      <div class="stage" ref=${stage}>
        <${Charts} runs=${shown} names=${names} looks=${looks} faded=${faded} selected=${selected} params=${params} setParam=${setParam}
          guess=${predicting || guessed ? guessedGroup : null} onGuess=${predicting ? setGuess : null} />
        ${outcome && html`<p class="tip" role="status">${outcome}</p>`}
        ${current.length > 1 && html`<${Later}><${RaceProfile} runs=${current} looks=${looks} onSelect=${actions.select}>${axisOf(current) !== "seed" && winner(current) && !current.some(isLive) && html`<button class="button" onClick=${() => actions.repeat(/** @type {LiveRun} */ (winner(current)))}>${said.race.repeat}</button>`}</${RaceProfile}></${Later}>`}
        ${shown.length > 0
          ? html`<${Later}><${RunList} runs=${runs.filter((run) => shown.includes(run))} names=${longNames} looks=${looks} selected=${selected?.key ?? null} pinned=${pins} faded=${faded} actions=${actions}
              stopAll=${() => void act("cancel", runs.filter(isLive).map((run) => run.key))}
              clear=${() => void act("clear", runs.filter((run) => !isLive(run) && !pins.has(run.key)).map((run) => run.key))} /></${Later}>`
          : html`<p class="card empty">${said.nothing}</p>`}
        ${selected && html`<${Later}><${FirstLayer} run=${selected} name=${[selected.network, longNames.get(selected.key)].filter(Boolean).join(", ")} classNames=${dataset?.class_names ?? [..."0123456789"]} /></${Later}>`}
        ${selected && html`<section class="card same" aria-label=${said.same}><h2>${said.same}</h2><${Command} text=${selected.command} label=${said.same} />
          <p class="note">${said.key} <a href=${`/runs/${selected.key}`}><code>${selected.key.slice(0, 12)}</code></a>${selected.test_accuracy !== null ? ` · ${said.test(percent(selected.test_accuracy))}` : ""}</p></section>`}
      </div>
    </div>
    <${Told} runs=${current} names=${longNames} />
  </div>`;
}

/** What is raced: from the URL, else eight learning rates. @param {Record<string, string>} params @param {import("./setup.js").Setup} setup */
function raceOf(params, setup) {
  const axis = AXES.find((name) => name === params.race) ?? "learning_rate";
  const custom = (params.values ?? "").includes(",");
  const number = COUNTS.includes(Number(params.values)) ? Number(params.values) : 8;
  const values = custom ? params.values.split(",").map(Number).filter(Number.isFinite).slice(0, 32) : setups.raceValues(axis, number);
  return { axis, count: number, custom, values: setup ? values : [] };
}

/** The runs that were started last, together. @param {LiveRun[]} runs @param {string[]} keys */
function groupOf(runs, keys) {
  const started = runs.filter((run) => keys.includes(run.key));
  if (started.length > 0 || runs.length === 0) return started;
  const last = runs[runs.length - 1];
  return last.race === null ? [last] : runs.filter((run) => run.race === last.race);
}

/** @param {LiveRun[]} runs @param {LiveRun[]} current @param {Set<string>} pins */
function shownRuns(runs, current, pins) {
  const must = new Set([...current.map((run) => run.key), ...pins]);
  const older = new Set(runs.filter((run) => !must.has(run.key)).slice(-OLDER).map((run) => run.key));
  return runs.filter((run) => must.has(run.key) || older.has(run.key) || isLive(run));
}

/** Which run is looked at while nobody chose one. @param {LiveRun[]} current */
function standIn(current) {
  if (current.some(isLive)) return current[Math.floor(current.length / 2)];
  return winner(current) ?? current[0];
}

/** @param {any} props */
function Charts({ runs, names, looks, faded, selected, params, setParam, guess, onGuess }) {
  const byImages = params.x === "images";
  const scale = (/** @type {LiveRun} */ run) => (byImages ? Number(setups.setting(run, "batch_size")) : 1);
  const line = (/** @type {LiveRun} */ run, /** @type {number} */ column) => ({
    key: run.key,
    label: isRace && faded.has(run.key) ? "" : (names.get(run.key) ?? ""), // a race has labels enough
    name: [run.network, names.get(run.key)].filter((part, i) => i === 0 || !part?.startsWith(run.network)).join(" "),
    ...looks.get(run.key),
    faded: faded.has(run.key),
    strong: selected?.key === run.key,
    broken: isBroken(run),
    points: pointsOf(run, column, scale(run)),
  });
  const isRace = runs.filter((/** @type {LiveRun} */ run) => !faded.has(run.key)).length > 3;
  const losses = runs.map((/** @type {LiveRun} */ run) => line(run, 1));
  const accuracies = runs.map((/** @type {LiveRun} */ run) => line(run, 3));
  const lasts = accuracies.filter((/** @type {any} */ one) => !one.broken && one.points.length > 0).map((/** @type {any} */ one) => one.points.at(-1)[1]);
  const low = guess ? 0 : Math.max(0, Math.min(0.85, ...lasts) - 0.05);
  // The chart is as long as what is looked at: an older run that is longer goes on beyond it.
  const lengths = runs.filter((/** @type {LiveRun} */ run) => !faded.has(run.key) || run === selected).map((/** @type {LiveRun} */ run) => run.step_count * scale(run));
  const xMax = lengths.length > 0 ? Math.max(...lengths) : 5000 * (byImages ? 100 : 1);
  if (guess?.drawn.length > 1)
    accuracies.push({ key: "guess", label: said.guess.yours, name: said.guess.yours, colour: 7, dash: [3, 4], faded: false, strong: false, broken: false, points: guess.drawn });
  const xName = byImages ? said.images : said.step;
  const choose = html`<label class="row small">${said.along} <select value=${byImages ? "images" : ""} onChange=${(/** @type {any} */ event) => setParam("x", event.target.value || null)}>
    <option value="">${said.steps}</option><option value="images">${said.imagesSeen}</option></select></label>`;
  const drawn = (/** @type {[number, number][]} */ points) =>
    onGuess((/** @type {Guess} */ before) => ({ ...before, drawn: points, accuracy: Math.max(0, Math.min(1, points[points.length - 1][1])) }));
  const shared = { xName, formatX: count, xMax, height: 290 };
  return html`<div class="charts">
    <div class="card"><${Later}><${LineChart} ...${shared} title=${said.lossTitle} series=${losses} log=${true} format=${loss} aside=${choose} /></${Later}></div>
    <div class="card" data-drawing=${onGuess ? "" : null}><${Later}><${LineChart} ...${shared} title=${said.accuracyTitle} series=${accuracies} range=${[low, 1]} mark=${guess?.accuracy ?? null}
      format=${(/** @type {number} */ share) => percent(share, 1)} formatTick=${(/** @type {number} */ share) => `${Number((100 * share).toFixed(1))} %`} onDraw=${onGuess ? drawn : undefined} /></${Later}></div>
  </div>`;
}

/** A run's curve, no finer than a screen, and where the run is now. @param {LiveRun} run @param {number} column @param {number} scale @returns {[number, number][]} */
function pointsOf(run, column, scale) {
  const every = Math.ceil(run.points.length / POINTS);
  const points = /** @type {[number, number][]} */ (
    run.points.filter((point, i) => isNumber(point[column]) && (i % every === 0 || i === run.points.length - 1)).map((point) => [point[0] * scale, point[column]])
  );
  // Without a validation split the accuracy between points is of a batch of training images.
  const now = column === 1 ? run.training_loss : run.spec.validation_size > 0 ? run.accuracy : null;
  if (run.status === "training" && isNumber(now) && run.step * scale > (points.at(-1)?.[0] ?? 0)) points.push([run.step * scale, now]);
  return points;
}

/** Says aloud when training begins and ends, and nothing between. @param {{runs: LiveRun[], names: Map<string, string>}} props */
function Told({ runs, names }) {
  const live = runs.filter(isLive).length;
  const best = winner(runs);
  const words = runs.length === 0 ? "" : live > 0 ? said.told.began(runs.length) : said.told.ended(runs.length, best ? `${best.network} ${names.get(best.key) ?? ""}` : "", percent(best?.accuracy, 1));
  return html`<p class="only-read" role="status">${words}</p>`;
}

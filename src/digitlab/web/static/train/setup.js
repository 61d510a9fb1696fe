// The set-up of a training as the URL holds it, and the options that a server is sent for it.
import { count, rate } from "../lib/format.js";

/**
 * @typedef {{
 *   hidden: number[], learning_rate: number, batch_size: number, train_size: number | null, epochs: number,
 *   seed: number, more: Record<string, string> }} Setup
 * train_size: null for all that are not held out; more: other options by name, as written
 * @typedef {"learning_rate" | "depth" | "batch_size" | "width" | "train_size"} Axis
 */

export const VALIDATION_SIZE = 10000;
export const MAX_LAYERS = 8;
export const MAX_WIDTH = 2048;

/** What the page opens with. @type {Setup} */
export const USUAL = { hidden: [100], learning_rate: 1 / 8, batch_size: 100, train_size: null, epochs: 10, seed: 0, more: {} };

/** Options behind "more", in their order, and what another option must be for them to count. */
export const MORE = [
  "data", "scaling", "initialisation", "optimiser", "momentum", "weight_decay", "schedule", "warmup_steps",
  "final_fraction", "steps", "validation_size", "patience", "precision",
];
/** @type {Record<string, [string, string]>} */
export const NEEDS = {
  momentum: ["optimiser", "sgd"],
  warmup_steps: ["schedule", "warmup-cosine"],
  final_fraction: ["schedule", "warmup-cosine"],
};

const powers = (/** @type {number} */ from, /** @type {number} */ to) => Array.from({ length: to - from + 1 }, (_, i) => 2 ** (from + i));
export const GRIDS = {
  learning_rate: powers(-11, 3),
  batch_size: [1, 2, 4, 8, 16, 32, 64, 100, 128, 256, 512, 1024, 2048, 5000],
  train_size: [100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000],
  epochs: [1, 2, 3, 5, 10, 15, 20, 30, 50, 100],
  width: [1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 50, 64, 80, 100, 128, 160, 200, 256, 320, 400, 512, 640, 800, 1024, 1448, 2048],
};

/** @param {Record<string, string>} params @returns {Setup} */
export function fromParams(params) {
  const number = (/** @type {string} */ name, /** @type {any} */ usual) => (Number.isFinite(Number(params[name] || NaN)) ? Number(params[name]) : usual);
  return {
    hidden: "hidden" in params ? readHidden(params.hidden) : USUAL.hidden,
    learning_rate: number("learning_rate", USUAL.learning_rate),
    batch_size: number("batch_size", USUAL.batch_size),
    train_size: number("train_size", null),
    epochs: number("epochs", USUAL.epochs),
    seed: number("seed", USUAL.seed),
    more: Object.fromEntries(MORE.filter((name) => params[name] && !(name === "validation_size" && Number(params[name]) === VALIDATION_SIZE)).map((name) => [name, params[name]])),
  };
}

/** "none" stands for no hidden layer: an empty setting is left out of a URL. @param {string} text */
const readHidden = (text) => text.split(",").map(Number).filter((width) => Number.isInteger(width) && width > 0).slice(0, 32);

/** What differs from the usual. @param {Setup} setup @returns {Record<string, string | number | null>} */
export function toParams(setup) {
  const { more, hidden, ...rest } = setup;
  const differs = Object.entries(rest).filter(([name, value]) => value !== /** @type {any} */ (USUAL)[name]);
  /** @type {Record<string, string>} */
  const layers = String(hidden) === String(USUAL.hidden) ? {} : { hidden: hidden.join() || "none" };
  return { ...layers, ...Object.fromEntries(differs), ...more };
}

/** A preset's options as a set-up; what it does not say is usual. @param {Record<string, any>} options */
export function fromOptions(options) {
  const written = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== null).map(([name, value]) => [name, Array.isArray(value) ? value.join() || "none" : String(value)]),
  );
  return fromParams(written);
}

/** The settings in the URL that a preset brings. @param {any} preset @param {Record<string, string>} params */
export const presetParams = (preset, params) => ({
  ...toParams(fromOptions(preset.setup)),
  preset: preset.name,
  race: preset.race?.axis === "learning_rate" ? null : preset.race?.axis,
  values: preset.race?.values?.join(),
  predict: params.predict,
  linked: params.linked,
  x: params.x,
});

/**
 * The flat options of digitlab.train, with a curve of about 30 points, most of them early.
 * @param {Setup} setup
 * @param {number} available training images of the data set
 */
export function toOptions(setup, available) {
  const { hidden, learning_rate, batch_size, train_size, epochs, seed, more } = setup;
  const given = Object.fromEntries(
    Object.entries(more)
      .filter(([name]) => !NEEDS[name] || (more[NEEDS[name][0]] ?? "sgd") === NEEDS[name][1])
      .map(([name, value]) => [name, value === "" || Number.isNaN(Number(value)) ? value : Number(value)]),
  );
  const options = { hidden, learning_rate, batch_size, epochs, seed, validation_size: VALIDATION_SIZE, ...given };
  if (train_size !== null) Object.assign(options, { train_size });
  if ("steps" in given) Reflect.deleteProperty(options, "epochs");
  return { ...options, evaluate_at: curveSteps(stepCount(setup, available)) };
}

/** Images trained on. @param {Setup} setup @param {number} available */
export const imageCount = (setup, available) => setup.train_size ?? available - Number(setup.more.validation_size ?? VALIDATION_SIZE);

/** @param {Setup} setup @param {number} available */
export const stepCount = (setup, available) => Number(setup.more.steps ?? 0) || Math.max(1, setup.epochs * Math.ceil(imageCount(setup, available) / setup.batch_size));

/** Steps at which a run is evaluated: as the square of 1 … 30, since a curve bends at its beginning. @param {number} total */
export const curveSteps = (total) => [...new Set(Array.from({ length: 30 }, (_, i) => Math.max(1, Math.round(total * ((i + 1) / 30) ** 2))))];

/** Weights and biases. @param {number[]} hidden */
export function parameterCount(hidden) {
  const sizes = [784, ...hidden, 10];
  return sizes.slice(1).reduce((sum, size, i) => sum + size * (sizes[i] + 1), 0);
}

/** The values of a race: from what hardly learns to what breaks. @param {Axis} axis @param {number} n 4, 8, 16 or 32 */
export function raceValues(axis, n) {
  const doubles = (/** @type {number} */ from, /** @type {number} */ to) => Array.from({ length: n }, (_, i) => 2 ** (from + ((to - from) * i) / (n - 1)));
  if (axis === "depth") return Array.from({ length: n }, (_, i) => i);
  if (axis === "learning_rate") return n === 4 ? [2 ** -9, 2 ** -5, 2 ** -1, 8] : n === 8 ? doubles(-11, 3) : n === 16 ? doubles(-12, 3) : doubles(-12.5, 3);
  if (axis === "train_size") return doubles(Math.log2(100), Math.log2(50000)).map((size) => Number(size.toPrecision(2)));
  if (axis === "batch_size") return [...new Set((n === 4 ? doubles(4, 10) : n === 8 ? doubles(3, 10) : doubles(3, 10.5)).map(Math.round))];
  return [...new Set((n === 4 ? doubles(3, 9) : n === 8 ? doubles(2, 9) : doubles(2, 9.75)).map(Math.round))];
}

/** One set-up of a race. @param {Setup} setup @param {Axis} axis @param {number} value @returns {Setup} */
export function withValue(setup, axis, value) {
  if (axis === "depth") return { ...setup, hidden: new Array(value).fill(setup.hidden[0] ?? 100) };
  if (axis === "width") return { ...setup, hidden: (setup.hidden.length > 0 ? setup.hidden : [100]).map(() => value) };
  return { ...setup, [axis]: value };
}

/** What a run was set to. @param {import("../lib/live.js").LiveRun} run @param {string} name */
export function setting({ network, spec }, name) {
  if (name === "network") return network;
  if (name === "optimiser" || name === "schedule") return spec[name].kind;
  return (name === "data" ? spec.data.name : (spec.optimiser[name] ?? spec.budget[name] ?? spec[name])) ?? null;
}

const NAMED = ["network", "learning_rate", "batch_size", "train_size", "optimiser", "schedule", "scaling", "initialisation", "data", "epochs", "momentum", "weight_decay", "seed"];

/**
 * A short name for each run: what tells it from the others, at most three settings.
 * @param {import("../lib/live.js").LiveRun[]} runs
 * @param {(name: string, value: any) => string} say
 * @returns {Map<string, string>}
 */
export function shortNames(runs, say) {
  const varying = NAMED.filter((name) => new Set(runs.map((run) => String(setting(run, name)))).size > 1);
  const shown = varying.length > 0 ? varying.slice(0, 3) : ["learning_rate"];
  return new Map(runs.map((run) => [run.key, shown.map((name) => say(name, setting(run, name))).filter(Boolean).join(" · ")]));
}

/** A setting's value as people write it. @param {string} name @param {any} value */
export const written = (name, value) => (value === null ? "" : name === "learning_rate" ? rate(Number(value)) : name === "train_size" || name === "batch_size" ? count(Number(value)) : String(value));

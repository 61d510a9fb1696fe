// A trained network in the page: read from its safetensors file, and its forward pass, layer by layer.
// @ts-check

import { readTensors, WeightsError } from "./safetensors.js";

/**
 * @typedef {import("./safetensors.js").Numbers} Numbers
 * @typedef {{weight: Numbers, bias: Numbers, inputs: number, outputs: number}} Layer  weight: [outputs, inputs]
 * @typedef {Uint8Array | Uint8ClampedArray} Bytes
 *
 * @typedef {object} Network
 * @property {Record<string, any>} spec  the RunSpec that made it
 * @property {number[]} sizes            units of every layer, from the 784 inputs to the classes
 * @property {string} name               784-100-10
 * @property {Numbers} table             the input that each grey value makes, [256]
 * @property {string} activation         of hidden units
 * @property {Layer[]} layers
 * @property {string} note               how it differs from the run in the store; "": not at all
 *
 * @typedef {object} Answer
 * @property {Numbers} inputs            [784]
 * @property {Numbers[]} hidden          of each hidden layer, what its units give on, [units]
 * @property {Float64Array} logits       [classes]
 * @property {Float64Array} probabilities  [classes]; NaN where numbers overflow
 */

export const INPUT_SIZE = 784;

/** What a hidden unit gives on, by the name that a RunSpec has for it.
 * @type {Record<string, (z: number) => number>} */
const ACTIVATIONS = {
  relu: (z) => (z > 0 ? z : 0),
  tanh: Math.tanh,
  logistic: (z) => 1 / (1 + Math.exp(-z)),
};

/**
 * The network in a file that `TrainedNetwork.save` wrote; the file is not trusted.
 * @param {ArrayBuffer} buffer
 * @returns {Network}
 * @throws {WeightsError} its tensors, its scale or its activation are none of a network of the laboratory
 */
export function readNetwork(buffer) {
  const { metadata, tensors } = readTensors(buffer);
  const spec = parsed(metadata.digitlab_spec);
  const scale = parsed(metadata.digitlab_input_scale);
  if (!isScale(scale)) throw new WeightsError("scale");
  const activation = spec?.activation ?? "relu";
  if (!Object.hasOwn(ACTIVATIONS, activation)) throw new WeightsError("activation");
  const layers = [];
  const sizes = [INPUT_SIZE];
  for (let i = 0; i < tensors.size / 2; i++) {
    const weight = tensors.get(`${2 * i}.weight`);
    const bias = tensors.get(`${2 * i}.bias`);
    const inputs = sizes[i];
    if (!weight || !bias || weight.shape.length !== 2 || weight.shape[1] !== inputs) throw new WeightsError("layers");
    const outputs = weight.shape[0];
    if (bias.shape.length !== 1 || bias.shape[0] !== outputs || outputs === 0) throw new WeightsError("layers");
    if (weight.values.constructor !== bias.values.constructor) throw new WeightsError("layers");
    layers.push({ weight: weight.values, bias: bias.values, inputs, outputs });
    sizes.push(outputs);
  }
  if (layers.length === 0 || tensors.size !== 2 * layers.length) throw new WeightsError("layers");
  const wanted = [INPUT_SIZE, ...(spec?.hidden ?? []), spec?.data?.classes];
  if (wanted.length !== sizes.length || wanted.some((size, i) => size !== sizes[i])) throw new WeightsError("layers");
  return { spec, sizes, name: sizes.join("-"), table: inputTable(scale, layers[0].weight), activation, layers, note: metadata.digitlab_note ?? "" };
}

/** @param {string | undefined} text @returns {any} */
function parsed(text) {
  try {
    return JSON.parse(text ?? "");
  } catch {
    throw new WeightsError("metadata");
  }
}

/** @param {unknown} scale @returns {scale is [number, number]} */
function isScale(scale) {
  return Array.isArray(scale) && scale.length === 2 && scale.every(Number.isFinite) && scale[1] > 0;
}

/**
 * (pixel - offset) / divisor of each of the 256 grey values, rounded as the network's precision rounds it.
 * @param {[number, number]} scale
 * @param {Numbers} like  numbers of the network's precision
 */
function inputTable([offset, divisor], like) {
  const round = like instanceof Float32Array ? Math.fround : Number;
  const table = like instanceof Float32Array ? new Float32Array(256) : new Float64Array(256);
  for (let pixel = 0; pixel < 256; pixel++) table[pixel] = round(pixel - round(offset)) / round(divisor);
  return table;
}

/**
 * What the network makes of an image, every layer of it. Sums are in float64, whatever the weights are.
 * @param {Network} network
 * @param {Bytes} image              grey values, [784]
 * @param {ReadonlyArray<ReadonlySet<number>>} [cut]  of each hidden layer, units that give on nothing
 * @returns {Answer}
 */
export function forward(network, image, cut = []) {
  const { table, layers, activation } = network;
  const act = ACTIVATIONS[activation];
  const numbers = table instanceof Float32Array ? Float32Array : Float64Array;
  const inputs = new numbers(INPUT_SIZE);
  for (let i = 0; i < INPUT_SIZE; i++) inputs[i] = table[image[i]];
  const hidden = [];
  /** @type {Numbers} */
  let values = inputs;
  for (let i = 0; i < layers.length - 1; i++) {
    values = new numbers(linear(layers[i], values));
    for (let unit = 0; unit < values.length; unit++) values[unit] = act(values[unit]);
    for (const unit of cut[i] ?? []) values[unit] = 0;
    hidden.push(values);
  }
  const logits = linear(layers[layers.length - 1], values);
  return { inputs, hidden, logits, probabilities: softmax(logits) };
}

/**
 * weight @ inputs + bias; inputs that are zero cost nothing.
 * @param {Layer} layer
 * @param {Numbers} given
 */
function linear({ weight, bias, inputs, outputs }, given) {
  const places = new Uint32Array(inputs);
  let count = 0;
  for (let i = 0; i < inputs; i++) if (given[i] !== 0) places[count++] = i;
  const sums = new Float64Array(outputs);
  for (let unit = 0; unit < outputs; unit++) {
    const row = unit * inputs;
    let sum = 0;
    for (let k = 0; k < count; k++) sum += weight[row + places[k]] * given[places[k]];
    sums[unit] = sum + bias[unit];
  }
  return sums;
}

/** @param {Float64Array} logits */
export function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = logits.map((z) => Math.exp(z - largest));
  const whole = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / whole);
}

/**
 * What each pixel adds to units of the first layer: its weight times its input.
 * @param {Network} network
 * @param {Answer} answer
 * @param {number[]} units
 * @returns {Float32Array} [unit, pixel]
 */
export function contributions(network, answer, units) {
  const { weight } = network.layers[0];
  const found = new Float32Array(units.length * INPUT_SIZE);
  for (let k = 0; k < units.length; k++) {
    for (let i = 0; i < INPUT_SIZE; i++) {
      found[k * INPUT_SIZE + i] = answer.inputs[i] * weight[units[k] * INPUT_SIZE + i];
    }
  }
  return found;
}

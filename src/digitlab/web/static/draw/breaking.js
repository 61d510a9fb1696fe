// A network damaged on purpose: biases set to zero, noise added to weights. The original stays as it is.
// @ts-check

/**
 * @typedef {import("../lib/network.js").Network} Network
 * @typedef {import("../lib/network.js").Numbers} Numbers
 *
 * @typedef {object} Damage
 * @property {boolean} zeroBiases
 * @property {number} noise   its standard deviation, in those of each layer's own weights
 * @property {number} draw    which noise: another number is another draw
 */

/** Noise is drawn once a network and scaled after: a slider must move within a frame.
 * @type {WeakMap<Network, {draw: number, noise: Float32Array[]}>} */
const drawn = new WeakMap();

/**
 * @param {Network} network
 * @param {Damage} damage
 * @returns {Network} the same one where nothing is damaged
 */
export function broken(network, { zeroBiases, noise, draw }) {
  if (!zeroBiases && !noise) return network;
  const noises = noise ? noiseOf(network, draw) : [];
  const layers = network.layers.map((layer, i) => ({
    ...layer,
    weight: noise ? noisy(layer.weight, noises[i], noise) : layer.weight,
    bias: zeroBiases ? layer.bias.map(() => 0) : layer.bias,
  }));
  return { ...network, layers };
}

/** @param {Numbers} weight @param {Float32Array} noise @param {number} size */
function noisy(weight, noise, size) {
  const found = weight.slice();
  for (let i = 0; i < found.length; i++) found[i] += size * noise[i];
  return found;
}

/** @param {Network} network @param {number} draw */
function noiseOf(network, draw) {
  const known = drawn.get(network);
  if (known?.draw === draw) return known.noise;
  const next = normal(draw);
  const noise = network.layers.map(({ weight }) => {
    const found = new Float32Array(weight.length);
    const deviation = deviationOf(weight);
    for (let i = 0; i < found.length; i++) found[i] = deviation * next();
    return found;
  });
  drawn.set(network, { draw, noise });
  return noise;
}

/** @param {Numbers} values */
function deviationOf(values) {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    sum += values[i];
    squares += values[i] * values[i];
  }
  return Math.sqrt(Math.max(squares / values.length - (sum / values.length) ** 2, 0));
}

/**
 * Normal numbers (Box & Muller 1958) from a 32-bit generator (mulberry32): the same for the same seed.
 * @param {number} seed
 */
function normal(seed) {
  let state = Math.imul(seed, 0x9e3779b1) | 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

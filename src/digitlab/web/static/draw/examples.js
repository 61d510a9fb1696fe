// Test images: fetched once a data set, chosen by number or class, and those that a network gets wrong.
// @ts-check

import { bytes, useAsking } from "../lib/api.js";
import { useState } from "../lib/html.js";
import { forward, INPUT_SIZE } from "../lib/network.js";

/**
 * @typedef {{images: Uint8Array, labels: Uint8Array, count: number}} Examples  images: [count, 784]
 * @typedef {{index: number, label: number, answer: number, probability: number}} Mistake
 */

const CHUNK = 1000;
/** Milliseconds of work at a time, so that the page stays fluid. */
const SLICE = 12;
export const MOST_MISTAKES = 24;
/** What is here of each data set: the next visit goes on from there. @type {Map<string, Examples>} */
const here = new Map();

/** @param {string} dataset @param {number} size  how many test images it has @param {AbortSignal} signal */
async function examplesOf(dataset, size, signal) {
  const found = here.get(dataset) ?? { images: new Uint8Array(size * INPUT_SIZE), labels: new Uint8Array(size), count: 0 };
  here.set(dataset, found);
  while (found.count < size) {
    const { bytes: answer } = await bytes(`datasets/${dataset}/test`, { offset: found.count, limit: CHUNK }, signal);
    const fetched = Math.floor(answer.byteLength / (INPUT_SIZE + 1));
    if (fetched === 0) break;
    found.images.set(new Uint8Array(answer, 0, fetched * INPUT_SIZE), found.count * INPUT_SIZE);
    found.labels.set(new Uint8Array(answer, fetched * INPUT_SIZE, fetched), found.count);
    found.count += fetched;
  }
  return found;
}

/**
 * The test images of a data set, once `wanted`; null until they are here.
 * @param {{name: string, test_size: number} | undefined} dataset
 * @param {boolean} wanted
 */
export function useExamples(dataset, wanted) {
  const [found, setFound] = useState(/** @type {{name: string, examples: Examples} | null} */ (null));
  const [says, setSays] = useState("");
  useAsking((signal) => {
    if (!dataset || !wanted || found?.name === dataset.name) return;
    examplesOf(dataset.name, dataset.test_size, signal).then(
      (examples) => setFound({ name: dataset.name, examples }),
      (error) => setSays(error.message),
    );
  }, [dataset?.name, wanted]);
  return { examples: found && found.name === dataset?.name ? found.examples : null, says };
}

/** @param {Examples} examples @param {number} index */
export const imageAt = ({ images }, index) => images.slice(index * INPUT_SIZE, (index + 1) * INPUT_SIZE);

/**
 * The next image of a class, round and round; of any class where `digit` is null.
 * @param {Examples} examples @param {number} index @param {number} by  1 or -1 @param {number | null} digit
 */
export function nextIndex({ labels, count }, index, by, digit) {
  for (let step = 1; step <= count; step++) {
    const next = (((index + by * step) % count) + count) % count;
    if (digit === null || labels[next] === digit) return next;
  }
  return index;
}

/**
 * The test images that a network gets wrong, the most confident mistakes first; computed a little at a time.
 * @param {import("../lib/network.js").Network} network
 * @param {Examples} examples
 * @param {{isOver: () => boolean}} until  whether nobody wants them any more
 * @returns {Promise<Mistake[]>}
 */
export async function mistakesOf(network, examples, until) {
  const { images, labels, count } = examples;
  /** @type {Mistake[]} */
  const found = [];
  let pause = performance.now() + SLICE;
  for (let index = 0; index < count && !until.isOver(); index++) {
    const { probabilities } = forward(network, images.subarray(index * INPUT_SIZE, (index + 1) * INPUT_SIZE));
    const answer = largest(probabilities);
    if (answer !== labels[index]) found.push({ index, label: labels[index], answer, probability: probabilities[answer] });
    if (performance.now() < pause) continue;
    await new Promise((done) => setTimeout(done));
    pause = performance.now() + SLICE;
  }
  return found.sort((a, b) => b.probability - a.probability);
}

/** The place of the largest number. @param {ArrayLike<number>} numbers */
export function largest(numbers) {
  let best = 0;
  for (let i = 1; i < numbers.length; i++) if (numbers[i] > numbers[best]) best = i;
  return best;
}

// The first layer's weights as images on a canvas, in diverging colours around zero.
import { inFrame, outOfFrames } from "./frames.js";
import { html, useEffect, useLayoutEffect, useRef } from "./html.js";
import { readTensors } from "./safetensors.js";
import { token, useTheme } from "./theme.js";

const SIDE = 28;
/** Shades on either side of zero. */
const HALF = 127;
/** Units that are painted in one go. */
const SLICE = 20;

/**
 * @typedef {{rows: number, columns: number, values: import("./safetensors.js").Numbers, note: string}} Matrix
 *   weights of a layer, [unit, pixel]; note: how its network differs from the run in the store
 */

/**
 * The first layer in a safetensors file.
 * @param {ArrayBuffer} file
 * @returns {Matrix | null} null: it takes no images of 28 by 28
 */
export function firstLayer(file) {
  const { metadata, tensors } = readTensors(file);
  const weight = tensors.get("0.weight");
  if (weight?.shape[1] !== SIDE * SIDE) return null;
  return { rows: weight.shape[0], columns: weight.shape[1], values: weight.values, note: metadata.digitlab_note ?? "" };
}

/** The weights' largest size, without the few that would leave the rest pale. @param {Matrix} matrix @param {number} shown */
function scaleOf({ values, columns }, shown) {
  let squares = 0;
  const n = shown * columns;
  for (let i = 0; i < n; i++) squares += values[i] * values[i];
  return 3 * Math.sqrt(squares / n) || 1;
}

/** The colours of -HALF … HALF as a canvas stores them, from low through middle to high. */
function scaleColours() {
  const [low, middle, high] = ["low", "middle", "high"].map((name) => token(name).split(",").map(Number));
  const bytes = new Uint8ClampedArray(4 * (2 * HALF + 1)).fill(255);
  for (let value = -HALF; value <= HALF; value++)
    for (let c = 0; c < 3; c++) bytes[4 * (HALF + value) + c] = middle[c] + (Math.abs(value) / HALF) * ((value < 0 ? low : high)[c] - middle[c]);
  return new Uint32Array(bytes.buffer);
}

/** One unit's weights as an image. @param {Uint32Array} pixels @param {Matrix} matrix @param {number} unit @param {number} factor @param {Uint32Array} colour */
function paint(pixels, { values, columns }, unit, factor, colour) {
  const first = unit * columns;
  for (let pixel = 0; pixel < pixels.length; pixel++) {
    const value = factor * values[first + pixel];
    pixels[pixel] = colour[value >= HALF ? 2 * HALF : value > -HALF ? HALF + Math.round(value) : 0]; // NaN: the lowest
  }
}

/**
 * The first units' images side by side. With labels (one a unit), each has its label beneath.
 * @param {{matrix: Matrix | null, shown: number, labels?: string[] | null, title: string, across: number}} props
 */
export function WeightImages({ matrix, shown, labels, title, across }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const next = useRef(0); // the unit at which painting goes on: with newer weights none is passed over for long
  const colours = useTheme();
  const gap = 2;
  const down = Math.ceil(shown / across);
  /** @param {number} unit @returns {[number, number]} */
  const corner = (unit) => [(unit % across) * (SIDE + gap), Math.floor(unit / across) * (SIDE + gap)];
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !matrix) return;
    const units = Math.min(shown, matrix.rows);
    const factor = HALF / scaleOf(matrix, units);
    const colour = scaleColours();
    const image = context.createImageData(SIDE, SIDE);
    const pixels = new Uint32Array(image.data.buffer);
    for (let unit = units; unit < across * down; unit++) context.clearRect(...corner(unit), SIDE, SIDE);
    let left = units;
    inFrame(canvas, () => {
      for (let n = Math.min(SLICE, left); n > 0; n--, left--) {
        const unit = next.current++ % units;
        paint(pixels, matrix, unit, factor, colour);
        context.putImageData(image, ...corner(unit));
      }
      return left > 0;
    });
  }, [matrix, shown, across, colours]);
  useEffect(() => () => outOfFrames(canvas), []);
  return html`<div class="weights">
    <canvas ref=${canvas} width=${across * (SIDE + gap)} height=${down * (SIDE + gap)} role="img" aria-label=${title}></canvas>
    ${labels && html`<div class="under" style=${{ gridTemplateColumns: `repeat(${across}, 1fr)` }} aria-hidden="true">${labels.map((label) => html`<span>${label}</span>`)}</div>`}
  </div>`;
}

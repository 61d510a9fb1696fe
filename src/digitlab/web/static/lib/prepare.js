// A drawing -> the image of 28 x 28 that MNIST's makers would have made of it, with every step on the way.
//
// As `digitlab.vision` does it for a clean drawing that holds one digit: bounding box, thin pens widened, square,
// doubling, resampling by area, centre of mass. What a photograph needs besides (paper, shadows, printed lines,
// several digits), a drawing does not.
// @ts-check

import { roundHalfEven } from "./numbers.js";
import { penWidth, strokeLength, widened } from "./strokes.js";

/**
 * @typedef {import("./strokes.js").Ink} Ink
 * @typedef {{left: number, top: number, right: number, bottom: number}} Box  right and bottom lie behind it
 *
 * @typedef {object} Prepared
 * @property {Box | null} box        of all ink; null: there is none
 * @property {number} pen            width of the stroke, in pixels of a digit that is 20 pixels long
 * @property {boolean} isWidened     the pen was thinner than MNIST's, and the stroke is drawn wider
 * @property {Ink} square            what is resampled: the box, extended to a square
 * @property {Uint8Array} fitted     the same in 20 x 20, grey values
 * @property {{left: number, top: number}} offset  where these lie among the 28 x 28
 * @property {Uint8Array} image      grey values, white on black, [784]
 * @property {"" | "blank" | "small" | "line" | "blot" | "long"} doubt  why it is hardly one digit
 */

export const SIDE = 28;
export const DIGIT_SIDE = 20;
/** Each pixel's area ends a little before its far edge. */
const FAR_EDGE = 0.99;
/** Half of 28, and one: where pixels' centres lie at i + 1/2, the centre of mass comes to at most 15. */
const CENTRE = 15;

/** Pixels of a digit's longer side; shares of the drawing's; of its height, its width; and as in `vision`. */
const LEAST_SIDE = 8;
const WIDEST = 2.2;
const SOLID = 8.5;
const LONGEST = 4.5;
const DOT = 0.05;
const ROUND = 0.35;

/**
 * The ink in the pixels of a canvas, in shares of the most there is.
 * @param {{data: Uint8ClampedArray, width: number, height: number}} pixels  white ink on black, opaque
 * @returns {Ink}
 */
export function inkOf({ data, width, height }) {
  const values = new Float32Array(width * height);
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, data[4 * i]);
  if (largest) for (let i = 0; i < values.length; i++) values[i] = data[4 * i] / largest;
  return { rows: height, columns: width, values };
}

/**
 * What the makers would have made of a drawing.
 * @param {Ink} ink
 * @returns {Prepared}
 */
export function prepared(ink) {
  const box = boxOf(ink);
  const none = { rows: 0, columns: 0, values: new Float32Array(0) };
  if (!box) {
    const [fitted, image] = [new Uint8Array(DIGIT_SIDE ** 2), new Uint8Array(SIDE ** 2)];
    return { box, pen: 0, isWidened: false, square: none, fitted, offset: { left: 4, top: 4 }, image, doubt: "blank" };
  }
  const own = cut(ink, box);
  const pen = penWidth(own);
  const drawn = widened(own, pen);
  const square = squared(cut(drawn, boxOf(drawn) ?? box));
  const fitted = resampled(square);
  const offset = placed(fitted);
  const image = centred(fitted, offset);
  return { box, pen, isWidened: drawn !== own, square, fitted, offset, image, doubt: doubted(own, pen, ink) };
}

/**
 * The drawing made small by plain averages, as one would do who knows nothing of MNIST's makers.
 * @param {Ink} ink  a square
 * @returns {Uint8Array} grey values, [784]
 */
export function asDrawn(ink) {
  const side = ink.columns;
  const sums = new Float64Array(SIDE ** 2);
  const places = new Uint8Array(side);
  for (let i = 0; i < side; i++) places[i] = Math.floor((i * SIDE) / side);
  for (let row = 0; row < side; row++) {
    const place = places[row] * SIDE;
    for (let column = 0; column < side; column++) {
      const value = ink.values[row * side + column];
      if (value) sums[place + places[column]] += value;
    }
  }
  return Uint8Array.from(sums, (sum) => roundHalfEven(Math.min(sum * (SIDE / side) ** 2, 1) * 255));
}

/** @param {Ink} ink @returns {Box | null} */
function boxOf({ rows, columns, values }) {
  let [left, top, right, bottom] = [columns, rows, 0, 0];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (!values[row * columns + column]) continue;
      if (top > row) top = row;
      bottom = row + 1;
      if (left > column) left = column;
      if (right <= column) right = column + 1;
    }
  }
  return bottom ? { left, top, right, bottom } : null;
}

/** @param {Ink} ink @param {Box} box @returns {Ink} */
function cut({ columns, values }, { left, top, right, bottom }) {
  const [rows, wide] = [bottom - top, right - left];
  const found = new Float32Array(rows * wide);
  for (let row = 0; row < rows; row++) {
    const start = (top + row) * columns + left;
    found.set(values.subarray(start, start + wide), row * wide);
  }
  return { rows, columns: wide, values: found };
}

/**
 * The shorter side extended about its middle, and pixels doubled while a side is under 20.
 * @param {Ink} box
 * @returns {Ink}
 */
function squared({ rows, columns, values }) {
  const side = Math.max(rows, columns);
  let times = 1;
  while (side * times < DIGIT_SIDE) times *= 2;
  const large = side * times;
  const [top, left] = [Math.floor((side - rows) / 2), Math.floor((side - columns) / 2)];
  const found = new Float32Array(large * large);
  for (let row = 0; row < rows * times; row++) {
    const [from, to] = [Math.floor(row / times) * columns, (top * times + row) * large + left * times];
    for (let column = 0; column < columns * times; column++) {
      found[to + column] = values[from + Math.floor(column / times)];
    }
  }
  return { rows: large, columns: large, values: found };
}

/**
 * Each output pixel's share of the ink, by area; the most is 255.
 * @param {Ink} square  20 pixels a side or more
 * @returns {Uint8Array} grey values, [400]
 */
function resampled({ rows: side, values }) {
  const scale = DIGIT_SIDE / side;
  // A pixel lies in one output pixel or in two: in the first, and how much of it in each.
  const first = new Int32Array(side);
  const [inFirst, inNext] = [new Float64Array(side), new Float64Array(side)];
  for (let i = 0; i < side; i++) {
    const [near, far] = [i * scale, (i + FAR_EDGE) * scale];
    first[i] = Math.min(Math.floor(near), DIGIT_SIDE - 1);
    inFirst[i] = Math.min(far, first[i] + 1) - near;
    inNext[i] = first[i] + 1 < DIGIT_SIDE ? Math.max(far - first[i] - 1, 0) : 0;
  }
  const sums = new Float64Array(DIGIT_SIDE * DIGIT_SIDE + DIGIT_SIDE + 1);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const value = values[row * side + column];
      if (!value) continue;
      const place = first[row] * DIGIT_SIDE + first[column];
      sums[place] += value * inFirst[row] * inFirst[column];
      if (inNext[column]) sums[place + 1] += value * inFirst[row] * inNext[column];
      if (inNext[row]) sums[place + DIGIT_SIDE] += value * inNext[row] * inFirst[column];
      if (inNext[row] && inNext[column]) sums[place + DIGIT_SIDE + 1] += value * inNext[row] * inNext[column];
    }
  }
  const small = sums.subarray(0, DIGIT_SIDE * DIGIT_SIDE);
  const largest = small.reduce((most, sum) => Math.max(most, sum), 0);
  return Uint8Array.from(small, (sum) => roundHalfEven((sum / largest) * 255));
}

/** Where the 20 pixels begin among the 28, so that their centre of mass comes to the middle.
 * @param {Uint8Array} fitted */
function placed(fitted) {
  let [mass, across, down] = [0, 0, 0];
  fitted.forEach((grey, i) => {
    mass += grey;
    across += grey * ((i % DIGIT_SIDE) + 0.5);
    down += grey * (Math.floor(i / DIGIT_SIDE) + 0.5);
  });
  return { left: Math.floor(CENTRE - across / mass), top: Math.floor(CENTRE - down / mass) };
}

/** @param {Uint8Array} fitted @param {{left: number, top: number}} offset */
function centred(fitted, { left, top }) {
  const image = new Uint8Array(SIDE ** 2);
  fitted.forEach((grey, i) => {
    const [row, column] = [top + Math.floor(i / DIGIT_SIDE), left + (i % DIGIT_SIDE)];
    // The 20 pixels may reach over the 28 where nearly all ink is at one side of them.
    if (row >= 0 && row < SIDE && column >= 0 && column < SIDE) image[row * SIDE + column] = grey;
  });
  return image;
}

/**
 * Why `vision` would take it for no digit.
 * @param {Ink} own  @param {number} pen  @param {Ink} whole
 * @returns {Prepared["doubt"]}
 */
function doubted(own, pen, whole) {
  const [shorter, longer] = [Math.min(own.rows, own.columns), Math.max(own.rows, own.columns)];
  if (longer < LEAST_SIDE) return "small";
  if (own.columns > WIDEST * own.rows) return "line";
  if (shorter > ROUND * longer && longer > DOT * Math.max(whole.rows, whole.columns) && pen >= SOLID) return "blot";
  return strokeLength(own, pen) > LONGEST ? "long" : "";
}

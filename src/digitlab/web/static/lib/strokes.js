// The pen's width: measured, and thin pens widened to what MNIST's digits are drawn with, as `vision.strokes` does.
// @ts-check

import { roundHalfEven } from "./numbers.js";

/** @typedef {{rows: number, columns: number, values: Float32Array}} Ink  amount at each pixel, 0 … 1, row by row */

const DIGIT_SIDE = 20;
/** Below this width, of 20 pixels, lie 0.1 % of MNIST's training digits. */
const THIN = 1.3;
/** What a thin stroke is widened to. */
const USUAL = 2.2;
/** Pixels of the longer side while a stroke is widened. */
const FRAME = 160;
const FAR = 1e12;

/**
 * The width of the stroke, in pixels of a digit that is 20 pixels long: twice the area by the length of the
 * outline, which is the variation along rows and columns divided by 4/π.
 * @param {Ink} ink
 */
export function penWidth({ rows, columns, values }) {
  let variation = 0;
  let area = 0;
  for (let row = 0; row <= rows; row++) {
    for (let column = 0; column <= columns; column++) {
      const here = row < rows && column < columns ? values[row * columns + column] : 0;
      const left = row < rows && column > 0 ? values[row * columns + column - 1] : 0;
      const above = column < columns && row > 0 ? values[(row - 1) * columns + column] : 0;
      area += here;
      if (row < rows) variation += Math.abs(here - left);
      if (column < columns) variation += Math.abs(here - above);
    }
  }
  return variation ? ((2 * area) / ((variation * Math.PI) / 4)) * (DIGIT_SIDE / Math.max(rows, columns)) : 0;
}

/**
 * How far the pen went, in longer sides of what it drew.
 * @param {Ink} ink
 * @param {number} pen  its width
 */
export function strokeLength({ rows, columns, values }, pen) {
  const longer = Math.max(rows, columns);
  let area = 0;
  for (let i = 0; i < values.length; i++) area += values[i];
  return pen ? area / ((pen * longer) / DIGIT_SIDE) / longer : 0;
}

/**
 * The same digit drawn by a usual pen, where its own is thinner than all of MNIST's; else as it is.
 * @param {Ink} ink
 * @param {number} pen  its width
 * @returns {Ink}
 */
export function widened(ink, pen) {
  if (!(pen > 0 && pen < THIN)) return ink;
  const mask = framed(ink);
  const unit = Math.max(mask.rows, mask.columns) / DIGIT_SIDE;
  const radius = ((USUAL - penWidth(mask)) / 2) * unit;
  if (radius <= 0) return ink;
  return spread(padded(mask, Math.ceil(radius) + 1), radius);
}

/**
 * A mask, 0 or 1, of about 160 pixels: large digits lose no line, small ones get smooth edges.
 * @param {Ink} ink
 * @returns {Ink}
 */
function framed(ink) {
  const factor = Math.max(ink.rows, ink.columns) / FRAME;
  let largest = 0;
  for (let i = 0; i < ink.values.length; i++) largest = Math.max(largest, ink.values[i]);
  return factor > 1
    ? atLeast(0.5 * largest, blockMaxima(ink, Math.ceil(factor)))
    : atLeast(0.4 * largest, enlargedBy(padded(ink, 1), Math.max(roundHalfEven(1 / factor), 1)));
}

/** @param {number} least @param {Ink} ink @returns {Ink} */
function atLeast(least, { rows, columns, values }) {
  const found = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) found[i] = values[i] >= least ? 1 : 0;
  return { rows, columns, values: found };
}

/** @param {Ink} ink @param {number} block @returns {Ink} */
function blockMaxima({ rows, columns, values }, block) {
  const [down, across] = [Math.ceil(rows / block), Math.ceil(columns / block)];
  const found = new Float32Array(down * across);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const place = Math.floor(row / block) * across + Math.floor(column / block);
      found[place] = Math.max(found[place], values[row * columns + column]);
    }
  }
  return { rows: down, columns: across, values: found };
}

/** @param {Ink} ink @param {number} margin @returns {Ink} */
function padded({ rows, columns, values }, margin) {
  const wide = columns + 2 * margin;
  const found = new Float32Array((rows + 2 * margin) * wide);
  for (let row = 0; row < rows; row++) {
    found.set(values.subarray(row * columns, (row + 1) * columns), (row + margin) * wide + margin);
  }
  return { rows: rows + 2 * margin, columns: wide, values: found };
}

/**
 * Bicubic, along rows and then along columns, as Pillow enlarges.
 * @param {Ink} ink @param {number} times @returns {Ink}
 */
function enlargedBy(ink, times) {
  return times === 1 ? ink : turned(wider(turned(wider(ink, times)), times));
}

/** @param {Ink} ink @param {number} times @returns {Ink} */
function wider({ rows, columns, values }, times) {
  const wide = columns * times;
  const found = new Float32Array(rows * wide);
  for (let x = 0; x < wide; x++) {
    const centre = (x + 0.5) / times;
    const first = Math.max(Math.trunc(centre - 1.5), 0);
    const end = Math.min(Math.trunc(centre + 2.5), columns);
    const weights = Array.from({ length: end - first }, (_, k) => bicubic(k + first - centre + 0.5));
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += values[row * columns + first + k] * (weights[k] / whole);
      found[row * wide + x] = sum;
    }
  }
  return { rows, columns: wide, values: found };
}

/** Keys' cubic with a = -1/2. @param {number} x */
function bicubic(x) {
  const a = -0.5;
  const far = Math.abs(x);
  if (far < 1) return ((a + 2) * far - (a + 3)) * far * far + 1;
  return far < 2 ? (((far - 5) * far + 8) * far - 4) * a : 0;
}

/** @param {Ink} ink @returns {Ink} */
function turned({ rows, columns, values }) {
  const found = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) found[column * rows + row] = values[row * columns + column];
  }
  return { rows: columns, columns: rows, values: found };
}

/**
 * Ink wherever the mask is within a radius, with a soft edge: half a pixel inside and outside. Distances are
 * exact: along rows first, then over the rows that are near enough.
 * @param {Ink} mask
 * @param {number} radius
 * @returns {Ink}
 */
function spread({ rows, columns, values }, radius) {
  const along = new Float64Array(rows * columns); // squared distance to the nearest of the mask in this row
  for (let row = 0; row < rows; row++) {
    const [start, end] = [row * columns, (row + 1) * columns];
    let last = -FAR;
    for (let i = start; i < end; i++) {
      if (values[i]) last = i;
      along[i] = (i - last) * (i - last);
    }
    last = FAR;
    for (let i = end - 1; i >= start; i--) {
      if (values[i]) last = i;
      along[i] = Math.min(along[i], (last - i) * (last - i));
    }
  }
  const reach = Math.ceil(radius + 0.5);
  const nearest = new Float64Array(rows * columns).fill(FAR);
  for (let row = 0; row < rows; row++) {
    const [first, last] = [Math.max(row - reach, 0), Math.min(row + reach, rows - 1)];
    for (let column = 0; column < columns; column++) {
      const own = along[row * columns + column];
      if (own > reach * reach) continue; // most places are far from all ink
      for (let other = first; other <= last; other++) {
        const squared = own + (other - row) * (other - row);
        if (squared < nearest[other * columns + column]) nearest[other * columns + column] = squared;
      }
    }
  }
  const found = new Float32Array(rows * columns);
  for (let i = 0; i < found.length; i++) {
    if (nearest[i] < FAR) found[i] = Math.min(Math.max(radius + 0.5 - Math.sqrt(nearest[i]), 0), 1);
  }
  return { rows, columns, values: found };
}

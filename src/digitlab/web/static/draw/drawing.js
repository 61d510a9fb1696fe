// What is on the canvas, as a value: strokes of a pen over an image or over nothing; and how it is painted.
// @ts-check

import { inkOf } from "../lib/prepare.js";

/**
 * @typedef {{x: number, y: number}} Point   in units of the drawing, 0 … SIDE
 * @typedef {{pen: number, points: Point[]}} Stroke
 *
 * @typedef {object} Drawing
 * @property {Uint8Array | null} base  an image of 28 x 28 below the strokes: a test image, or one from a photograph
 * @property {Stroke[]} strokes
 */

/** Units of a side; a pixel of the 28 x 28 is ten of them. */
export const SIDE = 280;
export const PEN = { low: 8, usual: 22, high: 40 };
/** @type {Drawing} */
export const BLANK = { base: null, strokes: [] };
const IMAGE_SIDE = 28;

/** @param {Drawing} drawing */
export const isBlank = ({ base, strokes }) => !base && strokes.length === 0;

/** The last stroke is taken back, and after the first one the image. @param {Drawing} drawing @returns {Drawing} */
export const undone = ({ base, strokes }) => (strokes.length ? { base, strokes: strokes.slice(0, -1) } : BLANK);

/**
 * A canvas that holds the drawing as ink: white on black, which is what is prepared and measured.
 * It is read after every move of the pen, so it stays in the processor's memory.
 */
export function inkCanvas() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true, alpha: false }));
}

/** @param {CanvasRenderingContext2D} context of `inkCanvas` */
export const readInk = (context) => inkOf(context.getImageData(0, 0, SIDE, SIDE));

/**
 * Paints the whole drawing anew.
 * @param {CanvasRenderingContext2D} context
 * @param {Drawing} drawing
 * @param {string} ink  its colour
 */
export function paint(context, { base, strokes }, ink) {
  const { width } = context.canvas;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, width); // black where there is no alpha
  if (base) {
    context.imageSmoothingEnabled = false;
    context.drawImage(inColour(base, ink), 0, 0, width, width);
  }
  for (const stroke of strokes) paintStroke(context, stroke, ink, 0);
}

/**
 * Paints a stroke from one of its points on: curves through the middles between points, whose ends are smooth.
 * @param {CanvasRenderingContext2D} context
 * @param {Stroke} stroke
 * @param {string} ink
 * @param {number} from
 */
export function paintStroke(context, { pen, points }, ink, from) {
  const scale = context.canvas.width / SIDE;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.strokeStyle = context.fillStyle = ink;
  context.lineWidth = pen;
  context.lineCap = context.lineJoin = "round";
  const start = Math.max(from - 2, 0);
  context.beginPath();
  if (points.length === 1) {
    context.arc(points[0].x, points[0].y, pen / 2, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  const first = start === 0 ? points[0] : middle(points[start], points[start + 1]);
  context.moveTo(first.x, first.y);
  for (let i = start + 1; i < points.length - 1; i++) {
    const end = middle(points[i], points[i + 1]);
    context.quadraticCurveTo(points[i].x, points[i].y, end.x, end.y);
  }
  const last = points[points.length - 1];
  context.lineTo(last.x, last.y);
  context.stroke();
}

/** @param {Point} a @param {Point} b */
const middle = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });

/** An image as ink of a colour, as strong as its grey values. @param {Uint8Array} image @param {string} ink */
function inColour(image, ink) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = IMAGE_SIDE;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const pixels = context.createImageData(IMAGE_SIDE, IMAGE_SIDE);
  image.forEach((grey, i) => (pixels.data[4 * i + 3] = grey));
  context.putImageData(pixels, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = ink;
  context.fillRect(0, 0, IMAGE_SIDE, IMAGE_SIDE);
  return canvas;
}

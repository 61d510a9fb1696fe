// The canvas to draw on: for mouse, pen and finger, and by keys for test images.
// @ts-check

import { html, useEffect, useLayoutEffect, useRef } from "../lib/html.js";
import { token, useTheme } from "../lib/theme.js";
import { texts } from "../texts/en.js";
import { BLANK, paint, paintStroke, SIDE, undone } from "./drawing.js";

const said = texts.draw.pad;
/** Pixels of the canvas a side: it is shown smaller, so that lines are sharp on a dense screen. */
const PIXELS = 2 * SIDE;

/**
 * @typedef {import("./drawing.js").Drawing} Drawing
 * @typedef {import("./drawing.js").Stroke} Stroke
 *
 * @param {object} props
 * @param {Drawing} props.drawing
 * @param {CanvasRenderingContext2D} props.ink  the same drawing as it is measured; the pen paints on both
 * @param {number} props.pen
 * @param {(drawing: Drawing) => void} props.onStroke  after every move; it is painted already
 * @param {(drawing: Drawing) => void} props.onChange  to another drawing
 * @param {(by: number) => void} props.onNext        to another test image
 * @param {(digit: number) => void} props.onDigit    to the next test image of a class
 */
export function Pad({ drawing, ink, pen, onStroke, onChange, onNext, onDigit }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const stroke = useRef(/** @type {{id: number, stroke: Stroke, whole: Drawing} | null} */ (null));
  const painted = useRef(/** @type {Drawing | null} */ (null));
  const colours = useTheme();
  const shown = () => /** @type {CanvasRenderingContext2D} */ (canvas.current?.getContext("2d"));

  useLayoutEffect(() => {
    if (painted.current === drawing) return; // stroke by stroke, as it was drawn
    paint(shown(), drawing, token("ink"));
    painted.current = drawing;
  }, [drawing]);
  useLayoutEffect(() => paint(shown(), drawing, token("ink")), [colours]);

  /** @param {PointerEvent} event @returns {import("./drawing.js").Point} */
  const place = (event) => {
    const box = /** @type {HTMLCanvasElement} */ (canvas.current).getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * SIDE, y: ((event.clientY - box.top) / box.height) * SIDE };
  };
  /** @param {import("./drawing.js").Point[]} points */
  const extend = (points) => {
    const now = stroke.current;
    if (!now) return;
    const from = now.stroke.points.length;
    now.stroke.points.push(...points);
    paintStroke(ink, now.stroke, "#fff", from);
    paintStroke(shown(), now.stroke, token("ink"), from);
    painted.current = { ...now.whole };
    onStroke(painted.current);
  };
  /** @param {PointerEvent} event */
  const down = (event) => {
    if (event.button !== 0 || stroke.current) return;
    canvas.current?.setPointerCapture(event.pointerId);
    const next = { pen, points: [] };
    stroke.current = { id: event.pointerId, stroke: next, whole: { ...drawing, strokes: [...drawing.strokes, next] } };
    extend([place(event)]);
  };
  /** @param {PointerEvent} event */
  const move = (event) => {
    if (stroke.current?.id !== event.pointerId) return;
    const events = event.getCoalescedEvents?.() ?? [];
    extend((events.length ? events : [event]).map(place));
  };
  /** @param {PointerEvent} event */
  const up = (event) => {
    if (stroke.current?.id === event.pointerId) stroke.current = null;
  };
  useEffect(() => () => void (stroke.current = null), []);

  /** @param {KeyboardEvent} event */
  const key = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if ((event.ctrlKey || event.metaKey) && event.key === "z") onChange(undone(drawing));
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (step) onNext(step);
    else if (event.key === "Delete" || event.key === "Backspace") onChange(BLANK);
    else if (/^[0-9]$/.test(event.key)) onDigit(Number(event.key));
    else return;
    event.preventDefault();
  };
  return html`<canvas class="pad" ref=${canvas} width=${PIXELS} height=${PIXELS} tabindex="0" role="application"
    aria-label=${said.label} aria-describedby="pad-keys" onPointerDown=${down} onPointerMove=${move} onPointerUp=${up}
    onPointerCancel=${up} onKeyDown=${key} />`;
}

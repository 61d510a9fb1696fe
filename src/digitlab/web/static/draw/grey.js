// Small grey images, one pixel a value, enlarged by the browser without smoothing.
// @ts-check

import { html, useLayoutEffect, useRef } from "../lib/html.js";

/**
 * @typedef {{left: number, top: number, side: number}} Frame  in pixels of the image
 *
 * @param {object} props
 * @param {number} props.side
 * @param {ArrayLike<number>} props.values  0 … `most`, [side * side]
 * @param {number} [props.most]             255 where it is not given
 * @param {string} props.title              "": what is around it says what it shows
 * @param {Frame | null} [props.frame]
 * @param {{x: number, y: number} | null} [props.cross]
 */
export function Grey({ side, values, most = 255, title, frame = null, cross = null }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !side) return;
    const pixels = context.createImageData(side, side);
    for (let i = 0; i < values.length; i++) {
      const grey = (values[i] / most) * 255;
      pixels.data[4 * i] = pixels.data[4 * i + 1] = pixels.data[4 * i + 2] = grey;
      pixels.data[4 * i + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
  }, [values, side]);
  const share = (/** @type {number} */ part) => `${(100 * part) / side}%`;
  return html`<span class="grey" role=${title ? "img" : null} aria-label=${title || null} aria-hidden=${title ? null : "true"}>
    <canvas ref=${canvas} width=${side || 1} height=${side || 1} />
    ${frame && html`<i class="frame" style=${{ left: share(frame.left), top: share(frame.top), width: share(frame.side), height: share(frame.side) }} />`}
    ${cross && html`<i class="cross" style=${{ left: share(cross.x), top: share(cross.y) }} />`}
  </span>`;
}

// A test image as it is: 28 by 28 grey values, enlarged without smoothing.
import { html, useLayoutEffect, useRef } from "../lib/html.js";

const SIDE = 28;

/** @param {{image: string, title: string}} props image: 784 bytes in base64, 255 is ink */
export function Digit({ image, title }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const pixels = context.createImageData(SIDE, SIDE);
    const values = atob(image);
    for (let i = 0; i < SIDE * SIDE; i++) pixels.data.set([255 - values.charCodeAt(i), 255 - values.charCodeAt(i), 255 - values.charCodeAt(i), 255], 4 * i);
    context.putImageData(pixels, 0, 0);
  }, [image]);
  return html`<canvas class="digit" ref=${canvas} width=${SIDE} height=${SIDE} role="img" aria-label=${title}></canvas>`;
}

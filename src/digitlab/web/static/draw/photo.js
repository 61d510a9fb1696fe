// A photograph: by file, drop or paste. The server finds its digits, and says what it did.
// @ts-check

import { pause, post } from "../lib/api.js";
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { link } from "../lib/route.js";
import { texts } from "../texts/en.js";
import { Grey } from "./grey.js";

const said = texts.draw.photo;
/** Milliseconds until it is asked again. */
const PAUSE = 500;
/** Bytes: the server's limit; more is refused before it is sent. */
const BYTE_LIMIT = 24 * 2 ** 20;

/**
 * @typedef {{digit: string | null, probabilities: number[], box: number[], image: string, doubt: string | null}} FoundDigit
 * @typedef {{digits: FoundDigit[], refused: string | null, steps: {name: string, png: string}[]}} Reading
 */

/** @param {string} text  784 bytes in base64 */
export const imageOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** The picture in what was dropped or pasted. @param {DataTransfer | null} data */
const pictureIn = (data) => [...(data?.files ?? [])].find(({ type }) => type.startsWith("image/"));

/**
 * The reading of the latest photograph, and how to begin another.
 * @param {string | null} key  of the run whose network answers; null: the default one
 * @param {(image: Uint8Array) => void} onImage  the first digit that was found
 */
export function usePhoto(key, onImage) {
  const [reading, setReading] = useState(/** @type {Reading | null} */ (null));
  const [says, setSays] = useState("");
  const turn = useRef(new AbortController()); // of the latest photograph
  const reader = useRef(/** @type {(file: Blob | undefined) => void} */ (() => {}));
  /** Nobody waits for an earlier photograph any more. */
  const begin = () => {
    turn.current.abort();
    return (turn.current = new AbortController());
  };
  const read = async (/** @type {Blob | undefined} */ file) => {
    if (!file) return;
    const { signal } = begin();
    setReading(null);
    if (file.size > BYTE_LIMIT) return setSays(said.large);
    setSays(said.reading);
    try {
      let found = await post(link("predict", { key }), file, signal);
      while (!found.digits) { // the network that answers is still made
        setSays(texts.draw.networks.making(found.says, found.progress));
        await pause(PAUSE, signal);
        found = await post(link("predict", { key }), file, signal);
      }
      setReading(found);
      setSays(found.refused ?? "");
      if (found.digits.length) onImage(imageOf(found.digits[0].image));
    } catch (error) {
      setSays(/** @type {Error} */ (error).message);
    }
  };
  reader.current = read;
  useEffect(() => {
    const paste = (/** @type {ClipboardEvent} */ event) => reader.current(pictureIn(event.clipboardData));
    addEventListener("paste", paste);
    return () => {
      removeEventListener("paste", paste);
      turn.current.abort();
    };
  }, []);
  const drop = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    const file = pictureIn(event.dataTransfer);
    if (file) void read(file);
    else setSays(said.noPicture);
  };
  const clear = () => {
    begin();
    setReading(null);
    setSays("");
  };
  return { reading, says, read, drop, clear };
}

/** The button, and the way of a photograph. @param {{onFile: (file: Blob | undefined) => void}} props */
export function PhotoButton({ onFile }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  return html`<button class="button" onClick=${() => input.current?.click()}>${said.button}</button>
    <input ref=${input} type="file" accept="image/*" hidden aria-label=${said.button}
      onChange=${(/** @type {any} */ event) => {
        onFile(event.target.files[0]);
        event.target.value = "";
      }} />`;
}

/**
 * @param {{reading: Reading | null, says: string, image: Uint8Array | null, onImage: (image: Uint8Array) => void, onClose: () => void}} props
 *   image: what is on the canvas now
 */
export function PhotoSteps({ reading, says, image, onImage, onClose }) {
  if (!reading && !says) return null;
  return html`<section class="card photo" aria-labelledby="photo-title">
    <div class="row between"><h2 id="photo-title">${said.title}</h2>
      <button class="icon" onClick=${onClose} aria-label=${said.close} title=${said.close}>×</button></div>
    ${says && html`<p class=${reading?.refused ? "says" : "note"} role="status">${says}</p>`}
    ${reading &&
    html`${reading.digits.length > 0 && html`<p class="note">${said.found(reading.digits.length)}</p>
        <div class="row">${reading.digits.map((digit, i) => {
          const own = imageOf(digit.image);
          const isHere = image !== null && own.every((grey, j) => grey === image[j]);
          return html`<button class="chip found" aria-pressed=${isHere ? "true" : "false"} onClick=${() => onImage(own)} aria-label=${said.digit(i + 1, digit.digit)} title=${digit.doubt}>
            <${Grey} side=${28} values=${own} title="" /><span>${digit.digit ?? "?"}</span></button>`;
        })}</div>`}
      <div class="way">${reading.steps.map(({ name, png }) => html`<figure><img src=${`data:image/png;base64,${png}`} alt="" /><figcaption>${name}</figcaption></figure>`)}</div>`}
  </section>`;
}

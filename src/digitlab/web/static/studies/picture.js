// A picture of the report's renderer, drawn by the server, put into the page so that it takes the page's colours.
import { text, useAsking } from "../lib/api.js";
import { html, useRef, useState } from "../lib/html.js";
import { texts } from "../texts/en.js";

/** @type {Map<string, string>} */
const drawn = new Map();
const MOST = 60;

/** @param {string} address @param {AbortSignal} signal */
async function fetched(address, signal) {
  const found = drawn.get(address) ?? (await text(address, signal));
  drawn.set(address, found);
  if (drawn.size > MOST) drawn.delete(/** @type {string} */ (drawn.keys().next().value));
  return found;
}

/** @param {{url: string, title: string, pixels: number}} props pixels: the width that it is laid out for */
export function Picture({ url, title, pixels }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [failed, setFailed] = useState(false);
  const address = `${url}&theme=page&pixels=${pixels}`;
  useAsking((signal) => {
    setFailed(false);
    fetched(address, signal).then(
      (found) => {
        const svg = new DOMParser().parseFromString(found, "image/svg+xml").documentElement;
        place.current?.replaceChildren(document.importNode(svg, true));
      },
      () => setFailed(true),
    );
  }, [address]);
  return html`<div class="picture">
    <div ref=${place} class="drawing" role="img" aria-label=${title}></div>
    ${failed && html`<p class="note">${texts.studies.noPicture}</p>`}
  </div>`;
}

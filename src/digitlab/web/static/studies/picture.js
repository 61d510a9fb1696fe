// A picture of the report's renderer, drawn by the server, put into the page so that it takes the page's colours.
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { texts } from "../texts/en.js";

/** @type {Map<string, Promise<string>>} */
const drawn = new Map();
const MOST = 60;

/** @param {string} address @returns {Promise<string>} */
function fetched(address) {
  let found = drawn.get(address);
  if (!found) {
    found = fetch(address).then((response) => (response.ok ? response.text() : Promise.reject(new Error())));
    found.catch(() => drawn.delete(address));
    drawn.set(address, found);
    if (drawn.size > MOST) drawn.delete(/** @type {string} */ (drawn.keys().next().value));
  }
  return found;
}

/** @param {{url: string, title: string, pixels: number}} props pixels: the width that it is laid out for */
export function Picture({ url, title, pixels }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [failed, setFailed] = useState(false);
  const address = `${url}&theme=page&pixels=${pixels}`;
  useEffect(() => {
    let current = true;
    setFailed(false);
    fetched(address).then(
      (text) => {
        if (!current || !place.current) return;
        const svg = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
        place.current.replaceChildren(document.importNode(svg, true));
      },
      () => current && setFailed(true),
    );
    return () => void (current = false);
  }, [address]);
  return html`<div class="picture">
    <div ref=${place} class="drawing" role="img" aria-label=${title}></div>
    ${failed && html`<p class="note">${texts.studies.noPicture}</p>`}
  </div>`;
}

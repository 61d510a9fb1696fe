// A field whose text is the visitor's while they type: what arrives meanwhile does not overwrite it.
import { html, useState } from "../lib/html.js";

/** @param {{value: string | number, onCommit: (text: string) => void} & Record<string, unknown>} props all else: attributes of the input */
export function Typed({ value, onCommit, ...attributes }) {
  const [draft, setDraft] = useState(/** @type {string | null} */ (null));
  const commit = (/** @type {any} */ event) => {
    setDraft(null);
    onCommit(event.target.value);
  };
  return html`<input ...${attributes} value=${draft ?? value} onInput=${(/** @type {any} */ event) => setDraft(event.target.value)} onChange=${commit} onBlur=${() => setDraft(null)} />`;
}

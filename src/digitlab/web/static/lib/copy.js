// A command or a link with a button that copies it.
import { texts } from "../texts/en.js";
import { html, useEffect, useState } from "./html.js";

/** @param {{text: string, label?: string}} props label: what is copied, for those who do not see it */
export function Command({ text, label }) {
  return html`<div class="command"><code tabindex="0">${text}</code><${Copy} text=${text} label=${label} /></div>`;
}

/** @param {{text: string, label?: string, children?: any}} props */
export function Copy({ text, label, children }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    if (!(await written(text))) return;
    setCopied(true);
  };
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  const said = copied ? texts.shell.copied : (children ?? texts.shell.copy);
  return html`<button class="button quiet" onClick=${copy} aria-label=${label ? `${texts.shell.copy}: ${label}` : null}>${said}</button>`;
}

/** Puts a text on the clipboard; over plain HTTP from another machine browsers offer the old way only. @param {string} text */
async function written(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
  const field = Object.assign(document.createElement("textarea"), { value: text });
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  before?.focus();
  return done;
}

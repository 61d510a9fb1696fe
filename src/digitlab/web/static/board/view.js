// Board: everyone's runs of one preset, and how sure the class is by now.
import { html } from "../lib/html.js";
export default function Board() {
  return html`<p></p>`;
}

// A table as the server writes it.
import { html, useState } from "../lib/html.js";
import { texts } from "../texts/en.js";

/** @param {{table: any, folded?: boolean}} props folded: below a picture, opened when it is wanted */
export function WrittenTable({ table, folded }) {
  const [open, setOpen] = useState(!folded);
  const body = () => html`<div class="scroll" tabindex="0" role="group" aria-label=${table.title}>
      <table class="table">
        <thead><tr>${table.heads.map((/** @type {any} */ head) => html`<th scope="col" class=${head.kind === "number" ? "number" : ""}>${head.name || html`<span class="only-read">${texts.studies.unnamed}</span>`}</th>`)}</tr></thead>
        <tbody>${table.rows.map(
          (/** @type {string[]} */ row) => html`<tr>${row.map((cell, i) => (i === 0 ? html`<th scope="row">${cell}</th>` : html`<td class=${table.heads[i].kind === "number" ? "number" : ""}>${cell}</td>`))}</tr>`,
        )}</tbody>
      </table>
    </div>
    ${table.note && html`<p class="note">${table.note}</p>`}`;
  if (!folded) return html`<h2>${table.title}</h2>${body()}`;
  return html`<details onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}>
    <summary>${texts.chart.asTable}<span class="only-read">: ${table.title}</span></summary>
    ${open && body()}
  </details>`;
}

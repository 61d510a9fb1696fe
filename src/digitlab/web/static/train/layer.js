// What the first layer looks for: its weights as images that sharpen while the selected run learns.
import { bytes } from "../lib/api.js";
import { count } from "../lib/format.js";
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { isLive, watch } from "../lib/live.js";
import { firstLayer, WeightImages } from "../lib/weights.js";
import { texts } from "../texts/en.js";

const said = texts.train.layer;
const MOST = 100;
/** Runs whose weights the page keeps: those that were looked at last. */
const KEPT = 12;
/** @type {Map<string, {matrix: any, step: number | null, version: number}>} the latest of each run */
const seen = new Map();

/** @param {{run: import("../lib/live.js").LiveRun, name: string, classNames: string[]}} props */
export function FirstLayer({ run, name, classNames }) {
  const [, setCount] = useState(0);
  const [says, setSays] = useState(/** @type {string | null} */ (null));
  const [across, setAcross] = useState(20);
  const asking = useRef(/** @type {AbortController | null} */ (null)); // for the run that is looked at
  const failed = useRef(""); // it is not asked for again and again
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const live = isLive(run);
  useEffect(() => () => {
    asking.current?.abort();
    asking.current = null;
  }, [run.key]);

  useEffect(() => (live ? watch([run.key]) : undefined), [run.key, live]);
  const version = run.status === "done" ? Infinity : run.weights;
  const load = async () => {
    if (asking.current) return;
    const shown = (asking.current = new AbortController());
    try {
      const { bytes: file, headers } = await bytes(`runs/${run.key}/weights`, { layers: 1 }, shown.signal, (state) => setSays(state.says));
      const step = headers.get("X-Step");
      seen.delete(run.key);
      seen.set(run.key, { matrix: firstLayer(file), step: step ? Number(step) : null, version });
      for (const old of [...seen.keys()].slice(0, -KEPT)) seen.delete(old);
      setSays(null);
    } catch (error) {
      failed.current = `${run.key} ${version}`;
      setSays(/** @type {Error} */ (error).message);
    }
    asking.current = null;
    setCount((n) => n + 1);
  };
  const known = seen.get(run.key);
  const wanted = run.weights > 0 && (known?.version ?? 0) < version && failed.current !== `${run.key} ${version}`;
  useEffect(() => {
    setSays(null);
  }, [run.key]);
  useEffect(() => {
    if (wanted) void load();
  });
  useEffect(() => {
    const node = place.current;
    if (!node) return;
    const observer = new ResizeObserver(() => setAcross(node.clientWidth < 500 ? 10 : node.clientWidth < 900 ? 20 : 25));
    observer.observe(node);
    return () => observer.disconnect();
  }, []);

  const linear = run.network.split("-").length === 2;
  const units = known?.matrix?.rows ?? 0;
  const shown = Math.min(units, MOST);
  const columns = linear ? 10 : Math.min(across, shown || 1);
  const title = linear ? said.templates(name) : said.title(name);
  return html`<section class="card layer-card" ref=${place} aria-label=${title}>
    <div class="row between"><h2>${title}</h2>
      <span class="note">${units > shown ? `${said.some(shown, count(units))} ` : ""}<span class="still step">${known?.step != null ? said.step(count(known.step)) : ""}</span></span></div>
    ${known?.matrix
      ? html`<${WeightImages} matrix=${known.matrix} shown=${shown} across=${columns} labels=${linear ? classNames : null} title=${said.picture(title, shown)} />
          <p class="note key"><span><i class="patch low"></i>${said.against}</span> <span><i class="patch high"></i>${said.towards}</span> <span>${linear ? said.watchTemplates : said.watch}</span></p>
          ${known.matrix.note && html`<p class="note differs">${texts.shell.differs(known.matrix.note)}</p>`}
          <${Figures} matrix=${known.matrix} shown=${shown} labels=${linear ? classNames : null} />`
      : html`<p class="note" role="status">${says ?? (live ? said.soon : "")}</p>`}
    ${!known && !live && run.weights === 0 && run.status === "done" && !says && html`<button class="button" onClick=${load}>${said.again}</button>`}
  </section>`;
}

/** The images' twin: how strong each unit is and where it looks. @param {any} props */
function Figures({ matrix, shown, labels }) {
  const [open, setOpen] = useState(false);
  const rows = open ? Array.from({ length: shown }, (_, unit) => figures(matrix, unit)) : [];
  return html`<details onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}>
    <summary>${texts.chart.asTable}<span class="only-read">: ${said.twin}</span></summary>
    ${open &&
    html`<div class="scroll tall" tabindex="0" role="group" aria-label=${said.twin}><table class="table">
      <thead><tr><th scope="col">${labels ? said.digit : said.unit}</th><th scope="col" class="number">${said.size}</th><th scope="col">${said.highest}</th><th scope="col">${said.lowest}</th></tr></thead>
      <tbody>${rows.map((row, unit) => html`<tr><th scope="row">${labels ? labels[unit] : unit}</th><td class="number">${row.size.toFixed(3)}</td><td>${said.place(row.high)}</td><td>${said.place(row.low)}</td></tr>`)}</tbody>
    </table></div>`}
  </details>`;
}

/** @param {import("../lib/weights.js").Matrix} matrix @param {number} unit */
function figures({ columns, values }, unit) {
  const own = values.subarray(unit * columns, (unit + 1) * columns);
  let [high, low, squares] = [0, 0, 0];
  own.forEach((value, i) => {
    if (value > own[high]) high = i;
    if (value < own[low]) low = i;
    squares += value * value;
  });
  return { size: Math.sqrt(squares / columns), high, low };
}

// Runs: all of the store as a table that is filtered, sorted and compared; one of them, looked at closely.
import { get, useAsking } from "../lib/api.js";
import { count, loss, percent, rate, seconds } from "../lib/format.js";
import { html, useEffect, useMemo, useRef, useState } from "../lib/html.js";
import { isLive, useRuns } from "../lib/live.js";
import { link, navigate } from "../lib/route.js";
import { texts } from "../texts/en.js";
import { Run } from "./run.js";

const said = texts.runs;
const PAGE = 100;
/** Pages that are kept: the rows further away are asked for anew. */
const KEPT = 30;
const FILTERS = /** @type {const} */ (["network", "data", "batch_size", "seed", "key"]);
const OUTCOMES = /** @type {const} */ (["completed", "diverged", "collapsed"]);
/** @type {{name: keyof typeof said.columns, number?: boolean, wide?: boolean, roomy?: boolean, show: (row: any) => any}[]} */
const COLUMNS = [
  { name: "network", show: (row) => row.network },
  { name: "data", wide: true, show: (row) => row.data },
  { name: "learning_rate", number: true, show: (row) => (row.learning_rate === null ? "" : rate(row.learning_rate)) },
  { name: "batch_size", number: true, show: (row) => row.batch_size },
  { name: "seed", number: true, roomy: true, show: (row) => row.seed },
  { name: "outcome", roomy: true, show: (row) => html`<span class="outcome" data-outcome=${row.outcome}>${said.outcomes[/** @type {"completed"} */ (row.outcome)]}</span>` },
  { name: "test_accuracy", number: true, show: (row) => percent(row.test_accuracy) },
  { name: "validation_loss", number: true, wide: true, show: (row) => loss(row.validation_loss) },
  { name: "seconds", number: true, wide: true, show: (row) => seconds(row.seconds) },
  { name: "finished", wide: true, show: (row) => row.finished.slice(0, 16).replace("T", " ") },
  { name: "key", wide: true, show: (row) => html`<code>${row.key.slice(0, 8)}</code>` },
];

/** @param {{route: import("../lib/route.js").Route}} props */
export default function Runs({ route }) {
  return route.rest ? html`<${Run} key=${route.rest} id=${route.rest} />` : html`<${List} params=${route.params} />`;
}

/** wide, roomy: left out on a tablet, on a phone @param {(typeof COLUMNS)[number]} column */
const classOf = (column) => (["number", "wide", "roomy"].filter((name) => column[/** @type {"wide"} */ (name)]).join(" "));

/** What the list asks for. @param {Record<string, string>} params */
const asked = (params) => ({
  ...Object.fromEntries([...FILTERS, "outcome"].map((name) => [name, params[name]])),
  sort: params.sort ?? "-finished",
});

/** @param {{params: Record<string, string>}} props */
function List({ params }) {
  const [total, setTotal] = useState(/** @type {number | null} */ (null));
  const [problem, setProblem] = useState(/** @type {{says: string, field: string | null} | null} */ (null));
  const [pages, setPages] = useState(/** @type {Map<number, any[]>} */ (new Map()));
  const sent = useRef(/** @type {Set<number>} */ (new Set()));
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const ended = useRuns().filter((run) => !isLive(run)).length;
  const query = JSON.stringify(asked(params));
  const asking = useRef(/** @type {AbortSignal | undefined} */ (undefined)); // for the rows of this query
  const picked = useMemo(() => (params.pick ?? "").split(",").filter(Boolean), [params.pick]);
  const isFiltered = [...FILTERS, "outcome"].some((name) => params[name]);

  /** @param {number} page */
  const fetchPage = (page) => {
    if (sent.current.has(page)) return;
    sent.current.add(page);
    get("runs", { ...JSON.parse(query), offset: page * PAGE, limit: PAGE }, asking.current).then(
      (found) => {
        setTotal(found.total);
        setProblem(null);
        setPages((before) => {
          const next = new Map(before).set(page, found.rows);
          for (const far of [...next.keys()].sort((a, b) => Math.abs(b - page) - Math.abs(a - page)).slice(0, Math.max(0, next.size - KEPT))) {
            next.delete(far);
            sent.current.delete(far);
          }
          return next;
        });
      },
      (error) => {
        sent.current.delete(page);
        setProblem(error);
      },
    );
  };

  useAsking((signal) => {
    asking.current = signal;
    sent.current = new Set();
    setPages(new Map());
    place.current?.scrollTo(0, 0);
    fetchPage(0);
  }, [query]);
  const endedBefore = useRef(ended);
  useEffect(() => {
    if (ended === endedBefore.current) return;
    endedBefore.current = ended;
    sent.current = new Set(); // what is shown stays until the new rows are here
    fetchPage(Math.floor((place.current?.scrollTop ?? 0) / rowHeight() / PAGE));
  }, [ended]);

  /** @param {Record<string, unknown>} change @param {boolean} [step] */
  const go = (change, step = true) => navigate("/runs", { ...params, ...change }, { replace: !step });
  /** @param {string} key */
  const pick = (key) => go({ pick: (picked.includes(key) ? picked.filter((one) => one !== key) : [...picked, key].slice(-2)).join(",") }, false);

  return html`<div class="runs-page">
    <div class="row between"><h1>${said.title}</h1>
      <p class="note" role="status">${total === null ? said.loading : isFiltered ? said.filtered(count(total)) : said.total(count(total))}</p></div>
    <${Filters} params=${params} go=${go} problem=${problem} isFiltered=${isFiltered} />
    ${problem && html`<p class="says" role="alert">${problem.says}</p>`}
    ${total === 0 && !problem
      ? html`<div class="empty"><p>${isFiltered ? said.none : said.empty}</p>${!isFiltered && html`<p><a class="button primary" href="/train">${said.toTrain}</a></p>`}</div>`
      : html`<${Table} place=${place} total=${total ?? 0} pages=${pages} fetchPage=${fetchPage} sort=${params.sort ?? "-finished"}
          sortBy=${(/** @type {string} */ sort) => go({ sort: sort === "-finished" ? null : sort })} picked=${picked} pick=${pick} />`}
    ${picked.length > 0 &&
    html`<div class="picked" role="region" aria-label=${said.picked(picked.length)}>
      <span>${said.picked(picked.length)}</span>
      ${picked.length === 2 && html`<a class="button primary" href=${link("/compare", { a: picked[0], b: picked[1] })}>${said.compare}</a>`}
      <button class="button quiet" onClick=${() => go({ pick: null }, false)}>${said.unpick}</button>
    </div>`}
  </div>`;
}

/** @param {any} props */
function Filters({ params, go, problem, isFiltered }) {
  return html`<form class="filters" role="search" aria-label=${said.filters} onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
    <div class="row" role="group" aria-label=${said.columns.outcome}>
      <button type="button" class="chip" aria-pressed=${!params.outcome} onClick=${() => go({ outcome: null })}>${said.anyOutcome}</button>
      ${OUTCOMES.map(
        (name) => html`<button type="button" class="chip" aria-pressed=${params.outcome === name} onClick=${() => go({ outcome: params.outcome === name ? null : name })}>${said.outcomes[name]}</button>`,
      )}
    </div>
    <div class="row fields">
      ${FILTERS.map((name) => name === "data" ? html`<${DataField} value=${params.data ?? ""} go=${go} />` : html`<${Field} key=${name} name=${name} value=${params[name] ?? ""} go=${go} wrong=${problem?.field === name} />`)}
      ${isFiltered && html`<button type="button" class="button quiet" onClick=${() => go(Object.fromEntries([...FILTERS, "outcome"].map((name) => [name, null])))}>${said.clear}</button>`}
    </div>
  </form>`;
}

/** @param {{value: string, go: any}} props */
function DataField({ value, go }) {
  const [names, setNames] = useState(/** @type {string[]} */ ([]));
  useAsking((signal) => get("datasets", {}, signal).then((found) => setNames(found.map((/** @type {any} */ one) => one.name)), () => {}), []);
  const all = value && !names.includes(value) ? [...names, value] : names;
  return html`<div class="field"><label for="filter-data">${said.fields.data}</label>
    <select id="filter-data" value=${value} onChange=${(/** @type {any} */ event) => go({ data: event.target.value || null })}>
      <option value="">${said.anyData}</option>${all.map((name) => html`<option value=${name} selected=${name === value}>${name}</option>`)}
    </select></div>`;
}

/** A field that is taken over a moment after the last letter. @param {{name: typeof FILTERS[number], value: string, go: any, wrong: boolean}} props */
function Field({ name, value, go, wrong }) {
  const [typed, setTyped] = useState(value);
  const due = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  useEffect(() => setTyped(value), [value]);
  useEffect(() => () => clearTimeout(due.current), []); // else it would bring back a view that was left
  const number = name === "batch_size" || name === "seed";
  /** @param {any} event */
  const change = (event) => {
    const next = event.target.value.trim();
    setTyped(next);
    clearTimeout(due.current);
    due.current = setTimeout(() => go({ [name]: next || null }, false), 250);
  };
  return html`<div class="field">
    <label for=${`filter-${name}`}>${said.fields[name]}</label>
    <input id=${`filter-${name}`} type="text" size=${number ? 6 : name === "key" ? 9 : 14} value=${typed} inputmode=${number ? "numeric" : null} autocomplete="off" spellcheck="false"
      placeholder=${/** @type {any} */ (said.hints)[name] ?? ""} aria-invalid=${wrong ? "true" : null} onInput=${change} />
  </div>`;
}

/** Of a row, in pixels, as view.css has it. */
const rowHeight = () => (matchMedia("(pointer: coarse)").matches ? 46 : 38);

/**
 * Only the rows that can be seen are in the page; rows above and below are two spaces of their height.
 * @param {any} props
 */
function Table({ place, total, pages, fetchPage, sort, sortBy, picked, pick }) {
  const [view, setView] = useState({ top: 0, height: 600 });
  const height = rowHeight();
  useEffect(() => {
    const node = place.current;
    if (!node) return;
    const look = () => setView({ top: node.scrollTop, height: node.clientHeight });
    const observer = new ResizeObserver(look);
    observer.observe(node);
    node.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      node.removeEventListener("scroll", look);
    };
  }, [total > 0]);
  const first = Math.max(0, Math.floor(view.top / height) - 8);
  const last = Math.min(total, Math.ceil((view.top + view.height) / height) + 8);
  useEffect(() => {
    const due = setTimeout(() => {
      for (let page = Math.floor(first / PAGE); page <= Math.floor(Math.max(last - 1, 0) / PAGE) && page * PAGE < total; page++) fetchPage(page);
    }, pages.size ? 80 : 0);
    return () => clearTimeout(due);
  }, [Math.floor(first / PAGE), Math.floor(last / PAGE), total, pages]);

  const rows = Array.from({ length: Math.max(0, last - first) }, (_, i) => ({ i: first + i, row: pages.get(Math.floor((first + i) / PAGE))?.[(first + i) % PAGE] }));
  const falling = sort.startsWith("-");
  const by = sort.replace(/^-/, "");
  return html`<div class="list" ref=${place} tabindex="0" role="group" aria-label=${said.rows}>
    <table class="table" aria-rowcount=${total + 1}>
      <thead><tr aria-rowindex="1">
        <th scope="col"><span class="only-read">${said.choose}</span></th>
        ${COLUMNS.map(
          (column) => html`<th scope="col" class=${classOf(column)} aria-sort=${by === column.name ? (falling ? "descending" : "ascending") : null}>
            <button class="sort" onClick=${() => sortBy(by === column.name && falling ? column.name : `-${column.name}`)} aria-label=${said.sortBy(said.columns[column.name])}>${said.columns[column.name]}<i aria-hidden="true">${by === column.name ? (falling ? " ▾" : " ▴") : ""}</i></button></th>`,
        )}
      </tr></thead>
      <tbody>
        ${first > 0 && html`<tr class="space" aria-hidden="true" style=${{ height: `${first * height}px` }}></tr>`}
        ${rows.map(({ i, row }) => (row ? html`<${Row} key=${row.key} i=${i} row=${row} picked=${picked.includes(row.key)} pick=${pick} />` : html`<tr key=${i} class="waits" aria-rowindex=${i + 2}><td colspan=${COLUMNS.length + 1}>…</td></tr>`))}
        ${last < total && html`<tr class="space" aria-hidden="true" style=${{ height: `${(total - last) * height}px` }}></tr>`}
      </tbody>
    </table>
  </div>`;
}

/** @param {{i: number, row: any, picked: boolean, pick: (key: string) => void}} props */
function Row({ i, row, picked, pick }) {
  if (!row.is_intact) return html`<tr aria-rowindex=${i + 2}><td></td><th scope="row"><code>${row.key.slice(0, 12)}</code></th><td colspan=${COLUMNS.length - 1} class="bad">${said.damaged}</td></tr>`;
  const name = `${row.network}, ${said.columns.learning_rate} ${rate(row.learning_rate)}, ${said.columns.batch_size} ${row.batch_size}, ${said.columns.seed} ${row.seed}`;
  return html`<tr aria-rowindex=${i + 2} data-picked=${picked}>
    <td><label class="pick"><input type="checkbox" checked=${picked} onChange=${() => pick(row.key)} aria-label=${said.pick(name)} /></label></td>
    ${COLUMNS.map((column, c) =>
      c === 0
        ? html`<th scope="row"><a href=${`/runs/${row.key}`} title=${row.network}>${column.show(row)}</a></th>`
        : html`<td class=${classOf(column)}>${column.show(row)}</td>`,
    )}
  </tr>`;
}

// The shell: the bar on top, the view that the URL names, and what is said when the server is gone.
import { get } from "./lib/api.js";
import { html, render, useEffect, useState } from "./lib/html.js";
import { connect, useConnection } from "./lib/live.js";
import { followLinks, useRoute } from "./lib/route.js";
import { switchTheme, useTheme } from "./lib/theme.js";
import { texts } from "./texts/en.js";
import { views } from "./views.js";

const said = texts.shell;
const TABS = /** @type {const} */ (["train", "draw", "studies", "runs"]);

/** @param {{view: string, about: any}} props */
function Bar({ view, about }) {
  const connection = useConnection();
  const now = useTheme();
  const lost = connection === "lost" || connection === "outdated";
  return html`<header class="bar">
      <a class="skip" href="#view" onClick=${skip}>${said.skip}</a>
      <a class="brand" href="/">${said.name}</a>
      <nav aria-label=${said.views}>
        ${TABS.map(
          (tab) => html`<a href="/${tab}" aria-current=${tab === view ? "page" : null}>${said.tabs[tab]}</a>`,
        )}
        ${about?.classroom &&
        html`<a href="/board" aria-current=${view === "board" ? "page" : null}>${said.tabs.board}</a>`}
      </nav>
      <p class="state">
        ${about?.visitor && html`<b style=${{ color: `var(--series-${about.visitor.colour})` }}>${about.visitor.name}</b>`}
        ${about && html`<span class="cores">${said.cores(about.cores)}</span>`}
        <span class="dot" data-state=${connection}></span>
        <span class="word" role="status">${said.connection[connection]}</span>
      </p>
      <button class="icon" onClick=${switchTheme} aria-label=${said.toTheme(now)} title=${said.toTheme(now)}>
        <span aria-hidden="true">◐</span>
      </button>
    </header>
    ${lost &&
    html`<div class="gone" role="alert">
      <span>${said.gone[connection]}</span>
      ${connection === "outdated" &&
      html`<button class="button" onClick=${() => location.reload()}>${said.reload}</button>`}
    </div>`}`;
}

/** @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("view")?.focus();
}

function App() {
  const route = useRoute();
  const [about, setAbout] = useState(/** @type {any} */ (null));
  const [shown, setShown] = useState(/** @type {{view: string, component: any}} */ ({ view: "", component: null }));
  const view = route.view in views ? route.view : "train";

  useEffect(() => void get("about").then(setAbout, () => {}), []);
  useEffect(() => {
    document.title = said.title(view);
    views[view]().then(
      (module) => setShown({ view, component: module.default }),
      () => setShown({ view, component: Missing }),
    );
  }, [view]);

  const View = shown.view === view ? shown.component : null;
  return html`<${Bar} view=${view} about=${about} />
    <main id="view" tabindex="-1" data-view=${view}>${View && html`<${View} route=${route} about=${about} />`}</main>`;
}

const Missing = () => html`<p class="empty">${said.missing}</p>`;

followLinks();
connect();
const app = /** @type {HTMLElement} */ (document.getElementById("app"));
app.replaceChildren();
render(html`<${App} />`, app);

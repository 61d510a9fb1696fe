// Every text of the page, by view; a text with values is a function. Another language is another such file.
export const texts = {
  shell: {
    name: "digitlab",
    title: (/** @type {string} */ view) => `digitlab: ${view}`,
    skip: "Skip to the content",
    views: "Views",
    tabs: { train: "Train", draw: "Draw", studies: "Studies", runs: "Runs", board: "Board" },
    cores: (/** @type {number} */ n) => (n === 1 ? "1 core" : `${n} cores`),
    connection: { connecting: "connecting", connected: "connected", lost: "not connected", outdated: "older page" },
    gone: {
      lost: "The server does not answer. What you see stays; the page connects again by itself. If you stopped it: digitlab serve",
      outdated: "This page is older than the server. Reload to go on.",
    },
    reload: "Reload",
    toTheme: (/** @type {"light" | "dark"} */ now) => (now === "dark" ? "Switch to light colours" : "Switch to dark colours"),
    noAnswer: "The server does not answer. Is digitlab serve still running?",
    refused: (/** @type {number} */ status) => `The server refused this (${status}).`,
    missing: "This view could not be loaded. Reload the page.",
    copy: "Copy",
    copied: "Copied",
  },
  chart: {
    asTable: "as a table",
    keys: "Arrow keys move the cursor.",
    summary: (/** @type {string} */ title, /** @type {number} */ n, /** @type {string} */ latest) =>
      n === 0 ? `${title}: nothing yet.` : `${title}, ${n} ${n === 1 ? "curve" : "curves"}. ${latest}`,
    more: (/** @type {number} */ n) => `and ${n} more`,
    empty: "Nothing to see yet.",
  },
};

// The URL is the page's state: which view, what of it, and its settings.
import { useEffect, useState } from "./html.js";

/**
 * @typedef {{view: string, rest: string, params: Record<string, string>}} Route
 * view: the first part of the path, rest: what comes after it, params: the query
 */

/** @type {Set<() => void>} */
const listeners = new Set();

/** @returns {Route} */
export function current() {
  const [view, ...rest] = location.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  return { view: view || "train", rest: rest.join("/"), params: Object.fromEntries(new URLSearchParams(location.search)) };
}

/**
 * The address of a view; a setting that is null, undefined or "" is left out.
 * @param {string} path
 * @param {Record<string, unknown>} [params]
 */
export function link(path, params = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString().replaceAll("%2C", ",");
  return query ? `${path}?${query}` : path;
}

/**
 * Goes to a view, or changes its settings; replace: without a step for Back.
 * @param {string} path
 * @param {Record<string, unknown>} [params]
 * @param {{replace?: boolean}} [how]
 */
export function navigate(path, params = {}, { replace = false } = {}) {
  const target = link(path, params);
  if (target === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", target);
  for (const listener of listeners) listener();
}

/** @returns {Route} */
export function useRoute() {
  const [route, setRoute] = useState(current);
  useEffect(() => {
    const changed = () => setRoute(current());
    listeners.add(changed);
    addEventListener("popstate", changed);
    return () => {
      listeners.delete(changed);
      removeEventListener("popstate", changed);
    };
  }, []);
  return route;
}

/** Links to views of this page change the URL without loading the page anew; all others are the browser's. */
export function followLinks() {
  addEventListener("click", (event) => {
    const anchor = /** @type {Element} */ (event.target).closest?.("a[href]");
    if (!(anchor instanceof HTMLAnchorElement) || event.defaultPrevented || event.button !== 0) return;
    if (event.ctrlKey || event.metaKey || event.shiftKey || anchor.target || anchor.hasAttribute("download")) return;
    const { origin, pathname, search, hash } = new URL(anchor.href);
    if (origin !== location.origin || hash || /^\/(api|docs|static|reports|openapi)\b/.test(pathname)) return;
    event.preventDefault();
    navigate(pathname + search);
    scrollTo(0, 0);
  });
}

// Light or dark: as the system says, until the visitor says otherwise.
import { useEffect, useState } from "./html.js";

const KEPT = "digitlab.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
/** @type {Set<() => void>} */
const listeners = new Set();

/** @returns {"light" | "dark"} */
export const theme = () => {
  const said = document.documentElement.dataset.theme;
  return said === "light" || said === "dark" ? said : system.matches ? "dark" : "light";
};

/** Colours of the theme that is shown: to ask the browser makes it compute all styles anew.
 * @type {Map<string, string>} */
const colours = new Map();

/** @param {string | null} name */
function set(name) {
  colours.clear();
  if (name) document.documentElement.dataset.theme = name;
  for (const listener of listeners) listener();
}

export function switchTheme() {
  const next = theme() === "dark" ? "light" : "dark";
  localStorage.setItem(KEPT, next);
  set(next);
}

set(localStorage.getItem(KEPT));
system.addEventListener("change", () => set(null));

/** The theme, for what is drawn on a canvas. */
export function useTheme() {
  const [now, setNow] = useState(theme);
  useEffect(() => {
    const listener = () => setNow(theme());
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return now;
}

/** A colour of style.css by its name: token("ink"). */
export const token = (/** @type {string} */ name) => {
  let colour = colours.get(name);
  if (colour === undefined) colours.set(name, (colour = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()));
  return colour;
};

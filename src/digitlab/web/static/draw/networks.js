// The networks that are drawn on: which of the page's and the store's, and their weights as they are now.
// @ts-check

import { bytes } from "../lib/api.js";
import { useEffect, useRef, useState } from "../lib/html.js";
import { isLive, watch } from "../lib/live.js";
import { readNetwork } from "../lib/network.js";
import { WeightsError } from "../lib/safetensors.js";
import { texts } from "../texts/en.js";

/**
 * @typedef {import("../lib/live.js").LiveRun} LiveRun
 * @typedef {import("../lib/network.js").Network} Network
 * @typedef {{key: string, network: Network | null, says: string, step: number | null}} Loaded
 *   network: null while it is fetched or cannot be; says: why, or how far it is
 */

const KEY = /^[0-9a-f]{64}$/;
/** Networks side by side. */
export const MOST = 6;
const USUAL = 3;
/** Any more weights than these are not worth a page's memory. */
const KEPT = 12;
/** @type {Map<string, {network: Network, version: number, step: number | null}>} */
const known = new Map();

/**
 * The runs of the page that can be drawn on: trained, or with a first snapshot; the newest first. One that broke reads
 * nothing, and is shown only where its key is named.
 * @param {LiveRun[]} runs
 */
export const drawable = (runs) => [...runs].reverse().filter((run) => run.status === "done" || (isLive(run) && run.weights > 0));

/**
 * The keys that are shown: those that the URL names, or the newest of each size of network.
 * @param {string | undefined} named
 * @param {LiveRun[]} runs
 */
export function chosenKeys(named, runs) {
  if (named !== undefined) return [...new Set(named.split(",").filter((key) => KEY.test(key)))].slice(0, MOST);
  /** @type {Map<string, string>} */
  const newest = new Map();
  for (const run of drawable(runs)) {
    if (run.status === "done" && !newest.has(run.network)) newest.set(run.network, run.key);
  }
  return [...newest.values()].slice(0, USUAL);
}

/**
 * The networks of these keys, each fetched once; those that still train again and again, as they learn.
 * @param {string[]} keys
 * @param {LiveRun[]} runs
 * @returns {Loaded[]}
 */
export function useNetworks(keys, runs) {
  const [says, setSays] = useState(/** @type {Record<string, string>} */ ({}));
  const asking = useRef(/** @type {Map<string, AbortController>} */ (new Map()));
  const failed = useRef(new Set());
  const leave = (/** @type {string[]} */ still) => {
    for (const [key, shown] of asking.current)
      if (!still.includes(key)) {
        shown.abort();
        asking.current.delete(key);
      }
  };
  useEffect(() => leave(keys), [keys.join()]);
  useEffect(() => () => leave([]), []);
  const live = keys.filter((key) => runs.some((run) => run.key === key && isLive(run)));
  useEffect(() => (live.length ? watch(live) : undefined), [live.join()]);

  useEffect(() => {
    for (const key of keys) {
      const run = runs.find((each) => each.key === key);
      const version = run && isLive(run) ? run.weights : Infinity;
      const name = `${key} ${version}`;
      if (version === 0 || asking.current.has(key) || failed.current.has(name)) continue;
      if ((known.get(key)?.version ?? 0) >= version) continue;
      const shown = new AbortController();
      asking.current.set(key, shown);
      void fetched(key, version, shown.signal, (text) => setSays((before) => ({ ...before, [key]: text }))).then((text) => {
        asking.current.delete(key);
        if (text) failed.current.add(name);
        setSays((before) => ({ ...before, [key]: text }));
      });
    }
  });
  return keys.map((key) => {
    const found = known.get(key);
    return { key, network: found?.network ?? null, step: found?.step ?? null, says: says[key] ?? texts.draw.networks.fetching };
  });
}

/**
 * @param {string} key @param {number} version @param {AbortSignal} signal @param {(text: string) => void} tell
 * @returns {Promise<string>} why there is none; "": there is
 */
async function fetched(key, version, signal, tell) {
  try {
    const waiting = (/** @type {{says: string, progress: number | null}} */ { says, progress }) =>
      tell(texts.draw.networks.making(says, progress));
    const { bytes: file, headers } = await bytes(`runs/${key}/weights`, {}, signal, waiting);
    known.delete(key);
    known.set(key, { network: readNetwork(file), version, step: headers.has("X-Step") ? Number(headers.get("X-Step")) : null });
    for (const old of [...known.keys()].slice(0, -KEPT)) known.delete(old);
    return "";
  } catch (error) {
    if (error instanceof WeightsError) return texts.draw.networks.unreadable(error.reason);
    return /** @type {Error} */ (error).message;
  }
}

// One socket for the page: the runs as the server tells them, up to ten times a second.
import { useEffect, useState } from "./html.js";

/**
 * @typedef {[number, number | string | null, number | string | null, number | null]} Point
 * step, training loss, validation loss, validation accuracy
 * @typedef {{
 *   key: string, spec: any, options: Record<string, any>, network: string, title: string, command: string,
 *   race: string | null, status: "waiting" | "training" | "done" | "diverged" | "collapsed" | "failed" | "cancelled",
 *   position: number | null, step: number, step_count: number, training_loss: number | string | null,
 *   accuracy: number | null, points: Point[], steps_per_second: number | null, seconds_left: number | null,
 *   seconds: number | null, test_accuracy: number | null, weights: number, says: string | null,
 *   visitor: {name: string, colour: number} | null }} LiveRun
 * @typedef {"connecting" | "connected" | "lost" | "outdated"} Connection
 */

/** @type {Map<string, LiveRun>} */
let runs = new Map();
/** @type {LiveRun[]} */
let listed = [];
/** @type {Connection} */
let connection = "connecting";
/** @type {WebSocket | null} */
let socket = null;
/** The digest of the page's files that this page was loaded with. */
const page = document.querySelector('meta[name="page"]')?.getAttribute("content");
let attempts = 0;
let due = false;
/** @type {Map<object, string[]>} */
const watches = new Map();
/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {Set<(message: any) => void>} */
const studyListeners = new Set();

/** What arrives between two frames is drawn once. */
function changed() {
  if (due) return;
  due = true;
  const tell = () => {
    if (!due) return;
    due = false;
    listed = [...runs.values()];
    for (const listener of listeners) listener();
  };
  requestAnimationFrame(tell);
  setTimeout(tell, 250); // a page in the background has no frames
}

/** @param {any} message */
function receive(message) {
  if (message.type === "hello") {
    connection = message.page === page ? "connected" : "outdated";
    attempts = 0;
    tellWatched();
  } else if (message.type === "state") {
    runs = new Map(message.runs.map((/** @type {LiveRun} */ run) => [run.key, run]));
  } else if (message.type === "update") {
    for (const change of message.runs ?? []) merge(change);
    for (const key of message.removed ?? []) runs.delete(key);
  } else if (message.type === "study") {
    for (const listener of studyListeners) listener(message);
  }
  changed();
}

/** @param {any} change */
function merge(change) {
  const { from = 0, ...rest } = change;
  const before = runs.get(change.key);
  if (rest.points && before) rest.points = [...before.points.slice(0, from), ...rest.points];
  runs.set(change.key, /** @type {LiveRun} */ ({ points: [], ...before, ...rest }));
}

/** Runs that a request has answered with, before the socket tells of them. @param {LiveRun[]} answered */
export function add(answered) {
  for (const run of answered) if (!runs.has(run.key) || runs.get(run.key)?.status === "waiting") runs.set(run.key, run);
  changed();
}

/** Opens the socket and keeps it open: after a loss it is tried again, ever more slowly, up to every five seconds. */
export function connect() {
  const address = new URL("/api/live/events", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  socket = new WebSocket(address);
  socket.onmessage = (event) => receive(JSON.parse(event.data));
  socket.onclose = () => {
    if (connection !== "outdated") connection = attempts > 0 || connection === "connected" ? "lost" : "connecting";
    changed();
    setTimeout(connect, Math.min(5000, 250 * 2 ** attempts++));
  };
}

function tellWatched() {
  const keys = [...new Set([...watches.values()].flat())];
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "watch", keys }));
}

/**
 * Runs whose parameters a component shows while they train.
 * @param {string[]} keys
 * @returns {() => void} to be called when they are no longer shown
 */
export function watch(keys) {
  const shown = {};
  watches.set(shown, keys);
  tellWatched();
  return () => {
    watches.delete(shown);
    tellWatched();
  };
}

/** @template T @param {() => T} read @returns {T} */
function useLatest(read) {
  const [value, setValue] = useState(read);
  useEffect(() => {
    const listener = () => setValue(read());
    listeners.add(listener);
    listener();
    return () => void listeners.delete(listener);
  }, []);
  return value;
}

/** Every run that the server holds, the oldest first. @returns {LiveRun[]} */
export const useRuns = () => useLatest(() => listed);

/** @returns {Connection} */
export const useConnection = () => useLatest(() => connection);

/** @param {(message: any) => void} callback @returns {() => void} */
export function onStudy(callback) {
  studyListeners.add(callback);
  return () => void studyListeners.delete(callback);
}

/** @param {LiveRun} run */
export const isLive = (run) => run.status === "training" || run.status === "waiting";

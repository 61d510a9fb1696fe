// Requests to this server. What it refuses comes as an ApiError with the server's own sentence.
//
// Each takes a signal: once that is aborted, nobody waits for the answer any more, and none comes, nor a refusal.
import { texts } from "../texts/en.js";
import { useEffect, useRef } from "./html.js";
import { link } from "./route.js";

export class ApiError extends Error {
  /**
   * @param {number} status 0: no answer came
   * @param {string} says one sentence with the remedy
   * @param {string | null} field the setting that it is about
   */
  constructor(status, says, field = null) {
    super(says);
    this.status = status;
    this.says = says;
    this.field = field;
  }
}

/** What never comes. @type {Promise<never>} */
const never = new Promise(() => {});

/**
 * @template T
 * @param {string} path
 * @param {RequestInit} init
 * @param {(response: Response) => Promise<T>} read
 * @returns {Promise<T>}
 */
async function ask(path, init, read) {
  try {
    const response = await fetch(path.startsWith("/") ? path : `/api/${path}`, init);
    if (response.ok) {
      const answer = await read(response);
      return init.signal?.aborted ? never : answer;
    }
    const fault = await response.json().catch(() => ({}));
    throw new ApiError(response.status, fault.says || texts.shell.refused(response.status), fault.field ?? null);
  } catch (error) {
    if (init.signal?.aborted) return never;
    throw error instanceof ApiError ? error : new ApiError(0, texts.shell.noAnswer);
  }
}

/**
 * @param {string} path under /api, without it: "presets"
 * @param {Record<string, unknown>} [params]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export const get = (path, params, signal) => ask(link(path, params), { signal }, (response) => response.json());

/** @param {string} path @param {AbortSignal} signal @returns {Promise<string>} */
export const text = (path, signal) => ask(path, { signal }, (response) => response.text());

/**
 * @param {string} path
 * @param {unknown} [body] JSON, or a Blob as it is
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export function post(path, body = {}, signal) {
  const raw = body instanceof Blob;
  const headers = { "Content-Type": raw ? body.type || "application/octet-stream" : "application/json" };
  const init = { method: "POST", headers, body: raw ? body : JSON.stringify(body), signal };
  return ask(path, init, async (response) => (response.status === 204 ? null : response.json()));
}

/**
 * Bytes with the answer's headers; while the server still makes them (202) it is asked again.
 * @param {string} path
 * @param {Record<string, unknown>} params
 * @param {AbortSignal} signal
 * @param {(state: {says: string, progress: number | null}) => void} [waiting]
 * @returns {Promise<{bytes: ArrayBuffer, headers: Headers}>}
 */
export async function bytes(path, params, signal, waiting) {
  for (;;) {
    const found = await ask(link(path, params), { signal }, async (response) =>
      response.status === 202 ? { state: await response.json() } : { bytes: await response.arrayBuffer(), headers: response.headers },
    );
    if (!("state" in found)) return found;
    waiting?.(found.state);
    await pause(300, signal);
  }
}

/** @param {number} milliseconds @param {AbortSignal} signal */
export async function pause(milliseconds, signal) {
  await new Promise((done) => setTimeout(done, milliseconds));
  if (signal.aborted) await never;
}

/**
 * Asks while a component shows it: anew when the inputs are others, and no longer once they are or the component goes.
 * @param {(signal: AbortSignal) => unknown} work
 * @param {unknown[]} inputs
 */
export function useAsking(work, inputs) {
  useEffect(() => {
    const shown = new AbortController();
    const end = work(shown.signal);
    return () => {
      shown.abort();
      if (typeof end === "function") end();
    };
  }, inputs);
}

/** A signal for what a component asks when something is pressed: aborted when it goes. @returns {() => AbortSignal} */
export function useSignal() {
  const shown = useRef(/** @type {AbortController | null} */ (null));
  useEffect(() => () => shown.current?.abort(), []);
  return () => (shown.current ??= new AbortController()).signal;
}

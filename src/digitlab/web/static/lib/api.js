// Requests to this server. What it refuses comes as an ApiError with the server's own sentence.
import { texts } from "../texts/en.js";
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

/**
 * @param {string} path
 * @param {RequestInit} [init]
 */
async function ask(path, init) {
  let response;
  try {
    response = await fetch(path.startsWith("/") ? path : `/api/${path}`, init);
  } catch {
    throw new ApiError(0, texts.shell.noAnswer);
  }
  if (response.ok) return response;
  const fault = await response.json().catch(() => ({}));
  throw new ApiError(response.status, fault.says || texts.shell.refused(response.status), fault.field ?? null);
}

/**
 * @param {string} path under /api, without it: "presets"
 * @param {Record<string, unknown>} [params]
 * @returns {Promise<any>}
 */
export const get = async (path, params) => (await ask(link(path, params))).json();

/**
 * @param {string} path
 * @param {unknown} [body] JSON, or a Blob as it is
 * @returns {Promise<any>}
 */
export async function post(path, body = {}) {
  const raw = body instanceof Blob;
  const headers = { "Content-Type": raw ? body.type || "application/octet-stream" : "application/json" };
  const response = await ask(path, { method: "POST", headers, body: raw ? body : JSON.stringify(body) });
  return response.status === 204 ? null : response.json();
}

/**
 * Bytes with the answer's headers; while the server still makes them (202) it is asked again.
 * @param {string} path
 * @param {Record<string, unknown>} [params]
 * @param {(state: {says: string, progress: number | null}) => void} [waiting]
 * @param {() => boolean} [wanted] whether anybody still waits for it; if not, it is asked for no more
 * @returns {Promise<{bytes: ArrayBuffer, headers: Headers}>}
 */
export async function bytes(path, params, waiting, wanted = () => true) {
  for (;;) {
    const response = await ask(link(path, params));
    if (response.status !== 202) return { bytes: await response.arrayBuffer(), headers: response.headers };
    waiting?.(await response.json());
    await new Promise((done) => setTimeout(done, 300));
    if (!wanted()) throw new ApiError(0, "");
  }
}

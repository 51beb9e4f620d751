// @ts-check
/** The public API, as the page uses it: requests with the key, errors as sentences, pictures as blobs. */

/** An answer that says no. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{code?: string, message?: string, param?: string | null}} error
   */
  constructor(status, error) {
    super(error.message ?? `the server answered ${status}`);
    this.status = status;
    this.code = error.code ?? "unknown";
    this.param = error.param ?? null;
  }
}

const KEY = "brushedit.key";
const KEPT_PICTURES = 60;
/** @type {Map<string, Promise<Blob>>} */
const pictures = new Map();

/** @returns {string} */
export function apiKey() {
  return localStorage.getItem(KEY) ?? "";
}

/** @param {string} key */
export function setApiKey(key) {
  if (key) localStorage.setItem(KEY, key);
  else localStorage.removeItem(KEY);
}

/**
 * @typedef {object} Asked
 * @property {string} [method]
 * @property {unknown} [json]
 * @property {FormData} [form]
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 */

/**
 * @param {string} path
 * @param {Asked} [asked]
 * @returns {Promise<Response>}
 */
export async function request(path, { method, json, form, headers = {}, signal } = {}) {
  const sent = new Headers(headers);
  if (apiKey()) sent.set("Authorization", `Bearer ${apiKey()}`);
  if (json !== undefined) sent.set("Content-Type", "application/json");
  const body = json !== undefined ? JSON.stringify(json) : form;
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path, { method: method ?? (body ? "POST" : "GET"), headers: sent, body, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, { code: "unreachable", message: "the server does not answer" });
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  if (response.status === 401) window.dispatchEvent(new Event("key-needed"));
  throw new ApiError(response.status, said.error ?? {});
}

/**
 * @param {string} path
 * @param {Asked} [asked]
 * @returns {Promise<any>} the answer's JSON; undefined where there is none
 */
export async function call(path, asked) {
  const response = await request(path, asked);
  return response.status === 204 ? undefined : response.json();
}

/**
 * A picture of the API. An address always stands for the same picture, so it is fetched once.
 * @param {string} path
 * @returns {Promise<Blob>}
 */
export function picture(path) {
  let found = pictures.get(path);
  if (found) pictures.delete(path);
  else {
    found = request(path).then((response) => response.blob());
    found.catch(() => pictures.delete(path));
  }
  pictures.set(path, found);
  const oldest = pictures.keys().next().value;
  if (pictures.size > KEPT_PICTURES && oldest !== undefined) pictures.delete(oldest);
  return found;
}

/**
 * @param {Blob} blob
 * @returns {Promise<string>}
 */
export function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(/** @type {string} */ (reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** @type {Record<string, string>} */
const NEXT_STEPS = {
  unreachable: "Check that the server runs, then try again.",
  not_found: "It may have been deleted, or it belongs to another key.",
  target_not_found: "Or paint over what you mean and say the same again.",
  unsupported_edit: "Ask for a part of the picture to be changed, or paint a mask.",
  plan_failed: "Say it more simply, or in other words.",
  instructor_unavailable: "Try again in a moment.",
  mask_empty: "Paint something first, or clear the mask to let it be found for you.",
  queue_full: "Others are waiting too; try again in a little while.",
  rate_limit_exceeded: "Wait a few seconds and try again.",
  image_too_large: "Use a smaller picture.",
  invalid_image: "Open another file.",
  worker_lost: "Try it again; if it goes on like this, look at the server's log.",
  internal_error: "Try it again; if it goes on like this, look at the server's log.",
};

/**
 * Say what went wrong and what can be done next.
 * @param {{code?: string, message?: string}} error
 * @returns {string}
 */
export function explain(error) {
  const said = error.message || "something went wrong";
  const sentence = said[0].toUpperCase() + said.slice(1) + (/[.!?…]$/.test(said) ? "" : ".");
  return [sentence, NEXT_STEPS[error.code ?? ""]].filter(Boolean).join(" ");
}

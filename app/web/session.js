// @ts-check
/** The open session: its turns, what the picture area shows, and everything a person can do to it. */

import { ApiError, call, explain } from "./api.js";
import { toast } from "./dom.js";
import { follow } from "./events.js";
import { createStore } from "./store.js";

/**
 * @typedef {object} Live What a running edit last told.
 * @property {string} stage
 * @property {number} [position] how many are carried out before it
 * @property {number} [step]
 * @property {number} [steps]
 * @property {string} [preview]
 *
 * @typedef {{id: string | null, sample: number}} Shown The node in the picture area; id null = the original.
 *
 * @typedef {object} State
 * @property {any | null} session
 * @property {any[]} turns
 * @property {Shown} shown
 * @property {Record<string, Live>} live
 */

export const store = createStore(/** @type {State} */ ({ session: null, turns: [], shown: { id: null, sample: 0 }, live: {} }));

/** @type {Map<string, AbortController>} */
const followed = new Map();
const UNFINISHED = new Set(["starting", "processing"]);

/** @param {any} turn */
export const unfinished = (turn) => UNFINISHED.has(turn.status);

/**
 * @param {string | null} id
 * @returns {any | undefined}
 */
export const findTurn = (id) => store.get().turns.find((turn) => turn.id === id);

/**
 * Address of the picture a node stands for.
 * @param {Shown} node
 * @returns {string}
 */
export function pictureOf({ id, sample }) {
  const turn = findTurn(id);
  return turn?.images[sample]?.url ?? turn?.images[0]?.url ?? store.get().session.input_url;
}

/**
 * What the API calls that picture in a request: it is there already, and need not be sent.
 * @param {Shown} node
 * @returns {string}
 */
export function reference({ id, sample }) {
  return id ? `${id}/${sample}` : store.get().session.id;
}

/**
 * @param {unknown} error
 */
export function complain(error) {
  if (error instanceof ApiError && error.status === 401) return;
  toast(error instanceof Error ? explain(/** @type {any} */ (error)) : String(error), { kind: "problem" });
}

/** Forget the open session. */
export function close() {
  for (const controller of followed.values()) controller.abort();
  followed.clear();
  store.set({ session: null, turns: [], shown: { id: null, sample: 0 }, live: {} });
}

/**
 * @param {Blob} file
 * @param {string} title
 * @returns {Promise<string>} the new session's id
 */
export async function start(file, title) {
  const form = new FormData();
  form.append("image", file, "picture");
  form.append("title", title);
  return (await call("/v1/sessions", { form })).id;
}

/** @param {string} id */
export async function open(id) {
  close();
  const { turns, ...session } = await call(`/v1/sessions/${id}`);
  store.set({ session, turns, shown: { id: session.head, sample: 0 } });
  for (const turn of turns.filter(unfinished)) listen(turn.id);
}

/** Read the session again; the picture follows where the head went. */
export async function refresh() {
  const known = store.get().session;
  if (!known) return;
  const { turns, ...session } = await call(`/v1/sessions/${known.id}`);
  if (store.get().session?.id !== session.id) return;
  const before = store.get();
  const moved = session.head !== before.session.head || !turns.some((/** @type {any} */ turn) => turn.id === before.shown.id);
  store.set({ session, turns, shown: moved ? { id: session.head, sample: 0 } : before.shown });
  for (const turn of turns.filter(unfinished)) listen(turn.id);
}

/** @param {Shown} shown */
export function show(shown) {
  store.set({ shown });
}

/**
 * Say the next thing about the picture that is shown.
 * @param {Record<string, any>} body instruction, and what else the API takes
 */
export async function say(body) {
  const { session, shown, turns } = store.get();
  const running = turns.some(unfinished);
  /** @type {Record<string, any>} */
  const asked = { ...body };
  if (!running) {
    if (shown.id) Object.assign(asked, { parent_id: shown.id, parent_index: shown.sample });
    else if (session.head) await call(`/v1/sessions/${session.id}/head`, { method: "PUT", json: { head: null } });
  }
  take(await call(`/v1/sessions/${session.id}/turns`, { json: asked }));
}

/**
 * Resume a turn from one of its stages with something changed.
 * @param {string} id
 * @param {Record<string, any>} change
 */
export async function fork(id, change) {
  take(await call(`/v1/edits/${id}/fork`, { json: change }));
}

/** @param {string} id */
export async function cancel(id) {
  await call(`/v1/edits/${id}/cancel`, { method: "POST" });
}

/** @param {"undo" | "redo"} which */
export async function step(which) {
  await call(`/v1/sessions/${store.get().session.id}/${which}`, { method: "POST" });
  await refresh();
}

/**
 * Continue from a node; null = the original.
 * @param {string | null} id
 */
export async function goTo(id) {
  await call(`/v1/sessions/${store.get().session.id}/head`, { method: "PUT", json: { head: id } });
  store.set({ shown: { id, sample: 0 } });
  await refresh();
}

/** @param {string} title */
export async function rename(title) {
  const session = await call(`/v1/sessions/${store.get().session.id}`, { method: "PATCH", json: { title } });
  store.set({ session: { ...store.get().session, ...session } });
}

/**
 * @param {string} id
 * @param {string} title
 */
export async function renameTurn(id, title) {
  const edit = await call(`/v1/edits/${id}`, { method: "PATCH", json: { title } });
  store.set({ turns: store.get().turns.map((turn) => (turn.id === id ? edit : turn)) });
}

/** @param {string} id */
export async function removeTurn(id) {
  const turn = findTurn(id);
  const { session } = store.get();
  if (session.head === id) await call(`/v1/sessions/${session.id}/head`, { method: "PUT", json: { head: turn.parent_id } });
  await call(`/v1/edits/${id}`, { method: "DELETE" });
  await refresh();
}

/** @param {string} id */
async function read(id) {
  const edit = await call(`/v1/edits/${id}`);
  store.set({ turns: store.get().turns.map((turn) => (turn.id === id ? edit : turn)) });
}

/** @param {any} edit */
function take(edit) {
  store.set({ turns: [...store.get().turns.filter((turn) => turn.id !== edit.id), edit] });
  listen(edit.id);
}

/** @param {string} id */
async function listen(id) {
  if (followed.has(id)) return;
  const controller = new AbortController();
  followed.set(id, controller);
  try {
    for await (const event of follow(`/v1/edits/${id}/events`, controller.signal)) note(id, event);
    if (!controller.signal.aborted) await refresh();
  } catch (error) {
    complain(error);
  } finally {
    followed.delete(id);
    const { [id]: _ended, ...live } = store.get().live;
    store.set({ live });
  }
}

/**
 * @param {string} id
 * @param {import("./events.js").Told} event
 */
function note(id, { type, data }) {
  const { live, turns } = store.get();
  const now = live[id] ?? { stage: "queued" };
  /** @type {Live} */
  const next = { ...now, position: type === "queued" ? data.position : undefined };
  if (type === "started") next.stage = "plan";
  if (type === "planned") next.stage = "locate";
  if (type === "located" || type === "stage") next.stage = data.stage ?? "paint";
  if (type === "denoised") Object.assign(next, { stage: "paint", step: data.step, steps: data.steps, preview: data.preview_url ?? now.preview });
  if (type === "located") read(id).catch(complain);
  const told = type === "planned" ? { plan: data.plan } : {};
  store.set({ live: { ...live, [id]: next }, turns: turns.map((turn) => (turn.id === id ? { ...turn, ...told } : turn)) });
}

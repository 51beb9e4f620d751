// @ts-check
/** The open session: its turns, what the picture area shows, and everything a person can do to it. */

import { ApiError, call, explain } from "./api.js";
import { toast } from "./dom.js";
import { follow } from "./events.js";
import { createStore } from "./store.js";
import { counted, passed } from "./tries.js";

/**
 * @typedef {object} Live What a running edit last told.
 * @property {string} stage
 * @property {number} [position] how many are carried out before it
 * @property {import("./tries.js").Painted} [painted]
 * @property {string} [preview]
 * @property {boolean} [lost] whether the line to the server is broken
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
const SENDING = "brushedit.sending";
const LATE = [1000, 3000, 8000]; // milliseconds
const OFTEN = 1000; // milliseconds
let sent = 0; // turns, since the page was loaded
let looked = 0; // when the session was last read because somebody came back

/** @param {any} turn */
export const unfinished = (turn) => UNFINISHED.has(turn.status);

/**
 * @param {string | null} id
 * @returns {any | undefined}
 */
export const findTurn = (id) => store.get().turns.find((turn) => turn.id === id);

/**
 * What a node is called.
 * @param {string | null} id
 * @returns {string}
 */
export const nameOf = (id) => wordsOf(id).filter(Boolean).join(" · ");

/**
 * What a node is called: what was asked, and where that is what another one was asked, what is different about it.
 * @param {string | null} id
 * @returns {[string, string]}
 */
export function wordsOf(id) {
  const turn = findTurn(id);
  if (!turn) return ["Original", ""];
  const source = !turn.title && turn.forked_from && findTurn(turn.forked_from);
  return [turn.title || turn.instruction, source ? changes(source, turn).join(", ") || "another mask" : ""];
}

/**
 * What a turn that did another again did otherwise, in words.
 * @param {any} source
 * @param {any} turn
 * @returns {string[]}
 */
function changes(source, turn) {
  const steps = (turn.plan?.steps ?? []).flatMap((/** @type {any} */ step, /** @type {number} */ at) => {
    const old = source.plan?.steps[at] ?? {};
    const words = ["kind", "target", "which", "caption"].filter((key) => step[key] !== old[key]).map((key) => step[key]);
    return words.length || JSON.stringify(step) === JSON.stringify(old) ? words : ["another place"];
  });
  const options = Object.keys(turn.options).filter((key) => turn.options[key] !== source.options[key]);
  return [...steps, ...options.map((key) => `${key.replaceAll("_", " ")} ${turn.options[key]}`)];
}

/**
 * A node with the variant that was last gone on with.
 * @param {string | null} id
 * @param {any[]} [turns]
 * @returns {Shown}
 */
export function nodeOf(id, turns = store.get().turns) {
  return { id, sample: (id && turns.findLast((turn) => turn.parent_id === id)?.parent_index) || 0 };
}

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
  store.set({ session, turns, shown: nodeOf(session.head, turns) });
  for (const turn of turns.filter(unfinished)) listen(turn.id);
  if (sessionStorage.getItem(SENDING) !== id) return;
  // The page was loaded anew before it heard of a turn it had sent: the server may take that turn in any moment.
  sessionStorage.removeItem(SENDING);
  for (const pause of LATE) setTimeout(() => store.get().session?.id === id && refresh().catch(complain), pause);
}

/** Read the session again; the picture follows where the head went. */
export async function refresh() {
  const known = store.get().session;
  if (!known) return;
  const at = sent;
  const { turns, ...session } = await call(`/v1/sessions/${known.id}`);
  if (store.get().session?.id !== session.id) return;
  // What was sent meanwhile may not be in that answer.
  if (at !== sent) return refresh();
  const before = store.get();
  const moved = session.head !== before.session.head || !turns.some((/** @type {any} */ turn) => turn.id === before.shown.id);
  store.set({ session, turns, shown: moved ? nodeOf(session.head, turns) : before.shown });
  for (const turn of turns.filter(unfinished)) listen(turn.id);
}

/** Read the session again when somebody comes back to the page: another tab may have gone on with it. */
export function watch() {
  const look = () => {
    if (document.hidden || Date.now() - looked < OFTEN) return;
    looked = Date.now();
    refresh().catch(complain);
  };
  window.addEventListener("focus", look);
  document.addEventListener("visibilitychange", look);
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
  await send(`/v1/sessions/${session.id}/turns`, asked);
}

/**
 * Resume a turn from one of its stages with something changed.
 * @param {string} id
 * @param {Record<string, any>} change
 */
export async function fork(id, change) {
  await send(`/v1/edits/${id}/fork`, change);
}

/**
 * @param {string} path
 * @param {Record<string, any>} json what makes a turn
 */
async function send(path, json) {
  sessionStorage.setItem(SENDING, store.get().session.id);
  const edit = await call(path, { json }).catch((error) => {
    if (error.status > 0) sessionStorage.removeItem(SENDING);
    throw error;
  });
  sessionStorage.removeItem(SENDING);
  sent++;
  take(edit);
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
  show(nodeOf(id));
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
  const next = { ...now, position: type === "queued" ? data.position : undefined, lost: type === "lost" };
  if (type === "lost" || type === "back") next.position = now.position;
  // A worker that takes over from one that died begins from the start.
  if (type === "started") Object.assign(next, { stage: "plan", painted: undefined });
  if (type === "planned") next.stage = "locate";
  if (type === "located" || type === "stage") next.stage = data.stage ?? "paint";
  if (type === "denoised") Object.assign(next, { stage: "paint", painted: counted(now.painted, data, findTurn(id)?.options.samples ?? 1), preview: data.preview_url ?? now.preview });
  if (type === "blended") next.painted = passed(now.painted);
  if (type === "located") read(id).catch(complain);
  const told = type === "planned" ? { plan: data.plan } : {};
  store.set({ live: { ...live, [id]: next }, turns: turns.map((turn) => (turn.id === id ? { ...turn, ...told } : turn)) });
}

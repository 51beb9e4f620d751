// @ts-check
/** The batch in view: its rows, sent as one request, and what became of each. */

import { call, dataUrl, request } from "./api.js";
import { readList } from "./csv.js";
import { complain } from "./session.js";
import { createStore } from "./store.js";

/**
 * @typedef {object} Row
 * @property {string} id the `custom_id` it goes by: its name, with a number where another row has that
 * @property {string} name
 * @property {File | null} file
 * @property {string} said its own instruction; empty = the one for all
 * @property {string} [asked] the instruction it was sent with
 * @property {boolean} [listed] whether a line of a list stands for it
 * @property {{url: string, text: string}} [request] a line in the API's own form, sent as it is
 * @property {"ready" | "waiting" | "succeeded" | "failed"} state
 * @property {string} [result] address of its picture
 * @property {any} [error]
 *
 * @typedef {object} Batch
 * @property {Row[]} rows
 * @property {import("./csv.js").Line[]} listed lines of lists whose pictures are not there yet
 * @property {string[]} faults of lines that make no row
 * @property {any | null} sent what the server says of it
 */

const PAUSE = 800;
const OPEN = new Set(["validating", "in_progress", "paused", "cancelling"]);
/** @type {Batch} */
const NOTHING = { rows: [], listed: [], faults: [], sent: null };

export const batch = createStore(NOTHING);

/** @param {any} sent */
export const isOpen = (sent) => OPEN.has(sent?.status);

/**
 * Take pictures, and lists of what is to become of them.
 * @param {File[]} files
 */
export async function add(files) {
  const lists = await Promise.all(files.filter(isList).map(async (file) => readList(file.name, await file.text())));
  if (files.length && batch.get().sent) clear();
  const before = batch.get();
  const rows = before.rows.map((row) => ({ ...row }));
  const faults = [...before.faults, ...lists.flatMap((list) => list.faults)];
  for (const file of files.filter((one) => !isList(one))) rows.push({ id: unlike(file.name, rows), name: file.name, file, said: "", state: "ready" });
  const listed = [];
  for (const line of [...before.listed, ...lists.flatMap(({ lines }) => lines)]) {
    const fault = line.request ? misfit(line, rows) : "";
    if (fault) faults.push(`${line.where}: ${fault}`);
    else if (line.request) rows.push({ id: line.name, name: line.name, file: null, said: line.said, request: line.request, state: "ready" });
    else if (!place(line, rows)) listed.push(line);
  }
  batch.set({ rows, listed, faults });
}

/**
 * Give a line the row of its picture, or one more where others have that.
 * @param {import("./csv.js").Line} line
 * @param {Row[]} rows
 * @returns {boolean} whether its picture is there
 */
function place({ name, said }, rows) {
  const named = rows.filter((row) => row.file && row.name === name);
  const last = named.at(-1);
  if (!last) return false;
  const free = named.find((row) => !row.listed && !row.said);
  if (free) Object.assign(free, { said, listed: true });
  else rows.splice(rows.indexOf(last) + 1, 0, { ...last, id: unlike(name, rows), said, listed: true });
  return true;
}

/**
 * @param {import("./csv.js").Line} line a whole request
 * @param {Row[]} rows
 * @returns {string} why it cannot go with them; empty = it can
 */
function misfit({ name, request: asked }, rows) {
  if (rows.some(({ id }) => id === name)) return `there is another “${name}”.`;
  const other = rows.find((row) => row.request && row.request.url !== asked?.url)?.request;
  return other ? `it is for ${asked?.url}, those before it are for ${other.url}; a batch goes to one of them.` : "";
}

/**
 * @param {string} name
 * @param {Row[]} rows
 */
function unlike(name, rows) {
  const dot = name.lastIndexOf(".");
  const [stem, end] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
  const taken = new Set(rows.map(({ id }) => id));
  let id = name;
  for (let number = 2; taken.has(id); number++) id = `${stem} ${number}${end}`;
  return id;
}

/** @param {File} file */
const isList = ({ name }) => /\.(csv|jsonl)$/i.test(name);

/** Begin a new batch. */
export function clear() {
  batch.set(NOTHING);
}

/** @returns {string[]} names that a list gives an instruction to, of pictures that are not there yet */
export function missing() {
  return [...new Set(batch.get().listed.map(({ name }) => name))];
}

/** @returns {Row[]} those that have no instruction of their own */
export function wordless() {
  return batch.get().rows.filter((row) => !row.request && !row.said.trim());
}

/**
 * @param {string} id
 * @param {string} said
 */
export function tell(id, said) {
  // The field itself shows what is typed: no follower has to draw for it.
  const row = batch.get().rows.find((one) => one.id === id);
  if (row) row.said = said;
}

/** @param {string} id */
export function drop(id) {
  batch.set({ rows: batch.get().rows.filter((row) => row.id !== id) });
}

/** @param {string} common the instruction of rows that have none of their own */
export async function send(common) {
  await begin(batch.get().rows.map((row) => (row.request ? row : { ...row, said: row.said.trim() || common })));
}

/** @param {Row[]} rows each with its instruction */
async function begin(rows) {
  const asked = rows.find((row) => row.request)?.request;
  const sent = asked ? await sendLines(rows, asked.url) : await sendPictures(rows);
  batch.set({ ...NOTHING, sent, rows: rows.map((row) => ({ ...row, asked: row.said, state: "waiting", error: undefined })) });
  await watch(sent.id);
}

/** @param {Row[]} rows */
async function sendPictures(rows) {
  const form = new FormData();
  for (const row of rows) form.append("image", /** @type {File} */ (row.file), row.id);
  form.append("instruction", JSON.stringify(rows.map(({ said }) => said)));
  return call("/v1/batches", { form });
}

/**
 * @param {Row[]} rows
 * @param {string} endpoint
 */
async function sendLines(rows, endpoint) {
  const words = endpoint === "/v1/edits" ? "instruction" : "prompt";
  const lines = await Promise.all(
    rows.map(async (row) => row.request?.text ?? JSON.stringify({ custom_id: row.id, url: endpoint, body: { image: await dataUrl(/** @type {File} */ (row.file)), [words]: row.said } })),
  );
  const form = new FormData();
  form.append("file", new File([lines.join("\n")], "requests.jsonl"));
  form.append("purpose", "batch");
  const file = await call("/v1/files", { form });
  return call("/v1/batches", { json: { input_file_id: file.id, endpoint } });
}

/** @param {string} id */
export async function open(id) {
  const sent = await call(`/v1/batches/${id}`);
  batch.set({ ...NOTHING, sent });
  await watch(id);
}

/** @param {"cancel" | "pause" | "resume" | "retry"} verb */
export async function ask(verb) {
  const { sent, rows } = batch.get();
  const answer = await call(`/v1/batches/${sent.id}/${verb}`, { method: "POST" });
  batch.set({ sent: answer, rows: verb === "retry" ? rows.map((row) => (row.state === "failed" ? { ...row, state: "waiting", error: undefined } : row)) : rows });
  await watch(sent.id);
}

/** @returns {boolean} whether a row that failed has other words now */
export const reworded = () => batch.get().rows.some((row) => row.state === "failed" && row.asked !== undefined && row.said.trim() !== row.asked);

/** Carry out once more what failed: with other words, in a batch of its own, as a batch keeps what it was asked. */
export async function retry() {
  if (!reworded()) return ask("retry");
  const failed = batch.get().rows.filter((row) => row.state === "failed");
  await begin(failed.map((row) => ({ ...row, said: row.said.trim() || row.asked || "" })));
}

let watched = "";

/** @param {string} id */
async function watch(id) {
  if (watched === id) return;
  watched = id;
  try {
    for (let told = -1; batch.get().sent?.id === id; await new Promise((resolve) => setTimeout(resolve, PAUSE))) {
      const sent = await call(`/v1/batches/${id}`);
      const { completed, failed } = sent.request_counts;
      if (completed + failed !== told) await results(id);
      told = completed + failed;
      if (batch.get().sent?.id === id) batch.set({ sent });
      if (!isOpen(sent)) return;
    }
  } catch (error) {
    complain(error);
  } finally {
    if (watched === id) watched = "";
  }
}

/** @param {string} id */
async function results(id) {
  const text = await (await request(`/v1/batches/${id}/results`)).text();
  const lines = text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  if (batch.get().sent?.id !== id) return;
  const rows = new Map(batch.get().rows.map((row) => [row.id, row]));
  for (const { custom_id, response } of lines) {
    const { error, images } = response.body;
    const known = rows.get(custom_id) ?? { id: custom_id, name: custom_id, file: null, said: "" };
    rows.set(custom_id, { ...known, state: error ? "failed" : "succeeded", error, result: images?.[0]?.url });
  }
  batch.set({ rows: [...rows.values()] });
}

// @ts-check
/** The batch in view: its rows, sent as one request, and what became of each. */

import { call, request } from "./api.js";
import { instructions } from "./csv.js";
import { complain } from "./session.js";
import { createStore } from "./store.js";

/**
 * @typedef {object} Row
 * @property {string} id the `custom_id` it goes by: its name, with a number where another row has that
 * @property {string} name
 * @property {File | null} file
 * @property {string} said its own instruction; empty = the one for all
 * @property {"ready" | "waiting" | "succeeded" | "failed"} state
 * @property {string} [result] address of its picture
 * @property {any} [error]
 *
 * @typedef {object} Batch
 * @property {Row[]} rows
 * @property {Map<string, string>} listed instructions by the picture's name, from lists
 * @property {any | null} sent what the server says of it
 */

const PAUSE = 800;
const OPEN = new Set(["validating", "in_progress", "paused", "cancelling"]);

export const batch = createStore(/** @type {Batch} */ ({ rows: [], listed: new Map(), sent: null }));

/** @param {any} sent */
export const isOpen = (sent) => OPEN.has(sent?.status);

/**
 * Take pictures, and lists: a CSV of instructions, or a JSONL of whole requests.
 * @param {File[]} files
 */
export async function add(files) {
  const [lines] = files.filter(({ name }) => /\.jsonl$/i.test(name));
  if (lines) return sendLines(lines);
  if (files.length && batch.get().sent) clear();
  const listed = new Map(batch.get().listed);
  for (const list of files.filter(isList)) for (const [name, said] of instructions(await list.text())) listed.set(name, said);
  const rows = [...batch.get().rows];
  for (const file of files.filter((one) => !isList(one))) {
    rows.push({ id: unlike(file.name, new Set(rows.map(({ id }) => id))), name: file.name, file, said: "", state: "ready" });
  }
  batch.set({ rows: rows.map((row) => ({ ...row, said: row.said || (listed.get(row.name) ?? "") })), listed });
}

/**
 * @param {string} name
 * @param {Set<string>} taken
 */
function unlike(name, taken) {
  const dot = name.lastIndexOf(".");
  const [stem, end] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
  let id = name;
  for (let number = 2; taken.has(id); number++) id = `${stem} ${number}${end}`;
  return id;
}

/** @param {File} file */
const isList = ({ name }) => /\.csv$/i.test(name);

/** Begin a new batch. */
export function clear() {
  batch.set({ rows: [], listed: new Map(), sent: null });
}

/** @returns {string[]} names that a list gives an instruction to, of pictures that are not there yet */
export function missing() {
  const { rows, listed } = batch.get();
  const known = new Set(rows.map(({ name }) => name));
  return [...listed.keys()].filter((name) => !known.has(name));
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
  const { rows } = batch.get();
  const form = new FormData();
  for (const row of rows) form.append("image", /** @type {File} */ (row.file), row.id);
  form.append("instruction", JSON.stringify(rows.map((row) => row.said || common)));
  const sent = await call("/v1/batches", { form });
  batch.set({ sent, rows: rows.map((row) => ({ ...row, said: row.said || common, state: "waiting" })) });
  await watch(sent.id);
}

/** @param {File} lines */
async function sendLines(lines) {
  const first = firstLine(await lines.text());
  const form = new FormData();
  form.append("file", lines);
  form.append("purpose", "batch");
  const file = await call("/v1/files", { form });
  const sent = await call("/v1/batches", { json: { input_file_id: file.id, endpoint: first.url } });
  clear();
  batch.set({ sent });
  await watch(sent.id);
}

/**
 * @param {string} text
 * @returns {{url: string}}
 */
function firstLine(text) {
  try {
    return JSON.parse(text.split("\n")[0]);
  } catch {
    throw new Error("the first line of this list is no JSON; each line is one request, as /docs describes for batches");
  }
}

/** @param {string} id */
export async function open(id) {
  const sent = await call(`/v1/batches/${id}`);
  clear();
  batch.set({ sent });
  await watch(id);
}

/** @param {"cancel" | "pause" | "resume" | "retry"} verb */
export async function ask(verb) {
  const { sent, rows } = batch.get();
  const answer = await call(`/v1/batches/${sent.id}/${verb}`, { method: "POST" });
  batch.set({ sent: answer, rows: verb === "retry" ? rows.map((row) => (row.state === "failed" ? { ...row, state: "waiting", error: undefined } : row)) : rows });
  await watch(sent.id);
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
    watched = "";
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

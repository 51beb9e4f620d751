// @ts-check
/** The batch screen: pictures in, one instruction or one each, a table of what became of them. */

import { call, explain, request } from "./api.js";
import { add, ask, batch, clear, drop, isOpen, missing, open, retry, reworded, send, tell, wordless } from "./batches.js";
import { shrunk, thumbnail } from "./bitmaps.js";
import { h, icon, iconButton, toast } from "./dom.js";
import { save } from "./export.js";
import { pick } from "./files.js";
import { complain } from "./session.js";

/** @type {Record<string, string>} */
const STATES = { ready: "Ready", waiting: "Waiting", succeeded: "Done", failed: "Failed" };
/** @type {Record<string, string>} */
const STATUSES = { validating: "getting ready", in_progress: "working", paused: "paused", cancelling: "cancelling", completed: "finished", cancelled: "cancelled", failed: "not accepted" };
const NOTES = 8;

/** @returns {{element: HTMLElement, add: (files: File[]) => Promise<void>, refresh: () => void}} */
export function batchScreen() {
  const common = h("input", { type: "text", id: "batch-instruction", maxLength: 4000, placeholder: "One instruction for all, such as “remove the cube”" });
  const stop = h("p", { class: "problem", role: "alert", hidden: true });
  const go = h("button", { type: "submit", class: "button primary" }, "Start");
  const choose = () => pick("image/*,.csv,.jsonl", true).then((files) => add(files)).catch(complain);
  const counts = h("p", { class: "batch-counts", role: "status" });
  const bar = h("progress", { "aria-label": "Items done", max: 1 });
  const verbs = h("div", { class: "batch-verbs" });
  const body = h("tbody", {});
  const table = h("table", { class: "batch-table" }, h("caption", {}, "Pictures"), h("thead", {}, h("tr", {}, ["Picture", "Instruction", "State", "Result"].map((name) => h("th", { scope: "col" }, name)))), body);
  const form = h(
    "form",
    {
      class: "batch-form",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        const silent = common.value.trim() ? [] : wordless();
        stop.hidden = silent.length === 0;
        if (silent.length) {
          stop.replaceChildren(icon("warn"), h("span", {}, `Say what should change: ${few(silent.map(({ name }) => name))} ${silent.length > 1 ? "have" : "has"} no instruction. Write one for all here, or one in each row.`));
          return common.focus();
        }
        go.disabled = true;
        send(common.value.trim()).catch((error) => (complain(error), (go.disabled = false)));
      },
    },
    h("label", { class: "field" }, h("span", {}, "Instruction for all"), common),
    go,
  );
  const notes = h("div", { class: "muted", role: "status" });
  const run = h("section", { class: "batch-run", "aria-label": "Progress" }, h("div", { class: "batch-progress" }, counts, bar), verbs);
  const earlier = h("section", { class: "recent", hidden: true });
  const element = h(
    "main",
    { class: "batch", oninput: () => (stop.hidden = true) },
    h("div", { class: "hero" }, h("h1", {}, "Many pictures at once"), h("button", { type: "button", class: "dropzone", onclick: choose }, icon("batch"), h("strong", {}, "Add pictures"), h("span", { class: "muted" }, "or drop them here, with a CSV or JSONL that says what becomes of each"))),
    form,
    stop,
    notes,
    run,
    table,
    earlier,
  );
  /** @type {import("./batches.js").Row[]} */
  let drawn = [];
  let last = "";
  batch.follow(({ rows, sent, faults }) => {
    form.hidden = sent !== null || rows.length === 0;
    if (form.hidden) stop.hidden = true;
    go.disabled = rows.length === 0;
    go.textContent = `Start ${rows.length}`;
    table.hidden = rows.length === 0;
    const noted = [asking(missing()), ...faults.slice(0, NOTES), faults.length > NOTES && `And ${faults.length - NOTES} lines more that cannot be used.`, ...(sent?.errors?.data.map(explain) ?? [])].filter(Boolean);
    notes.replaceChildren(...noted.map((one) => h("p", {}, one)));
    notes.hidden = noted.length === 0;
    run.hidden = sent === null;
    const now = sent ? `${sent.id} ${isOpen(sent)}` : "";
    // What a row is being told stays under the cursor while the server is asked how far it is.
    if (rows !== drawn || now !== last) body.replaceChildren(...rows.map((row) => line(row, sent)));
    if (now && now !== last) list(earlier).catch(complain);
    drawn = rows;
    last = now;
    if (!sent) return;
    const { completed, failed } = sent.request_counts;
    counts.textContent = progress(sent, rows.length);
    const total = Math.max(sent.request_counts.total, rows.length);
    if (total) bar.value = (completed + failed) / total;
    else bar.removeAttribute("value");
    verbs.replaceChildren(...actions(sent));
  });
  return { element, add, refresh: () => list(earlier).catch(complain) };
}

/**
 * @param {any} sent
 * @param {number} [known] rows; the server counts what it has read of them
 */
function progress({ request_counts: { total, completed, failed }, status }, known = 0) {
  const all = Math.max(total, known);
  return [all > 0 && `${completed} of ${all} done${failed ? `, ${failed} failed` : ""}`, STATUSES[status]].filter(Boolean).join(" · ");
}

/** @param {string[]} names of pictures */
function asking(names) {
  return names.length ? `The list speaks of ${names.length} more: add ${few(names)}.` : "";
}

/** @param {string[]} names */
function few(names) {
  return names.slice(0, 3).join(", ") + (names.length > 3 ? " and the others" : "");
}

/**
 * @param {import("./batches.js").Row} row
 * @param {any | null} sent
 */
function line(row, sent) {
  const img = h("img", { alt: "", class: "row-picture" });
  const unseen = h("p", { class: "muted" });
  const shown = row.result ? thumbnail(row.result) : row.file ? local(row.file) : null;
  shown?.then((address) => (img.src = address), () => (unseen.textContent = row.result ? "The result cannot be shown." : "This file cannot be read as a picture."));
  // A batch keeps what it was asked; pictures that are still at hand can be sent with other words.
  const again = row.state === "failed" && row.file !== null && !isOpen(sent);
  const editable = !row.request && (sent === null || again);
  const told = (/** @type {Event} */ event) => tell(row.id, /** @type {HTMLInputElement} */ (event.target).value);
  const said = editable ? h("input", { type: "text", value: row.said, maxLength: 4000, "aria-label": `Instruction for ${row.id}`, placeholder: again ? "" : "as above", oninput: told }) : row.said;
  return h(
    "tr",
    { "data-state": row.state },
    h("th", { scope: "row" }, h("div", { class: "row-name" }, img, h("div", {}, h("span", {}, row.name), unseen))),
    h("td", {}, said),
    h("td", {}, h("span", { class: `state ${row.state}` }, STATES[row.state]), row.error && h("p", { class: "muted" }, explain(row.error))),
    h("td", {}, sent === null ? iconButton("close", `Leave out ${row.id}`, () => drop(row.id)) : row.result ? iconButton("download", `Download ${row.id}`, () => fetched(/** @type {string} */ (row.result), row.name)) : "–"),
  );
}

/** @type {WeakMap<File, Promise<string>>} */
const locals = new WeakMap();

/** @param {File} file */
function local(file) {
  const found = locals.get(file) ?? shrunk(file, 96);
  locals.set(file, found);
  return found;
}

/** @param {any} sent */
function actions(sent) {
  const verb = (/** @type {"cancel" | "pause" | "resume"} */ name, /** @type {string} */ label) =>
    h("button", { type: "button", class: "button", onclick: () => ask(name).catch(complain) }, label);
  const running = isOpen(sent) && sent.status !== "cancelling";
  return [
    running && (sent.status === "paused" ? verb("resume", "Resume") : verb("pause", "Pause")),
    running && verb("cancel", "Cancel"),
    !isOpen(sent) && sent.request_counts.failed > 0 && h("button", { type: "button", class: "button", onclick: () => retryFailed(sent).catch(complain) }, "Retry failed"),
    sent.request_counts.completed > 0 && h("button", { type: "button", class: "button primary", onclick: () => fetched(`/v1/batches/${sent.id}/results.zip`, `${sent.id}.zip`) }, "Download zip"),
    !isOpen(sent) && h("button", { type: "button", class: "button", onclick: clear }, "New batch"),
  ].filter((one) => one instanceof HTMLElement);
}

/** @param {any} sent */
async function retryFailed({ request_counts: { completed } }) {
  if (reworded() && completed > 0) toast(`The new words are a batch of their own. The ${completed} done before stay under “Earlier batches”.`);
  await retry();
}

/**
 * @param {string} address
 * @param {string} name
 */
function fetched(address, name) {
  request(address)
    .then((response) => response.blob())
    .then((blob) => save(blob, name))
    .catch(complain);
}

/** @param {HTMLElement} section */
async function list(section) {
  const { data } = await call("/v1/batches?limit=10");
  section.hidden = data.length === 0;
  section.replaceChildren(
    h("h2", {}, "Earlier batches"),
    h(
      "ul",
      { class: "batch-list" },
      data.map((/** @type {any} */ one) => {
        const when = new Date(one.created_at * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
        return h("li", {}, h("button", { type: "button", class: "batch-entry", onclick: () => open(one.id).catch(complain) }, h("span", {}, when), h("span", { class: "muted" }, progress(one))));
      }),
    ),
  );
}

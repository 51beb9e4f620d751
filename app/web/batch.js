// @ts-check
/** The batch screen: pictures in, one instruction or one each, a table of what became of them. */

import { call, explain, request } from "./api.js";
import { add, ask, batch, clear, drop, isOpen, missing, open, send, tell } from "./batches.js";
import { shrunk, thumbnail } from "./bitmaps.js";
import { h, icon, iconButton } from "./dom.js";
import { save } from "./export.js";
import { pick } from "./files.js";
import { complain } from "./session.js";

/** @type {Record<string, string>} */
const STATES = { ready: "Ready", waiting: "Waiting", succeeded: "Done", failed: "Failed" };

/** @returns {{element: HTMLElement, add: (files: File[]) => Promise<void>, refresh: () => void}} */
export function batchScreen() {
  const common = h("input", { type: "text", id: "batch-instruction", maxLength: 4000, placeholder: "One instruction for all, such as “remove the cube”" });
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
        go.disabled = true;
        send(common.value.trim()).catch((error) => (complain(error), (go.disabled = false)));
      },
    },
    h("label", { class: "field" }, h("span", {}, "Instruction for all"), common),
    go,
  );
  const wanted = h("p", { class: "muted", role: "status" });
  const run = h("section", { class: "batch-run", "aria-label": "Progress" }, h("div", { class: "batch-progress" }, counts, bar), verbs);
  const earlier = h("section", { class: "recent", hidden: true });
  const element = h(
    "main",
    { class: "batch" },
    h("div", { class: "hero" }, h("h1", {}, "Many pictures at once"), h("button", { type: "button", class: "dropzone", onclick: choose }, icon("batch"), h("strong", {}, "Add pictures"), h("span", { class: "muted" }, "or drop them here; a CSV gives each its instruction, a JSONL whole requests"))),
    form,
    wanted,
    run,
    table,
    earlier,
  );
  batch.follow(({ rows, sent }) => {
    form.hidden = sent !== null || rows.length === 0;
    go.disabled = rows.length === 0;
    go.textContent = `Start ${rows.length}`;
    table.hidden = rows.length === 0;
    wanted.textContent = sent ? "" : asking(missing());
    wanted.hidden = !wanted.textContent;
    run.hidden = sent === null;
    body.replaceChildren(...rows.map((row) => line(row, sent === null)));
    if (!sent) return;
    const { total, completed, failed } = sent.request_counts;
    counts.textContent = `${completed} of ${total} done${failed ? `, ${failed} failed` : ""} · ${sent.status.replace("_", " ")}`;
    if (total) bar.value = (completed + failed) / total;
    else bar.removeAttribute("value");
    verbs.replaceChildren(...actions(sent));
  });
  return { element, add, refresh: () => list(earlier).catch(complain) };
}

/** @param {string[]} names of pictures */
function asking(names) {
  if (!names.length) return "";
  const few = names.slice(0, 3).join(", ");
  return `The list speaks of ${names.length} more: add ${few}${names.length > 3 ? " and the others" : ""}.`;
}

/**
 * @param {import("./batches.js").Row} row
 * @param {boolean} editable
 */
function line(row, editable) {
  const img = h("img", { alt: "", class: "row-picture" });
  const shown = row.result ? thumbnail(row.result) : row.file ? local(row.file) : null;
  shown?.then((address) => (img.src = address), complain);
  const told = (/** @type {Event} */ event) => tell(row.id, /** @type {HTMLInputElement} */ (event.target).value);
  const said = editable ? h("input", { type: "text", value: row.said, maxLength: 4000, "aria-label": `Instruction for ${row.name}`, placeholder: "as above", oninput: told }) : row.said;
  return h(
    "tr",
    { "data-state": row.state },
    h("th", { scope: "row" }, h("div", { class: "row-name" }, img, h("span", {}, row.name))),
    h("td", {}, said),
    h("td", {}, h("span", { class: `state ${row.state}` }, STATES[row.state]), row.error && h("p", { class: "muted" }, explain(row.error))),
    h("td", {}, editable ? iconButton("close", `Leave out ${row.name}`, () => drop(row.id)) : row.result ? iconButton("download", `Download ${row.name}`, () => fetched(/** @type {string} */ (row.result), row.name)) : "–"),
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
  const verb = (/** @type {"cancel" | "pause" | "resume" | "retry"} */ name, /** @type {string} */ label) =>
    h("button", { type: "button", class: "button", onclick: () => ask(name).catch(complain) }, label);
  const running = isOpen(sent) && sent.status !== "cancelling";
  return [
    running && (sent.status === "paused" ? verb("resume", "Resume") : verb("pause", "Pause")),
    running && verb("cancel", "Cancel"),
    !isOpen(sent) && sent.request_counts.failed > 0 && verb("retry", "Retry failed"),
    sent.request_counts.completed > 0 && h("button", { type: "button", class: "button primary", onclick: () => fetched(`/v1/batches/${sent.id}/results.zip`, `${sent.id}.zip`) }, "Download zip"),
    !isOpen(sent) && h("button", { type: "button", class: "button", onclick: clear }, "New batch"),
  ].filter((one) => one instanceof HTMLElement);
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
        const { total, completed, failed } = one.request_counts;
        return h("li", {}, h("button", { type: "button", class: "text-button", onclick: () => open(one.id).catch(complain) }, when), h("span", { class: "muted" }, `${completed} of ${total} done${failed ? `, ${failed} failed` : ""}`));
      }),
    ),
  );
}

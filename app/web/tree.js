// @ts-check
/** The history as a tree: every turn under the one it builds on, with its picture. */

import { thumbnail } from "./bitmaps.js";
import { askToRemove } from "./card.js";
import { h, icon, iconButton, toast } from "./dom.js";
import { complain, goTo, nameOf, nodeOf, pictureOf, renameTurn, show, store, unfinished, wordsOf } from "./session.js";
import { look, views } from "./views.js";

/** @returns {HTMLElement} */
export function tree() {
  const list = h("ul", { class: "tree", role: "tree", "aria-label": "History", onkeydown: keys });
  const element = h("aside", { class: "history", "aria-label": "History" }, h("h2", {}, "History"), list);
  let drawn = "";
  const update = () => {
    const { session, turns, shown } = store.get();
    const { against, mode } = views.get();
    const seen = turns.map(({ id, parent_id, status }) => [id, parent_id, status, nameOf(id)]);
    const signature = JSON.stringify([session?.id, session?.head, seen, shown.id, mode === "after" ? null : against]);
    if (signature === drawn) return;
    drawn = signature;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.node;
    const inside = list.contains(document.activeElement);
    list.replaceChildren(...(session ? [node(null, turns, session)] : []));
    if (inside && focused !== undefined) /** @type {HTMLElement | null} */ (list.querySelector(`[data-node="${focused}"]`))?.focus();
  };
  store.follow(update);
  views.follow(update);
  return element;
}

/**
 * @param {any | null} turn null = the original
 * @param {any[]} turns
 * @param {any} session
 * @returns {HTMLElement}
 */
function node(turn, turns, session) {
  const id = turn?.id ?? null;
  const { shown } = store.get();
  const { against, mode } = views.get();
  const children = turns.filter((other) => (other.parent_id ?? null) === id);
  const head = session.head === id;
  const name = nameOf(id);
  const [said, changed] = wordsOf(id);
  const made = !turn || turn.status === "succeeded";
  const select = h(
    "button",
    { type: "button", class: "node", "data-node": id ?? "", title: name, tabIndex: shown.id === id ? 0 : -1, onclick: () => made && show(nodeOf(id)) },
    made ? small(pictureOf(nodeOf(id))) : h("span", { class: "node-state" }, icon(unfinished(turn) ? "brush" : "warn")),
    h("span", { class: changed ? "node-name changed" : "node-name" }, h("span", {}, said), changed && h("span", { class: "muted" }, changed)),
    head && h("span", { class: "node-head" }, "now"),
  );
  const compared = mode !== "after" && against !== null && against.id === id;
  const chosen = shown.id === id || !made;
  const tools = h(
    "span",
    { class: chosen ? "node-tools chosen" : "node-tools" },
    !chosen && iconButton("split", `Compare with: ${name}`, () => compare(id), { "aria-pressed": String(compared) }),
    made && chosen && !head && h("button", { type: "button", class: "text-button", "aria-label": `Continue from: ${name}`, onclick: () => goTo(id).catch(complain) }, "Continue here"),
    turn && chosen && iconButton("pen", `Rename: ${name} (F2)`, (event) => rename(turn, /** @type {HTMLElement} */ (event.currentTarget)), { class: "icon-button rename" }),
    turn && chosen && !unfinished(turn) && remover(turn, name, children.length > 0),
  );
  return h(
    "li",
    { role: "treeitem", "aria-selected": String(shown.id === id), "aria-expanded": children.length ? "true" : undefined, class: children.length > 1 ? "branching" : "" },
    h("div", { class: "node-line" }, select, tools.firstChild && tools),
    children.length > 0 && h("ul", { role: "group" }, children.map((child) => node(child, turns, session))),
  );
}

/**
 * @param {any} turn
 * @param {string} name
 * @param {boolean} needed whether others build on it
 */
function remover(turn, name, needed) {
  if (!needed) return iconButton("trash", `Delete: ${name}`, () => askToRemove(turn));
  const why = "Other turns build on this one: delete those first, or the whole session";
  return iconButton("trash", `Delete: ${name}`, () => toast(`${why}.`), { title: why, "aria-disabled": "true" });
}

/** @param {string} address */
function small(address) {
  const img = h("img", { alt: "" });
  thumbnail(address).then((made) => (img.src = made), complain);
  return img;
}

/**
 * Put a node beside the one that is shown.
 * @param {string | null} id
 */
function compare(id) {
  views.set({ against: nodeOf(id) });
  look(views.get().mode === "after" ? "slider" : views.get().mode);
}

/**
 * Put a field in place of a node's name.
 * @param {any} turn
 * @param {HTMLElement} button
 */
function rename(turn, button) {
  const name = /** @type {HTMLElement} */ (button.closest(".node-line")?.querySelector(".node"));
  const back = () => {
    // A browser says "blur" while it removes a field as well.
    if (name.isConnected) return;
    field.after(name);
    field.remove();
  };
  const field = h("input", {
    type: "text",
    class: "node-title",
    value: turn.title || turn.instruction,
    maxLength: 200,
    "aria-label": "Name of this node",
    onblur: back,
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      event.stopPropagation();
      if (event.key === "Enter") renameTurn(turn.id, field.value.trim()).catch(complain);
      if (event.key !== "Enter" && event.key !== "Escape") return;
      back();
      name.focus();
    },
  });
  name.replaceWith(field);
  field.select();
}

/** @param {KeyboardEvent} event */
function keys(event) {
  const list = /** @type {HTMLElement} */ (event.currentTarget);
  const nodes = /** @type {HTMLElement[]} */ ([...list.querySelectorAll(".node")]);
  const at = nodes.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  /** @type {Record<string, number>} */
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: nodes.length - 1 };
  if (at >= 0 && event.key === "F2") nodes[at].closest(".node-line")?.querySelector(/** @type {"button"} */ (".rename"))?.click();
  if (at < 0 || !(event.key in to)) return;
  event.preventDefault();
  nodes[to[event.key]]?.focus();
}

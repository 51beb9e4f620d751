// @ts-check
/** The bar at the top: where one is, undo and redo, and the few things that concern the whole page. */

import { call } from "./api.js";
import { ask, h, iconButton } from "./dom.js";
import { openHelp } from "./keys.js";
import { complain, rename, step, store } from "./session.js";
import { nextTheme } from "./theme.js";

/** @returns {HTMLElement} */
export function header() {
  const title = h("input", {
    class: "title",
    "aria-label": "Title of this session",
    maxLength: 200,
    onchange: () => rename(title.value).catch(complain),
    onkeydown: (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && title.blur(),
  });
  const undo = iconButton("undo", "Undo (Ctrl+Z)", () => step("undo").catch(complain));
  const redo = iconButton("redo", "Redo (Ctrl+Shift+Z)", () => step("redo").catch(complain));
  const history = iconButton("history", "History (Y)", toggleHistory);
  const remove = iconButton("trash", "Delete this session", confirmRemoval);
  closeWhereItCovers();
  const session = h("div", { class: "session-tools" }, title, undo, redo, history, remove);
  store.follow(({ session: open }) => {
    session.hidden = !open;
    if (!open) return;
    if (document.activeElement !== title) title.value = open.title || "Untitled";
    undo.disabled = !open.can_undo;
    redo.disabled = !open.can_redo;
    document.title = `${open.title || "Untitled"} · BrushEdit`;
  });
  return h(
    "header",
    { class: "bar" },
    h("a", { class: "brand", href: "#", "aria-label": "BrushEdit, start page" }, h("img", { src: "/web/icon.svg", alt: "", width: 24, height: 24 }), h("span", {}, "BrushEdit")),
    session,
    h(
      "nav",
      { class: "bar-tools", "aria-label": "Page" },
      h("a", { class: "bar-link", href: "#batch" }, "Batch"),
      iconButton("keys", "Keyboard shortcuts (?)", openHelp),
      iconButton("moon", "Light, dark or as the system", nextTheme),
    ),
  );
}

/** Close the history by Escape or a tap beside it, where it covers the page. */
function closeWhereItCovers() {
  const covers = () => document.body.classList.contains("history-flipped") && matchMedia("(width < 1100px)").matches;
  const within = (/** @type {Event} */ { target }, /** @type {string} */ selector) => target instanceof Element && target.closest(selector);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && covers() && !within(event, "input, #toasts, dialog")) toggleHistory();
  });
  document.addEventListener("pointerdown", (event) => {
    if (covers() && !within(event, ".history, .bar, #toasts, dialog")) toggleHistory();
  });
}

/** Show or hide the history; on narrow screens it covers the page. */
export function toggleHistory() {
  document.body.classList.toggle("history-flipped");
}

function confirmRemoval() {
  const { session } = store.get();
  ask("Delete this session with all its pictures?", "Delete", () => {
    call(`/v1/sessions/${session.id}`, { method: "DELETE" })
      .then(() => (location.hash = ""))
      .catch(complain);
  });
}

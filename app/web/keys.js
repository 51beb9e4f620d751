// @ts-check
/** Keyboard shortcuts, and the page that lists them. */

import { draft } from "./draft.js";
import { h, iconButton } from "./dom.js";
import { complain, step, store } from "./session.js";
import { TOOLS } from "./tools.js";
import { look, views } from "./views.js";

/** @type {[string, string][]} */
const LISTED = [
  ["Enter", "Send the instruction; Shift+Enter begins a line"],
  ["/", "Go to the instruction box"],
  ["Ctrl+Z · Ctrl+Shift+Z", "Undo and redo: strokes while painting, turns otherwise"],
  ["P", "Paint a mask, or stop"],
  ["B E R C L S M H", "Brush, eraser, rectangle, ellipse, lasso, select, move the mask, move the picture"],
  ["[ · ]", "Smaller and larger brush"],
  ["X", "Take away instead of adding"],
  ["I", "Invert the mask"],
  ["Arrows, Enter", "On the picture: move it; while painting, move the cursor, put the tool down or lift it"],
  ["1 2 3 4", "Result, slider, side by side, difference"],
  ["O, held", "See the original"],
  ["+ · - · 0", "Zoom in, out, fit"],
  ["Wheel · Space and drag", "Zoom and move the picture"],
  ["Y", "History"],
  ["?", "This list"],
];

/**
 * @param {import("./stage.js").Stage} stage
 * @param {ReturnType<typeof import("./brushwork.js").brushwork>} work
 * @param {() => void} toggleHistory
 */
export function listen(stage, work, toggleHistory) {
  /** @type {Record<string, () => void>} */
  const actions = {
    "/": () => document.getElementById("composer")?.focus(),
    "?": openHelp,
    p: () => paint(!draft.get().painting),
    "[": () => work.resize(work.size / 1.2 - 1),
    "]": () => work.resize(work.size * 1.2 + 1),
    x: () => work.takeAway(!work.subtract),
    i: () => draft.get().mask?.invert(),
    o: () => views.set({ held: true }),
    "+": () => stage.zoom(1.25),
    "=": () => stage.zoom(1.25),
    "-": () => stage.zoom(1 / 1.25),
    0: () => stage.fit(),
    1: () => look("after"),
    2: () => look("slider"),
    3: () => look("side"),
    4: () => look("difference"),
    y: toggleHistory,
  };
  for (const tool of TOOLS) {
    actions[tool.key] = () => {
      work.choose(tool.name);
      paint(true);
    };
  }
  window.addEventListener("keydown", (event) => {
    if (!store.get().session || document.querySelector("dialog[open]")) return;
    const target = /** @type {HTMLElement} */ (event.target);
    const writing = target.matches("input:not([type=range]), textarea, select");
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !writing) {
      event.preventDefault();
      rewind(event.shiftKey ? "redo" : "undo");
      return;
    }
    if (writing || event.ctrlKey || event.metaKey || event.altKey) return;
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  window.addEventListener("keyup", (event) => event.key.toLowerCase() === "o" && views.get().held && views.set({ held: false }));
}

/** @param {boolean} painting */
function paint(painting) {
  if (painting) look("after");
  draft.set({ painting });
}

/** @param {"undo" | "redo"} which */
function rewind(which) {
  const { painting, mask } = draft.get();
  if (painting && mask) return void mask[which]();
  const { session } = store.get();
  if (which === "undo" ? session.can_undo : session.can_redo) step(which).catch(complain);
}

/** Show the list. */
export function openHelp() {
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-label": "Keyboard shortcuts", onclose: () => dialog.remove() },
    h("header", {}, h("h2", {}, "Keyboard"), iconButton("close", "Close", () => dialog.close())),
    h(
      "dl",
      { class: "shortcuts" },
      LISTED.map(([keys, does]) => h("div", {}, h("dt", {}, h("kbd", {}, keys)), h("dd", {}, does))),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}

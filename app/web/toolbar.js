// @ts-check
/** The mask tools beside the picture. */

import { draft } from "./draft.js";
import { h, icon, iconButton } from "./dom.js";
import { save } from "./export.js";
import { pick } from "./files.js";
import { forgetClicks, operate } from "./selecting.js";
import { complain } from "./session.js";
import { TOOLS } from "./tools.js";

/** @param {ReturnType<typeof import("./brushwork.js").brushwork>} work */
export function toolbar(work) {
  const tools = TOOLS.map((tool) =>
    iconButton(tool.icon, `${tool.label} (${tool.key.toUpperCase()})`, () => work.choose(tool.name), { class: "icon-button tool", "data-tool": tool.name }),
  );
  const size = h("input", { type: "range", min: 1, max: 400, "aria-label": "Brush size", title: "Brush size ([ and ])", oninput: () => work.resize(Number(size.value)) });
  const away = h("button", { type: "button", class: "toggle", "aria-pressed": "false", title: "Take away instead of adding (X)", onclick: () => work.takeAway(!work.subtract) }, icon("minus"), "Take away");
  const undo = iconButton("undo", "Undo stroke (Ctrl+Z)", () => draft.get().mask?.undo());
  const redo = iconButton("redo", "Redo stroke (Ctrl+Shift+Z)", () => draft.get().mask?.redo());
  const distance = h("input", { type: "number", min: 1, max: 500, value: "8", "aria-label": "By how many pixels the mask grows, shrinks, is smoothed or feathered", class: "distance" });
  const by = (/** @type {string} */ op) => () => operate({ op, px: Number(distance.value) * (draft.get().mask?.scale ?? 1) }).catch(complain);
  // The mask's edge stays sharp; it is the blend of the next turn that falls softly, so wide.
  const feather = () => window.dispatchEvent(new CustomEvent("recipe", { detail: { ...draft.get().options, grow: distance.value, blur: distance.value } }));
  const more = h(
    "details",
    { class: "more" },
    h("summary", { class: "icon-button", "aria-label": "More mask operations", title: "More mask operations" }, icon("more")),
    h(
      "div",
      { class: "menu" },
      h("div", { class: "menu-line" }, distance, h("span", {}, "px"), item("grow", "Grow", by("grow")), item("shrink", "Shrink", by("shrink")), item("ellipse", "Smooth", by("smooth")), item("ellipse", "Feather", feather)),
      item("invert", "Invert", () => draft.get().mask?.invert()),
      item("fill", "Fill holes", () => operate({ op: "fill_holes" }).catch(complain)),
      item("plus", "Largest part only", () => operate({ op: "largest" }).catch(complain)),
      item("rect", "Select everything", () => draft.get().mask?.all()),
      item("upload", "Open a mask file", () => pick("image/*", false).then(([file]) => file && draft.get().mask?.load(file)).catch(complain)),
      item("download", "Save the mask", () => draft.get().mask?.file().then((file) => save(file, "mask.png")).catch(complain)),
    ),
  );
  const clear = iconButton("trash", "Clear the mask", () => (draft.get().mask?.clear(), forgetClicks()));
  const bar = h(
    "div",
    { class: "toolbar", role: "toolbar", "aria-label": "Mask tools" },
    h("div", { class: "tool-group" }, tools),
    h("div", { class: "tool-group" }, h("label", { class: "size" }, size), away),
    h("div", { class: "tool-group" }, undo, redo, clear, more),
  );
  document.addEventListener("pointerdown", (event) => {
    if (!more.contains(/** @type {Node} */ (event.target))) more.open = false;
  });
  more.addEventListener("keydown", (event) => {
    if (event.key === "Escape") more.open = false;
  });
  work.follow(() => {
    for (const button of tools) button.setAttribute("aria-pressed", String(button.dataset.tool === work.tool.name));
    size.value = String(work.size);
    size.disabled = !work.tool.sized;
    away.setAttribute("aria-pressed", String(work.subtract));
  });
  draft.follow(({ mask, painting }) => {
    bar.hidden = !painting;
    undo.disabled = !mask?.done.length;
    redo.disabled = !mask?.undone.length;
    clear.disabled = !mask?.selected;
  });
  return bar;
}

/**
 * @param {string} picture
 * @param {string} label
 * @param {() => void} run
 */
function item(picture, label, run) {
  return h("button", { type: "button", class: "menu-item", onclick: run }, icon(picture), label);
}

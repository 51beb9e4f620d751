// @ts-check
/** Ways of looking at a result: alone, against what was before, and the measured difference. */

import { draft } from "./draft.js";
import { h, icon, iconButton } from "./dom.js";
import { findTurn, store } from "./session.js";
import { createStore } from "./store.js";

/**
 * @typedef {object} Views
 * @property {import("./stage.js").Mode} mode
 * @property {number} split
 * @property {boolean} held
 * @property {import("./session.js").Shown | null} against a node to compare with; null = what the turn was made from
 * @property {number | null} changed share of pixels that differ, counted here
 */

export const views = createStore(/** @type {Views} */ ({ mode: "after", split: 0.5, held: false, against: null, changed: null }));

/** @type {[import("./stage.js").Mode, string, string][]} */
const MODES = [
  ["after", "image", "Result"],
  ["slider", "split", "Slider"],
  ["side", "side", "Side by side"],
  ["difference", "diff", "Difference"],
];

/** @param {import("./stage.js").Stage} stage */
export function viewbar(stage) {
  const buttons = MODES.map(([mode, picture, label], at) =>
    h("button", { type: "button", class: "view", title: `${label} (${at + 1})`, "aria-label": label, "data-mode": mode, onclick: () => look(mode) }, icon(picture), h("span", {}, label)),
  );
  const hold = h("button", { type: "button", class: "view", title: "Hold to see the original (O)", "aria-label": "Hold to see the original" }, icon("eye"), h("span", {}, "Hold"));
  const held = (/** @type {boolean} */ on) => () => views.set({ held: on });
  hold.addEventListener("pointerdown", held(true));
  for (const away of ["pointerup", "pointerleave", "pointercancel", "blur"]) hold.addEventListener(away, held(false));
  hold.addEventListener("keydown", (event) => (event.key === " " || event.key === "Enter") && views.set({ held: true }));
  hold.addEventListener("keyup", held(false));
  const slide = h("input", { type: "range", class: "slide", min: 0, max: 100, step: "any", "aria-label": "Where before meets after", oninput: () => views.set({ split: Number(slide.value) / 100 }) });
  const badge = h("p", { class: "badge", hidden: true, role: "status" });
  const paint = h("button", { type: "button", class: "view accent", "aria-label": "Mask", title: "Paint a mask (P)", onclick: toggleMask }, icon("brush"), h("span", {}, "Mask"));
  const scale = h("button", { type: "button", class: "view scale", title: "Fit (0)", onclick: () => stage.fit() });
  const zooming = h("div", { class: "zooming", role: "group", "aria-label": "Zoom" }, iconButton("minus", "Zoom out (-)", () => stage.zoom(1 / 1.25)), scale, iconButton("plus", "Zoom in (+)", () => stage.zoom(1.25)));
  const group = h("div", { class: "viewing", role: "group", "aria-label": "Compare" }, buttons, hold);

  stage.onview = () => {
    scale.textContent = `${Math.round(stage.view.scale * 100)} %`;
    scale.setAttribute("aria-label", `${scale.textContent}, fit the picture into the window`);
  };
  const able = () => {
    const { shown, turns } = store.get();
    const { against, mode } = views.get();
    const alone = !findTurn(shown.id) && !against;
    group.hidden = turns.length === 0;
    for (const button of [...buttons.slice(1), hold]) button.disabled = alone;
    if (alone && mode !== "after") views.set({ mode: "after" });
  };
  views.follow(() => {
    able();
    const { mode, split } = views.get();
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    slide.hidden = mode !== "slider";
    slide.value = String(split * 100);
    measured(badge);
  });
  store.follow(() => {
    const { against } = views.get();
    // What was compared with may be deleted.
    if (against?.id && !findTurn(against.id)) look("after");
    able();
    measured(badge);
  });
  draft.follow(({ painting }) => paint.setAttribute("aria-pressed", String(painting)));
  return h("div", { class: "viewbar" }, badge, slide, h("div", { class: "viewbar-line" }, paint, group, zooming));
}

/** Take the mask tools in hand, or put them away. */
function toggleMask() {
  const painting = !draft.get().painting;
  if (painting) look("after");
  draft.set({ painting });
}

/** @param {import("./stage.js").Mode} mode */
export function look(mode) {
  if (mode !== "after") draft.set({ painting: false });
  views.set({ mode, ...(mode === "after" && { against: null }) });
}

/** @param {HTMLElement} badge */
function measured(badge) {
  const { mode, against, changed } = views.get();
  const { shown } = store.get();
  const image = findTurn(shown.id)?.images[shown.sample];
  badge.hidden = mode !== "difference";
  if (badge.hidden) return;
  const share = changed === null ? "" : `${(changed * 100).toFixed(2)} % of the pixels differ`;
  if (against || !image) return badge.replaceChildren(share);
  badge.classList.toggle("exact", image.outside_changed === 0);
  badge.replaceChildren(
    ...(image.outside_changed === 0 ? [icon("check")] : [icon("warn")]),
    h("strong", {}, `${image.outside_changed} samples changed outside the region`),
    h("span", {}, `seam ${image.seam_score.toFixed(1)}`),
    h("span", {}, share || `${(image.changed_fraction * 100).toFixed(2)} % changed`),
  );
}

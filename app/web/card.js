// @ts-check
/** One turn of the conversation: what was asked, the plan, what it made, and what can be done with that. */

import { explain } from "./api.js";
import { thumbnail } from "./bitmaps.js";
import { h, icon, iconButton } from "./dom.js";
import { openExport } from "./export.js";
import { planChips } from "./plan.js";
import { progress } from "./progress.js";
import { complain, fork, removeTurn, show, store, unfinished } from "./session.js";

const LARGEST_SEED = 2 ** 31;

/**
 * @param {any} turn
 * @returns {{element: HTMLElement, update: (turn: any) => void}}
 */
export function card(turn) {
  const element = h("article", { class: "card", "data-turn": turn.id });
  let drawn = "";
  /** @type {ReturnType<typeof progress> | null} */
  let running = null;
  return {
    element,
    update(now) {
      const { shown, live } = store.get();
      const selected = shown.id === now.id ? shown.sample : -1;
      const signature = JSON.stringify([now.status, now.plan, now.regions, selected]);
      if (signature !== drawn) {
        drawn = signature;
        running = unfinished(now) ? progress(now.id) : null;
        element.setAttribute("aria-label", `Turn: ${now.instruction}`);
        element.classList.toggle("selected", selected >= 0);
        element.replaceChildren(...parts(now, selected, running?.element));
      }
      running?.update(live[now.id]);
    },
  };
}

/**
 * @param {any} turn
 * @param {number} selected
 * @param {HTMLElement | undefined} running
 * @returns {HTMLElement[]}
 */
function parts(turn, selected, running) {
  return [
    h("p", { class: "said" }, turn.instruction),
    turn.plan && planChips(turn, unfinished(turn) ? null : (change) => fork(turn.id, change)),
    running,
    turn.images.length > 0 && pictures(turn, selected),
    turn.images.length > 0 && facts(turn, Math.max(0, selected)),
    turn.status === "failed" && h("p", { class: "problem", role: "alert" }, icon("warn"), h("span", {}, explain(turn.error ?? {}))),
    turn.status === "canceled" && h("p", { class: "muted" }, "Cancelled. Nothing was changed."),
    !unfinished(turn) && actions(turn),
  ].filter((part) => part instanceof HTMLElement);
}

/**
 * @param {any} turn
 * @param {number} selected
 */
function pictures(turn, selected) {
  const many = turn.images.length > 1;
  const buttons = turn.images.map((/** @type {any} */ image, /** @type {number} */ sample) => {
    const img = h("img", { alt: many ? `Variant ${sample + 1} of ${turn.images.length}` : `Result: ${turn.instruction}`, width: turn.width, height: turn.height });
    thumbnail(image.url).then((address) => (img.src = address), complain);
    const label = many ? `Continue with variant ${sample + 1}` : "Show this result";
    return h(
      "button",
      { type: "button", class: "thumb", "aria-label": label, "aria-pressed": String(sample === selected), onclick: () => show({ id: turn.id, sample }) },
      img,
      many && h("span", { class: "thumb-number" }, sample + 1),
    );
  });
  return h("div", { class: many ? "thumbs many" : "thumbs" }, buttons);
}

/**
 * @param {any} turn
 * @param {number} sample
 */
function facts(turn, sample) {
  const image = turn.images[sample];
  const exact = image.outside_changed === 0;
  const seconds = turn.completed_at - turn.started_at;
  return h(
    "p",
    { class: "facts" },
    h("span", { class: exact ? "exact" : "inexact", title: "Counted by the server on the result, against the picture it was made from" }, exact && icon("check"), `${image.outside_changed} samples changed outside`),
    h("span", {}, `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`),
    turn.images.length > 1 && h("span", {}, `seed ${image.seed}`),
  );
}

/** @param {any} turn */
function actions(turn) {
  const again = () => {
    const seed = Math.floor(Math.random() * LARGEST_SEED);
    const stage = turn.regions.length ? "paint" : turn.plan ? "locate" : "plan";
    fork(turn.id, { stage, options: { seed } }).catch(complain);
  };
  const made = turn.status === "succeeded";
  const leaf = !store.get().turns.some((other) => other.parent_id === turn.id);
  return h(
    "div",
    { class: "card-actions" },
    h("button", { type: "button", class: "text-button", onclick: again }, icon("dice"), made ? "Again, new seed" : "Try again"),
    iconButton("copy", "Copy as code, or download", () => openExport(turn, Math.max(0, store.get().shown.id === turn.id ? store.get().shown.sample : 0))),
    leaf && iconButton("trash", "Delete this turn", () => removeTurn(turn.id).catch(complain)),
  );
}

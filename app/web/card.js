// @ts-check
/** One turn of the conversation: what was asked, the plan, what it made, and what can be done with that. */

import { explain } from "./api.js";
import { thumbnail } from "./bitmaps.js";
import { ask, h, icon, iconButton, toComposer } from "./dom.js";
import { openExport } from "./export.js";
import { planChips } from "./plan.js";
import { progress } from "./progress.js";
import { complain, fork, removeTurn, show, store, unfinished } from "./session.js";

const LARGEST_SEED = 2 ** 31;
const LONG = 280; // characters of an instruction, from which on it is folded

/**
 * @param {any} turn
 * @returns {{element: HTMLElement, update: (turn: any, picked: number, ahead: number) => void}} `picked` is the variant that is gone on with
 */
export function card(turn) {
  const element = h("article", { class: "card", "data-turn": turn.id });
  let drawn = "";
  /** @type {ReturnType<typeof progress> | null} */
  let running = null;
  return {
    element,
    update(now, picked, ahead) {
      const { shown, live, turns } = store.get();
      const selected = shown.id === now.id;
      const leaf = !turns.some((other) => other.parent_id === now.id);
      const signature = JSON.stringify([now.status, now.plan, now.regions, selected, picked, leaf]);
      if (signature !== drawn) {
        drawn = signature;
        running = unfinished(now) ? progress(now.id) : null;
        element.setAttribute("aria-label", `Turn: ${now.instruction}`);
        element.classList.toggle("selected", selected);
        const held = element.contains(document.activeElement) && labelOf(document.activeElement);
        element.replaceChildren(...parts(now, { selected, picked, leaf }, running?.element));
        const again = held && [...element.querySelectorAll("button")].find((button) => labelOf(button) === held);
        if (again) again.focus();
        else if (held) toComposer();
      }
      running?.update(live[now.id], now, ahead);
    },
  };
}

/** @param {Element | null} element */
const labelOf = (element) => element?.getAttribute("aria-label") ?? element?.textContent;

/**
 * @typedef {object} Place
 * @property {boolean} selected whether the picture area shows it
 * @property {number} picked the variant that is gone on with
 * @property {boolean} leaf whether no turn builds on it
 */

/**
 * @param {any} turn
 * @param {Place} place
 * @param {HTMLElement | undefined} running
 * @returns {HTMLElement[]}
 */
function parts(turn, place, running) {
  return [
    ...said(turn.instruction),
    turn.plan && planChips(turn, unfinished(turn) ? null : (change) => fork(turn.id, change)),
    running,
    turn.images.length > 0 && pictures(turn, place),
    turn.images.length > 0 && facts(turn, place.picked),
    turn.status === "failed" && h("p", { class: "problem", role: "alert" }, icon("warn"), h("span", {}, explain(turn.error ?? {}))),
    turn.status === "canceled" && h("p", { class: "muted" }, "Cancelled. Nothing was changed."),
    !unfinished(turn) && actions(turn, place),
  ].filter((part) => part instanceof HTMLElement);
}

/**
 * What was asked; of a long text the beginning, and a button for the rest.
 * @param {string} words
 * @returns {HTMLElement[]}
 */
function said(words) {
  const text = h("p", { class: "said" }, words);
  if (words.length < LONG) return [text];
  const fold = () => {
    const folded = text.classList.toggle("folded");
    more.textContent = folded ? "More" : "Less";
    more.setAttribute("aria-expanded", String(!folded));
  };
  const more = h("button", { type: "button", class: "text-button more-said", onclick: fold });
  fold();
  return [text, more];
}

/**
 * @param {any} turn
 * @param {Place} place
 */
function pictures(turn, { selected, picked }) {
  const many = turn.images.length > 1;
  const buttons = turn.images.map((/** @type {any} */ image, /** @type {number} */ sample) => {
    const img = h("img", { alt: many ? `Variant ${sample + 1} of ${turn.images.length}` : `Result: ${turn.instruction}`, width: turn.width, height: turn.height });
    thumbnail(image.url).then((address) => (img.src = address), complain);
    const label = many ? `Continue with variant ${sample + 1}` : "Show this result";
    return h(
      "button",
      { type: "button", class: "thumb", "aria-label": label, "aria-pressed": String(sample === picked && (selected || many)), onclick: () => show({ id: turn.id, sample }) },
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

/**
 * @param {any} turn
 * @param {Place} place
 */
function actions(turn, { picked, leaf }) {
  let asked = false;
  const again = (/** @type {MouseEvent} */ event) => {
    // A double click means one more, and so does a second click while the first is not answered.
    if (asked || event.detail > 1) return;
    asked = true;
    const seed = Math.floor(Math.random() * LARGEST_SEED);
    const stage = turn.regions.length ? "paint" : turn.plan ? "locate" : "plan";
    fork(turn.id, { stage, options: { seed } })
      .catch(complain)
      .finally(() => (asked = false));
  };
  const made = turn.status === "succeeded";
  return h(
    "div",
    { class: "card-actions" },
    h("button", { type: "button", class: "text-button", onclick: again }, icon("dice"), made ? "Again, new seed" : "Try again"),
    iconButton("copy", "Copy as code, or download", () => openExport(turn, picked)),
    leaf && iconButton("trash", "Delete this turn", () => askToRemove(turn)),
  );
}

/** @param {any} turn */
export function askToRemove(turn) {
  ask(turn.images.length ? "Delete this turn with what it painted?" : "Delete this turn?", "Delete", () => removeTurn(turn.id).catch(complain));
}

// @ts-check
/** The conversation: the turns on the branch that is shown, oldest first. */

import { card } from "./card.js";
import { thumbnail } from "./bitmaps.js";
import { h } from "./dom.js";
import { proposal, proposalCard } from "./proposal.js";
import { complain, findTurn, show, store, unfinished } from "./session.js";

const NEAR = 24; // pixels from the end that still count as its end
const GESTURE = 1000; // ms in which a scroll is somebody's doing

/**
 * The turns from the first picture to the node in view, oldest first, and those that run or made no picture. The latter
 * hang on the last picture before them, so that nothing said on this branch disappears.
 * @param {import("./session.js").State} state
 * @returns {any[]}
 */
function branch({ turns, shown }) {
  const on = new Set([/** @type {string | null} */ (null)]);
  for (let turn = findTurn(shown.id); turn; turn = findTurn(turn.parent_id)) on.add(turn.id);
  /** @type {(turn: any) => string | null} */
  const ground = (turn) => {
    const parent = findTurn(turn.parent_id);
    return !parent || parent.status === "succeeded" ? (parent?.id ?? null) : ground(parent);
  };
  return turns.filter((turn) => on.has(turn.id) || unfinished(turn) || (turn.status !== "succeeded" && on.has(ground(turn))));
}

/** @returns {HTMLElement} */
export function chat() {
  const list = h("div", { class: "turns-list" });
  const element = h("div", { class: "turns", role: "log", "aria-label": "Conversation" }, list);
  /** @type {Map<string, ReturnType<typeof card>>} */
  const cards = new Map();
  let first = "";
  const original = h("div", { class: "origin" });
  const hint = h("p", { class: "muted hint" }, "Say what should change, and it is found, planned and painted. Or paint over the place first: “Mask”, below the picture.");
  const planned = proposalCard();
  const stay = atItsEnd(element, list);
  const hinted = () => (hint.hidden = store.get().turns.length > 0 || proposal.get().edit !== null);
  proposal.follow(({ edit, waiting }) => {
    hinted();
    if (edit || waiting) stay();
  });
  store.follow((state) => {
    if (!state.session) {
      cards.clear();
      first = "";
      list.replaceChildren();
      return;
    }
    if (first !== state.session.id) {
      first = state.session.id;
      cards.clear();
      original.replaceChildren(origin(state.session));
    }
    original.firstElementChild?.setAttribute("aria-pressed", String(state.shown.id === null));
    const turns = branch(state);
    hinted();
    if (arrange(list, [original, hint, ...turns.map((turn) => made(turn).element), planned])) stay();
    const waiting = state.turns.filter(unfinished);
    const painted = turns.filter((turn) => turn.status === "succeeded");
    for (const turn of turns) {
      const next = painted[painted.indexOf(turn) + 1];
      const picked = turn.id === state.shown.id ? state.shown.sample : (next?.parent_index ?? 0);
      made(turn).update(turn, picked, Math.max(0, waiting.indexOf(turn) - 1));
    }
  });
  /** @param {any} turn */
  function made(turn) {
    const known = cards.get(turn.id) ?? card(turn);
    cards.set(turn.id, known);
    return known;
  }
  return element;
}

/**
 * Put elements into a list in their order; those that are there already stay where they are, with the focus in them.
 * @param {HTMLElement} list
 * @param {HTMLElement[]} wanted
 * @returns {boolean} whether there is a new one
 */
function arrange(list, wanted) {
  for (const child of [...list.children]) if (!wanted.includes(/** @type {HTMLElement} */ (child))) child.remove();
  const more = wanted.length > list.children.length;
  wanted.forEach((element, at) => list.children[at] !== element && list.insertBefore(element, list.children[at] ?? null));
  return more;
}

/**
 * Keep the end of what scrolls in view whatever grows or shrinks, unless somebody scrolled up.
 * @param {HTMLElement} scroller
 * @param {HTMLElement} content
 * @returns {() => void} goes to the end, and stays there again
 */
function atItsEnd(scroller, content) {
  let staying = true;
  let top = 0;
  const settle = () => {
    if (staying) scroller.scrollTop = scroller.scrollHeight;
  };
  let touched = -Infinity;
  for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) scroller.addEventListener(kind, () => (touched = performance.now()), { passive: true });
  scroller.addEventListener("scroll", () => {
    // What is added below moves the end away as well, and what goes moves the top: only a person scrolls up.
    const left = scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop;
    const up = scroller.scrollTop < top && performance.now() - touched < GESTURE;
    staying = left < NEAR || (staying && !up);
    top = scroller.scrollTop;
  });
  const sizes = new ResizeObserver(settle);
  sizes.observe(scroller);
  sizes.observe(content);
  return () => {
    staying = true;
    settle();
  };
}

/** @param {any} session */
function origin(session) {
  const img = h("img", { alt: "" });
  thumbnail(session.input_url).then((address) => (img.src = address), complain);
  return h("button", { type: "button", class: "origin-button", onclick: () => show({ id: null, sample: 0 }) }, img, h("span", {}, "Original"));
}

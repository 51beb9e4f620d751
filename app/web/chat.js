// @ts-check
/** The conversation: the turns on the branch that is shown, oldest first. */

import { card } from "./card.js";
import { thumbnail } from "./bitmaps.js";
import { h } from "./dom.js";
import { proposal, proposalCard } from "./proposal.js";
import { complain, findTurn, show, store, unfinished } from "./session.js";

/**
 * The turns from the first picture to a node, then those that run.
 * @param {import("./session.js").State} state
 * @returns {any[]}
 */
function branch({ turns, shown }) {
  /** @type {any[]} */
  const path = [];
  for (let turn = findTurn(shown.id); turn; turn = findTurn(turn.parent_id)) path.unshift(turn);
  const on = new Set(path.map((turn) => turn.id));
  const tip = shown.id;
  // Turns that failed or run hang on the branch they were said on, so that nothing said disappears.
  const loose = turns.filter((turn) => !on.has(turn.id) && (unfinished(turn) || (turn.status !== "succeeded" && (turn.parent_id ?? null) === tip)));
  return [...path, ...loose];
}

/** @returns {HTMLElement} */
export function chat() {
  const list = h("div", { class: "turns", role: "log", "aria-label": "Conversation" });
  /** @type {Map<string, ReturnType<typeof card>>} */
  const cards = new Map();
  let first = "";
  const original = h("div", { class: "origin" });
  const hint = h("p", { class: "muted hint" }, "Say what should change, and it is found, planned and painted. Or paint over the place first: “Mask”, below the picture.");
  const planned = proposalCard();
  const hinted = () => (hint.hidden = store.get().turns.length > 0 || proposal.get().edit !== null);
  proposal.follow(({ edit }) => {
    hinted();
    if (edit) planned.scrollIntoView({ block: "nearest" });
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
    const wanted = [original, hint, ...turns.map((turn) => made(turn).element), planned];
    if (wanted.length !== list.children.length || wanted.some((element, at) => list.children[at] !== element)) {
      list.replaceChildren(...wanted);
      list.scrollTop = list.scrollHeight;
    }
    for (const turn of turns) made(turn).update(turn);
  });
  /** @param {any} turn */
  function made(turn) {
    const known = cards.get(turn.id) ?? card(turn);
    cards.set(turn.id, known);
    return known;
  }
  return list;
}

/** @param {any} session */
function origin(session) {
  const img = h("img", { alt: "" });
  thumbnail(session.input_url).then((address) => (img.src = address), complain);
  return h("button", { type: "button", class: "origin-button", onclick: () => show({ id: null, sample: 0 }) }, img, h("span", {}, "Original"));
}

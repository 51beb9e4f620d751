// @ts-check
/** Where the target was found, and where else it might be: boxes on the picture, and buttons that choose one. */

import { picture } from "./api.js";
import { draft } from "./draft.js";
import { h, icon } from "./dom.js";
import { complain, findTurn, fork, store, unfinished } from "./session.js";
import { createStore } from "./store.js";

/** @type {import("./store.js").Store<{open: boolean}>} */
const shownFor = createStore({ open: false });

/** @param {import("./stage.js").Stage} stage */
export function candidates(stage) {
  const list = h("div", { class: "candidates", role: "group", "aria-label": "What was found" });
  let drawn = "";
  const update = () => {
    const { shown, turns, session } = store.get();
    const running = turns.find((turn) => unfinished(turn) && turn.regions.length);
    const turn = running ?? findTurn(shown.id);
    const found = session && turn?.plan ? (turn.regions[0]?.candidates ?? []) : [];
    const open = shownFor.get().open;
    const signature = JSON.stringify([turn?.id, turn?.status, found, open]);
    if (signature === drawn) return;
    drawn = signature;
    const region = turn?.regions[0];
    stage.set({ boxes: open || running ? found.map(boxOf(region)) : [] });
    list.hidden = !region || !session || unfinished(turn);
    if (list.hidden) return;
    list.replaceChildren(
      h("button", { type: "button", class: "toggle", "aria-pressed": String(open), onclick: () => shownFor.set({ open: !open }) }, icon("eye"), found.length ? `Found ${found.length}` : "Region"),
      ...(open ? found.map((/** @type {any} */ one, /** @type {number} */ at) => choice(turn, one, at, region.chosen.includes(at))) : []),
      ...(open ? [h("button", { type: "button", class: "toggle", onclick: () => reuse(turn).catch(complain) }, icon("brush"), "Edit this mask")] : []),
    );
  };
  store.follow(update);
  shownFor.follow(update);
  return list;
}

/**
 * @param {any} region
 * @returns {(candidate: any, at: number) => {box: number[], label: string, chosen: boolean}}
 */
function boxOf(region) {
  return ({ box, score, phrase }, at) => ({ box, label: `${at + 1} ${phrase} ${Math.round(score * 100)} %`, chosen: region.chosen.includes(at) });
}

/**
 * Choosing another candidate resumes the turn from its second stage, with the plan's box on that candidate.
 * @param {any} turn
 * @param {any} candidate
 * @param {number} at
 * @param {boolean} chosen
 */
function choice(turn, candidate, at, chosen) {
  const choose = () => {
    const [x0, y0, x1, y1] = candidate.box;
    const across = (/** @type {number} */ x) => Math.round((1000 * x) / turn.width);
    const down = (/** @type {number} */ y) => Math.round((1000 * y) / turn.height);
    const [first, ...rest] = turn.plan.steps;
    const step = { ...first, which: "one", where: "", box: [across(x0), down(y0), across(x1), down(y1)] };
    fork(turn.id, { stage: "locate", plan: { steps: [step, ...rest] } }).catch(complain);
  };
  const label = `${at + 1} · ${candidate.phrase} · ${Math.round(candidate.score * 100)} %`;
  return h("button", { type: "button", class: "toggle", "aria-pressed": String(chosen), title: "Do it here instead", onclick: choose }, label);
}

/**
 * Take the mask that was found into the tools.
 * @param {any} turn
 */
async function reuse(turn) {
  await draft.get().mask?.load(await picture(turn.regions[0].mask_url));
  draft.set({ painting: true });
}

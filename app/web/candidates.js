// @ts-check
/** Where the target was found, and where else it might be: drawn on the picture, and buttons that choose another. */

import { dataUrl, picture } from "./api.js";
import { draft } from "./draft.js";
import { h, icon } from "./dom.js";
import { Mask } from "./mask.js";
import { proposal, repropose } from "./proposal.js";
import { complain, findTurn, fork, store, unfinished } from "./session.js";
import { createStore } from "./store.js";
import { views } from "./views.js";

const panel = createStore(/** @type {{open: boolean}} */ ({ open: false }));

/** @param {import("./stage.js").Stage} stage */
export function candidates(stage) {
  const list = h("div", { class: "candidates", role: "group", "aria-label": "What was found", hidden: true });
  let drawn = "";
  const update = () => {
    const { turn, open } = current();
    const masked = Boolean(draft.get().mask?.selected);
    const signature = JSON.stringify([turn?.id, turn?.status, turn?.regions, open, masked, draft.get().painting, views.get().mode]);
    if (signature === drawn) return;
    drawn = signature;
    const region = turn?.regions[0];
    list.hidden = !region || unfinished(turn) || views.get().mode !== "after";
    const drawing = open && region && !draft.get().painting;
    stage.set({ boxes: drawing ? region.candidates.map(boxOf(turn, region)) : [], region: null });
    if (drawing && !masked) overlay(stage, turn, () => drawn === signature).catch(complain);
    if (region) list.replaceChildren(...buttons(turn, region, open, masked));
  };
  for (const source of [store, panel, draft, proposal, views]) source.follow(update);
  return list;
}

/** What the picture area is about: a proposal, else what runs, else the turn in view. */
function current() {
  const { shown, turns, session } = store.get();
  const { edit } = proposal.get();
  if (!session) return { turn: null, open: false };
  const running = turns.find((turn) => unfinished(turn) && turn.regions.length);
  const turn = edit ?? running ?? findTurn(shown.id);
  return { turn, open: panel.get().open || turn === edit || turn === running };
}

/**
 * @param {any} turn
 * @param {any} region
 * @param {boolean} open
 * @param {boolean} masked
 */
function buttons(turn, region, open, masked) {
  const found = region.candidates;
  const name = found.length ? `Found ${found.length}` : "Region";
  const fixed = turn === proposal.get().edit;
  const rerun = async () => {
    const { mask } = draft.get();
    if (!mask) return;
    const file = await mask.file({ width: turn.width, height: turn.height });
    await fork(turn.id, { stage: "paint", mask: await dataUrl(file), mask_polarity: "white" });
    mask.clear();
    draft.set({ painting: false });
  };
  const { painting } = draft.get();
  const toggle = fixed
    ? h("span", { class: "toggle" }, name)
    : h("button", { type: "button", class: "toggle", "aria-pressed": String(open), onclick: () => panel.set({ open: !panel.get().open }) }, icon("eye"), name);
  const choices = found.map((/** @type {any} */ one, /** @type {number} */ at) => choice(turn, one, at, region.chosen.includes(at)));
  return [
    !painting && toggle,
    ...(open && !painting ? choices : []),
    open && !painting && found.length > 1 && everyOne(turn),
    (open || painting) && h("button", { type: "button", class: "toggle", onclick: () => reuse(turn).catch(complain) }, icon("brush"), "Edit this mask"),
    masked && !fixed && turn.width && h("button", { type: "button", class: "toggle", title: "The same instruction, plan and seed, with the painted mask", onclick: () => rerun().catch(complain) }, icon("redo"), "Redo this turn with the mask"),
  ].filter((one) => one instanceof HTMLElement);
}

/**
 * @param {import("./stage.js").Stage} stage
 * @param {any} turn
 * @param {() => boolean} wanted
 */
async function overlay(stage, turn, wanted) {
  const file = await picture(turn.regions[0].mask_url);
  const size = stage.scene.after;
  if (!size) return;
  const mask = new Mask(size.width, size.height);
  await mask.load(file);
  if (wanted()) stage.set({ region: mask });
}

/**
 * @param {any} turn
 * @param {any} region
 * @returns {(candidate: any, at: number) => import("./stage.js").Found}
 */
function boxOf(turn, region) {
  return (candidate, at) => ({
    box: candidate.box,
    label: `${at + 1} ${candidate.phrase} ${Math.round(candidate.score * 100)} %`,
    chosen: region.chosen.includes(at),
    choose: () => unfinished(turn) || choose(turn, candidate),
  });
}

/**
 * Look for the first step's place again, with something changed about it.
 * @param {any} turn
 * @param {Record<string, any>} patch
 */
function relocate(turn, patch) {
  const [first, ...rest] = turn.plan.steps;
  const change = { stage: "locate", plan: { steps: [{ ...first, where: "", box: null, ...patch }, ...rest] } };
  (turn === proposal.get().edit ? repropose(change) : fork(turn.id, change)).catch(complain);
}

/**
 * Choosing another candidate begins again at the second stage, with the plan's box on that candidate.
 * @param {any} turn
 * @param {any} candidate
 */
function choose(turn, candidate) {
  const size = /** @type {Mask} */ (draft.get().mask);
  const across = (/** @type {number} */ x) => Math.round((1000 * x * size.scale) / size.width);
  const down = (/** @type {number} */ y) => Math.round((1000 * y * size.scale) / size.height);
  const [x0, y0, x1, y1] = candidate.box;
  relocate(turn, { which: "one", box: [across(x0), down(y0), across(x1), down(y1)] });
}

/**
 * @param {any} turn
 * @param {any} candidate
 * @param {number} at
 * @param {boolean} chosen
 */
function choice(turn, candidate, at, chosen) {
  const label = `${at + 1} · ${candidate.phrase} · ${Math.round(candidate.score * 100)} %`;
  return h("button", { type: "button", class: "toggle", "aria-pressed": String(chosen), title: "Do it here", onclick: () => choose(turn, candidate) }, label);
}

/** @param {any} turn */
function everyOne(turn) {
  const all = turn.plan.steps[0].which === "all";
  return h("button", { type: "button", class: "toggle", "aria-pressed": String(all), title: "Do it to every one of them", onclick: () => relocate(turn, { which: all ? "one" : "all" }) }, "All of them");
}

/**
 * Take the mask that was found into the tools.
 * @param {any} turn
 */
async function reuse(turn) {
  await draft.get().mask?.load(await picture(turn.regions[0].mask_url));
  draft.set({ painting: true });
}

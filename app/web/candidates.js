// @ts-check
/** Where each step's target was found, and where else it might be: drawn on the picture, and buttons that choose another. */

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
    const regions = turn?.regions ?? [];
    list.hidden = !regions.length || unfinished(turn) || views.get().mode !== "after";
    const drawing = open && regions.length > 0 && !draft.get().painting;
    stage.set({ boxes: drawing ? regions.flatMap((/** @type {any} */ _, /** @type {number} */ number) => boxes(turn, number)) : [], regions: [] });
    if (drawing && !masked) overlay(stage, turn, () => drawn === signature).catch(complain);
    if (regions.length) list.replaceChildren(...buttons(turn, open, masked));
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
 * @param {boolean} open
 * @param {boolean} masked
 */
function buttons(turn, open, masked) {
  const found = turn.regions.flatMap((/** @type {any} */ region) => region.candidates).length;
  const name = found ? `Found ${found}` : "Region";
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
  // A mask given by hand is that of every step, so it can stand in for what was found only where there is one.
  const redoable = masked && !fixed && turn.width && turn.plan.steps.length === 1;
  const toggle = fixed
    ? h("span", { class: "toggle" }, name)
    : h("button", { type: "button", class: "toggle", "aria-pressed": String(open), onclick: () => panel.set({ open: !panel.get().open }) }, icon("eye"), name);
  return [
    !painting && toggle,
    ...(open || painting ? turn.regions.map((/** @type {any} */ _, /** @type {number} */ number) => places(turn, number, painting)) : []),
    redoable && h("button", { type: "button", class: "toggle", title: "The same instruction, plan and seed, with the painted mask", onclick: () => rerun().catch(complain) }, icon("redo"), "Redo this turn with the mask"),
  ].filter((one) => one instanceof HTMLElement);
}

/**
 * What can be chosen for one step.
 * @param {any} turn
 * @param {number} number
 * @param {boolean} painting
 */
function places(turn, number, painting) {
  const { candidates: found, chosen } = turn.regions[number];
  return h(
    "div",
    { class: "places", role: "group", "aria-label": turn.regions.length > 1 ? `Places of step ${number + 1}` : "Places" },
    !painting && found.map((/** @type {any} */ one, /** @type {number} */ at) => choice(turn, number, one, at, chosen.includes(at))),
    !painting && found.length > 1 && everyOne(turn, number),
    h("button", { type: "button", class: "toggle", onclick: () => reuse(turn, number).catch(complain) }, icon("brush"), "Edit this mask"),
  );
}

/**
 * @param {import("./stage.js").Stage} stage
 * @param {any} turn
 * @param {() => boolean} wanted
 */
async function overlay(stage, turn, wanted) {
  const size = stage.scene.after;
  if (!size) return;
  const regions = await Promise.all(
    turn.regions.map(async (/** @type {any} */ region) => {
      const mask = new Mask(size.width, size.height);
      await mask.load(await picture(region.mask_url));
      return mask;
    }),
  );
  if (wanted()) stage.set({ regions });
}

/**
 * What a candidate is called; where a plan has several steps, after the step's number.
 * @param {any} turn
 * @param {number} number
 * @param {number} at
 */
const numbered = (turn, number, at) => (turn.plan.steps.length > 1 ? `${number + 1}.${at + 1}` : `${at + 1}`);

/**
 * @param {any} turn
 * @param {number} number of the step
 * @returns {import("./stage.js").Found[]}
 */
function boxes(turn, number) {
  const { candidates: found, chosen } = turn.regions[number];
  return found.map((/** @type {any} */ candidate, /** @type {number} */ at) => ({
    box: candidate.box,
    label: `${numbered(turn, number, at)} ${candidate.phrase} ${Math.round(candidate.score * 100)} %`,
    chosen: chosen.includes(at),
    choose: () => unfinished(turn) || choose(turn, number, candidate),
  }));
}

/**
 * Look for a step's place again, with something changed about it.
 * @param {any} turn
 * @param {number} number
 * @param {Record<string, any>} patch
 */
function relocate(turn, number, patch) {
  const steps = turn.plan.steps.map((/** @type {any} */ step, /** @type {number} */ at) => (at === number ? { ...step, where: "", box: null, ...patch } : step));
  const change = { stage: "locate", plan: { steps } };
  if (turn === proposal.get().edit) return void repropose(change).catch(complain);
  // The picture is to be seen as it becomes, without the tint of what may change.
  fork(turn.id, change).then(() => panel.set({ open: false }), complain);
}

/**
 * Choosing another candidate begins again at the second stage, with the step's box on that candidate.
 * @param {any} turn
 * @param {number} number
 * @param {any} candidate
 */
function choose(turn, number, candidate) {
  const size = /** @type {Mask} */ (draft.get().mask);
  const across = (/** @type {number} */ x) => Math.round((1000 * x * size.scale) / size.width);
  const down = (/** @type {number} */ y) => Math.round((1000 * y * size.scale) / size.height);
  const [x0, y0, x1, y1] = candidate.box;
  relocate(turn, number, { which: "one", box: [across(x0), down(y0), across(x1), down(y1)] });
}

/**
 * @param {any} turn
 * @param {number} number
 * @param {any} candidate
 * @param {number} at
 * @param {boolean} chosen
 */
function choice(turn, number, candidate, at, chosen) {
  const label = `${numbered(turn, number, at)} · ${candidate.phrase} · ${Math.round(candidate.score * 100)} %`;
  return h("button", { type: "button", class: "toggle", "aria-pressed": String(chosen), title: "Do it here", onclick: () => choose(turn, number, candidate) }, label);
}

/**
 * @param {any} turn
 * @param {number} number
 */
function everyOne(turn, number) {
  const all = turn.plan.steps[number].which === "all";
  return h("button", { type: "button", class: "toggle", "aria-pressed": String(all), title: "Do it to every one of them", onclick: () => relocate(turn, number, { which: all ? "one" : "all" }) }, "All of them");
}

/**
 * Take the mask that was found for a step into the tools.
 * @param {any} turn
 * @param {number} number
 */
async function reuse(turn, number) {
  await draft.get().mask?.load(await picture(turn.regions[number].mask_url));
  draft.set({ painting: true });
}

// @ts-check
/** Masks the server makes: what is under a click, and operations that need more than bits. */

import { call, dataUrl, picture } from "./api.js";
import { draft } from "./draft.js";
import { pictureOf, reference, store } from "./session.js";

/** @typedef {import("./viewport.js").Point} Point */

/**
 * Clicks on one thing.
 * @typedef {object} Clicks
 * @property {{x: number, y: number, positive: boolean}[]} points
 * @property {string} on the picture
 * @property {Uint8Array} base the mask before the first of them
 * @property {boolean} away whether the thing is taken away from it
 * @property {import("./mask.js").Patch | undefined} last what the last of them made of the mask
 */

/** @type {Clicks | null} */
let clicked = null;

/**
 * Add the thing at a point to the mask, or take it away from it; more clicks, as long as nothing else is done to the
 * mask, say better what belongs to it and, negative ones, what does not.
 * @param {Point} point
 * @param {boolean} negative
 */
export async function selectAt({ x, y }, negative) {
  const { shown } = store.get();
  const { mask } = draft.get();
  if (!mask) return;
  const on = pictureOf(shown);
  const known = clicked?.on === on && clicked.last && clicked.last === mask.done.at(-1) ? clicked : null;
  const begun = known ?? { points: [], on, base: mask.bits.slice(), away: negative && mask.selected > 0, last: undefined };
  const points = [...begun.points, { x, y, positive: begun.away === negative }];
  const edit = await call("/v1/plan", {
    headers: { Prefer: "wait=60" },
    json: {
      image: reference(shown),
      instruction: "select this",
      points,
      // A plan of its own: nothing has to be understood to find what is under a click.
      plan: { steps: [{ kind: "local", target: "this", caption: "this" }] },
    },
  });
  if (edit.error) throw Object.assign(new Error(edit.error.message), edit.error);
  const found = await mask.read(await picture(edit.regions[0].mask_url));
  mask.replace(() => begun.base.map((bit, i) => (begun.away ? bit & (1 - found[i]) : bit | found[i])));
  clicked = { ...begun, points, last: mask.done.at(-1) };
}

/** Begin a new selection by clicks. */
export function forgetClicks() {
  clicked = null;
}

/**
 * @param {Record<string, any>} operation of `POST /v1/masks`
 */
export async function operate(operation) {
  const { mask } = draft.get();
  if (!mask) return;
  const answer = await call("/v1/masks", { json: { mask: await dataUrl(await mask.file()), mask_polarity: "white", operations: [operation] } });
  // The policy of the page lets it fetch from the server alone, so the data URL is unpacked here.
  const bytes = Uint8Array.from(atob(answer.mask.split(",")[1]), (character) => character.charCodeAt(0));
  await mask.load(new Blob([bytes], { type: "image/png" }));
}

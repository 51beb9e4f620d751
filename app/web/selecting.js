// @ts-check
/** Masks the server makes: what is under a click, and operations that need more than bits. */

import { call, dataUrl, picture } from "./api.js";
import { draft } from "./draft.js";
import { pictureOf, reference, store } from "./session.js";

/** @typedef {import("./viewport.js").Point} Point */

/** @type {{points: {x: number, y: number, positive: boolean}[], on: string}} */
let clicked = { points: [], on: "" };

/**
 * Select the thing at a point, together with the clicks before; a negative click says what does not belong to it.
 * @param {Point} point
 * @param {boolean} negative
 */
export async function selectAt({ x, y }, negative) {
  const { shown } = store.get();
  const address = pictureOf(shown);
  const points = [...(clicked.on === address ? clicked.points : []), { x, y, positive: !negative }];
  clicked = { points, on: address };
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
  await draft.get().mask?.load(await picture(edit.regions[0].mask_url));
}

/** Begin a new selection by clicks. */
export function forgetClicks() {
  clicked = { points: [], on: "" };
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

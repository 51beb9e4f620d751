// @ts-check
/** What the next turn will be asked with, besides its words: the mask, clicks and options. */

import { dataUrl } from "./api.js";
import { Mask } from "./mask.js";
import { createStore } from "./store.js";

/**
 * @typedef {object} Draft
 * @property {Mask | null} mask
 * @property {number} changes counts strokes, so that followers notice them
 * @property {"replace" | "add" | "subtract"} maskMode
 * @property {boolean} painting whether the mask tools are in hand
 * @property {Record<string, any>} options
 */

export const draft = createStore(/** @type {Draft} */ ({ mask: null, changes: 0, maskMode: "replace", painting: false, options: {} }));

/**
 * An empty mask for a picture; the one there is stays when the size is the same.
 * @param {{width: number, height: number}} size
 * @param {boolean} [anew]
 */
export function maskFor(size, anew = false) {
  const known = draft.get().mask;
  const mask = new Mask(size.width, size.height);
  if (!anew && known && known.width === mask.width && known.height === mask.height) return;
  mask.onchange = () => draft.set({ changes: draft.get().changes + 1 });
  draft.set({ mask });
}

/** @returns {Promise<Record<string, any>>} the fields of a request */
export async function maskFields() {
  const { mask, maskMode } = draft.get();
  if (!mask?.selected) return {};
  return { mask: await dataUrl(await mask.file()), mask_polarity: "white", mask_mode: maskMode, ...(mask.scale < 1 && { mask_resize: "nearest" }) };
}

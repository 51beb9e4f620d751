// @ts-check
/** Pictures as bitmaps: whole, and small enough to draw often. Large photos stay usable on modest machines. */

import { picture } from "./api.js";

const PROXY = 2048;
const KEPT = 4;
const KEPT_PIXELS = 100e6;

/**
 * @typedef {object} Bitmap
 * @property {number} width of the picture
 * @property {number} height
 * @property {ImageBitmap} whole
 * @property {ImageBitmap} proxy the same, at most 2048 on its longer side
 */

/** @type {Map<string, Promise<Bitmap>>} */
const kept = new Map();
/** @type {Map<string, Promise<string>>} */
const thumbnails = new Map();

/**
 * @param {string} address of the API
 * @returns {Promise<Bitmap>}
 */
export function load(address) {
  const found = kept.get(address) ?? picture(address).then(decode);
  kept.delete(address);
  kept.set(address, found);
  found.then(
    ({ width, height }) => {
      // Two are always compared; of large photos no more than those are kept.
      const most = Math.min(KEPT, Math.max(2, Math.floor(KEPT_PIXELS / (width * height))));
      for (const old of [...kept.keys()].slice(0, -most)) kept.delete(old);
    },
    () => kept.delete(address),
  );
  return found;
}

/**
 * @param {Blob} blob
 * @returns {Promise<Bitmap>}
 */
export async function decode(blob) {
  const whole = await createImageBitmap(blob);
  const { width, height } = whole;
  const shrink = PROXY / Math.max(width, height);
  const size = { resizeWidth: Math.round(width * shrink), resizeHeight: Math.round(height * shrink) };
  const proxy = shrink < 1 ? await createImageBitmap(whole, { ...size, resizeQuality: "high" }) : whole;
  return { width, height, whole, proxy };
}

/**
 * @param {Bitmap} bitmap
 * @param {number} scale at which it is drawn, in device pixels
 * @returns {ImageBitmap}
 */
export function suited(bitmap, scale) {
  return bitmap.proxy.width >= bitmap.width * scale ? bitmap.proxy : bitmap.whole;
}

/**
 * A small copy of a picture, as an address for an image element.
 * @param {string} address
 * @returns {Promise<string>}
 */
export function thumbnail(address) {
  let found = thumbnails.get(address);
  if (!found) {
    found = picture(address).then(shrunk);
    found.catch(() => thumbnails.delete(address));
    thumbnails.set(address, found);
  }
  return found;
}

/**
 * @param {Blob} blob
 * @param {number} [side]
 * @returns {Promise<string>}
 */
export async function shrunk(blob, side = 320) {
  const whole = await createImageBitmap(blob);
  const shrink = Math.min(1, side / Math.max(whole.width, whole.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(whole.width * shrink));
  canvas.height = Math.max(1, Math.round(whole.height * shrink));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, 0, 0, canvas.width, canvas.height);
  whole.close();
  const small = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  return URL.createObjectURL(/** @type {Blob} */ (/** @type {unknown} */ (small)));
}

// @ts-check
/** Two pictures subtracted: where they differ glows, where they are equal stays dark. */

const LARGEST = 4_000_000;

/**
 * @param {import("./bitmaps.js").Bitmap} before
 * @param {import("./bitmaps.js").Bitmap} after
 * @param {[number, number, number]} colour of the largest difference
 * @returns {{canvas: HTMLCanvasElement, changed: number}} share of the pixels compared that differ
 */
export function difference(before, after, colour) {
  const shrink = Math.min(1, Math.sqrt(LARGEST / (after.width * after.height)));
  const width = Math.max(1, Math.round(after.width * shrink));
  const height = Math.max(1, Math.round(after.height * shrink));
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  const read = (/** @type {ImageBitmap} */ bitmap) => {
    context.drawImage(bitmap, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  };
  const one = read(before.whole).data;
  const other = read(after.whole);
  const two = other.data;
  let changed = 0;
  for (let i = 0; i < two.length; i += 4) {
    const delta = Math.max(Math.abs(one[i] - two[i]), Math.abs(one[i + 1] - two[i + 1]), Math.abs(one[i + 2] - two[i + 2]));
    const grey = (0.299 * one[i] + 0.587 * one[i + 1] + 0.114 * one[i + 2]) * 0.22;
    // Square root: a difference of one level must be seen as well.
    const glow = delta ? 0.3 + 0.7 * Math.sqrt(delta / 255) : 0;
    if (delta) changed++;
    for (let channel = 0; channel < 3; channel++) two[i + channel] = grey * (1 - glow) + colour[channel] * glow;
    two[i + 3] = 255;
  }
  context.putImageData(other, 0, 0);
  return { canvas, changed: changed / (width * height) };
}

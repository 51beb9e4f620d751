// @ts-check
/** Where a picture lies on the screen: screen = picture × scale + offset. */

/** @typedef {{scale: number, x: number, y: number}} View */
/** @typedef {{x: number, y: number}} Point */
/** @typedef {{width: number, height: number}} Size */

const MOST = 32;

/**
 * The whole picture in the middle of a box; small pictures are not blown up more than four times.
 * @param {Size} picture
 * @param {Size} box
 * @param {number} margin
 * @returns {View}
 */
export function fit(picture, box, margin) {
  const scale = Math.max(0.001, Math.min((box.width - 2 * margin) / picture.width, (box.height - 2 * margin) / picture.height, 4));
  return { scale, x: (box.width - picture.width * scale) / 2, y: (box.height - picture.height * scale) / 2 };
}

/**
 * @param {View} view
 * @param {number} factor
 * @param {Point} around stays where it is
 * @returns {View}
 */
export function zoom(view, factor, around) {
  const scale = Math.min(MOST, Math.max(0.01, view.scale * factor));
  const by = scale / view.scale;
  return { scale, x: around.x - (around.x - view.x) * by, y: around.y - (around.y - view.y) * by };
}

/**
 * @param {View} view
 * @param {number} dx
 * @param {number} dy
 * @returns {View}
 */
export function pan(view, dx, dy) {
  return { ...view, x: view.x + dx, y: view.y + dy };
}

/**
 * @param {View} view
 * @param {Point} point on the screen
 * @returns {Point} on the picture
 */
export function toPicture(view, point) {
  return { x: (point.x - view.x) / view.scale, y: (point.y - view.y) / view.scale };
}

/**
 * @param {View} view
 * @param {Point} point on the picture
 * @returns {Point} on the screen
 */
export function toScreen(view, point) {
  return { x: point.x * view.scale + view.x, y: point.y * view.scale + view.y };
}

// @ts-check
/** Mask tools: each turns a way the pointer went into pixels of the mask. Coordinates are the mask's own. */

/** @typedef {import("./viewport.js").Point} Point */
/** @typedef {import("./mask.js").Mask} Mask */
/** @typedef {import("./viewport.js").View} View */

/**
 * @typedef {object} Stroke
 * @property {Mask} mask
 * @property {Point[]} path
 * @property {number} size of the brush, in pixels of the mask
 * @property {boolean} erase
 *
 * @typedef {object} Tool
 * @property {string} name
 * @property {string} icon
 * @property {string} label
 * @property {string} key
 * @property {boolean} sized whether the brush's size matters
 * @property {(stroke: Stroke) => void} [draw] while the pointer moves
 * @property {(stroke: Stroke) => void} [end] when it is lifted
 * @property {(context: CanvasRenderingContext2D, path: Point[]) => void} [trace] outline in the making, in the mask's pixels
 */

/** @type {(stroke: Stroke) => void} */
function dab({ mask, path, size, erase }) {
  const { context } = mask;
  const to = path[path.length - 1];
  const from = path[path.length - 2] ?? to;
  context.globalCompositeOperation = erase ? "destination-out" : "source-over";
  context.strokeStyle = "#fff";
  context.lineCap = "round";
  context.lineJoin = "round";
  context.lineWidth = size;
  context.beginPath();
  context.moveTo(from.x, from.y);
  context.lineTo(to.x + 0.001, to.y);
  context.stroke();
  context.globalCompositeOperation = "source-over";
}

/** @type {(stroke: Stroke) => void} */
function dabbed({ mask, path, size }) {
  mask.commit(bounds(path, size));
}

/**
 * @param {(context: CanvasRenderingContext2D, path: Point[]) => void} outline
 * @returns {(stroke: Stroke) => void}
 */
function filled(outline) {
  return ({ mask, path, erase }) => {
    mask.context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    mask.context.fillStyle = "#fff";
    mask.context.beginPath();
    outline(mask.context, path);
    mask.context.fill();
    mask.context.globalCompositeOperation = "source-over";
    mask.commit(bounds(path, 2));
  };
}

/** @type {(context: CanvasRenderingContext2D, path: Point[]) => void} */
function rectangle(context, path) {
  const [a, b] = [path[0], path[path.length - 1]];
  context.rect(Math.round(a.x), Math.round(a.y), Math.round(b.x) - Math.round(a.x), Math.round(b.y) - Math.round(a.y));
}

/** @type {(context: CanvasRenderingContext2D, path: Point[]) => void} */
function ellipse(context, path) {
  const [a, b] = [path[0], path[path.length - 1]];
  context.ellipse((a.x + b.x) / 2, (a.y + b.y) / 2, Math.abs(b.x - a.x) / 2, Math.abs(b.y - a.y) / 2, 0, 0, 2 * Math.PI);
}

/** @type {(context: CanvasRenderingContext2D, path: Point[]) => void} */
function loop(context, path) {
  for (const point of path) context.lineTo(point.x, point.y);
  context.closePath();
}

/** @type {(stroke: Stroke) => void} */
function moved({ mask, path }) {
  const [a, b] = [path[0], path[path.length - 1]];
  const [dx, dy] = [Math.round(b.x - a.x), Math.round(b.y - a.y)];
  if (dx || dy) mask.move(dx, dy);
}

/** @type {(context: CanvasRenderingContext2D, path: Point[]) => void} */
function arrow(context, path) {
  context.moveTo(path[0].x, path[0].y);
  context.lineTo(path[path.length - 1].x, path[path.length - 1].y);
}

/**
 * @param {Point[]} path
 * @param {number} size
 * @returns {import("./mask.js").Area}
 */
function bounds(path, size) {
  const xs = path.map((point) => point.x);
  const ys = path.map((point) => point.y);
  const [x, y] = [Math.min(...xs) - size, Math.min(...ys) - size];
  return { x, y, width: Math.max(...xs) + size - x, height: Math.max(...ys) + size - y };
}

/** @type {Tool[]} */
export const TOOLS = [
  { name: "hand", icon: "hand", label: "Move the picture", key: "h", sized: false },
  { name: "brush", icon: "brush", label: "Brush", key: "b", sized: true, draw: dab, end: dabbed },
  { name: "eraser", icon: "eraser", label: "Eraser", key: "e", sized: true, draw: (stroke) => dab({ ...stroke, erase: true }), end: dabbed },
  { name: "rectangle", icon: "rect", label: "Rectangle", key: "r", sized: false, end: filled(rectangle), trace: rectangle },
  { name: "ellipse", icon: "ellipse", label: "Ellipse", key: "c", sized: false, end: filled(ellipse), trace: ellipse },
  { name: "lasso", icon: "lasso", label: "Lasso", key: "l", sized: false, end: filled(loop), trace: loop },
  { name: "select", icon: "point", label: "Select by clicking (Alt-click: not this)", key: "s", sized: false },
  { name: "move", icon: "move", label: "Move the mask", key: "m", sized: false, end: moved, trace: arrow },
];

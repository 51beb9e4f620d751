// @ts-check
/** Mouse, touch, pen and keys on the picture, as strokes, pans and pinches. */

import { pan, toPicture } from "./viewport.js";

/** @typedef {import("./viewport.js").Point} Point */

/**
 * @typedef {object} Hands What is done with the gestures; points are on the picture.
 * @property {() => "pan" | "stroke" | "split"} intent
 * @property {(point: Point, erase: boolean) => void} begin
 * @property {(point: Point) => void} go
 * @property {(kept: boolean) => void} end
 * @property {(point: Point) => void} tap touched and let go without a way in between, while no tool is in hand
 * @property {(point: Point | null) => void} hover
 * @property {(share: number) => void} split
 */

const LINE = 16;
const STILL = 5; // pixels of the screen
const STRIDE = 60;
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [STRIDE, 0], ArrowRight: [-STRIDE, 0], ArrowUp: [0, STRIDE], ArrowDown: [0, -STRIDE] };
const PEN_ERASER = 32; // the button at a pen's other end

/**
 * @param {import("./stage.js").Stage} stage
 * @param {Hands} hands
 */
export function handle(stage, hands) {
  const { canvas } = stage;
  /** @type {Map<number, Point>} */
  const down = new Map();
  /** @type {"pan" | "stroke" | "split" | "pinch" | null} */
  let doing = null;
  let spread = 0;
  /** @type {Point} */
  let begun = { x: 0, y: 0 };
  let spaced = false;

  const at = (/** @type {PointerEvent | WheelEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const share = (/** @type {Point} */ point) => toPicture(stage.view, point).x / (stage.scene.after?.width ?? 1);

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    const point = at(event);
    down.set(event.pointerId, point);
    if (down.size === 2) {
      if (doing === "stroke") hands.end(false);
      doing = "pinch";
      spread = distance(down);
      return;
    }
    if (down.size > 1) return;
    begun = point;
    const erasing = (event.buttons & PEN_ERASER) > 0;
    doing = event.button === 1 || spaced ? "pan" : event.button === 0 || erasing ? hands.intent() : null;
    if (doing === "stroke") hands.begin(toPicture(stage.view, point), event.altKey || erasing);
    if (doing === "split") hands.split(share(point));
  });

  canvas.addEventListener("pointermove", (event) => {
    const point = at(event);
    const before = down.get(event.pointerId);
    if (!before) return hands.hover(toPicture(stage.view, point));
    const middle = centre(down);
    down.set(event.pointerId, point);
    if (doing === "pan") stage.look(pan(stage.view, point.x - before.x, point.y - before.y));
    if (doing === "split") hands.split(share(point));
    if (doing === "pinch" && down.size === 2) {
      const now = centre(down);
      const wide = distance(down);
      stage.look(pan(stage.view, now.x - middle.x, now.y - middle.y));
      if (spread > 0) stage.zoom(wide / spread, now);
      spread = wide;
    }
    if (doing === "stroke") {
      const box = canvas.getBoundingClientRect();
      const passed = event.getCoalescedEvents?.() ?? [];
      for (const one of passed.length ? passed : [event]) hands.go(toPicture(stage.view, { x: one.clientX - box.left, y: one.clientY - box.top }));
      hands.hover(toPicture(stage.view, point));
    }
  });

  const lift = (/** @type {PointerEvent} */ event) => {
    down.delete(event.pointerId);
    const point = at(event);
    if (doing === "stroke") hands.end(event.type === "pointerup");
    if (doing === "pan" && event.button === 0 && Math.hypot(point.x - begun.x, point.y - begun.y) < STILL) hands.tap(toPicture(stage.view, point));
    if (down.size === 0) doing = null;
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => hands.hover(null));

  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1;
      if (event.shiftKey) stage.look(pan(stage.view, -(event.deltaX || event.deltaY) * lines, 0));
      else stage.zoom(Math.exp(-event.deltaY * lines * 0.0016), at(event));
    },
    { passive: false },
  );

  canvas.addEventListener("keydown", (event) => {
    const way = ARROWS[event.key];
    if (!way || hands.intent() !== "pan") return;
    event.preventDefault();
    stage.look(pan(stage.view, ...way));
  });
  window.addEventListener("keydown", (event) => {
    if (event.code === "Space" && document.activeElement === document.body) spaced = true;
  });
  window.addEventListener("keyup", (event) => {
    if (event.code === "Space") spaced = false;
  });
}

/**
 * @param {Map<number, Point>} down
 * @returns {Point}
 */
function centre(down) {
  const points = [...down.values()];
  return { x: points.reduce((sum, { x }) => sum + x, 0) / points.length, y: points.reduce((sum, { y }) => sum + y, 0) / points.length };
}

/**
 * @param {Map<number, Point>} down
 * @returns {number}
 */
function distance(down) {
  const [a, b] = [...down.values()];
  return Math.hypot(a.x - b.x, a.y - b.y);
}

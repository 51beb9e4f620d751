// @ts-check
/** The tool in hand at work on the mask: strokes from the pointer or the arrow keys, and the cursor they leave. */

import { draft } from "./draft.js";
import { complain } from "./session.js";
import { selectAt } from "./selecting.js";
import { TOOLS } from "./tools.js";
import { toScreen } from "./viewport.js";

/** @typedef {import("./viewport.js").Point} Point */

const FINEST = 1;
const COARSEST = 400;

/** @param {import("./stage.js").Stage} stage */
export function brushwork(stage) {
  let tool = TOOLS[1];
  let size = 40;
  let erase = false;
  let subtract = false;
  /** @type {Point[]} */
  let path = [];
  /** @type {Point | null} */
  let cursor = null;
  /** @type {Set<() => void>} */
  const followers = new Set();
  const told = () => followers.forEach((follower) => follower());

  const stroke = () => {
    const mask = /** @type {import("./mask.js").Mask} */ (draft.get().mask);
    return { mask, path, size: Math.max(1, size * mask.scale), erase: erase !== subtract };
  };

  stage.scene.hint = (context, view) => {
    const mask = draft.get().mask;
    if (!draft.get().painting || !mask) return;
    if (path.length && tool.trace) {
      context.save();
      context.translate(view.x, view.y);
      context.scale(view.scale / mask.scale, view.scale / mask.scale);
      context.beginPath();
      tool.trace(context, path);
      context.restore();
      outlined(context);
    }
    if (cursor && tool.name !== "hand") {
      const at = toScreen(view, cursor);
      context.beginPath();
      if (tool.sized) context.arc(at.x, at.y, Math.max(2, (size * view.scale) / 2), 0, 2 * Math.PI);
      else {
        context.moveTo(at.x - 8, at.y);
        context.lineTo(at.x + 8, at.y);
        context.moveTo(at.x, at.y - 8);
        context.lineTo(at.x, at.y + 8);
      }
      outlined(context);
    }
  };

  const work = {
    get tool() {
      return tool;
    },
    get size() {
      return size;
    },
    get subtract() {
      return subtract;
    },
    /** @param {() => void} follower */
    follow(follower) {
      followers.add(follower);
      follower();
    },
    /** @param {string} name */
    choose(name) {
      tool = TOOLS.find((one) => one.name === name) ?? tool;
      told();
      stage.redraw();
    },
    /** @param {number} wanted */
    resize(wanted) {
      size = Math.round(Math.min(COARSEST, Math.max(FINEST, wanted)));
      told();
      stage.redraw();
    },
    /** @param {boolean} on */
    takeAway(on) {
      subtract = on;
      told();
    },
    /**
     * @param {Point} point on the picture
     * @param {boolean} alternative
     */
    begin(point, alternative) {
      erase = alternative;
      path = [];
      work.go(point);
    },
    /** @param {Point} point */
    go(point) {
      const { mask } = draft.get();
      if (!mask) return;
      path.push({ x: point.x * mask.scale, y: point.y * mask.scale });
      tool.draw?.(stroke());
      stage.redraw();
    },
    /** @param {boolean} kept */
    end(kept) {
      if (!path.length) return;
      const at = path[path.length - 1];
      const { mask, erase: negative } = stroke();
      if (!kept) mask.restore();
      else if (tool.name === "select") selectAt({ x: Math.round(at.x / mask.scale), y: Math.round(at.y / mask.scale) }, negative).catch(complain);
      else tool.end?.(stroke());
      path = [];
      stage.redraw();
    },
    /** @param {Point | null} point */
    hover(point) {
      cursor = point;
      if (draft.get().painting) stage.redraw();
    },
    /**
     * Arrow keys move the cursor, Enter puts the tool down and lifts it again.
     * @param {KeyboardEvent} event
     */
    keys(event) {
      const picture = stage.scene.after;
      if (!picture) return;
      const far = event.shiftKey ? 10 : 1;
      /** @type {Record<string, [number, number]>} */
      const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      const way = ways[event.key];
      if (!way && event.key !== "Enter") return;
      event.preventDefault();
      cursor ??= { x: picture.width / 2, y: picture.height / 2 };
      if (event.key === "Enter") path.length ? work.end(true) : work.begin(cursor, event.altKey);
      else {
        const by = (far * Math.max(picture.width, picture.height)) / 200;
        cursor = { x: cursor.x + way[0] * by, y: cursor.y + way[1] * by };
        if (path.length) work.go(cursor);
        if (path.length && tool.name === "select") work.end(true);
      }
      stage.redraw();
    },
  };
  return work;
}

/** @param {CanvasRenderingContext2D} context */
function outlined(context) {
  context.lineWidth = 3;
  context.strokeStyle = "rgb(0 0 0 / 60%)";
  context.stroke();
  context.lineWidth = 1.25;
  context.strokeStyle = "#fff";
  context.stroke();
}

// @ts-check
/** The picture area: draws picture, comparison, mask and tools; knows nothing of the API. */

import { suited } from "./bitmaps.js";
import * as viewport from "./viewport.js";

/** @typedef {import("./bitmaps.js").Bitmap} Bitmap */
/** @typedef {"after" | "slider" | "side" | "difference"} Mode */
/** @typedef {{box: number[], label: string, chosen: boolean, choose: () => void}} Found */

/**
 * @typedef {object} Scene
 * @property {Bitmap | null} after
 * @property {Bitmap | null} before
 * @property {HTMLCanvasElement | null} difference
 * @property {Mode} mode
 * @property {number} split 0..1 of the picture's width
 * @property {boolean} held the original is shown while this is true
 * @property {import("./mask.js").Mask | null} mask
 * @property {boolean} maskShown
 * @property {import("./mask.js").Mask[]} regions what the steps of the turn in view were allowed to change
 * @property {Found[]} boxes
 * @property {((context: CanvasRenderingContext2D, view: viewport.View) => void) | null} hint drawn by the tool in hand
 */

const MARGIN = 16;
const BAR = 56; // the buttons at the bottom
const SHARP = 3;
const RIM = [[-1, 0], [1, 0], [0, -1], [0, 1], [-1, -1], [1, 1], [-1, 1], [1, -1]];

/** @param {HTMLCanvasElement} canvas */
const context2d = (canvas) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));

export class Stage {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = context2d(canvas);
    this.layer = document.createElement("canvas");
    this.seen = document.createElement("canvas");
    /** @type {viewport.View} */
    this.view = { scale: 1, x: 0, y: 0 };
    this.fitted = true;
    this.top = 0;
    this.size = { width: 0, height: 0 };
    /** @type {Scene} */
    this.scene = { after: null, before: null, difference: null, mode: "after", split: 0.5, held: false, mask: null, maskShown: true, regions: [], boxes: [], hint: null };
    this.waiting = false;
    /** @type {() => void} */
    this.onview = () => {};
    new ResizeObserver(() => this.resize()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  /** @param {Partial<Scene>} changes */
  set(changes) {
    const before = this.scene.after;
    const sided = this.scene.mode === "side";
    Object.assign(this.scene, changes);
    const after = this.scene.after;
    const other = before?.width !== after?.width || before?.height !== after?.height;
    if (other || sided !== (this.scene.mode === "side")) this.fit();
    this.redraw();
  }

  resize() {
    const ratio = devicePixelRatio;
    this.size = { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
    this.canvas.width = this.layer.width = this.seen.width = Math.round(this.size.width * ratio);
    this.canvas.height = this.layer.height = this.seen.height = Math.round(this.size.height * ratio);
    if (this.fitted) this.fit();
    this.redraw();
  }

  fit() {
    const { after, mode } = this.scene;
    if (!after) return;
    const box = { width: mode === "side" ? this.size.width / 2 : this.size.width, height: this.size.height - BAR - this.top };
    this.look(viewport.pan(viewport.fit(after, box, MARGIN), 0, this.top));
    this.fitted = true;
  }

  /**
   * Leave room for what lies over the picture at its top.
   * @param {number} height
   */
  clear(height) {
    if (height === this.top) return;
    this.top = height;
    if (this.fitted) this.fit();
  }

  /** @param {viewport.View} view */
  look(view) {
    this.view = view;
    this.fitted = false;
    this.redraw();
    this.onview();
  }

  /**
   * @param {number} factor
   * @param {viewport.Point} [around] on the screen
   */
  zoom(factor, around = { x: this.size.width / 2, y: this.size.height / 2 }) {
    this.look(viewport.zoom(this.view, factor, around));
  }

  /** Draw before the next frame. */
  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  draw() {
    const { context, scene, size } = this;
    const ratio = devicePixelRatio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, size.width, size.height);
    if (!scene.after || !size.width || !size.height) return;
    const before = scene.before ?? scene.after;
    const seen = scene.held ? before : scene.after;
    if (scene.mode === "slider" && !scene.held) {
      const x = this.view.x + scene.split * scene.after.width * this.view.scale;
      this.clipped(0, x, () => this.picture(before));
      this.clipped(x, size.width, () => this.picture(seen));
      this.divider(x);
    } else if (scene.mode === "side") {
      const half = size.width / 2;
      this.clipped(0, half, () => this.picture(before));
      this.clipped(half, size.width, () => this.picture(seen, half));
      this.rule(half);
    } else if (scene.mode === "difference" && !scene.held && scene.difference) {
      this.draws(scene.difference, scene.after);
    } else {
      this.picture(seen);
      if (scene.mask && scene.maskShown && !scene.held) this.selection(scene.mask, scene.after);
      if (!scene.held) for (const region of scene.regions) this.selection(region, scene.after);
      if (!scene.held) for (const box of scene.boxes) this.box(box);
      scene.hint?.(context, this.view);
    }
  }

  /**
   * @param {Bitmap} bitmap
   * @param {number} [shift]
   */
  picture(bitmap, shift = 0) {
    this.draws(suited(bitmap, this.view.scale * devicePixelRatio), bitmap, shift);
  }

  /**
   * @param {CanvasImageSource} source
   * @param {viewport.Size} size of the picture
   * @param {number} [shift]
   */
  draws(source, size, shift = 0) {
    const { context, view } = this;
    context.imageSmoothingEnabled = view.scale < SHARP;
    context.imageSmoothingQuality = "high";
    context.drawImage(source, view.x + shift, view.y, size.width * view.scale, size.height * view.scale);
  }

  /**
   * @param {number} from
   * @param {number} to
   * @param {() => void} draw
   */
  clipped(from, to, draw) {
    this.context.save();
    this.context.beginPath();
    this.context.rect(from, 0, to - from, this.size.height);
    this.context.clip();
    draw();
    this.context.restore();
  }

  /**
   * The mask, tinted, with a rim of a constant width at every zoom.
   * @param {import("./mask.js").Mask} mask
   * @param {viewport.Size} size
   */
  selection(mask, size) {
    const ratio = devicePixelRatio;
    const { view } = this;
    // A large mask is shrunk once; its rim is that picture eight times, moved a little.
    const seen = context2d(this.seen);
    seen.setTransform(ratio, 0, 0, ratio, 0, 0);
    seen.clearRect(0, 0, this.size.width, this.size.height);
    seen.imageSmoothingEnabled = view.scale * mask.scale < SHARP;
    seen.drawImage(mask.canvas, view.x, view.y, size.width * view.scale, size.height * view.scale);
    const layer = context2d(this.layer);
    layer.setTransform(1, 0, 0, 1, 0, 0);
    layer.globalCompositeOperation = "copy";
    layer.drawImage(this.seen, 0, 0);
    layer.globalCompositeOperation = "source-over";
    const rim = Math.round(1.5 * ratio);
    for (const [dx, dy] of RIM) layer.drawImage(this.seen, dx * rim, dy * rim);
    layer.globalCompositeOperation = "destination-out";
    layer.globalAlpha = 0.5;
    layer.drawImage(this.seen, 0, 0);
    layer.globalAlpha = 1;
    layer.globalCompositeOperation = "source-in";
    layer.fillStyle = this.colour("--mask");
    layer.fillRect(0, 0, this.layer.width, this.layer.height);
    this.context.drawImage(this.layer, 0, 0, this.size.width, this.size.height);
  }

  /**
   * @param {viewport.Point} point on the picture
   * @returns {Found | undefined} the smallest box around it
   */
  boxAt({ x, y }) {
    const area = (/** @type {number[]} */ [x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0);
    const around = this.scene.boxes.filter(({ box: [x0, y0, x1, y1] }) => x >= x0 && x < x1 && y >= y0 && y < y1);
    return around.sort((one, other) => area(one.box) - area(other.box))[0];
  }

  /** @param {Found} candidate */
  box({ box, label, chosen }) {
    const { context, view } = this;
    const [x, y] = [box[0] * view.scale + view.x, box[1] * view.scale + view.y];
    const [width, height] = [(box[2] - box[0]) * view.scale, (box[3] - box[1]) * view.scale];
    context.lineWidth = chosen ? 4 : 3.5;
    context.strokeStyle = "rgb(0 0 0 / 55%)";
    context.strokeRect(x, y, width, height);
    context.lineWidth = chosen ? 2.5 : 1.5;
    context.strokeStyle = chosen ? this.colour("--mask") : "#fff";
    context.setLineDash(chosen ? [] : [6, 4]);
    context.strokeRect(x, y, width, height);
    context.setLineDash([]);
    context.font = "600 12px system-ui, sans-serif";
    const wide = context.measureText(label).width + 12;
    context.fillStyle = chosen ? this.colour("--mask") : "rgb(0 0 0 / 75%)";
    context.fillRect(x, Math.max(0, y - 20), wide, 20);
    context.fillStyle = "#fff";
    context.fillText(label, x + 6, Math.max(0, y - 20) + 14);
  }

  /** @param {number} x */
  divider(x) {
    const { context, size, view, scene } = this;
    const middle = view.y + (/** @type {Bitmap} */ (scene.after).height * view.scale) / 2;
    this.rule(x);
    context.fillStyle = "#fff";
    context.beginPath();
    context.arc(x, Math.min(size.height - 30, Math.max(30, middle)), 15, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = "#1c1b1a";
    context.font = "600 15px system-ui, sans-serif";
    context.textAlign = "center";
    context.fillText("‹ ›", x, Math.min(size.height - 30, Math.max(30, middle)) + 5);
    context.textAlign = "start";
  }

  /** @param {number} x */
  rule(x) {
    const { context, size } = this;
    context.fillStyle = "rgb(0 0 0 / 40%)";
    context.fillRect(x - 2, 0, 4, size.height);
    context.fillStyle = "#fff";
    context.fillRect(x - 1, 0, 2, size.height);
  }

  /** @param {string} name */
  colour(name) {
    return getComputedStyle(this.canvas).getPropertyValue(name).trim();
  }
}

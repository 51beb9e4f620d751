// @ts-check
/** A mask being painted: one bit a pixel, a canvas that shows it, and every change as a patch that can be undone. */

const LARGEST = 4_000_000;
const REMEMBERED = 100;

/** @typedef {{x: number, y: number, width: number, height: number}} Area */
/** @typedef {{area: Area, before: Uint8Array, after: Uint8Array}} Patch */

/**
 * A picture of more than four million pixels gets a coarser mask; the server enlarges it.
 */
export class Mask {
  /**
   * @param {number} width of the picture
   * @param {number} height
   */
  constructor(width, height) {
    this.scale = Math.min(1, Math.sqrt(LARGEST / (width * height)));
    this.width = Math.max(1, Math.round(width * this.scale));
    this.height = Math.max(1, Math.round(height * this.scale));
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.width;
    this.canvas.height = this.height;
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d", { willReadFrequently: true }));
    this.bits = new Uint8Array(this.width * this.height);
    this.selected = 0;
    /** @type {Patch[]} */
    this.done = [];
    /** @type {Patch[]} */
    this.undone = [];
    /** @type {() => void} */
    this.onchange = () => {};
  }

  /** @returns {number} share of the picture, 0..1 */
  get coverage() {
    return this.selected / this.bits.length;
  }

  /**
   * Take what was drawn on the canvas since the last time as one change.
   * @param {Area} [touched] where it was drawn
   */
  commit(touched = { x: 0, y: 0, width: this.width, height: this.height }) {
    const area = this.#clipped(touched);
    if (!area) return;
    const drawn = this.context.getImageData(area.x, area.y, area.width, area.height).data;
    const after = new Uint8Array(area.width * area.height);
    for (let i = 0; i < after.length; i++) after[i] = drawn[4 * i + 3] >= 128 ? 1 : 0;
    const patch = { area, before: this.#read(area), after };
    this.#write(area, after);
    if (patch.before.some((bit, i) => bit !== after[i])) {
      this.done.push(patch);
      this.done.splice(0, this.done.length - REMEMBERED);
      this.undone = [];
    }
    this.onchange();
  }

  /**
   * Change every pixel.
   * @param {(bits: Uint8Array) => Uint8Array} change
   */
  replace(change) {
    const area = { x: 0, y: 0, width: this.width, height: this.height };
    const patch = { area, before: this.bits.slice(), after: change(this.bits) };
    this.done.push(patch);
    this.undone = [];
    this.#write(area, patch.after);
    this.onchange();
  }

  invert() {
    this.replace((bits) => bits.map((bit) => 1 - bit));
  }

  clear() {
    if (this.selected) this.replace((bits) => new Uint8Array(bits.length));
  }

  all() {
    this.replace((bits) => new Uint8Array(bits.length).fill(1));
  }

  /**
   * @param {number} dx in pixels of the mask
   * @param {number} dy
   */
  move(dx, dy) {
    this.replace((bits) => {
      const moved = new Uint8Array(bits.length);
      for (let y = Math.max(0, dy); y < Math.min(this.height, this.height + dy); y++) {
        const from = (y - dy) * this.width;
        const row = bits.subarray(from + Math.max(0, -dx), from + Math.min(this.width, this.width - dx));
        moved.set(row, y * this.width + Math.max(0, dx));
      }
      return moved;
    });
  }

  /** @returns {boolean} whether there was anything to undo */
  undo() {
    const patch = this.done.pop();
    if (!patch) return false;
    this.undone.push(patch);
    this.#write(patch.area, patch.before);
    this.onchange();
    return true;
  }

  /** @returns {boolean} */
  redo() {
    const patch = this.undone.pop();
    if (!patch) return false;
    this.done.push(patch);
    this.#write(patch.area, patch.after);
    this.onchange();
    return true;
  }

  /**
   * Take a mask file.
   * @param {Blob} file
   */
  async load(file) {
    const read = await this.read(file);
    this.replace(() => read);
  }

  /**
   * Read a mask file: what is light and opaque, or in a file with transparency what is transparent.
   * @param {Blob} file
   * @returns {Promise<Uint8Array>} one bit for each pixel of this mask
   */
  async read(file) {
    const bitmap = await createImageBitmap(file).catch(() => {
      throw new Error("This file is no picture that can be opened as a mask. PNG, JPEG and WebP can.");
    });
    const { width, height } = bitmap;
    if (Math.abs(width / this.width - height / this.height) * Math.max(this.width, this.height) > 1.5 * Math.max(1, width / this.width)) {
      bitmap.close();
      throw new Error(`This mask is ${width} × ${height} pixels, which is another shape than the picture's. Open one of the picture's size.`);
    }
    const canvas = document.createElement("canvas");
    canvas.width = this.width;
    canvas.height = this.height;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
    context.imageSmoothingEnabled = false;
    context.drawImage(bitmap, 0, 0, this.width, this.height);
    bitmap.close();
    const { data } = context.getImageData(0, 0, this.width, this.height);
    let transparent = false;
    for (let i = 3; i < data.length && !transparent; i += 4) transparent = data[i] < 255;
    return this.bits.map((_, i) => {
      if (transparent) return data[4 * i + 3] < 128 ? 1 : 0;
      return 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2] >= 127.5 ? 1 : 0;
    });
  }

  /**
   * @param {{width: number, height: number}} [size] of the file; enlarged to it without smoothing
   * @returns {Promise<Blob>} a PNG, white = may change
   */
  async file(size = this) {
    const canvas = document.createElement("canvas");
    canvas.width = size.width;
    canvas.height = size.height;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.fillRect(0, 0, size.width, size.height);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.canvas, 0, 0, size.width, size.height);
    return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the mask is too large"))), "image/png"));
  }

  /** Forget strokes that were not committed. */
  restore() {
    this.#write({ x: 0, y: 0, width: this.width, height: this.height }, this.bits.slice());
  }

  /**
   * @param {Area} area
   * @returns {Area | null}
   */
  #clipped(area) {
    const x = Math.max(0, Math.floor(area.x));
    const y = Math.max(0, Math.floor(area.y));
    const width = Math.min(this.width, Math.ceil(area.x + area.width)) - x;
    const height = Math.min(this.height, Math.ceil(area.y + area.height)) - y;
    return width > 0 && height > 0 ? { x, y, width, height } : null;
  }

  /** @param {Area} area */
  #read({ x, y, width, height }) {
    const read = new Uint8Array(width * height);
    for (let row = 0; row < height; row++) {
      const from = (y + row) * this.width + x;
      read.set(this.bits.subarray(from, from + width), row * width);
    }
    return read;
  }

  /**
   * @param {Area} area
   * @param {Uint8Array} bits
   */
  #write({ x, y, width, height }, bits) {
    const image = this.context.createImageData(width, height);
    const colours = new Uint32Array(image.data.buffer);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const bit = bits[row * width + column];
        const at = (y + row) * this.width + x + column;
        this.selected += bit - this.bits[at];
        this.bits[at] = bit;
        colours[row * width + column] = bit ? 0xffffffff : 0;
      }
    }
    this.context.putImageData(image, x, y);
  }
}

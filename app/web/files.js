// @ts-check
/** Pictures from a person: picked, dropped or pasted. */

import { h } from "./dom.js";

/**
 * @param {string} accept
 * @param {boolean} multiple
 * @returns {Promise<File[]>}
 */
export function pick(accept, multiple) {
  return new Promise((resolve) => {
    const input = h("input", { type: "file", accept, multiple, onchange: () => resolve([...(input.files ?? [])]), oncancel: () => resolve([]) });
    input.click();
  });
}

/**
 * Take files dropped anywhere on the page, and pasted pictures.
 * @param {(files: File[]) => void} take
 */
export function receive(take) {
  let over = 0;
  const carries = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  const mark = (/** @type {number} */ change) => {
    over = Math.max(0, over + change);
    document.body.classList.toggle("dropping", over > 0);
  };
  window.addEventListener("dragenter", (event) => carries(event) && mark(1));
  window.addEventListener("dragleave", (event) => carries(event) && mark(-1));
  window.addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  window.addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    mark(-over);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length) take(files);
  });
  window.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
}

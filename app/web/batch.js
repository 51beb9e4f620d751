// @ts-check
/** Many pictures at once. */
import { h } from "./dom.js";
export function batchScreen() {
  return { element: h("main", { class: "batch" }), add: async (/** @type {File[]} */ _files) => {} };
}

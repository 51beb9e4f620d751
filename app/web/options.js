// @ts-check
/** The options most people change; the API takes more. */

import { draft } from "./draft.js";
import { h } from "./dom.js";

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {string} hint
 * @property {number} [min]
 * @property {number} [max]
 * @property {number | string} [step]
 */

/** @type {Field[]} */
const FIELDS = [
  { name: "samples", label: "Variants", hint: "1", min: 1, max: 8, step: 1 },
  { name: "seed", label: "Seed", hint: "random", min: 0, step: 1 },
  { name: "tries", label: "Tries", hint: "auto", min: 1, max: 16, step: 1 },
  { name: "steps", label: "Steps", hint: "auto", min: 1, max: 200, step: 1 },
  { name: "guidance", label: "Guidance", hint: "auto", min: 0, max: 50, step: 0.1 },
  { name: "strength", label: "Strength", hint: "1", min: 0.05, max: 1, step: 0.05 },
  { name: "grow", label: "Reach, px", hint: "auto", min: 0, max: 4096, step: 1 },
  { name: "blur", label: "Feather, px", hint: "= reach", min: 0, max: 4096, step: 1 },
  { name: "preservation_scale", label: "Preservation", hint: "1", min: 0, max: 10, step: 0.1 },
];
const PREVIEWS = { preview_every: 2 };

/** @returns {number} how many options are not left to the server */
export function changed() {
  return Object.keys(draft.get().options).filter((name) => !(name in PREVIEWS)).length;
}

/** @returns {HTMLElement} */
export function optionsForm() {
  draft.set({ options: PREVIEWS });
  const inputs = FIELDS.map(({ name, label, hint, ...limits }) => {
    const input = h("input", { type: "number", name, placeholder: hint, inputMode: "decimal", oninput: read, ...limits });
    return h("label", { class: "field" }, h("span", {}, label), input);
  });
  const negative = h("input", { type: "text", name: "negative", placeholder: "nothing", maxLength: 2000, oninput: read });
  const form = h("fieldset", { class: "options", hidden: true }, h("legend", {}, "Options for the next turn"), inputs, h("label", { class: "field wide" }, h("span", {}, "Must not show"), negative));
  function read() {
    /** @type {Record<string, any>} */
    const options = { ...PREVIEWS };
    for (const input of form.querySelectorAll("input")) {
      if (input.value !== "") options[input.name] = input.type === "number" ? Number(input.value) : input.value;
    }
    draft.set({ options });
  }
  window.addEventListener("recipe", (event) => {
    const given = /** @type {CustomEvent} */ (event).detail;
    for (const input of form.querySelectorAll("input")) input.value = given[input.name] ?? "";
    read();
  });
  return form;
}

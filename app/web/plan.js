// @ts-check
/** The plan as chips that can be changed; each change says from which stage on the work is to be done again. */

import { h, icon } from "./dom.js";
import { complain } from "./session.js";

const KINDS = ["add", "remove", "local", "background"];
/** @type {Record<string, string>} */
const NAMES = { add: "Add", remove: "Remove", local: "Change", background: "Background", global: "Whole picture" };

/**
 * @typedef {object} Chip
 * @property {string} label
 * @property {string} value
 * @property {"text" | "number" | "choice"} type
 * @property {[string, string][]} [choices] value and name
 * @property {(value: string) => Record<string, any>} change what to ask the fork for
 */

/** @typedef {(change: Record<string, any>) => Promise<void>} Apply takes what `POST /v1/edits/{id}/fork` takes */

/**
 * @param {any} turn
 * @param {Apply | null} apply null = the chips only show
 */
export function planChips(turn, apply) {
  const several = turn.plan.steps.length > 1;
  return h(
    "div",
    { class: "plan" },
    turn.plan.steps.map((/** @type {any} */ step, /** @type {number} */ number) =>
      h(
        "div",
        { class: "chips", role: "group", "aria-label": several ? `Plan, step ${number + 1}` : "Plan" },
        several && h("span", { class: "chip-number" }, number + 1),
        stepChips(turn, step, number).map((one) => chip(one, apply)),
      ),
    ),
    h("div", { class: "chips", role: "group", "aria-label": "Options" }, optionChips(turn).map((one) => chip(one, apply))),
  );
}

/**
 * @param {any} turn
 * @param {any} step
 * @param {number} number
 * @returns {Chip[]}
 */
function stepChips(turn, step, number) {
  const changed = (/** @type {Record<string, any>} */ patch) => ({
    steps: turn.plan.steps.map((/** @type {any} */ old, /** @type {number} */ at) => (at === number ? { ...old, ...patch } : old)),
  });
  const relocate = (/** @type {Record<string, any>} */ patch) => ({ stage: "locate", plan: changed(patch) });
  return [
    { label: "Kind", value: step.kind, type: "choice", choices: KINDS.map((kind) => [kind, NAMES[kind]]), change: (kind) => relocate({ kind }) },
    { label: "Target", value: step.target, type: "text", change: (target) => relocate({ target, box: null }) },
    {
      label: "Instances",
      value: step.which,
      type: "choice",
      choices: [
        ["one", "One"],
        ["all", "All of them"],
      ],
      change: (which) => relocate({ which }),
    },
    { label: "Caption", value: step.caption, type: "text", change: (caption) => ({ stage: "paint", plan: changed({ caption }) }) },
  ];
}

/**
 * @param {any} turn
 * @returns {Chip[]}
 */
function optionChips(turn) {
  const stage = turn.regions.length ? "paint" : "locate";
  const option = (/** @type {string} */ label, /** @type {string} */ name, /** @type {number} */ usual) => ({
    label,
    value: String(turn.options[name] ?? usual),
    type: /** @type {const} */ ("number"),
    change: (/** @type {string} */ value) => ({ stage, options: { [name]: Number(value) } }),
  });
  return [option("Seed", "seed", 0), option("Steps", "steps", 20), option("Guidance", "guidance", 7.5)];
}

/**
 * @param {Chip} about
 * @param {Apply | null} apply
 * @returns {HTMLElement}
 */
function chip(about, apply) {
  const named = about.choices?.find(([value]) => value === about.value)?.[1] ?? about.value;
  const button = h(
    "button",
    { type: "button", class: "chip", disabled: !apply, title: named || about.label, onclick: () => apply && edit(button, about, apply) },
    h("span", { class: "chip-label" }, about.label),
    h("span", { class: "chip-value" }, named || "—"),
  );
  return button;
}

/**
 * @param {HTMLElement} button
 * @param {Chip} about
 * @param {Apply} apply
 */
function edit(button, about, apply) {
  const field = about.choices
    ? h("select", { "aria-label": about.label }, about.choices.map(([value, name]) => h("option", { value, selected: value === about.value }, name)))
    : h("input", { type: about.type, value: about.value, step: "any", "aria-label": about.label, maxLength: 300, required: true });
  const form = h(
    "form",
    {
      class: "chip-form",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        form.replaceWith(button);
        button.focus();
        if (field.value !== about.value) apply(about.change(field.value)).catch(complain);
      },
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        form.replaceWith(button);
        button.focus();
      },
    },
    h("label", {}, h("span", { class: "chip-label" }, about.label), field),
    h("button", { type: "submit", class: "icon-button", "aria-label": "Run with this", title: "Run with this" }, icon("check")),
  );
  button.replaceWith(form);
  field.focus();
}

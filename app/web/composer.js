// @ts-check
/** Where the next thing is said: the instruction, the mask it comes with, and options behind a button. */

import { draft, maskFields } from "./draft.js";
import { h, icon, iconButton, toComposer } from "./dom.js";
import { changed, optionsForm } from "./options.js";
import { propose } from "./proposal.js";
import { complain, say, store } from "./session.js";

const LONGEST = 4000; // characters, as the API takes them

/** @returns {HTMLElement} */
export function composer() {
  const text = h("textarea", {
    id: "composer",
    rows: 1,
    placeholder: "Say what should change",
    "aria-label": "Instruction",
    enterKeyHint: "send",
    oninput: () => {
      grow(text);
      lacking("");
    },
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      submit(event.ctrlKey || event.metaKey);
    },
  });
  const lack = h("p", { class: "lack", role: "alert", hidden: true });
  const lacking = (/** @type {string} */ words) => {
    lack.hidden = !words;
    lack.textContent = words;
  };
  const send = h("button", { type: "submit", class: "send", "aria-label": "Send", title: "Send (Enter)" }, icon("send"));
  const options = optionsForm();
  const plan = h("button", { type: "button", class: "text-button plan-first", title: "See the plan before anything is painted (Ctrl+Enter)", onclick: () => submit(true) }, "Plan");
  const toggle = iconButton("sliders", "Options", () => unfold(options.hidden), { class: "icon-button options-toggle", "aria-expanded": "false" });
  const unfold = (/** @type {boolean} */ open) => {
    options.hidden = !open;
    toggle.setAttribute("aria-expanded", String(open));
  };
  draft.follow(() => {
    const set = changed();
    toggle.dataset.set = set ? String(set) : "";
    toggle.title = set ? `Options, ${set} set` : "Options";
    toggle.setAttribute("aria-label", toggle.title);
  });
  const form = h(
    "form",
    {
      class: "composer",
      onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), submit(false)),
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key !== "Escape" || event.isComposing || options.hidden) return;
        if (options.contains(document.activeElement)) toggle.focus();
        unfold(false);
      },
    },
    options,
    maskLine(),
    lack,
    h("div", { class: "composer-line" }, toggle, text, plan, send),
  );

  /** @param {boolean} planOnly */
  async function submit(planOnly) {
    const instruction = text.value.trim();
    if (send.disabled) return;
    const over = [...instruction].length - LONGEST;
    lacking(over > 0 ? `That is ${over.toLocaleString("en")} characters too long: ${LONGEST.toLocaleString("en")} can be read at once.` : instruction ? "" : "Say in words what should change.");
    if (!instruction || over > 0) return text.focus();
    send.disabled = plan.disabled = true;
    try {
      const body = { instruction, options: draft.get().options, ...(await maskFields()) };
      await (planOnly ? propose(body) : say(body));
      text.value = "";
      grow(text);
      if (planOnly) return;
      draft.get().mask?.clear();
      draft.set({ painting: false });
    } catch (error) {
      complain(error);
    } finally {
      send.disabled = plan.disabled = false;
    }
  }

  let opened = "";
  store.follow(({ session }) => {
    if (session && session.id !== opened) setTimeout(toComposer);
    opened = session?.id ?? "";
  });
  return form;
}

/** @param {string} words */
export function suggest(words) {
  const text = /** @type {HTMLTextAreaElement} */ (document.getElementById("composer"));
  text.value = words;
  grow(text);
  text.focus();
}

/** @param {HTMLTextAreaElement} text */
function grow(text) {
  text.style.height = "auto";
  text.style.height = `${Math.min(text.scrollHeight, 160)}px`;
}

/** The mask that goes with the next turn, and how it is combined with what is found. */
function maskLine() {
  const share = h("span", { class: "mask-share" });
  const mode = h(
    "select",
    { "aria-label": "How the mask is used", onchange: () => draft.set({ maskMode: /** @type {any} */ (mode.value) }) },
    h("option", { value: "replace" }, "change only this"),
    h("option", { value: "add" }, "add to what is found"),
    h("option", { value: "subtract" }, "protect this"),
  );
  const line = h("div", { class: "mask-line" }, share, mode, iconButton("close", "Clear the mask", () => draft.get().mask?.clear()));
  draft.follow(({ mask, maskMode }) => {
    line.hidden = !mask?.selected;
    mode.value = maskMode;
    if (mask) share.textContent = `Mask, ${percent(mask.coverage)}`;
  });
  return line;
}

/** @param {number} share */
function percent(share) {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

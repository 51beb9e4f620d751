// @ts-check
/** What a running edit is doing: its stage in words, a bar, and a way to stop it. */

import { h, iconButton, toComposer } from "./dom.js";
import { cancel, complain } from "./session.js";
import { told } from "./tries.js";

/** @type {Record<string, string>} */
const SAID = {
  queued: "Waiting for a free worker",
  plan: "Reading the instruction",
  locate: "Finding the place",
  paint: "Painting",
  finish: "Finishing",
};

/**
 * @param {import("./session.js").Live | undefined} live
 * @param {any} turn
 * @param {number} ahead turns of this session that wait for their turn before it: the server does not count them
 * @returns {{text: string, share: number | null}}
 */
function described(live, turn, ahead) {
  if (live?.lost) return { text: "The connection is lost; trying again", share: null };
  if (live?.position !== undefined) {
    const before = live.position + ahead;
    return { text: before ? `In the queue, ${before} before this` : "Next in the queue", share: null };
  }
  if (live?.stage === "paint" && live.painted) return told(live.painted, turn);
  return { text: SAID[live?.stage ?? "queued"] ?? "Working", share: null };
}

/**
 * @param {string} id
 * @returns {{element: HTMLElement, update: (live: import("./session.js").Live | undefined, turn: any, ahead: number) => void}}
 */
export function progress(id) {
  const text = h("span", { class: "progress-text" });
  const bar = h("progress", { "aria-label": "Progress", max: 1 });
  const stop = iconButton("stop", "Cancel this edit", () => {
    stop.disabled = true;
    text.textContent = "Cancelling";
    toComposer();
    cancel(id).catch((error) => {
      stop.disabled = false;
      complain(error);
    });
  });
  return {
    element: h("div", { class: "progress", role: "group", "aria-label": "Progress of this edit" }, h("div", { class: "progress-line" }, text, bar), stop),
    update(live, turn, ahead) {
      if (stop.disabled) return;
      const { text: said, share } = described(live, turn, ahead);
      // Written only when it changes: screen readers follow the conversation.
      if (text.textContent !== said) text.textContent = said;
      if (share === null) bar.removeAttribute("value");
      else bar.value = share;
    },
  };
}

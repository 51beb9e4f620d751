// @ts-check
/** What a running edit is doing: its stage in words, a bar, and a way to stop it. */

import { h, iconButton } from "./dom.js";
import { cancel, complain } from "./session.js";

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
 * @returns {{text: string, share: number | null}}
 */
function described(live) {
  if (live?.position !== undefined) return { text: live.position ? `In the queue, ${live.position} before this` : "Next in the queue", share: null };
  if (live?.stage === "paint" && live.steps) return { text: `Painting, step ${live.step} of ${live.steps}`, share: (live.step ?? 0) / live.steps };
  return { text: SAID[live?.stage ?? "queued"] ?? "Working", share: null };
}

/**
 * @param {string} id
 * @returns {{element: HTMLElement, update: (live: import("./session.js").Live | undefined) => void}}
 */
export function progress(id) {
  const text = h("span", { class: "progress-text" });
  const bar = h("progress", { "aria-label": "Progress", max: 1 });
  const stop = iconButton("stop", "Cancel this edit", () => {
    stop.disabled = true;
    text.textContent = "Cancelling";
    cancel(id).catch(complain);
  });
  return {
    element: h("div", { class: "progress", role: "group", "aria-label": "Progress of this edit" }, h("div", { class: "progress-line" }, text, bar), stop),
    update(live) {
      if (stop.disabled) return;
      const { text: said, share } = described(live);
      text.textContent = said;
      if (share === null) bar.removeAttribute("value");
      else bar.value = share;
    },
  };
}

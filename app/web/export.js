// @ts-check
/** A turn to take away: as code, and as a file. */

import { complain } from "./session.js";
import { picture } from "./api.js";
import { h, iconButton, toast } from "./dom.js";
import { snippets } from "./snippets.js";

/**
 * @param {any} turn
 * @param {number} sample
 */
export function openExport(turn, sample) {
  const code = h("pre", { tabIndex: 0, "aria-label": "Code" });
  const made = snippets(turn, location.origin);
  const names = Object.keys(made);
  const tabs = names.map((name) => h("button", { type: "button", role: "tab", class: "tab", onclick: () => choose(name) }, name));
  const copy = async () => {
    await navigator.clipboard.writeText(code.textContent ?? "");
    toast("Copied");
  };
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-label": "Copy as code, or download", onclose: () => dialog.remove() },
    h("header", {}, h("h2", {}, "Take this turn with you"), iconButton("close", "Close", () => dialog.close())),
    h("div", { class: "tabs", role: "tablist", "aria-label": "Language" }, tabs),
    code,
    h(
      "footer",
      {},
      h("button", { type: "button", class: "button", onclick: () => copy().catch(complain) }, "Copy"),
      turn.images.length > 0 && h("button", { type: "button", class: "button primary", onclick: () => download(turn, sample).catch(complain) }, "Download with recipe"),
    ),
  );
  /** @param {string} name */
  function choose(name) {
    tabs.forEach((tab, at) => tab.setAttribute("aria-selected", String(names[at] === name)));
    code.textContent = made[name];
  }
  choose(names[0]);
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * @param {any} turn
 * @param {number} sample
 */
async function download(turn, sample) {
  const image = turn.images[sample];
  save(await picture(image.url), `${turn.id}-${sample}.${image.media_type.split("/")[1]}`);
}

/**
 * @param {Blob} blob
 * @param {string} name
 */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

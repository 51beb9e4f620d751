// @ts-check
/** Asks for an API key where the server wants one. */

import { apiKey, setApiKey } from "./api.js";
import { h } from "./dom.js";

/** Ask, once, whenever a request was refused for want of a key. */
export function askForKeys() {
  window.addEventListener("key-needed", () => {
    if (!document.querySelector("dialog.keyring")) ask();
  });
}

function ask() {
  const key = h("input", { type: "password", required: true, autocomplete: "off", "aria-label": "API key", placeholder: "be-…" });
  const dialog = h(
    "dialog",
    { class: "dialog keyring", "aria-label": "API key", onclose: () => dialog.remove() },
    h("header", {}, h("h2", {}, "An API key is needed")),
    h("p", {}, apiKey() ? "The key this browser keeps is not valid, or no longer." : "This server lets in who has a key. Its owner makes one with “brushedit keys create”."),
    h(
      "form",
      {
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          setApiKey(key.value.trim());
          location.reload();
        },
      },
      h("label", { class: "field wide" }, h("span", {}, "Key"), key),
      h("footer", {}, h("button", { type: "submit", class: "button primary" }, "Continue")),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}

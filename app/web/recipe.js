// @ts-check
/** The recipe a produced PNG carries, and doing the same again. */

import { h, iconButton } from "./dom.js";
import { complain, store } from "./session.js";
import { suggest } from "./composer.js";

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const KEYWORD = "brushedit";

/**
 * @param {Blob} file
 * @returns {Promise<any | null>}
 */
async function readRecipe(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (SIGNATURE.some((byte, at) => bytes[at] !== byte)) return null;
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 12 <= bytes.length; at += view.getUint32(at) + 12) {
    const content = bytes.subarray(at + 8, at + 8 + view.getUint32(at));
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (type === "iTXt" && text(content.subarray(0, KEYWORD.length)) === KEYWORD && content[KEYWORD.length] === 0) return parse(content.subarray(KEYWORD.length + 1));
  }
  return null;
}

/**
 * Compression flag and method, language, translated keyword, text (PNG specification, section 11.3.3.4).
 * @param {Uint8Array<ArrayBuffer>} content
 */
async function parse(content) {
  const language = content.indexOf(0, 2);
  const keyword = content.indexOf(0, language + 1);
  const rest = content.subarray(keyword + 1);
  const plain = content[0] ? await new Response(new Blob([rest]).stream().pipeThrough(new DecompressionStream("deflate"))).text() : text(rest);
  try {
    return JSON.parse(plain);
  } catch {
    return null;
  }
}

/** @param {Uint8Array} bytes */
const text = (bytes) => new TextDecoder().decode(bytes);

/**
 * Ask what to do with a picture that carries a recipe.
 * @param {File} file
 * @param {(file: Blob, title: string, suggestion?: string) => Promise<void>} begin
 * @returns {Promise<boolean>} whether it carries one
 */
export async function offerRecipe(file, begin) {
  const recipe = await readRecipe(file);
  if (!recipe) return false;
  const restore = () => {
    window.dispatchEvent(new CustomEvent("recipe", { detail: { ...recipe.options, samples: undefined, seed: recipe.seed } }));
    suggest(recipe.instruction);
  };
  const here = store.get().session !== null;
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-label": "This picture carries its recipe", onclose: () => dialog.remove() },
    h("header", {}, h("h2", {}, "This picture carries its recipe"), iconButton("close", "Close", () => dialog.close())),
    h("blockquote", {}, recipe.instruction),
    h("p", { class: "muted" }, `Seed ${recipe.seed}`),
    h(
      "footer",
      {},
      h("button", { type: "button", class: "button", onclick: () => (dialog.close(), begin(file, file.name).catch(complain)) }, "Just open the picture"),
      here && h("button", { type: "button", class: "button primary", onclick: () => (dialog.close(), restore()) }, "Use the recipe here"),
      !here && h("button", { type: "button", class: "button primary", onclick: () => (dialog.close(), begin(file, file.name).then(restore, complain)) }, "Open it with the recipe"),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return true;
}

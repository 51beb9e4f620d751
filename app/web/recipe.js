// @ts-check
/** The recipe a produced PNG carries, and doing the same again. */

import { call, picture } from "./api.js";
import { h, iconButton } from "./dom.js";
import { propose } from "./proposal.js";
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
  const here = store.get().session !== null;
  const before = here ? null : await original(file, recipe).catch(() => null);
  /**
   * @param {string} label
   * @param {() => unknown} run
   * @param {boolean} [primary]
   */
  const choice = (label, run, primary = false) => h("button", { type: "button", class: primary ? "button primary" : "button", onclick: () => (dialog.close(), Promise.resolve(run()).catch(complain)) }, label);
  const open = async (/** @type {Blob} */ from) => {
    await begin(from, file.name);
    await restore(recipe);
  };
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-label": "This picture carries its recipe", onclose: () => dialog.remove() },
    h("header", {}, h("h2", {}, "This picture carries its recipe"), iconButton("close", "Close", () => dialog.close())),
    h("blockquote", {}, recipe.instruction),
    h("p", { class: "muted" }, `It brings back the sentence, its plan, the options and seed ${recipe.seed}; nothing is painted before you have seen the plan.`),
    !here && h("p", { class: "muted" }, before ? "The picture it was made from is still on this server." : "The picture it was made from is not known here: on this one, the sentence would be carried out once more."),
    h(
      "footer",
      {},
      choice("Just open the picture", () => begin(file, file.name)),
      here && choice("Use the recipe here", () => restore(recipe), true),
      !here && choice(before ? "Open the result with the recipe" : "Open it with the recipe", () => open(file), !before),
      before && choice("Open the original with the recipe", async () => open(await picture(before)), true),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return true;
}

/**
 * The picture that a result was made from, where the server still has the edit that made this very file.
 * @param {File} file
 * @param {any} recipe
 * @returns {Promise<string | null>} its address
 */
async function original(file, { instruction, seed }) {
  const { data } = await call("/v1/edits?limit=100");
  const made = data.find((/** @type {any} */ edit) => edit.instruction === instruction && edit.images.some((/** @type {any} */ image) => image.seed === seed && image.bytes === file.size));
  return made?.urls.input ?? null;
}

/**
 * Say it again with its options, as a plan that is not painted yet; where that cannot be, as words.
 * @param {any} recipe
 */
async function restore({ instruction, plan, options, seed }) {
  window.dispatchEvent(new CustomEvent("recipe", { detail: { ...options, samples: undefined, seed } }));
  try {
    await propose({ instruction, plan, options: { ...options, samples: 1, seed } });
  } catch (error) {
    suggest(instruction);
    throw error;
  }
}

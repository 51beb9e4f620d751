// @ts-check
/** The first screen: open a picture, take an example, or go on with an earlier session. */

import { call } from "./api.js";
import { thumbnail } from "./bitmaps.js";
import { h, icon } from "./dom.js";
import { pick } from "./files.js";
import { complain } from "./session.js";

const EXAMPLES = [
  { file: "table.png", say: "remove the blue cube" },
  { file: "beach.png", say: "make the ball yellow" },
  { file: "night.png", say: "put a red cone on the left" },
];

/**
 * @param {(file: Blob, title: string, suggestion?: string) => void | Promise<void>} begin
 * @param {(file: File) => void} offer takes a file that may carry a recipe
 * @returns {{element: HTMLElement, refresh: () => void}}
 */
export function startScreen(begin, offer) {
  const recent = h("section", { class: "recent", hidden: true });
  const choose = () => pick("image/*", false).then(([file]) => file && offer(file));
  const element = h(
    "main",
    { class: "start" },
    h(
      "div",
      { class: "hero" },
      h("h1", {}, "Say what should change. ", h("span", {}, "The rest stays, pixel for pixel.")),
      h(
        "button",
        { type: "button", class: "dropzone", onclick: choose },
        icon("image"),
        h("strong", {}, "Open a picture"),
        h("span", { class: "muted" }, "or drop or paste one anywhere on this page"),
      ),
    ),
    h("section", { class: "examples", "aria-label": "Examples" }, h("h2", {}, "Or start with an example"), h("div", { class: "example-list" }, EXAMPLES.map((example) => card(example, begin)))),
    recent,
  );
  return { element, refresh: () => sessions(recent).catch(complain) };
}

/**
 * @param {{file: string, say: string}} example
 * @param {(file: Blob, title: string, suggestion?: string) => void | Promise<void>} begin
 */
function card({ file, say }, begin) {
  const address = `/web/examples/${file}`;
  const run = async () => {
    // A second click while the first one's session is made would make another.
    button.disabled = true;
    try {
      await begin(await (await fetch(address)).blob(), say, say);
    } finally {
      button.disabled = false;
    }
  };
  const button = h(
    "button",
    { type: "button", class: "example", onclick: () => run().catch(complain) },
    h("img", { src: address, alt: "", width: 512, height: 384 }),
    h("span", {}, `“${say}”`),
  );
  return button;
}

/** @param {HTMLElement} section */
async function sessions(section) {
  const { data } = await call("/v1/sessions?limit=12");
  section.hidden = data.length === 0;
  section.replaceChildren(
    h("h2", {}, "Go on with"),
    h("div", { class: "recent-list" }, data.map((/** @type {any} */ session) => entry(session))),
  );
}

/** @param {any} session */
function entry(session) {
  const img = h("img", { alt: "" });
  const address = session.head ? `/v1/edits/${session.head}/images/0` : session.input_url;
  thumbnail(address).then((made) => (img.src = made), complain);
  const when = new Date(session.updated_at * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  return h("a", { class: "recent-entry", href: `#${session.id}` }, img, h("span", { class: "recent-title" }, session.title || "Untitled"), h("span", { class: "muted" }, when));
}

// @ts-check
/** Puts the page together, and shows the screen its address names. */

import { ApiError } from "./api.js";
import { batchScreen } from "./batch.js";
import { chat } from "./chat.js";
import { composer, suggest } from "./composer.js";
import { fill, h } from "./dom.js";
import { receive } from "./files.js";
import { header, toggleHistory } from "./header.js";
import { askForKeys } from "./keyring.js";
import { listen } from "./keys.js";
import { pane } from "./pane.js";
import { offerRecipe } from "./recipe.js";
import { close, complain, open, start, watch } from "./session.js";
import { startScreen } from "./start.js";
import { applyTheme } from "./theme.js";
import { tree } from "./tree.js";

applyTheme();
askForKeys();

const picture = pane();
const beginning = startScreen(
  (file, title, suggestion) => begin(file, title, suggestion).catch(complain),
  (file) => offer(file).catch(complain),
);
const batch = batchScreen();
const conversation = h("main", { class: "session" }, picture.element, h("section", { class: "talk", "aria-label": "Conversation" }, chat(), composer()), tree());
const screens = { start: beginning.element, session: conversation, batch: batch.element };

fill(/** @type {HTMLElement} */ (document.getElementById("app")), header(), ...Object.values(screens));
listen(picture.stage, picture.work, toggleHistory);
receive((files) => (screens.batch.hidden ? offer(files[0]) : batch.add(files)).catch(complain));
watch();
window.addEventListener("hashchange", () => route().catch(complain));
route().catch(complain);

async function route() {
  const name = location.hash.slice(1);
  const screen = name === "batch" ? "batch" : name.startsWith("session_") ? "session" : "start";
  for (const [known, element] of Object.entries(screens)) element.hidden = known !== screen;
  document.body.dataset.screen = screen;
  if (screen !== "session") close();
  if (screen === "batch") {
    document.title = "Batch · BrushEdit";
    batch.refresh();
  }
  if (screen === "start") {
    document.title = "BrushEdit";
    beginning.refresh();
  }
  if (screen === "session") {
    try {
      if (!/^session_[0-9a-f]{32}$/.test(name)) throw new Error("This link is not whole: a session's address has 32 letters and digits behind session_.");
      await open(name);
    } catch (error) {
      // A shared link stays in the address while its key is asked for.
      if (!(error instanceof ApiError && error.status === 401)) location.hash = "";
      throw error;
    }
  }
}

/**
 * @param {Blob} file
 * @param {string} title
 * @param {string} [suggestion] words to begin with
 */
async function begin(file, title, suggestion) {
  history.pushState(null, "", `#${await start(file, title)}`);
  await route();
  if (suggestion) suggest(suggestion);
}

/** @param {File} file */
async function offer(file) {
  if (!(await offerRecipe(file, begin))) await begin(file, file.name);
}

// @ts-check
/** The picture area with its tools: shows the node in view, live previews, comparisons and the mask. */

import { load } from "./bitmaps.js";
import { brushwork } from "./brushwork.js";
import { candidates } from "./candidates.js";
import { difference } from "./difference.js";
import { draft, maskFor } from "./draft.js";
import { fill, h } from "./dom.js";
import { handle } from "./pointer.js";
import { complain, findTurn, nameOf, pictureOf, store, unfinished } from "./session.js";
import { Stage } from "./stage.js";
import { toolbar } from "./toolbar.js";
import { viewbar, views } from "./views.js";

const GLOW = /** @type {[number, number, number]} */ ([255, 92, 158]);

/** @returns {{element: HTMLElement, stage: Stage, work: ReturnType<typeof brushwork>}} */
export function pane() {
  const canvas = h("canvas", { class: "canvas", tabIndex: 0, role: "img" });
  const stage = new Stage(canvas);
  const work = brushwork(stage);
  const working = h("div", { class: "working", hidden: true }, h("span", { class: "pulse" }), "Live preview");
  const labels = h("div", { class: "sides", hidden: true });
  const tools = toolbar(work);
  const element = h("section", { class: "stage", "aria-label": "Picture" }, canvas, labels, tools, working, candidates(stage), viewbar(stage));

  const intent = () => (views.get().mode === "slider" ? "split" : draft.get().painting && work.tool.name !== "hand" ? "stroke" : "pan");
  handle(stage, {
    intent,
    begin: work.begin,
    go: work.go,
    end: work.end,
    tap: (point) => stage.boxAt(point)?.choose(),
    hover: (point) => {
      work.hover(point);
      canvas.classList.toggle("choosing", point !== null && stage.boxAt(point) !== undefined);
    },
    split: (share) => views.set({ split: Math.min(1, Math.max(0, share)) }),
  });
  canvas.addEventListener("keydown", (event) => intent() === "stroke" && work.keys(event));

  // Read when a picture is there, not when it was asked for: meanwhile somebody may look at it in another way.
  const looked = () => {
    const { mode, split, held } = views.get();
    return { mode, split, held };
  };
  let wanted = "";
  let opened = "";
  store.follow((state) => show(state).catch(complain));
  views.follow(() => store.get().session && show(store.get()).catch(complain));
  draft.follow(({ mask, painting }) => {
    stage.clear(painting ? tools.offsetTop + tools.offsetHeight : 0);
    stage.set({ mask, maskShown: painting || Boolean(mask?.selected) });
    canvas.classList.toggle("painting", painting && work.tool.name !== "hand");
  });

  /** @param {import("./session.js").State} state */
  async function show(state) {
    if (!state.session) {
      wanted = opened = "";
      return;
    }
    const { against } = views.get();
    const running = state.turns.find((turn) => unfinished(turn) && state.live[turn.id]?.preview);
    const preview = running && state.live[running.id].preview;
    const after = preview ?? pictureOf(state.shown);
    const turn = findTurn(state.shown.id);
    const before = against ? pictureOf(against) : (turn?.urls.input ?? state.session.input_url);
    working.hidden = !preview;
    canvas.setAttribute("aria-label", turn ? `The picture after: ${turn.instruction}` : "The original picture");
    const key = `${after} ${before}`;
    sides(views.get().mode, against ? nameOf(against.id) : "Before", against ? nameOf(state.shown.id) : "After");
    if (key === wanted) return stage.set(looked());
    wanted = key;
    const [shown, earlier] = await Promise.all([load(after), load(before)]);
    if (wanted !== key) return;
    if (opened !== state.session.id) stage.fitted = true;
    maskFor(shown, opened !== state.session.id);
    opened = state.session.id;
    stage.set({ after: shown, before: earlier, difference: null, ...looked() });
    element.dataset.shown = after;
    if (shown.width === earlier.width && shown.height === earlier.height) compared(key, earlier, shown);
  }

  /**
   * Say which side is which, where two are seen.
   * @param {import("./stage.js").Mode} mode
   * @param {string} left
   * @param {string} right
   */
  function sides(mode, left, right) {
    labels.hidden = mode !== "slider" && mode !== "side";
    fill(labels, h("span", {}, left), h("span", {}, right));
  }

  /**
   * @param {string} key
   * @param {import("./bitmaps.js").Bitmap} before
   * @param {import("./bitmaps.js").Bitmap} after
   */
  function compared(key, before, after) {
    if (views.get().mode !== "difference") return void (wanted === key && pending(key, before, after));
    const { canvas: glowing, changed } = difference(before, after, GLOW);
    stage.set({ difference: glowing });
    views.set({ changed });
  }

  /**
   * A difference costs a pass over every pixel, so it waits until somebody wants to see it.
   * @param {string} key
   * @param {import("./bitmaps.js").Bitmap} before
   * @param {import("./bitmaps.js").Bitmap} after
   */
  function pending(key, before, after) {
    const stop = views.follow(({ mode }) => {
      if (wanted !== key) return queueMicrotask(() => stop());
      if (mode !== "difference") return;
      queueMicrotask(() => {
        stop();
        if (wanted === key && !stage.scene.difference) compared(key, before, after);
      });
    });
  }
  return { element, stage, work };
}

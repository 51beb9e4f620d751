// @ts-check
/** Elements from plain calls: no markup is ever parsed, so nothing a person or a model wrote can become markup. */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [props] `on…` are listeners, `data…`/`aria-…`/unknown ones attributes.
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name in element && !name.includes("-") && name !== "list" && name !== "form") /** @type {any} */ (element)[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

/**
 * Replace what is in an element.
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/**
 * @param {Element} element
 * @param {(Child | Child[])[]} children
 */
function append(element, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/**
 * @param {string} path the `d` of a 24 × 24 outline
 * @returns {SVGSVGElement}
 */
function outline(path) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(space, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/** @type {Record<string, string>} */
const OUTLINES = {
  send: "M12 19V5m0 0-6 6m6-6 6 6",
  stop: "M7 7h10v10H7z",
  undo: "M9 14 4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3",
  redo: "m15 14 5-5-5-5m5 5H10a6 6 0 0 0 0 12h3",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  history: "M6 4v12a4 4 0 0 0 4 4h2M6 8h6M6 4a2 2 0 1 1 0-.01M14 8a2 2 0 1 0 4 0 2 2 0 0 0-4 0zM14 20a2 2 0 1 0 4 0 2 2 0 0 0-4 0z",
  batch: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  moon: "M20 14A8 8 0 1 1 10 4a6.5 6.5 0 0 0 10 10z",
  keys: "M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M8 14h8",
  close: "M6 6l12 12M18 6 6 18",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  brush: "M4 20c4 1 7-1 7-4a3 3 0 0 0-5-2c-1 2 0 4-2 6zM11 14 20 4M9 12l9-9 3 3-9 9",
  eraser: "m4 15 9-10 7 6-8 9H8zM9 10l7 6M12 20h8",
  rect: "M5 6h14v12H5z",
  ellipse: "M12 6c4.4 0 8 2.7 8 6s-3.6 6-8 6-8-2.7-8-6 3.6-6 8-6z",
  lasso: "M12 5c5 0 8 2 8 5s-3 5-8 5-8-2-8-5 3-5 8-5zM8 15c-2 1-2 4 1 4M7 15v5",
  point: "M12 3v5M12 16v5M3 12h5M16 12h5M12 12h.01",
  move: "M12 3v18M3 12h18M12 3 9 6M12 3l3 3M12 21l-3-3M12 21l3-3M3 12l3-3M3 12l3 3M21 12l-3-3M21 12l-3 3",
  hand: "M8 12V6a1.5 1.5 0 0 1 3 0v5V4.5a1.5 1.5 0 0 1 3 0V11V6a1.5 1.5 0 0 1 3 0v8a6 6 0 0 1-6 6c-3 0-4-1-6-4l-2-3.5a1.6 1.6 0 0 1 2.6-1.8z",
  grow: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  shrink: "M9 4v5H4M15 4v5h5M9 20v-5H4M15 20v-5h5",
  invert: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  fill: "M4 12l8-8 8 8-8 8zM4 12h16",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  upload: "M12 16V4m0 0L7 9m5-5 5 5M4 20h16",
  download: "M12 4v12m0 0-5-5m5 5 5-5M4 20h16",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  split: "M12 3v18M8 8l-4 4 4 4M16 8l4 4-4 4",
  side: "M4 5h16v14H4zM12 5v14",
  diff: "M4 12a8 8 0 0 1 8-8M20 12a8 8 0 0 1-8 8M9 12h6M12 9v6",
  eye: "M2 12s4-6 10-6 10 6 10 6-4 6-10 6-10-6-10-6zM12 9a3 3 0 1 1 0 6 3 3 0 0 1 0-6z",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  dice: "M5 5h14v14H5zM9 9h.01M15 15h.01M15 9h.01M9 15h.01",
  sliders: "M4 7h10M18 7h2M4 17h2M10 17h10M14 5v4M8 15v4",
  warn: "M12 4 3 20h18zM12 10v4M12 17h.01",
  check: "m5 12 5 5 9-10",
  pen: "m4 20 1-4L16 5l3 3L8 19z",
};

/**
 * @param {keyof typeof OUTLINES} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  return outline(OUTLINES[name]);
}

/**
 * A button with an icon; its label is read out and shown as a tooltip.
 * @param {string} name
 * @param {string} label
 * @param {(event: MouseEvent) => void} onclick
 * @param {Record<string, any>} [props]
 * @returns {HTMLButtonElement}
 */
export function iconButton(name, label, onclick, props = {}) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...props }, icon(name));
}

/** To where the next thing is said, when what had the focus is gone; on a touch screen that would open the keyboard. */
export function toComposer() {
  if (matchMedia("(pointer: fine)").matches) document.getElementById("composer")?.focus();
}

/**
 * Ask before something is done that cannot be undone. Escape, or turning to anything else, leaves it undone.
 * @param {string} question
 * @param {string} label what would be done, in a word
 * @param {() => void} run
 */
export function ask(question, label, run) {
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const away = () => {
    // A browser says "focusout" while it removes what has the focus.
    shown.removeEventListener("focusout", left);
    shown.remove();
  };
  const keep = () => {
    away();
    before?.focus();
  };
  const no = h("button", { type: "button", class: "text-button", onclick: keep }, "Keep");
  const yes = h("button", { type: "button", class: "text-button", onclick: () => (away(), toComposer(), run()) }, label);
  const shown = h("div", { class: "toast", role: "alertdialog", "aria-label": question, tabIndex: -1 }, h("span", {}, question), yes, no);
  const left = (/** @type {FocusEvent} */ { relatedTarget }) => document.hasFocus() && !shown.contains(/** @type {Node | null} */ (relatedTarget)) && away();
  shown.addEventListener("focusout", left);
  shown.addEventListener("keydown", (event) => event.key === "Escape" && keep());
  document.getElementById("toasts")?.append(shown);
  no.focus();
}

/**
 * Announce something to everybody, screen readers included.
 * @param {string} message
 * @param {{kind?: "info" | "problem"}} [options]
 */
export function toast(message, { kind = "info" } = {}) {
  const shown = h("div", { class: `toast ${kind}` }, kind === "problem" && icon("warn"), h("span", {}, message));
  const away = () => shown.remove();
  shown.append(iconButton("close", "Dismiss", away));
  document.getElementById("toasts")?.append(shown);
  setTimeout(away, kind === "problem" ? 12000 : 4500);
}

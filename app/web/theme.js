// @ts-check
/** Light, dark, or as the system has it. */

import { toast } from "./dom.js";

const KEY = "brushedit.theme";
const THEMES = ["system", "light", "dark"];

/** Apply what was chosen before. */
export function applyTheme() {
  document.documentElement.dataset.theme = localStorage.getItem(KEY) ?? "system";
}

/** Choose the next one. */
export function nextTheme() {
  const now = document.documentElement.dataset.theme ?? "system";
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  localStorage.setItem(KEY, next);
  applyTheme();
  toast(next === "system" ? "Colours follow the system" : `Colours are ${next}`);
}

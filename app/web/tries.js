// @ts-check
/** How far a painting is. Denoising steps are counted on through variants and tries, and anew for each step of a plan. */

/**
 * @typedef {object} Painted
 * @property {number} part of the plan, from 0
 * @property {number} sample variant, from 0
 * @property {number} attempt at this variant, from 1
 * @property {number} step within this try, from 1
 * @property {number} steps of one try
 * @property {number} told the count as it came
 * @property {number} begun paintings before this variant's first
 */

const ROOM = 0.25; // of a variant's share of the bar, left for another try

/**
 * @param {Painted | undefined} before
 * @param {{step: number, steps: number}} told
 * @param {number} samples
 * @returns {Painted}
 */
export function counted(before, { step, steps }, samples) {
  // The first total is that of every variant painted once; tries are added to it when they begin.
  const known = before && step > before.told ? before : { part: before ? before.part + 1 : 0, sample: 0, begun: 0, steps: steps / samples };
  const painting = Math.floor((step - 1) / known.steps);
  return { ...known, told: step, attempt: painting - known.begun + 1, step: step - painting * known.steps };
}

/**
 * The count where a variant is done.
 * @param {Painted | undefined} before
 * @returns {Painted | undefined}
 */
export function passed(before) {
  return before && { ...before, sample: before.sample + 1, begun: Math.round(before.told / before.steps) };
}

/**
 * Which variant and try this is, for people, and the share of the bar: it never goes back, whatever is tried again.
 * @param {Painted} painted
 * @param {any} turn
 * @returns {{text: string, share: number}}
 */
export function told({ part, sample, attempt, step, steps }, turn) {
  const { samples = 1, tries = 1 } = turn.options;
  const parts = turn.plan?.steps.length ?? 1;
  const done = tries > 1 ? 1 - ROOM ** (attempt - 1) * (1 - ((1 - ROOM) * step) / steps) : step / steps;
  const said = [parts > 1 && `part ${part + 1} of ${parts}`, samples > 1 && `variant ${sample + 1} of ${samples}`, attempt > 1 && `try ${attempt}`, `step ${step} of ${steps}`];
  return { text: `Painting, ${said.filter(Boolean).join(", ")}`, share: (part * samples + sample + done) / (parts * samples) };
}

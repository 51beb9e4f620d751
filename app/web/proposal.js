// @ts-check
/** A plan to look at before anything is painted: what would be done, where, and the words to change about it. */

import { call } from "./api.js";
import { draft, maskFields } from "./draft.js";
import { h } from "./dom.js";
import { planChips } from "./plan.js";
import { complain, reference, say, store } from "./session.js";
import { createStore } from "./store.js";

export const proposal = createStore(/** @type {{edit: any | null, body: any, waiting: boolean}} */ ({ edit: null, body: null, waiting: false }));

/** Forget it. */
function dismiss() {
  proposal.set({ edit: null, body: null, waiting: false });
}

/**
 * Plan and locate, without painting.
 * @param {Record<string, any>} body as for a turn
 */
export async function propose(body) {
  const { shown } = store.get();
  proposal.set({ waiting: true });
  try {
    const image = reference(shown);
    const edit = await call("/v1/plan", { headers: { Prefer: "wait=120" }, json: { ...body, image } });
    if (edit.error) throw Object.assign(new Error(edit.error.message), edit.error);
    proposal.set({ edit, body });
  } finally {
    proposal.set({ waiting: false });
  }
}

/**
 * Plan again with something changed.
 * @param {Record<string, any>} change as a fork takes it
 */
export async function repropose({ plan, options }) {
  const { edit, body } = proposal.get();
  await propose({ ...body, plan: plan ?? edit.plan, options: { ...body.options, seed: edit.options.seed, ...options } });
}

/** Carry it out as a turn of the session. */
async function accept() {
  const { edit, body } = proposal.get();
  // The place is looked for again, not sent as a mask: the same plan finds the same one, and the turn keeps the others.
  await say({ ...body, ...(await maskFields()), plan: edit.plan, options: { ...body.options, seed: edit.options.seed } });
  draft.get().mask?.clear();
  draft.set({ painting: false });
  dismiss();
}

/** @returns {HTMLElement} */
export function proposalCard() {
  const card = h("article", { class: "card proposal", "aria-label": "Plan, not painted yet", hidden: true });
  proposal.follow(({ edit, body, waiting }) => {
    card.hidden = !edit && !waiting;
    card.setAttribute("aria-busy", String(waiting));
    if (!edit) return card.replaceChildren(h("p", { class: "muted" }, "Reading the instruction and finding the place …"), h("progress", { "aria-label": "Planning" }));
    const paint = h("button", { type: "button", class: "button primary", disabled: waiting, onclick: () => ((paint.disabled = true), accept().catch((error) => (complain(error), (paint.disabled = false)))) }, "Paint this");
    card.replaceChildren(
      h("p", { class: "said" }, body.instruction),
      planChips(edit, waiting ? null : repropose),
      h("p", { class: "muted" }, "Nothing is painted yet. Change the plan, choose another place on the picture, or go ahead.", edit.plan.steps.length > 1 && " Later steps find their places on what the first one paints."),
      h("div", { class: "proposal-actions" }, h("button", { type: "button", class: "button", onclick: dismiss }, "Drop it"), paint),
    );
  });
  store.follow(({ session }) => !session && proposal.get().edit && dismiss());
  return card;
}

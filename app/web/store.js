// @ts-check
/** A value that tells its followers when it changes. */

/**
 * @template T
 * @typedef {object} Store
 * @property {() => T} get
 * @property {(patch: Partial<T>) => void} set
 * @property {(follower: (state: T) => void) => () => void} follow Calls at once, then at every change.
 */

/**
 * @template {object} T
 * @param {T} initial
 * @returns {Store<T>}
 */
export function createStore(initial) {
  let state = initial;
  /** @type {Set<(state: T) => void>} */
  const followers = new Set();
  return {
    get: () => state,
    set(patch) {
      state = { ...state, ...patch };
      for (const follower of [...followers]) follower(state);
    },
    follow(follower) {
      followers.add(follower);
      follower(state);
      return () => followers.delete(follower);
    },
  };
}

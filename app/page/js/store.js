// @ts-check
// The page's state in one place: the query, the step that is shown, and what can be undone. Whoever watches is called
// after every change.

const MAX_UNDO = 40;

/**
 * @typedef {object} State
 * @property {import("./types.js").Query} query
 * @property {number} step the step that is shown
 * @property {boolean} stale the query has changed since the answer that is shown
 * @property {boolean} foreign no checkpoint of this server made the trace that is shown
 *
 * @param {State} state
 */
export function makeStore(state) {
  let now = { ...state };
  const past = [];
  const watchers = [];

  /** @param {Partial<State>} patch */
  function set(patch) {
    now = { ...now, ...patch };
    for (const watcher of watchers) watcher(now);
  }

  return {
    get: () => now,
    set,
    watch: (watcher) => watchers.push(watcher),
    /** Keep the state, with what else belongs to it, for `undo`; the oldest of 40 is forgotten. */
    keep(more = {}) {
      past.push({ ...now, ...more });
      if (past.length > MAX_UNDO) past.shift();
    },
    /** The state that was kept last, or undefined; it is no longer kept, and not yet the state. */
    takeBack: () => past.pop(),
    canUndo: () => past.length > 0,
  };
}

/** Make the state's properties readable and writable on `app`. */
export function shareState(app, store) {
  for (const key of Object.keys(store.get()))
    Object.defineProperty(app, key, { get: () => store.get()[key], set: (value) => store.set({ [key]: value }) });
}

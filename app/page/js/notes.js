// @ts-check
// Bookmarks and notes live in this browser, under the trips that they speak of.

import { remember } from "./core.js";

export function makeNotes() {
  const KEY = "mindrec-cases";
  const read = () => {
    try {
      return JSON.parse(remember(KEY)) || {};
    } catch {
      return {};
    }
  };
  return {
    get: (key, n) => ({ ...((read()[key] || {})[n] || {}) }),
    set: (key, n, patch) => {
      const all = read();
      all[key] = { ...all[key], [n]: { ...((all[key] || {})[n] || {}), ...patch } };
      remember(KEY, JSON.stringify(all));
    },
    starred: (key) =>
      Object.entries(read()[key] || {})
        .filter(([, note]) => note.star)
        .map(([n]) => n),
  };
}

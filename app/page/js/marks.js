// @ts-check
// Marks what a pin, a ban or a setting changed in the step that is shown; the style sheet lets it flash.

const SHOWN = ".mr-grid.front tbody tr:not(.ghost) td, .mr-podium li";

export function makeMarks(app) {
  const nodes = () => [...app.part("stage").querySelectorAll(SHOWN)];
  const words = (node) => {
    const name = node.querySelector(".t, b");
    return name ? name.textContent : "";
  };
  let marked = [];

  function clear() {
    for (const node of marked) delete node.dataset.changed;
    marked = [];
  }

  /** The words that the step shows now: those of each cell and each answer, in order. */
  const look = () => nodes().map(words);

  /** Marks all that says other words than it did. */
  function mark(before) {
    clear();
    marked = nodes().filter((node, at) => words(node) && words(node) !== before[at]);
    for (const node of marked) node.dataset.changed = "";
  }

  return { look, mark, clear };
}

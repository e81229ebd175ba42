// @ts-check
// How far a checkpoint's answers move when a history changes a little: a small table and a sentence.

import { make, setText } from "./core.js";

/**
 * @param {HTMLElement} section
 * @param {{ head: string[], lines: string[][], said: string } | undefined} measures
 */
export function drawBehaviour(section, measures) {
  section.hidden = !measures;
  if (!measures) return;
  const rows = measures.lines.map(([name, ...values]) =>
    make("tr", {}, make("th", { scope: "row", text: name }), ...values.map((text) => make("td", { class: "n", text }))),
  );
  const head = make("tr", {}, ...measures.head.map((text) => make("th", { scope: "col", text })));
  const table = /** @type {HTMLElement} */ (section.querySelector("table"));
  table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
  setText(/** @type {HTMLElement} */ (section.querySelector("[data-part=behaviour-said]")), measures.said);
}

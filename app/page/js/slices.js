// @ts-check
// Slices of the table of cases, line by line: what each is called filters by it.

import { make } from "./core.js";

/**
 * @param {HTMLElement} table
 * @param {{ head: string[], lines: { filter: Record<string, string>, cells: string[] }[] } | undefined} slices
 * @param {(filter: Record<string, string>) => void} onpick
 */
export function drawSlices(table, slices, onpick) {
  if (!slices) return table.replaceChildren();
  const rows = slices.lines.map(({ filter, cells: [name, ...values] }) =>
    make(
      "tr",
      {},
      make(
        "th",
        { scope: "row" },
        make("button", { type: "button", class: "mr-small mr-quiet", text: name, onclick: () => onpick(filter) }),
      ),
      ...values.map((text) => make("td", { class: "n", text })),
    ),
  );
  const head = make("tr", {}, ...slices.head.map((text) => make("th", { scope: "col", text })));
  table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
}

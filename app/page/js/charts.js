// @ts-check
// Charts that the server describes and plotly.js draws. Colours arrive as names of CSS properties.

import { fileButtons } from "./figure_files.js";
import { isPlotted, loadPlotly } from "./plotly_internals.js";

export function makeCharts(page, panel, onpick) {
  const figures = new Map();

  function themed(value, style) {
    if (typeof value === "string") return value.startsWith("--mr-") ? style.getPropertyValue(value).trim() : value;
    if (Array.isArray(value)) return value.map((inner) => themed(inner, style));
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, themed(inner, style)]));
    return value;
  }

  async function draw(given) {
    if (given)
      for (const box of panel.querySelectorAll("[data-chart]:not([data-apart])"))
        figures.set(box, given[box.dataset.chart] || null);
    const P = await loadPlotly(page.data.plotly),
      root = panel.querySelector(".mr");
    if (!panel.offsetParent) return;
    const style = getComputedStyle(root);
    for (const [box, figure] of figures) {
      if (box.dataset.apart === undefined) box.closest("section").hidden = !figure;
      else box.hidden = !figure;
      if (!figure) continue;
      const { data, layout } = themed(figure, style);
      const fresh = !isPlotted(box);
      await P.react(box, data, { ...layout, autosize: true }, { responsive: true, displayModeBar: false });
      if (fresh) {
        box.on("plotly_click", (event) => pick(event.points[0]));
        box.after(fileButtons(box, { P, figure: () => figures.get(box), words: page.data.words.diagnose }));
      }
    }
  }

  // A figure of its own, which no filter of the table changes.
  function put(name, figure) {
    figures.set(panel.querySelector(`[data-chart="${name}"]`), figure);
    return draw();
  }

  // A point carries the filter that it stands for; a square of a heatmap has one in its grid.
  function pick(point) {
    const given = point.data.customdata;
    if (!given) return;
    const at = point.pointIndex ?? point.pointNumber;
    const filter = Array.isArray(at) ? given[at[0]][at[1]] : given[at];
    if (filter) onpick(filter);
  }

  new MutationObserver(() => figures.size && draw()).observe(document.body, {
    attributes: true,
    attributeFilter: ["class"],
  });
  return { draw, put };
}

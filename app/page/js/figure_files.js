// @ts-check
// A chart as files: its picture as SVG, and the numbers that it shows as CSV.

import { download, make } from "./core.js";

const cell = (value) => {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
const lines = (rows) => rows.map((row) => row.map(cell).join(",") + "\n").join("");

/**
 * Reads a figure's numbers: a row a square of a heat map, else a row a point, with the ends of its interval.
 * @param {{ data: any[] }} figure
 */
export function figureTable({ data }) {
  const heat = data.find((trace) => trace.type === "heatmap");
  if (heat) {
    const rows = heat.z.flatMap((values, at) => values.map((z, on) => [heat.y[at], heat.x[on], z]));
    return lines([["row", "column", "value"], ...rows]);
  }
  const points = data
    .filter((trace) => trace.hoverinfo !== "skip") // bands and guides
    .flatMap((trace) =>
      trace.x.map((x, at) => {
        const y = trace.y[at],
          error = trace.error_y;
        const ends = error ? [y - (error.arrayminus || error.array)[at], y + error.array[at]] : ["", ""];
        return [trace.name || "", x, y, ...ends];
      }),
    );
  return lines([["series", "x", "y", "low", "high"], ...points]);
}

/**
 * Buttons that save a drawn chart.
 * @param {HTMLElement} box the element that Plotly drew into
 * @param {{ P: any, figure: () => any, words: Record<string, string> }} of
 */
export function fileButtons(box, { P, figure, words }) {
  const name = `mindrec-${box.dataset.chart}`;
  const button = (text, help, act) =>
    make("button", { type: "button", class: "mr-small mr-quiet", text, title: help, "aria-label": help, onclick: act });
  const label = box.getAttribute("aria-label") || "";
  const svg = async () => {
    const { offsetWidth: width, offsetHeight: height } = box;
    const address = await P.toImage(box, { format: "svg", width, height });
    download(`${name}.svg`, decodeURIComponent(address.slice(address.indexOf(",") + 1)), "image/svg+xml");
  };
  return make(
    "div",
    { class: "mr-row mr-figure-files" },
    button("SVG", `${words.save_svg}: ${label}`, svg),
    button("CSV", `${words.save_csv}: ${label}`, () =>
      download(`${name}.csv`, figureTable(figure()), "text/csv;charset=utf-8"),
    ),
  );
}

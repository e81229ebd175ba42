// @ts-check
// The Lab's drawings: curves over epochs, and the table of item shares that grows by a column an epoch.

import { make, svg } from "./core.js";
import { fill, percent } from "./words.js";

const WIDTH = 440,
  HEIGHT = 200,
  LEFT = 40,
  RIGHT = 10,
  TOP = 10,
  BOTTOM = 24;

/**
 * Curves over epochs.
 * @param {HTMLElement} box
 * @param {{ key: string, name: string, points: [number, number][] }[]} series
 * @param {{ last: number, at: number, title: string, level: { value: number, name: string } | null,
 *   words: string }} options `at` is the chosen epoch, `level` a dashed line
 */
export function drawCurves(box, series, { last, at, title, level, words }) {
  const values = series.flatMap((line) => line.points.map(([, y]) => y));
  const top = Math.max(...values, level ? level.value : 0, 0.01) * 1.05;
  const x = (epoch) => LEFT + ((WIDTH - LEFT - RIGHT) * epoch) / Math.max(1, last);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title, class: "mr-curves" });
  for (const share of [0, 0.5, 1]) {
    const value = top * share;
    chart.append(
      svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), class: "rule" }),
      svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(2)),
    );
  }
  for (const epoch of new Set([0, Math.round(last / 2), last]))
    chart.append(svg("text", { x: x(epoch), y: HEIGHT - 6, "text-anchor": "middle" }, String(epoch)));
  chart.append(svg("line", { x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM, class: "now" }));
  if (level && level.value > 0)
    chart.append(
      svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(level.value), y2: y(level.value), class: "level" }),
      svg("text", { x: LEFT + 6, y: y(level.value) + 14 }, level.name),
    );
  series.forEach((line, number) => {
    const points = line.points.map(([epoch, value]) => `${x(epoch).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    chart.append(svg("polyline", { points, class: "curve " + line.key }));
    for (const [epoch, value] of line.points) {
      const dot = svg("circle", { cx: x(epoch), cy: y(value), r: epoch === at ? 5 : 3, class: line.key });
      dot.append(svg("title", {}, fill(words, { model: line.name, epoch, value: value.toFixed(3) })));
      chart.append(dot);
    }
    if (series.length > 1)
      chart.append(
        svg(
          "text",
          { x: LEFT + 8, y: HEIGHT - BOTTOM - 8 - 17 * (series.length - 1 - number), class: line.key },
          "● " + line.name,
        ),
      );
  });
  box.replaceChildren(chart);
}

/**
 * A row an item, a column an epoch, and the law, where one is known, as the last column. A click on a column chooses
 * its epoch.
 * @param {HTMLElement} box
 * @param {{ rows: number[], likeliest: number, items: string[], law: number[] | null, shares: number[][], at: number,
 *   last: number, words: any, choose: (epoch: number) => void }} of `shares` by epoch and item
 */
export function drawFog(box, { rows, likeliest, items, law, shares, at, last, words, choose }) {
  const cell = (share, title, on) =>
    make(
      "td",
      { class: on ? "now" : "", style: `--p:${(100 * Math.sqrt(share)).toFixed(1)}%`, title },
      make("span", { class: "mr-sr", text: percent(share) }),
    );
  const line = (row) => {
    const cells = Array.from({ length: last + 1 }, (_, epoch) => {
      if (!shares[epoch]) return make("td", { class: "later" });
      const about = { item: items[row], epoch, share: percent(shares[epoch][row]) };
      const made = cell(shares[epoch][row], fill(words.item_at, about), epoch === at);
      made.addEventListener("click", () => choose(epoch));
      return made;
    });
    const now = make("td", { class: "share", text: shares[at] ? percent(shares[at][row]) : "" });
    const truth = [];
    if (law) {
      truth.push(cell(law[row], `${words.law}: ${percent(law[row])}`, false));
      truth[0].className = "law";
      truth.push(make("td", { class: "share", text: percent(law[row]) }));
    }
    const name = (row === likeliest ? "★ " : "") + items[row];
    return make("tr", {}, make("th", { scope: "row", text: name, title: items[row] }), ...cells, now, ...truth);
  };
  const head = make(
    "tr",
    {},
    make("th", {}),
    ...Array.from({ length: last + 1 }, (_, epoch) =>
      make("th", { scope: "col", class: epoch === at ? "now" : "", text: epoch === at || epoch === 0 ? epoch : "" }),
    ),
    make("th", {}),
    law ? make("th", { scope: "col", colspan: 2, text: words.law }) : null,
  );
  const column = (name) => make("col", { class: name });
  const columns = [column("name"), ...Array.from({ length: last + 1 }, () => column("")), column("share")];
  box.replaceChildren(
    make(
      "table",
      {},
      make("colgroup", {}, ...columns, ...(law ? [column("law"), column("share")] : [])),
      make("thead", {}, head),
      make("tbody", {}, ...rows.map(line)),
    ),
  );
}

// @ts-check
// Where the orders of the votes disagree: each answer's rank in each order, under the ranked items.

import { make } from "./core.js";
import { fill } from "./words.js";

const SHOWN = 10;

// A closed note, or nothing for a trace without votes.
export function votesNote(app) {
  const T = app.T,
    { trace } = app.model,
    votes = trace.votes;
  if (!votes) return [];
  const by = new Map(votes.items.map((item) => [item.row, item])),
    rows = trace.results.slice(0, SHOWN).filter((result) => by.has(result.row)),
    first = rows.length ? by.get(rows[0].row).ranks.filter((rank) => rank === 0).length : 0,
    words = { first, count: votes.orders.length };
  const name = (order) => order.map((position) => trace.levels[position].name).join(", ");
  const cell = (rank, mean) => make("td", { class: Math.abs(rank - mean) > 1 ? "apart" : "", text: String(rank + 1) });
  const head = make(
    "tr",
    {},
    make("th", { scope: "col", text: T.votes_item }),
    make("th", { scope: "col", text: T.votes_search }),
    ...votes.orders.map((order, n) =>
      make("th", { scope: "col", title: name(order), text: fill(T.votes_order, { number: n + 1 }) }),
    ),
  );
  const body = rows.map((result, mean) =>
    make(
      "tr",
      {},
      make("th", { scope: "row", text: app.model.title(result.row) }),
      cell(by.get(result.row).searched, mean),
      ...by.get(result.row).ranks.map((rank) => cell(rank, mean)),
    ),
  );
  return [
    make(
      "details",
      { class: "mr-votes", data: { part: "votes" } },
      make("summary", { text: fill(first === words.count ? T.votes_agree : T.votes_differ, words) }),
      make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)),
      make("p", { class: "mr-help", text: T.votes_help }),
    ),
  ];
}

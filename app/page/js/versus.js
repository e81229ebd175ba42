// @ts-check
// Two tables of cases, compared: paired tests, and the trips whose outcome changed.

import { make } from "./core.js";
import { count, fill } from "./words.js";

export function makeVersus(d, charts) {
  const { D, part, page } = d,
    causes = page.data.words.causes,
    out = part("versus-out");

  d.drawVersus = () => {
    const options = () => d.tables.map((table) => make("option", { value: table.name, text: table.name }));
    const before = [part("left").value, part("right").value];
    part("left").replaceChildren(...options());
    part("right").replaceChildren(...options());
    part("left").value = before[0] || d.tables[0].name;
    part("right").value = before[1] || d.tables[Math.min(1, d.tables.length - 1)].name;
  };

  const number = (value) => value.toFixed(4);
  const p = (value) => (value < 0.001 ? "< 0.001" : value.toFixed(3));

  function tests(answer) {
    const names = [
      D.measure,
      part("left").value,
      part("right").value,
      D.difference,
      D.only_left,
      D.only_right,
      D.p,
      D.test,
    ];
    const rows = answer.tests.map((t) =>
      make(
        "tr",
        {},
        make("th", { scope: "row", text: t.measure }),
        ...[
          number(t.left),
          number(t.right),
          (t.difference > 0 ? "+" : "") + number(t.difference),
          count(t.only_left),
          count(t.only_right),
          p(t.p),
        ].map((text) => make("td", { class: "n", text })),
        make("td", { text: t.test }),
      ),
    );
    return make(
      "table",
      { class: "mr-table tests" },
      make("thead", {}, make("tr", {}, ...names.map((text) => make("th", { scope: "col", text })))),
      make("tbody", {}, ...rows),
    );
  }

  function flipped(answer) {
    const side = (name, at) =>
      make("button", {
        type: "button",
        class: "mr-small",
        text: at.rank === null ? (at.cause ? causes[at.cause][0] : D.no_rank) : fill(D.rank_at, { rank: at.rank + 1 }),
        onclick: () => d.open(at, part(name).value),
      });
    const rows = answer.flipped.map((f) =>
      make(
        "tr",
        {},
        make("th", { scope: "row", text: f.title }),
        make("td", {}, side("left", f.left)),
        make("td", {}, side("right", f.right)),
        make("td", { text: D[f.better] }),
        make("td", { class: "id", text: f.user }),
      ),
    );
    const head = [D.title_col, part("left").value, part("right").value, D.better, D.user_id];
    return make(
      "div",
      { class: "mr-scroll mr-flipped", tabindex: 0 },
      make(
        "table",
        { class: "mr-table" },
        make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col", text })))),
        make("tbody", {}, ...rows),
      ),
    );
  }

  function runs(answer) {
    const rows = answer.runs.map((run) =>
      make(
        "tr",
        {},
        make("th", { scope: "row", text: run.run }),
        ...[count(run.cases), run.rate, run.ndcg].map((text) => make("td", { class: "n", text })),
        make("td", { text: run.causes }),
      ),
    );
    const head = [D.run, D.run_cases, D.hit, "NDCG@" + answer.k, D.causes_share];
    return make(
      "table",
      { class: "mr-table" },
      make("caption", { text: D.runs }),
      make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col", text })))),
      make("tbody", {}, ...rows),
    );
  }

  part("versus-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await page.ask("compare_cases", { left: part("left").value, right: part("right").value }, d.say);
    if (!answer) {
      out.replaceChildren();
      return charts.put("transitions", null);
    }
    out.replaceChildren(
      make("p", {
        class: "mr-found",
        text: fill(D.versus_line, { cases: count(answer.cases), flipped: count(answer.all_flipped) }),
      }),
      make("div", { class: "mr-scroll" }, tests(answer)),
      ...(answer.flipped.length ? [flipped(answer)] : []),
      make("div", { class: "mr-scroll", tabindex: 0 }, runs(answer)),
      make("h4", { text: D.transitions }),
    );
    return charts.put("transitions", answer.figure);
  });
}

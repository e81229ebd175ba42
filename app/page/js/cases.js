// @ts-check
// The table of cases: one line a trip, with a bookmark and a note.

import { make, setText } from "./core.js";
import { count, fill, percent } from "./words.js";

export function makeCaseList(d) {
  const { D, state, part, page } = d,
    causes = page.data.words.causes,
    A = page.data.words.case_page;
  const columns = [
    ["star"],
    ["title", D.title_col],
    ["answer", D.answer],
    ["gold_rank", D.gold_rank],
    ["cause", D.cause],
    ["died_step", D.died_step],
    ["margin", D.margin, D.margin_help],
    ["history_length", D.history],
    ["item_popularity", D.popularity, D.popularity_help],
    ["top_probability", D.top_probability],
    ["user_id", D.user_id],
    ["note"],
  ];

  function head() {
    return make(
      "tr",
      {},
      ...columns.map(([key, words, help]) => {
        if (!words) return make("td");
        const on = state.sort === key;
        const sort = () => {
          state.down = on ? !state.down : false;
          state.sort = on && !state.down ? null : key;
          state.page = 0;
          d.update({ figures: false });
        };
        return make(
          "th",
          { scope: "col", "aria-sort": on ? (state.down ? "descending" : "ascending") : null, class: "s-" + key },
          make("button", {
            type: "button",
            title: help,
            text: words + (on ? (state.down ? " ▼" : " ▲") : ""),
            onclick: sort,
          }),
        );
      }),
    );
  }

  function draw(answer) {
    const table = d.table();
    setText(
      part("found"),
      fill(D.found, {
        found: count(answer.found),
        cases: count(table.cases),
        hits: count(answer.hits),
        rate: answer.found ? percent(answer.hits / answer.found) : "–",
      }),
    );
    setText(part("page"), fill(D.page_of, { page: count(answer.page + 1), pages: count(answer.pages) }));
    d.panel.querySelector('[data-do="previous"]').disabled = answer.page === 0;
    d.panel.querySelector('[data-do="next"]').disabled = answer.page + 1 >= answer.pages;
    const rows = answer.lines.length
      ? answer.lines.flatMap(line)
      : [make("tr", {}, make("td", { colspan: columns.length, class: "none", text: D.nothing }))];
    part("cases").replaceChildren(make("thead", {}, head()), make("tbody", {}, ...rows));
  }

  function line(c) {
    const note = d.notes.get(d.table().key, c.n),
      cell = (words, name) => make("td", { class: name || "", text: words });
    const why = c.cause ? causes[c.cause] : null;
    const star = make("button", {
      type: "button",
      class: "star",
      "aria-pressed": String(Boolean(note.star)),
      "aria-label": note.star ? D.unstar : D.star,
      title: note.star ? D.unstar : D.star,
      text: note.star ? "★" : "☆",
    });
    star.addEventListener("click", () => {
      d.notes.set(d.table().key, c.n, { star: !note.star });
      note.star = !note.star;
      star.textContent = note.star ? "★" : "☆";
      star.setAttribute("aria-pressed", String(note.star));
    });
    const open = make(
      "button",
      { type: "button", class: "open", title: fill(D.open, { title: c.title }), onclick: () => d.open(c) },
      make("b", { text: c.title }),
    );
    const about = (name, text, words) =>
      name && text
        ? make("button", {
            type: "button",
            class: "about",
            title: words,
            text,
            onclick: (e) => d.about(name, e.target),
          })
        : make("small", { text });
    const path = about(c.pages.category, c.path.split(" › ").pop(), fill(A.category_of, { title: c.path })),
      item = about(c.pages.item, A.item, fill(A.item_of, { title: c.title })),
      answer = about(c.pages.answer, c.answer, fill(A.item_of, { title: c.answer }));
    if (c.pages.item) item.setAttribute("aria-label", fill(A.item_of, { title: c.title }));
    const write = make("button", {
      type: "button",
      class: "mr-small mr-quiet",
      "aria-label": fill(D.note_of, { title: c.title }),
      text: note.text ? "✎ " + D.note : D.note,
    });
    const saved =
      c.rescue && c.rescue !== "none"
        ? make("button", {
            type: "button",
            class: "mr-small mr-quiet",
            data: { do: "rescue" },
            "aria-label": fill(D.rescue_of, { title: c.title }),
            title: fill(D.rescue_of, { title: c.title }),
            text: D.rescue_play,
            onclick: () => d.open(c, null, true),
          })
        : null;
    const row = make(
      "tr",
      { class: c.hit ? "hit" : "miss", data: { n: c.n } },
      make("td", {}, star),
      make("th", { scope: "row" }, open, make("span", { class: "abouts" }, path, item)),
      make("td", {}, answer),
      cell(c.rank === null ? "–" : String(c.rank + 1), "n"),
      make(
        "td",
        {},
        make("span", { class: "tag " + (c.cause || "hit"), title: why ? why[1] : null, text: why ? why[0] : D.hit }),
      ),
      cell(c.step === null ? D.not_lost : fill(D.lost_at, { step: c.step, level: c.level || "–" })),
      cell(c.margin === null ? "–" : c.margin.toFixed(2), "n"),
      cell(String(c.length), "n"),
      cell(count(c.popularity), "n"),
      cell(percent(c.probability), "n"),
      cell(c.user, "id"),
      make("td", {}, write, saved),
    );
    const field = make("input", {
      type: "text",
      maxlength: 500,
      value: note.text || "",
      "aria-label": fill(D.note_of, { title: c.title }),
    });
    const below = make("tr", { class: "note" }, make("td", { colspan: columns.length }, field));
    below.hidden = !note.text;
    field.addEventListener("input", () => {
      d.notes.set(d.table().key, c.n, { text: field.value });
      setText(write, field.value ? "✎ " + D.note : D.note);
    });
    write.addEventListener("click", () => {
      below.hidden = !below.hidden;
      if (!below.hidden) field.focus();
    });
    row.addEventListener("dblclick", () => d.open(c));
    return [row, below];
  }

  return { draw };
}

// @ts-check
// A page about one item, or one category, of the table of cases; the address holds it, and Back leaves it.

import { make } from "./core.js";
import { count, fill } from "./words.js";

/**
 * @typedef {{ words: string, count: number, page?: string, filter?: Record<string, string> }} Line
 * @typedef {{ title: string, lines: Line[], rest: number }} List
 */

export function makeCasePage(d) {
  const { page, part, state } = d,
    A = page.data.words.case_page,
    box = part("about");
  let turn = 0,
    opener = null; // what has the focus again once the page is closed

  /** @param {string} text @param {string} [name] @param {Record<string, string>} [filter] */
  function way(text, name, filter) {
    if (!name && !filter) return make("span", { text });
    const onclick = () => (name ? open(name) : d.only(filter));
    return make("button", {
      type: "button",
      class: "mr-small mr-quiet",
      data: name ? { page: name } : {},
      text,
      onclick,
    });
  }

  /** @param {List} list */
  function section({ title, lines, rest }) {
    const rows = lines.map((line) =>
      make("li", {}, way(line.words, line.page, line.filter), make("span", { class: "n", text: count(line.count) })),
    );
    if (rest) rows.push(make("li", { class: "rest", text: fill(A.rest, { rest: count(rest) }) }));
    const inner = rows.length ? make("ul", {}, ...rows) : make("p", { class: "mr-help", text: A.none });
    return make("section", {}, make("h4", { text: title }), inner);
  }

  function fillIn(answer) {
    const title = make("h3", { id: "mr-case-page-title", tabindex: -1, text: answer.title });
    const shut = make("button", {
      ...{ type: "button", class: "mr-small", "aria-label": A.close, title: A.close, text: "×" },
      onclick: close,
    });
    box.replaceChildren(
      make(
        "header",
        { class: "mr-row" },
        make("span", { class: "mr-label", text: A[answer.kind] }),
        ...answer.crumbs.map(([words, name]) => way(words + " ›", name)),
        make("span", { class: "mr-spring" }),
        shut,
      ),
      title,
      ...answer.said.map((text) => make("p", { text })),
      make("p", { class: "mr-row" }, ...answer.links.map(([words, filter]) => way(words, undefined, filter))),
      make("div", { class: "lists" }, ...answer.lists.map(section)),
    );
    box.dataset.name = answer.name;
    box.hidden = false;
    return title;
  }

  /** Shows the page that the state names, or none. */
  async function draw(focus = false) {
    const mine = ++turn,
      name = state.about;
    const answer = name ? await page.ask("case_page", { table: state.table, name }, d.say) : null;
    if (mine !== turn) return;
    if (answer) {
      const title = fillIn(answer);
      if (focus) title.focus();
      return;
    }
    state.about = null;
    box.hidden = true;
    delete box.dataset.name;
    box.replaceChildren();
    if (!focus) return;
    const back = opener && opener.isConnected ? opener : d.panel.querySelector(".mr-cases .about");
    if (back) back.focus();
  }

  /** @param {string | null} name */
  function open(name, { enter = true, focus = enter } = {}) {
    if (enter) page.enter(() => (state.about = name));
    else state.about = name;
    return draw(focus);
  }

  const close = () => open(null);

  d.about = (name, from) => {
    opener = from;
    return open(name);
  };
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  return { draw, open };
}

// @ts-check
// The history builder: search answered by the server, stories, a test trip.

import { make, setText } from "./core.js";
import { count, fill } from "./words.js";

const WAIT = 90;

export function makeHistory(app) {
  const T = app.T,
    input = app.part("query"),
    list = app.part("found");
  let offered = [],
    answered = null,
    active = -1,
    turn = 0,
    timer = null;

  function stories() {
    const box = app.part("carts"),
      stored = app.part("stories"),
      checkpoint = app.checkpoint(),
      stories = app.stories();
    [box, stored].forEach((row) => row.querySelectorAll("button").forEach((node) => node.remove()));
    stored.hidden = !stories.length;
    stories.forEach(({ story, number }) => stored.append(pill(story, () => app.pickStory(number))));
    checkpoint.examples.forEach((example) => box.append(pill(example, () => app.openExample(example))));
    if (checkpoint.trips)
      box.append(
        make("button", { type: "button", class: "pill trip", title: T.trip_help, text: T.trip, onclick: trip }),
      );
    setText(input.labels[0], T.search);
    input.placeholder = fill(T.search_hint, { items: count(checkpoint.items), example: app.data.example });
  }

  const pill = (story, onclick) =>
    make("button", { type: "button", class: "pill", title: story.about, text: story.title, onclick });

  async function trip() {
    const number = Math.floor(Math.random() * 1e9),
      newest = app.begin();
    for (;;) {
      const answer = await app.ask("trip", { number }, newest);
      if (!answer || !newest()) return;
      if (!answer.waiting) return app.openTrip(answer);
      app.say(answer.waiting, "wait");
      await new Promise((resolve) => setTimeout(resolve, 800));
    }
  }

  // -- search ---------------------------------------------------------------------------------------------------

  // A search on its way is dropped too: its answer would open the list again over an empty field.
  function close() {
    clearTimeout(timer);
    turn += 1;
    answered = null;
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  // Whether the list shows what was asked for: not where another search or a closed list came between.
  async function search() {
    clearTimeout(timer);
    const query = input.value.trim(),
      mine = ++turn;
    if (!query) return close();
    const answer = await app.ask("search", { query });
    if (!answer || mine !== turn) return false;
    [offered, answered] = [answer.items, query];
    list.dataset.answers = query; // a test waits for it
    list.replaceChildren(
      ...offered.map((item, at) =>
        make(
          "li",
          {
            role: "option",
            id: "mr-found-" + at,
            "aria-selected": "false",
            onmousedown: (event) => {
              event.preventDefault();
              add(offered[at]);
            },
          },
          make("b", { text: item.title }),
          make("small", { text: item.path.join(" › ") }),
        ),
      ),
    );
    const closest = offered.length > 0 && !answer.sure;
    if (closest)
      list.prepend(make("li", { class: "none", role: "option", "aria-disabled": "true", text: words(query) }));
    setText(
      app.part("found-count"),
      closest
        ? words(query)
        : offered.length
          ? fill(T.found, { count: offered.length })
          : fill(T.found_none, { query }),
    );
    if (!offered.length)
      list.append(
        make("li", { class: "none", role: "option", "aria-disabled": "true", text: fill(T.found_none, { query }) }),
      );
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    mark(offered.length && answer.sure ? 0 : -1);
    return true;
  }

  // Nothing is named so: what comes closest is offered, and Enter alone does not take it.
  const words = (query) => fill(T.found_close, { query });

  function mark(at) {
    active = at;
    const options = [...list.querySelectorAll("[id]")];
    options.forEach((node, n) => node.setAttribute("aria-selected", String(n === at)));
    if (at < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", "mr-found-" + at);
    options[at].scrollIntoView({ block: "nearest" });
  }

  function add(item) {
    const items = app.query.items,
      limit = app.checkpoint().max_history;
    if (items.some((other) => other.id === item.id)) return app.say(fill(T.twice, { title: item.title }));
    if (items.length >= limit) return app.say(fill(T.full, { most: limit }));
    app.change({ items: [...items, item] });
    input.value = "";
    close();
  }

  const choose = () => active >= 0 && add(offered[active]);

  // Enter right after typing means what is typed, not what the list still shows.
  async function enter() {
    const query = input.value.trim();
    if (!query) app.decode({ play: true });
    else if (query === answered || (await search())) choose();
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, WAIT);
  });
  input.addEventListener("blur", () => setTimeout(() => document.activeElement !== input && close(), 120));
  input.addEventListener("keydown", (event) => {
    const open = !list.hidden && offered.length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) return search();
      const from = active < 0 && event.key === "ArrowUp" ? 0 : active;
      mark((from + (event.key === "ArrowDown" ? 1 : -1) + offered.length) % offered.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      enter();
    } else if (event.key === "Escape") close();
    else if (event.key === "Backspace" && !input.value) app.parts.cart.remove(app.query.items.length - 1);
  });

  function draw() {
    app.parts.browse.draw();
    app.parts.cart.draw();
    const { items } = app.query,
      button = (name) => app.root.querySelector(`[data-do="${name}"]`);
    setText(button("decode"), items.length ? T.decode : T.decode_empty);
    for (const name of ["decode", "fill"]) button(name).disabled = !app.server;
    button("odd").disabled = items.length < 2;
    button("clear").disabled = !items.length;
    button("undo").disabled = !app.store.canUndo();
    button("decode").classList.toggle("stale", app.stale);
  }

  return { stories, draw, add, acts: { clear: () => app.change({ items: [], target: null }) } };
}

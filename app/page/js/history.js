// @ts-check
// The history builder: search answered by the server, chips, stories, a real trip.

import { make, setText } from "./core.js";
import { count, fill } from "./words.js";

const WAIT = 90;

export function makeHistory(app) {
  const T = app.T,
    input = app.part("query"),
    list = app.part("found"),
    chips = app.part("chips");
  let found = [],
    answered = null,
    active = -1,
    asked = 0,
    timer = null,
    dragged = null;

  function stories() {
    const box = app.part("carts"),
      told = app.part("stories"),
      checkpoint = app.checkpoint(),
      stories = app.stories();
    [box, told].forEach((row) => row.querySelectorAll("button").forEach((node) => node.remove()));
    told.hidden = !stories.length;
    stories.forEach(({ story, number }) => told.append(pill(story, () => app.openStory(number))));
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
    const number = Math.floor(Math.random() * 1e9);
    for (;;) {
      const answer = await app.ask("trip", { number });
      if (!answer) return;
      if (!answer.waiting) return app.openTrip(answer);
      app.say(answer.waiting, "wait");
      await new Promise((resolve) => setTimeout(resolve, 800));
    }
  }

  // -- search ---------------------------------------------------------------------------------------------------

  // A search on its way is dropped too: its answer would open the list again over an empty field.
  function close() {
    clearTimeout(timer);
    asked += 1;
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
      mine = ++asked;
    if (!query) return close();
    const answer = await app.ask("search", { query });
    if (!answer || mine !== asked) return false;
    [found, answered] = [answer.items, query];
    list.replaceChildren(
      ...found.map((item, at) =>
        make(
          "li",
          {
            role: "option",
            id: "mr-found-" + at,
            "aria-selected": "false",
            onmousedown: (event) => {
              event.preventDefault();
              add(found[at]);
            },
          },
          make("b", { text: item.title }),
          make("small", { text: item.path.join(" › ") }),
        ),
      ),
    );
    setText(
      app.part("found-count"),
      found.length ? fill(T.found, { count: found.length }) : fill(T.found_none, { query }),
    );
    if (!found.length)
      list.append(
        make("li", { class: "none", role: "option", "aria-disabled": "true", text: fill(T.found_none, { query }) }),
      );
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    mark(found.length ? 0 : -1);
    return true;
  }

  function mark(at) {
    active = at;
    [...list.children].forEach((node, n) => node.setAttribute("aria-selected", String(n === at)));
    if (at < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", "mr-found-" + at);
    list.children[at].scrollIntoView({ block: "nearest" });
  }

  function add(item) {
    const items = app.query.items,
      most = app.checkpoint().max_history;
    if (items.some((other) => other.id === item.id)) return app.say(fill(T.twice, { title: item.title }));
    if (items.length >= most) return app.say(fill(T.full, { most }));
    app.change({ items: [...items, item] });
    input.value = "";
    close();
  }

  const choose = () => active >= 0 && add(found[active]);

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
  input.addEventListener("blur", () => setTimeout(close, 120));
  input.addEventListener("keydown", (event) => {
    const open = !list.hidden && found.length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) return search();
      mark((active + (event.key === "ArrowDown" ? 1 : -1) + found.length) % found.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      enter();
    } else if (event.key === "Escape") close();
    else if (event.key === "Backspace" && !input.value && app.query.items.length) remove(app.query.items.length - 1);
  });

  // -- chips ----------------------------------------------------------------------------------------------------

  function remove(at) {
    app.change({ items: app.query.items.filter((_, n) => n !== at) });
  }

  function move(from, to) {
    const items = app.query.items.slice();
    if (to < 0 || to >= items.length || from === to) return;
    items.splice(to, 0, ...items.splice(from, 1));
    app.change({ items });
    chips.children[to].focus();
  }

  function chip(item, at) {
    const node = make(
      "li",
      { class: "chip", tabindex: 0, draggable: "true", "aria-label": fill(T.chip_help, { title: item.title }) },
      make("span", {}, make("b", { text: item.title }), make("small", { text: item.path.slice(0, 2).join(" › ") })),
      make("button", {
        type: "button",
        tabindex: -1,
        "aria-label": fill(T.remove, { title: item.title }),
        text: "×",
        onclick: () => remove(at),
      }),
    );
    node.addEventListener("keydown", (event) => {
      if (event.key === "Delete" || event.key === "Backspace") {
        remove(at);
        (chips.children[Math.min(at, chips.children.length - 1)] || input).focus();
      } else if (event.altKey && (event.key === "ArrowLeft" || event.key === "ArrowUp")) move(at, at - 1);
      else if (event.altKey && (event.key === "ArrowRight" || event.key === "ArrowDown")) move(at, at + 1);
      else return;
      event.preventDefault();
    });
    node.addEventListener("dragstart", (event) => {
      dragged = at;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", item.title);
    });
    node.addEventListener("dragover", (event) => {
      if (dragged !== null) {
        event.preventDefault();
        node.classList.add("over");
      }
    });
    node.addEventListener("dragleave", () => node.classList.remove("over"));
    node.addEventListener("dragend", () => {
      dragged = null;
    });
    node.addEventListener("drop", (event) => {
      event.preventDefault();
      if (dragged !== null) move(dragged, at);
      dragged = null;
    });
    return node;
  }

  function draw() {
    if (app.parts) app.parts.browse.draw();
    const { items, target } = app.query,
      most = app.checkpoint().max_history;
    chips.replaceChildren(...items.map(chip));
    app.part("empty").hidden = items.length > 0;
    setText(
      app.part("count"),
      app.stale ? T.changed : fill(items.length > most ? T.items_beyond : T.items_count, { count: items.length, most }),
    );
    app.part("count").classList.toggle("stale", app.stale);
    const box = app.part("target");
    box.hidden = !target;
    if (target)
      box.replaceChildren(
        make("span", { text: "★ " + fill(T.target_known, { title: target.title }) }),
        make("button", {
          type: "button",
          "aria-label": T.forget_target,
          title: T.forget_target,
          text: "×",
          onclick: () => app.change({ target: null }),
        }),
      );
    app.root.querySelector('[data-do="decode"]').disabled = !items.length || !app.server;
    app.root.querySelector('[data-do="clear"]').disabled = !items.length;
    app.root.querySelector('[data-do="undo"]').disabled = !app.store.canUndo();
    app.root.querySelector('[data-do="decode"]').classList.toggle("stale", app.stale);
  }

  return { stories, draw, add, acts: { clear: () => app.change({ items: [], target: null }) } };
}

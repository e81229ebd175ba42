// @ts-check
// The cart: the items of the history as chips, in every mode, and the winner that drops in at the last step. A stage
// without a server, and a trace of another catalog, show the trace's own history, which cannot be changed.

import { make, setClass, setText } from "./core.js";
import { fill } from "./words.js";

export function makeCart(app) {
  const T = app.T,
    chips = app.part("chips"),
    winner = app.part("winner");
  let dragged = null;

  const fixed = () => !app.server || app.foreign;

  function shown() {
    if (!fixed()) return app.query.items;
    const { model } = app;
    return model ? model.trace.history.map((row) => model.items.get(row)) : [];
  }

  function remove(at) {
    if (at >= 0) app.change({ items: app.query.items.filter((_, n) => n !== at) });
  }

  function move(from, to) {
    const items = app.query.items.slice();
    if (to < 0 || to >= items.length || from === to) return;
    items.splice(to, 0, ...items.splice(from, 1));
    app.change({ items });
    chips.children[to].focus();
  }

  const words = (item) =>
    make("span", {}, make("b", { text: item.title }), make("small", { text: item.path.slice(0, 2).join(" › ") }));

  function chip(item, at) {
    if (fixed()) return make("li", { class: "chip fixed" }, words(item));
    const node = make(
      "li",
      { class: "chip", tabindex: 0, draggable: "true", "aria-label": fill(T.chip_help, { title: item.title }) },
      words(item),
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
        (chips.children[Math.min(at, chips.children.length - 1)] || app.part("query")).focus();
      } else if (event.altKey && (event.key === "ArrowLeft" || event.key === "ArrowUp")) move(at, at - 1);
      else if (event.altKey && (event.key === "ArrowRight" || event.key === "ArrowDown")) move(at, at + 1);
      else return;
      event.preventDefault();
    });
    addDragging(node, item, at);
    return node;
  }

  function addDragging(node, item, at) {
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
  }

  // The stage below may still show the answer to the cart before: it then steps back.
  function draw() {
    const items = shown(),
      stale = !fixed() && app.stale;
    chips.replaceChildren(...items.map(chip));
    app.part("empty").hidden = fixed() || items.length > 0;
    app.root.classList.toggle("outdated", stale && Boolean(app.model));
    const count = app.part("count");
    count.hidden = fixed();
    count.classList.toggle("stale", stale);
    if (!fixed()) setText(count, counted(items.length));
    drawTarget();
    drawWinner();
    app.parts?.guilt.draw();
  }

  function counted(count) {
    const limit = app.checkpoint().max_history;
    if (app.stale) return T.changed;
    return fill(count > limit ? T.items_beyond : T.items_count, { count, most: limit });
  }

  function drawTarget() {
    const box = app.part("target"),
      target = fixed() ? null : app.query.target;
    box.hidden = !target;
    if (!target) return;
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
  }

  // The item to come is masked beside the cart until the last step names it.
  function drawWinner() {
    const { model } = app,
      open = model && !(app.server && !app.foreign && app.stale),
      best = open && !model.bundle.partial && app.step === model.last ? model.trace.results[0] : undefined;
    winner.hidden = !open;
    setClass(winner, "mr-winner" + (best ? " named" : ""));
    setText(winner, best ? model.title(best.row) : "?");
    winner.title = best ? "" : T.winner_masked;
  }

  return { draw, drawWinner, remove };
}

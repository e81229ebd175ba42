// @ts-check
// The catalog by its categories: one list at a time, a trail back, and every item a button that adds it.

import { make } from "./core.js";
import { count, fill } from "./words.js";

export function makeBrowse(app) {
  const T = app.T,
    box = app.part("browse"),
    button = app.root.querySelector('[data-do="browse"]');
  const open = () => !box.hidden;
  let path = [],
    entries = [],
    turn = 0;

  function toggle(force) {
    const on = force === undefined ? !open() : force;
    box.hidden = !on;
    button.setAttribute("aria-expanded", String(on));
    if (on) go([]);
    else button.focus();
  }

  // `from` is the branch that was left, which then has the focus again.
  async function go(to, from) {
    const mine = ++turn,
      answer = await app.ask("browse", { path: to });
    if (!answer || mine !== turn) return;
    path = to;
    entries = [
      ...answer.branches.map((branch) => ({
        words: fill(T.browse_branch, { label: branch.label, count: count(branch.items) }),
        label: branch.label,
        n: count(branch.items) + " ›",
        act: () => go([...path, branch.label]),
        branch: branch.label,
      })),
      ...answer.items.map((item) => ({ item, label: item.title, act: () => add(item) })),
    ];
    const more =
      answer.count > answer.items.length
        ? make("p", {
            class: "mr-help",
            text: fill(T.browse_more, { shown: answer.items.length, count: count(answer.count) }),
          })
        : null;
    box.replaceChildren(
      trail(),
      make("ul", {}, ...entries.map((entry, at) => (entry.node = make("li", {}, line(entry, at))))),
      ...(more ? [more] : []),
      make("p", { class: "mr-help", text: T.browse_help }),
    );
    focus(
      Math.max(
        0,
        entries.findIndex((entry) => entry.branch === from),
      ),
    );
  }

  function trail() {
    const crumb = (label, to) =>
      make("button", { type: "button", text: label, onclick: () => go(to, path[to.length]) });
    const names = [T.browse_all, ...path];
    return make(
      "nav",
      { "aria-label": T.browse_label },
      ...names.flatMap((name, at) => [
        at ? "›" : null,
        at === names.length - 1 ? make("b", { text: name }) : crumb(name, path.slice(0, at)),
      ]),
    );
  }

  function line(entry, at) {
    const has = entry.item && app.query.items.some((other) => other.id === entry.item.id);
    const words = entry.item ? fill(has ? T.browse_has : T.browse_item, { title: entry.item.title }) : entry.words;
    return make(
      "button",
      {
        type: "button",
        class: (entry.item ? "item" : "branch") + (has ? " has" : ""),
        tabindex: at ? -1 : 0,
        "aria-label": words,
        onclick: entry.act,
      },
      make("span", { text: entry.label }),
      make("span", { class: "n", text: entry.item ? (has ? "✓" : "+") : entry.n }),
    );
  }

  function add(item) {
    app.parts.history.add(item);
    const at = entries.findIndex((entry) => entry.item === item);
    draw();
    focus(at);
  }

  // Items may have come or gone by other ways.
  function draw() {
    if (!open()) return;
    entries.forEach((entry, at) => {
      if (!entry.item || !entry.node) return;
      const held = entry.node.contains(document.activeElement),
        fresh = line(entry, at);
      fresh.tabIndex = entry.node.firstChild.tabIndex;
      entry.node.replaceChildren(fresh);
      if (held) fresh.focus();
    });
  }

  function focus(at) {
    const buttons = [...box.querySelectorAll("li button")];
    buttons.forEach((node, n) => {
      node.tabIndex = n === at ? 0 : -1;
    });
    if (buttons[at]) buttons[at].focus();
  }

  box.addEventListener("keydown", (event) => {
    const buttons = [...box.querySelectorAll("li button")],
      at = buttons.indexOf(document.activeElement);
    const back = () => (path.length ? go(path.slice(0, -1), path[path.length - 1]) : toggle(false));
    const act = {
      ArrowDown: () => focus(Math.min(at + 1, buttons.length - 1)),
      ArrowUp: () => focus(Math.max(at - 1, 0)),
      Home: () => focus(0),
      End: () => focus(buttons.length - 1),
      ArrowLeft: back,
      Backspace: back,
      ArrowRight: () => at >= 0 && entries[at].branch && entries[at].act(),
      Escape: () => toggle(false),
    }[event.key];
    if (!act || (at < 0 && event.key !== "Escape")) return;
    event.preventDefault();
    act();
  });

  return { draw, toggle, acts: { browse: () => toggle() } };
}

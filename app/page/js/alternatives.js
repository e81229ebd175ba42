// @ts-check
// The alternatives of a position, and the buttons that change it: a box beside the cell that was clicked, a sheet at
// the bottom of a phone.

import { clearOfSheet, placeBeside } from "./beside.js";
import { make, makeBar } from "./core.js";
import { count, fill, percent } from "./words.js";

export function makeAlternatives(app) {
  const T = app.T,
    box = app.part("alternatives");
  const columns = [
    ["col_code"],
    ["col_p", "help_p"],
    ["col_raw", "help_raw", "deep"],
    ["col_token", "help_token", "deep"],
    ["col_evidence", "help_evidence", "deep"],
    ["col_items", null, "deep"],
  ];
  const buttons = () => [...box.querySelectorAll("button")];
  let drawn = "";

  function show(on) {
    if (on === !box.hidden) return;
    box.hidden = !on;
    if (box.showPopover) box[on ? "showPopover" : "hidePopover"](); // above all, wherever the stage is cut off
  }

  const standAtCell = () => app.cell && !box.hidden && placeBeside(box, app.parts.grid.button(app.cell));

  function draw(number) {
    const cell = app.cell,
      beam = cell && app.model.trace.steps[number].beams[cell.rank];
    const key = beam ? [app.serial, app.model.last, number, cell.rank, cell.position].join("/") : "",
      held = buttons().indexOf(document.activeElement);
    show(Boolean(beam));
    if (key !== drawn) {
      drawn = key;
      box.replaceChildren(...(beam ? contents(number, cell) : []));
      if (held >= 0 && beam) (buttons()[held] || buttons()[0]).focus({ preventScroll: true });
    }
    standAtCell();
  }

  function contents(number, cell) {
    const model = app.model;
    const state = model.cells[number][cell.rank][cell.position];
    const looked = lookedAt(number, cell, state);
    const level = model.trace.levels[cell.position].name;
    const head = make(
      "div",
      { class: "mr-row" },
      make("h4", { id: "mr-alternatives-of", text: fill(T.alternatives, { level }) }),
      make("button", { type: "button", class: "mr-quiet mr-small", text: T.close, onclick: leave }),
    );
    const pinned = app.query.config.pins.some(([position]) => position === cell.position);
    if (!looked.opinion) {
      const words = pinned
        ? T.alternatives_pinned
        : state && state.forced
          ? T.alternatives_none
          : state
            ? T.alternatives_none
            : T.alternatives_end;
      return [head, make("p", { class: "mr-help", text: words })];
    }
    const given = fill(T.alternatives_given, { given: known(looked) || T.alternatives_cart });
    const about = fill(T.alternatives_of, {
      beam: looked.beam + 1,
      step: looked.step,
      entropy: looked.opinion.entropy.toFixed(2),
      legal: percent(looked.opinion.legal),
    });
    return [
      head,
      make("p", { class: "mr-help" }, given, make("span", { class: "deep", text: " " + about })),
      make("div", { class: "mr-scroll" }, table(looked.opinion, cell, state)),
    ];
  }

  // The tokens that were filled in when the position was judged: categories by name, codes by their level.
  function known({ step, beam }) {
    const { model } = app;
    return model.cells[step - 1][beam]
      .flatMap((state, position) => {
        if (!state) return [];
        return [model.isCategory(position) ? model.label(position, state.code) : model.trace.levels[position].name];
      })
      .join(" › ");
  }

  // After a click with the pointer the keys are the stage's, after one with the keyboard the cell's.
  function leave(event) {
    app.closeCell();
    if (event.detail) app.part("stage").focus({ preventScroll: true });
  }

  // A filled token was judged by the ancestor it was revealed from; a masked one is judged in the next step.
  function lookedAt(number, cell, state) {
    const step = state ? state.at : number + 1;
    const beam = state ? state.parent : cell.rank;
    return { step, beam, opinion: beam === null ? null : app.model.opinion(step, beam, cell.position) };
  }

  function table(opinion, cell, state) {
    const head = make(
      "tr",
      {},
      ...columns.map(([key, help, deep]) =>
        make("th", { scope: "col", class: deep, title: help ? T[help] : null, text: T[key] }),
      ),
      make("td"),
    );
    const top = Math.max(...opinion.alternatives.map((a) => a.p), 1e-9);
    return make(
      "table",
      { class: "mr-others" },
      make("thead", {}, head),
      make("tbody", {}, ...opinion.alternatives.map((other, at) => line(other, opinion.leaves[at], cell, state, top))),
    );
  }

  function line(other, leaves, cell, state, top) {
    const label = app.model.tokenInFull(cell.position, other.code, leaves),
      legal = other.why === null;
    const number = (value) => make("td", { class: "n deep", text: value === null ? "–" : percent(value) });
    const act = (words, help, verb) =>
      make("button", {
        type: "button",
        class: "mr-small",
        title: fill(help, { label }),
        "aria-label": fill(help, { label }),
        text: words,
        onclick: async (event) => {
          leave(event);
          await app.intervene(verb, cell.position, other.code);
          if (!event.detail && document.activeElement === app.part("stage")) app.parts.grid.focus(cell);
        },
      });
    const used = make("td", { class: "n used" }, makeBar(other.p / top), make("span", { text: percent(other.p) }));
    const taken = state && state.code === other.code;
    return make(
      "tr",
      { class: (legal ? "" : "illegal ") + (taken ? "taken" : "") },
      make(
        "th",
        { scope: "row" },
        make("span", { class: "name", title: label, text: label }),
        leaves ? make("small", { text: fill(T.code, { code: other.code }) }) : null,
      ),
      used,
      number(other.raw),
      number(other.token),
      number(other.evidence),
      make("td", { class: legal ? "n deep" : "n", text: legal ? count(other.items) : T[other.why] }),
      make(
        "td",
        { class: "act" },
        ...(legal && app.canDecode()
          ? [act(T.pin, T.pin_help, "pins"), act(T.forbid, T.forbid_help, "forbid_tokens")]
          : []),
      ),
    );
  }

  // Arrow keys move among the buttons: up and down by the line, to the sides by one.
  function press(event) {
    const all = buttons(),
      at = all.indexOf(document.activeElement),
      row = all[at] && all[at].closest("tr"),
      step = row ? row.querySelectorAll("button").length : 1;
    const to = { ArrowDown: at + step, ArrowUp: at - step, ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0 }[event.key];
    if (to === undefined && event.key !== "End") return;
    event.preventDefault();
    event.stopPropagation(); // the stage would step
    all[Math.max(0, Math.min(all.length - 1, to ?? Infinity))].focus();
  }

  // By key: to the first button that changes something, else the one that closes. A pointer leaves keys to the stage.
  function enter(byKey) {
    const first = box.querySelector("tr:not(.taken) .act button") || buttons()[0];
    if (first && byKey) first.focus({ preventScroll: true });
    clearOfSheet(box, app.parts.grid.button(app.cell));
  }

  box.setAttribute("aria-labelledby", "mr-alternatives-of");
  box.addEventListener("keydown", press);
  for (const event of ["resize", "scroll"]) addEventListener(event, standAtCell, true);
  // A click anywhere else closes it; one on another cell opens it there.
  document.addEventListener(
    "click",
    ({ target }) => {
      const inside = /** @type {Element} */ (target).closest("[data-part=alternatives], .mr-grid td");
      if (app.cell && !app.root.contains(inside)) app.closeCell();
    },
    true,
  );
  return { load: () => app.cell || show(false), draw, enter };
}

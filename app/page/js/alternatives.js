// @ts-check
// The panel under the grid: what a position might have been, and the buttons that change it.

import { make, makeBar } from "./core.js";
import { count, fill, percent } from "./words.js";

export function makeAlternatives(app) {
  const T = app.T,
    box = app.part("alternatives");
  const columns = [
    ["col_code"],
    ["col_p", "help_p"],
    ["col_raw", "help_raw"],
    ["col_token", "help_token"],
    ["col_evidence", "help_evidence"],
    ["col_items"],
  ];

  function draw(number) {
    const cell = app.cell,
      model = app.model;
    const beam = cell && model.trace.steps[number].beams[cell.rank];
    box.hidden = !beam;
    if (!beam) return box.replaceChildren();
    const state = model.cells[number][cell.rank][cell.position];
    const place = lookedAt(number, cell, state);
    const level = model.trace.levels[cell.position].name;
    const head = make(
      "div",
      { class: "mr-row" },
      make("h4", { text: fill(T.alternatives, { level }) }),
      make("button", { type: "button", class: "mr-quiet mr-small", text: T.close, onclick: () => app.closeCell() }),
    );
    const pinned = app.query.config.pins.some(([position]) => position === cell.position);
    if (!place.opinion) {
      const words = pinned
        ? T.alternatives_pinned
        : state && state.forced
          ? T.alternatives_none
          : state
            ? T.alternatives_none
            : T.alternatives_end;
      return box.replaceChildren(head, make("p", { class: "mr-help", text: words }));
    }
    const about = fill(T.alternatives_of, {
      beam: place.beam + 1,
      step: place.step,
      entropy: place.opinion.entropy.toFixed(2),
      legal: percent(place.opinion.legal),
    });
    box.replaceChildren(
      head,
      make("p", { class: "mr-help", text: about }),
      make("div", { class: "mr-scroll" }, table(place.opinion, cell, state)),
    );
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
      ...columns.map(([key, help]) => make("th", { scope: "col", title: help ? T[help] : null, text: T[key] })),
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
    const number = (value) => make("td", { class: "n", text: value === null ? "–" : percent(value) });
    const act = (words, help, verb) =>
      make("button", {
        type: "button",
        class: "mr-small",
        title: fill(help, { label }),
        "aria-label": fill(help, { label }),
        text: words,
        onclick: () => app.intervene(verb, cell.position, other.code),
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
      make("td", { class: "n", text: legal ? count(other.items) : T[other.why] }),
      make(
        "td",
        { class: "act" },
        ...(legal && app.canDecode()
          ? [act(T.pin, T.pin_help, "pins"), act(T.forbid, T.forbid_help, "forbid_tokens")]
          : []),
      ),
    );
  }

  return { load: () => draw(0), draw };
}

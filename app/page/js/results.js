// @ts-check
// The three answers that lead at each step, the ranked items at the end, and where the true next item stands.

import { make, makeBar, setBar, setClass, setText, whenPainted } from "./core.js";
import { MANY } from "./model.js";
import { rewriteButton } from "./rewriting.js";
import { votesNote } from "./votes.js";
import { count, fill, percent } from "./words.js";

const FIRST = 10;
const PODIUM = 3;

export function makeResults(app) {
  const T = app.T,
    box = app.part("results");
  let ready = null, // the lines of this trace, once they are shown
    calledOff = () => {};
  const podium = Array.from({ length: PODIUM }, (_, rank) => podiumLine(rank));
  app.part("podium").append(...podium.map((each) => each.row));

  function podiumLine(rank) {
    const title = make("b"),
      about = make("small"),
      share = make("span", { class: "p" }),
      bar = makeBar(0),
      pick = make(
        "button",
        { type: "button", class: "pick", onclick: () => app.choose(rank) },
        make("span", { class: "n", text: rank + 1 }),
        make("span", { class: "who" }, title, about),
        share,
        bar,
      );
    return { row: make("li", {}, pick), pick, title, about, share, bar };
  }

  function load() {
    ready = null;
  }

  function lines() {
    const { trace, items } = app.model;
    if (!trace.results.length) return [make("p", { class: "mr-help", text: T.results_none })];
    return trace.results.map((result) => line(result, items.get(result.row)));
  }

  function line(result, item) {
    const gold = app.model.trace.gold !== null && app.model.trace.gold.row === result.row;
    const top = app.model.trace.results[0].probability || 1;
    const beam = app.model.trace.steps[app.model.last].beams.findIndex((b) => b.item === result.row);
    const lift = (app.model.bundle.lift || {})[result.row];
    const more =
      lift >= 1.5 ? fill(T.usual_times, { times: lift < 10 ? lift.toFixed(1) : count(Math.round(lift)) }) : null;
    const pick = make(
      "button",
      {
        type: "button",
        class: "pick",
        title: fill(T.show_path, { title: item.title }),
        onclick: () => app.choose(beam),
      },
      make("b", { text: item.title }),
      make("small", { text: [item.brand, item.path.join(" › "), more].filter(Boolean).join(" · ") }),
      gold ? make("em", { text: "★ " + T.gold }) : null,
    );
    const onward = app.canDecode()
      ? make("button", {
          type: "button",
          class: "mr-small mr-quiet add",
          text: T.add_on,
          title: fill(T.add_on_help, { title: item.title }),
          "aria-label": fill(T.add_on_help, { title: item.title }),
          onclick: () => app.goOn({ id: item.item_id, title: item.title, path: item.path, brand: item.brand }),
        })
      : null;
    return make(
      "li",
      { class: gold ? "gold" : "", data: { beam } },
      make("span", { class: "n", text: result.rank + 1 }),
      pick,
      make(
        "span",
        { class: "p" },
        make("span", { text: percent(result.probability) }),
        makeBar(result.probability / top),
      ),
      onward,
    );
  }

  // The first ten; the others are one click away.
  function ranked() {
    const list = make("ol", { class: "mr-results short" }, ...ready);
    if (ready.length <= FIRST) return [list, ...rewriteButton(app), ...app.parts.guilt.buttons(), ...votesNote(app)];
    const all = make("button", {
      type: "button",
      class: "mr-quiet mr-small",
      text: fill(T.results_all, { count: ready.length }),
      onclick: () => {
        list.classList.remove("short");
        all.remove();
      },
    });
    return [list, all, ...rewriteButton(app), ...app.parts.guilt.buttons(), ...votesNote(app)];
  }

  function draw(number) {
    podium.forEach((each, rank) => drawPlace(each, rank, number));
    drawGold(number);
    const done = number === app.model.last && !app.model.bundle.partial,
      drawn = app.serial + (done ? " done" : "");
    if (box.dataset.drawn !== drawn) drawList(done, drawn);
    if (done) mark();
  }

  // The list stands under the picture: the browser lays it out a frame after it.
  function drawList(done, drawn) {
    box.dataset.drawn = drawn;
    if (done) ready ||= lines();
    box.classList.toggle("coming", done);
    box.replaceChildren(...(done ? ranked() : [make("p", { class: "mr-help" }, T.results_wait + " ", skip())]));
    calledOff();
    if (done) calledOff = whenPainted(() => box.classList.remove("coming"));
  }

  const skip = () =>
    make("button", {
      type: "button",
      class: "mr-quiet mr-small",
      text: T.results_skip,
      onclick: () => app.go(Infinity),
    });

  function mark() {
    for (const node of ready)
      if (node.dataset.beam !== undefined) node.classList.toggle("on", Number(node.dataset.beam) === app.focusBeam());
  }

  // One leading partial answer: how far it is known, how many items it can still become, and its share of the search.
  function drawPlace(each, rank, number) {
    const { model } = app,
      beam = model.trace.steps[number].beams[rank];
    each.row.hidden = rank > 0 && model.mostBeams <= rank;
    each.pick.disabled = !beam;
    if (!beam) {
      setClass(each.row, "empty");
      for (const node of [each.title, each.about, each.share]) setText(node, "");
      return setBar(each.bar, 0);
    }
    const path = beam.codes.flatMap((code, position) =>
        code === null || !model.isCategory(position) ? [] : [model.label(position, code)],
      ),
      whole = beam.item !== null,
      share = Math.exp(Math.min(beam.score, 0)),
      named = beam.items < MANY ? model.beamItems(number, rank) : null,
      many = beam.items === 1 ? T.item_one : fill(T.items, { count: count(beam.items) }),
      left = named ? many + ": " + named.titles.join(" · ") : many;
    setClass(each.row, (whole ? "whole" : "open") + (rank === app.focusBeam(number) ? " on" : ""));
    setText(each.title, whole ? model.title(beam.item) : path.length ? path[path.length - 1] : T.answer_masked);
    setText(each.about, whole ? path.join(" › ") : left);
    setText(each.share, number ? percent(share) : "");
    each.share.title = fill(T.share, { value: percent(share) });
    setBar(each.bar, number ? share : 0);
  }

  function drawGold(number) {
    const gold = app.model.trace.gold,
      line = app.part("gold");
    line.hidden = app.part("legend-gold").hidden = gold === null;
    if (gold === null) return;
    const title = app.model.title(gold.row),
      step = app.model.trace.steps[number],
      at = step.gold;
    const alive = at && at.beams > 0;
    let words = T.gold_excluded;
    if (alive) words = fill(T.gold_alive, { title, rank: at.rank + 1, beams: at.beams, all: step.beams.length });
    else if (!gold.excluded)
      words =
        gold.margin === null
          ? fill(T.gold_never, { title, step: gold.died_at })
          : fill(T.gold_lost, { title, step: gold.died_at, margin: gold.margin.toFixed(2) });
    setText(line, (alive ? "★ " : "✕ ") + fill(words, { title }));
    setClass(line, "mr-gold" + (alive ? "" : " lost"));
  }

  return { load, draw };
}

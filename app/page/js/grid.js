// @ts-check
// The token grid: rows are beams, columns are positions. It is triple-buffered: up to three tables ("leaves") lie upon
// each other, for the shown step and, drawn while nothing else is to do, the next and the previous one. A step swaps
// tables; a step that none of them holds redraws the one in front.

import { make, makeBar, setBar, setClass, setText, whenPainted } from "./core.js";
import { MANY } from "./model.js";
import { count, fill, percent } from "./words.js";

const GRID_ROWS = 10;
const GHOST_ROWS = 3;
const LEAVES = 3;
const EMPTY = { kind: "", label: "", p: "", mark: "", bar: 0, said: "", title: "" }; // what a cell shows at first

export function makeGrid(app) {
  const T = app.T,
    box = app.part("grid");
  let leaves = [],
    front = null,
    shape = "",
    calledOff = () => {},
    was = 0;

  // Leaves of the trace before are written over where this one fills the same table.
  function load() {
    calledOff();
    const { trace, categories, mostBeams, mostDropped } = app.model,
      rows = [Math.min(mostBeams, GRID_ROWS + 1), Math.min(mostDropped, GHOST_ROWS + 1)],
      wanted = JSON.stringify([trace.levels, categories, rows]);
    for (const leaf of leaves) leaf.key = "";
    const held = /** @type {HTMLElement} */ (document.activeElement);
    if (box.contains(held)) held.blur(); // its cell is another one now
    if (wanted === shape) return;
    shape = wanted;
    leaves = [];
    box.replaceChildren(make("div", { class: "mr-leaves" }));
    front = null;
    turn(makeLeaf());
  }

  // Rows are as many as any step needs, so that the stage never changes its height.
  function makeLeaf() {
    const model = app.model,
      levels = model.trace.levels,
      n = model.categories;
    const head = make(
      "thead",
      {},
      make(
        "tr",
        {},
        make("th", { scope: "col", rowspan: 2, class: "c-rank", text: T.beam }),
        n ? make("th", { colspan: n, scope: "colgroup", class: "c-group", text: T.category }) : null,
        levels.length > n
          ? make("th", { colspan: levels.length - n, scope: "colgroup", class: "c-group c-id", text: T.semantic })
          : null,
        make("th", { scope: "col", rowspan: 2, class: "c-becomes", text: T.becomes }),
      ),
      make(
        "tr",
        {},
        ...levels.map((level, p) => make("th", { scope: "col", class: p === n ? "c-id" : "", text: level.name })),
      ),
    );
    const rows = Array.from({ length: Math.min(model.mostBeams, GRID_ROWS) }, (_, rank) => makeRow(rank, false));
    const ghosts = Array.from({ length: Math.min(model.mostDropped, GHOST_ROWS) }, (_, rank) => makeRow(rank, true));
    const moreRows = (longest, shown) =>
      longest > shown ? make("tr", { class: "r-more" }, make("td", { colspan: levels.length + 2 })) : null;
    const more = moreRows(model.mostBeams, GRID_ROWS),
      moreCut = moreRows(model.mostDropped, GHOST_ROWS);
    const body = make("tbody", {}, ...rows.map((r) => r.row), more, ...ghosts.map((r) => r.row), moreCut);
    const columns = make(
      "colgroup",
      {},
      make("col", { class: "c-rank" }),
      ...levels.map((level) => make("col", { class: level.kind })),
      make("col", { class: "c-becomes" }),
    );
    const leaf = {
      table: make("table", { class: "mr-grid", "aria-hidden": true }, columns, head, body),
      rows,
      ghosts,
      more,
      moreCut,
      key: "",
      focus: -1,
      inReach: [],
    };
    leaves.push(leaf);
    box.firstChild.append(leaf.table);
    return leaf;
  }

  function makeRow(rank, ghost) {
    const levels = app.model.trace.levels;
    const head = make("th", { scope: "row", class: "c-rank" });
    const name = make("b"),
      score = make("small");
    if (ghost) head.append(name, score);
    else
      head.append(
        make("button", { type: "button", class: "rank", tabindex: -1, onclick: () => app.choose(rank) }, name, score),
      );
    const cells = levels.map((level, position) => {
      const label = make("span", { class: "t" }),
        mark = make("span", { class: "m", "aria-hidden": true });
      const bar = makeBar(0),
        p = make("small");
      const inner = ghost
        ? make("div", { class: "in" })
        : make("button", {
            type: "button",
            class: "in",
            tabindex: -1,
            onclick: (event) => app.openCell(rank, position, !event.detail),
          });
      inner.append(label, p, mark, bar);
      return { td: make("td", { class: "" }, inner), inner, label, mark, bar, p, level, look: EMPTY };
    });
    const becomes = make("b"),
      also = make("small"),
      end = make("td", { class: "c-becomes" }, make("div", { class: "in" }, becomes, also));
    return {
      row: make("tr", {}, head, ...cells.map((c) => c.td), end),
      head,
      name,
      score,
      cells,
      end,
      becomes,
      also,
      blank: true,
    };
  }

  function draw(number) {
    const key = keyOf(number, app.filter),
      ready = leaves.find((leaf) => leaf.key === key);
    if (!ready) fillLeaf(front, number, key);
    else if (ready !== front) turn(ready);
    reach(front, front.focus);
    calledOff();
    const ahead = number < was ? -1 : 1;
    was = number;
    calledOff = whenPainted(() => prepare([number, number + ahead, number - ahead]));
  }

  // All that a leaf shows beside the trace.
  function keyOf(number, filter) {
    return [
      number,
      app.focusBeam(number),
      app.cell ? app.cell.rank + "." + app.cell.position : "",
      filter ? filter.join() : "",
    ].join("/");
  }

  // Makes one step ready, and the next one when there is time again.
  function prepare(steps) {
    const keys = steps
      .filter((n) => n >= 0 && n <= app.model.last)
      .map((n) => [n, keyOf(n, n === app.step ? app.filter : null)]);
    const missing = keys.find(([, key]) => !leaves.some((leaf) => leaf.key === key));
    if (!missing) return;
    const spare =
      leaves.length < LEAVES
        ? makeLeaf()
        : leaves.find((leaf) => leaf !== front && !keys.some(([, key]) => key === leaf.key));
    fillLeaf(spare, ...missing);
    calledOff = whenPainted(() => prepare(steps));
  }

  function turn(leaf) {
    const old = front,
      held = old ? [...old.table.querySelectorAll("button")].indexOf(document.activeElement) : -1;
    front = leaf;
    for (const each of leaves) {
      each.table.classList.toggle("front", each === leaf);
      each.table.setAttribute("aria-hidden", String(each !== leaf));
    }
    if (old) reach(old, -1);
    if (held < 0) return;
    leaf.table.querySelectorAll("button")[held].focus({ preventScroll: true });
    // The step may have no such beam.
    if (!leaf.table.contains(document.activeElement)) app.part("stage").focus({ preventScroll: true });
  }

  // The Tab key reaches the chosen beam of the leaf in front, and nothing behind it.
  function reach(leaf, focus) {
    const row = leaf.rows[focus],
      buttons = row ? [...row.row.querySelectorAll("button")] : [];
    for (const button of leaf.inReach) if (!buttons.includes(button)) button.tabIndex = -1;
    for (const button of buttons) if (button.tabIndex) button.tabIndex = 0;
    leaf.inReach = buttons;
  }

  function fillLeaf(leaf, number, key) {
    const step = app.model.trace.steps[number],
      focus = app.focusBeam(number),
      filter = number === app.step ? app.filter : null;
    Object.assign(leaf, { key, focus });
    leaf.rows.forEach((view, rank) => drawBeam(view, step.beams[rank], rank, number, focus, filter));
    leaf.ghosts.forEach((view, at) => drawGhost(view, step.dropped[at], number, at));
    tell(leaf.more, T.more_beams, step.beams.length - leaf.rows.length);
    tell(leaf.moreCut, T.more_cut, step.dropped.length - leaf.ghosts.length);
  }

  function tell(row, words, left) {
    if (!row) return;
    setClass(row, "r-more" + (left > 0 ? "" : " none"));
    setText(row.firstChild, left > 0 ? fill(words, { count: left }) : "");
  }

  function drawBeam(view, beam, rank, number, focus, filter) {
    const model = app.model;
    view.row.setAttribute("aria-hidden", String(!beam));
    if (!beam) return drawFree(view, rank, number);
    view.blank = false;
    const gold = model.isGold(beam.codes),
      chosen = rank === focus;
    setClass(view.row, (chosen ? "on " : "") + (gold ? "gold " : "") + (filter && !filter[rank] ? "off" : ""));
    setText(view.name, String(rank + 1) + (gold ? " ★" : ""));
    const share = Math.exp(Math.min(beam.score, 0));
    setText(view.score, percent(share));
    view.head.title = fill(T.share, { value: percent(share) }) + " · " + beam.score.toFixed(3);
    view.head.firstChild.setAttribute("aria-pressed", chosen);
    view.cells.forEach((cell, position) => drawCell(cell, rank, position, number, chosen));
    const named = model.beamItems(number, rank);
    setText(
      view.becomes,
      beam.item !== null
        ? model.title(beam.item)
        : beam.items === 0
          ? T.off_catalog
          : beam.items === 1
            ? T.item_one
            : fill(T.items, { count: count(beam.items) }),
    );
    setText(view.also, beam.item === null && named && beam.items < MANY ? named.titles.join(" · ") : "");
    setClass(view.end, "c-becomes" + (beam.item !== null ? " named" : ""));
    const words = view.becomes.textContent + (view.also.textContent ? ": " + view.also.textContent : "");
    if (view.end.title !== words) view.end.title = words;
  }

  // A place that no beam has taken. Step 0 shows the one masked row alone: the places appear with the first reveal.
  function drawFree(view, rank, number) {
    setClass(view.row, number ? "free" : "free ahead");
    setText(view.name, String(rank + 1));
    if (view.blank) return;
    view.blank = true;
    view.head.removeAttribute("title");
    view.head.firstChild.removeAttribute("aria-pressed");
    view.end.removeAttribute("title");
    setClass(view.end, "c-becomes");
    for (const node of [view.score, view.becomes, view.also]) setText(node, "");
    for (const cell of view.cells) write(cell, EMPTY);
  }

  function drawCell(cell, rank, position, number, chosen) {
    const model = app.model,
      state = model.cells[number][rank][position];
    const open = app.cell && app.cell.rank === rank && app.cell.position === position ? " open" : "";
    const id = position === model.categories ? " c-id" : "";
    if (!state) {
      const next = chosen ? model.opinion(number + 1, rank, position) : null;
      const at = next ? next.alternatives.findIndex((a) => a.why === null) : -1,
        guess = at < 0 ? null : next.alternatives[at];
      const look = {
        kind: "masked" + id + open,
        label: guess ? fill(T.guess, { label: short(position, guess.code, next.leaves[at], false) }) : "",
        p: guess ? percent(guess.p) : "",
        mark: "",
        bar: 0,
      };
      return put(cell, rank, look, T.masked, guess ? model.tokenInFull(position, guess.code, next.leaves[at]) : "");
    }
    const fresh = state.at === number,
      pinned = state.p === null && state.at === 0;
    const leaves = model.beamItems(state.at, state.rank),
      follows = state.forced && !model.isCategory(position);
    const look = {
      kind: (fresh ? "new" : "kept") + (state.forced ? " forced" : "") + id + open,
      label: follows ? T.follows : short(position, state.code, leaves, fresh),
      p: pinned ? T.pinned : state.forced ? T.forced : percent(state.p),
      mark: pinned ? "●" : fresh && !state.forced ? "▲" : "",
      bar: state.p === null ? (pinned ? 1 : 0) : state.p,
    };
    put(cell, rank, look, fresh ? T.revealed : T.kept, model.tokenInFull(position, state.code, leaves));
  }

  // A code is named by the first item that it leaves when it is revealed, and by how many later on: the last column
  // then names the items that the beam can become.
  function short(position, code, leaves, fresh) {
    if (fresh || !leaves || app.model.isCategory(position)) return app.model.token(position, code, leaves);
    return leaves.count === 1 ? T.left_one : fill(T.left, { count: count(leaves.count) });
  }

  // A screen reader hears where it is before the words that all see.
  function put(cell, rank, look, state, full) {
    const where = fill(T.cell, { beam: T.beam + " " + (rank + 1), level: cell.level.name, state });
    write(cell, { ...look, said: where + look.label + " " + look.p, title: (full + " " + look.p).trim() });
  }

  // Sets only what differs from what the cell shows; to ask the elements for that takes longer than to remember it.
  function write(cell, look) {
    const was = cell.look;
    cell.look = look;
    if (look.kind !== was.kind) cell.td.className = look.kind;
    for (const part of ["label", "p", "mark"]) if (look[part] !== was[part]) cell[part].textContent = look[part];
    if (look.bar !== was.bar) setBar(cell.bar, look.bar);
    if (look.said !== was.said) setName(cell.inner, "aria-label", look.said);
    if (look.title !== was.title) setName(cell.inner, "title", look.title);
  }

  function setName(node, name, words) {
    if (words) node.setAttribute(name, words);
    else node.removeAttribute(name);
  }

  function drawGhost(view, lost, number, at) {
    if (!lost) return setClass(view.row, "ghost none");
    const model = app.model,
      leaves = model.droppedItems(number, at),
      above = model.cells[number - 1][lost.parent];
    setClass(view.row, "ghost" + (model.isGold(lost.codes) ? " gold" : ""));
    setText(view.name, lost.why === "merged" ? T.merged : T.cut);
    setText(view.score, percent(Math.exp(Math.min(lost.score, 0))));
    view.cells.forEach((cell, position) => {
      const code = lost.codes[position],
        was = above[position],
        here = position === lost.position;
      setClass(
        cell.td,
        (code === null ? "masked" : here ? "lost" : "kept") + (position === model.categories ? " c-id" : ""),
      );
      setText(
        cell.label,
        code === null
          ? ""
          : here
            ? model.token(position, code, leaves)
            : short(position, code, was && model.beamItems(was.at, was.rank), false),
      );
    });
    setText(view.becomes, fill(T.from_beam, { beam: lost.parent + 1 }));
  }

  // The button of a cell of the step that is shown, or null.
  const button = ({ rank, position }) => (front.rows[rank] ? front.rows[rank].cells[position].inner : null);

  function focus(cell) {
    const to = button(cell);
    if (to) to.focus({ preventScroll: true });
    if (document.activeElement !== to) app.part("stage").focus({ preventScroll: true });
  }

  return { load, draw, button, focus };
}

// The token grid: rows are beams, columns are positions. Rows and cells are made once and only their content changes.

const GRID_ROWS = 10;
const GHOST_ROWS = 3;
const MANY = 1000; // naming three of so many items would tell nothing

function makeGrid(app) {
  const T = app.T, box = app.part("grid");
  let rows = [], ghosts = [], more, moreCut, table;

  function load() {
    const model = app.model, levels = model.trace.levels, n = model.categories;
    const head = make("thead", {},
      make("tr", {},
        make("th", { scope: "col", rowspan: 2, class: "c-rank", text: T.beam }),
        n ? make("th", { colspan: n, scope: "colgroup", class: "c-group", text: T.category }) : null,
        levels.length > n ? make("th", { colspan: levels.length - n, scope: "colgroup", class: "c-group c-id", text: T.semantic }) : null,
        make("th", { scope: "col", rowspan: 2, class: "c-becomes", text: T.becomes })),
      make("tr", {}, ...levels.map((level, p) => make("th", { scope: "col", class: p === n ? "c-id" : "", text: level.name }))));
    const body = make("tbody", {});
    rows = Array.from({ length: Math.min(model.mostBeams, GRID_ROWS) }, (_, rank) => makeRow(rank, false));
    ghosts = Array.from({ length: GHOST_ROWS }, (_, rank) => makeRow(rank, true));
    more = make("tr", { class: "r-more" }, make("td", { colspan: levels.length + 2 }));
    moreCut = make("tr", { class: "r-more" }, make("td", { colspan: levels.length + 2 }));
    body.append(...rows.map((r) => r.row), more, ...ghosts.map((r) => r.row), moreCut);
    const columns = make("colgroup", {}, make("col", { class: "c-rank" }), ...levels.map((level) => make("col", { class: level.kind })), make("col", { class: "c-becomes" }));
    table = make("table", { class: "mr-grid" }, columns, head, body);
    box.replaceChildren(table);
  }

  function makeRow(rank, ghost) {
    const levels = app.model.trace.levels;
    const head = make("th", { scope: "row", class: "c-rank" });
    const name = make("b"), score = make("small");
    if (ghost) head.append(name, score);
    else head.append(make("button", { type: "button", class: "rank", tabindex: -1, onclick: () => app.choose(rank) }, name, score));
    const cells = levels.map((level, position) => {
      const label = make("span", { class: "t" }), mark = make("span", { class: "m", "aria-hidden": true });
      const bar = make("i"), p = make("small");
      const inner = ghost ? make("div", { class: "in" }) : make("button", { type: "button", class: "in", tabindex: -1, onclick: () => app.openCell(rank, position) });
      const said = make("span", { class: "mr-sr" });
      inner.append(said, label, p, mark, make("span", { class: "bar" }, bar));
      return { td: make("td", { class: "" }, inner), inner, said, label, mark, bar, p, level };
    });
    const becomes = make("b"), also = make("small"), end = make("td", { class: "c-becomes" }, make("div", { class: "in" }, becomes, also));
    return { row: make("tr", {}, head, ...cells.map((c) => c.td), end), head, name, score, cells, end, becomes, also, ghost };
  }

  function draw(number) {
    const model = app.model, step = model.trace.steps[number], focus = app.focusBeam();
    rows.forEach((view, rank) => drawBeam(view, step.beams[rank], rank, number, focus));
    const hidden = step.beams.length - rows.length;
    more.hidden = hidden <= 0;
    if (hidden > 0) setText(more.firstChild, fill(T.more_beams, { count: hidden }));
    ghosts.forEach((view, at) => drawGhost(view, step.dropped[at], number, at));
    const lost = step.dropped.length - ghosts.length;
    moreCut.hidden = lost <= 0;
    if (lost > 0) setText(moreCut.firstChild, fill(T.more_cut, { count: lost }));
  }

  function drawBeam(view, beam, rank, number, focus) {
    const model = app.model;
    view.row.hidden = !beam;
    if (!beam) return;
    const gold = model.isGold(beam.codes), chosen = rank === focus;
    setClass(view.row, (chosen ? "on " : "") + (gold ? "gold " : "") + (app.dimmed(rank) ? "off" : ""));
    setText(view.name, String(rank + 1) + (gold ? " ★" : ""));
    const share = Math.exp(Math.min(beam.score, 0));
    setText(view.score, percent(share));
    view.head.title = fill(T.share, { value: percent(share) }) + " · " + beam.score.toFixed(3);
    view.head.firstChild.tabIndex = chosen ? 0 : -1;
    view.head.firstChild.setAttribute("aria-pressed", chosen);
    view.cells.forEach((cell, position) => drawCell(cell, rank, position, number, chosen));
    const named = model.beamItems(number, rank);
    setText(view.becomes, beam.item !== null ? model.title(beam.item) : beam.items === 0 ? T.off_catalog : beam.items === 1 ? T.item_one : fill(T.items, { count: count(beam.items) }));
    setText(view.also, beam.item === null && named && beam.items < MANY ? named.titles.join(" · ") : "");
    setClass(view.end, "c-becomes" + (beam.item !== null ? " named" : ""));
    const words = view.becomes.textContent + (view.also.textContent ? ": " + view.also.textContent : "");
    if (view.end.title !== words) view.end.title = words;
  }

  function drawCell(cell, rank, position, number, chosen) {
    const model = app.model, state = model.cells[number][rank][position];
    cell.inner.tabIndex = chosen ? 0 : -1;
    const open = app.cell && app.cell.rank === rank && app.cell.position === position ? " open" : "";
    if (!state) {
      const next = chosen ? model.opinion(number + 1, rank, position) : null;
      const at = next ? next.alternatives.findIndex((a) => a.why === null) : -1, guess = at < 0 ? null : next.alternatives[at];
      setClass(cell.td, "masked" + (position === model.categories ? " c-id" : "") + open);
      setText(cell.label, guess ? fill(T.guess, { label: short(position, guess.code, next.leaves[at], false) }) : "");
      setText(cell.p, guess ? percent(guess.p) : "");
      setText(cell.mark, "");
      setBar(cell.bar, 0);
      return describe(cell, rank, T.masked, guess ? model.tokenInFull(position, guess.code, next.leaves[at]) : "");
    }
    const fresh = state.at === number, pinned = state.p === null && state.at === 0;
    const leaves = model.beamItems(state.at, state.rank), follows = state.forced && !model.isCategory(position);
    setClass(cell.td, (fresh ? "new" : "kept") + (state.forced ? " forced" : "") + (position === model.categories ? " c-id" : "") + open);
    setText(cell.label, follows ? T.follows : short(position, state.code, leaves, fresh));
    setText(cell.mark, pinned ? "●" : fresh && !state.forced ? "▲" : "");
    setText(cell.p, pinned ? T.pinned : state.forced ? T.forced : percent(state.p));
    setBar(cell.bar, state.p === null ? (pinned ? 1 : 0) : state.p);
    describe(cell, rank, fresh ? T.revealed : T.kept, model.tokenInFull(position, state.code, leaves));
  }

  // A code is told by the first item that it leaves when it is revealed, and by how many later on: the last column names
  // what the beam can become by then.
  function short(position, code, leaves, fresh) {
    if (fresh || !leaves || app.model.isCategory(position)) return app.model.token(position, code, leaves);
    return leaves.count === 1 ? T.left_one : fill(T.left, { count: count(leaves.count) });
  }

  // What only a screen reader needs comes before the words that all see.
  function describe(cell, rank, state, full) {
    setText(cell.said, fill(T.cell, { beam: T.beam + " " + (rank + 1), level: cell.level.name, state }));
    const words = (full + " " + cell.p.textContent).trim();
    if (cell.inner.title !== words) cell.inner.title = words;
  }

  function drawGhost(view, lost, number, at) {
    view.row.hidden = !lost;
    if (!lost) return;
    const model = app.model, leaves = model.droppedItems(number, at), above = model.cells[number - 1][lost.parent];
    setClass(view.row, "ghost" + (model.isGold(lost.codes) ? " gold" : ""));
    setText(view.name, lost.why === "merged" ? T.merged : T.cut);
    setText(view.score, percent(Math.exp(Math.min(lost.score, 0))));
    view.cells.forEach((cell, position) => {
      const code = lost.codes[position], was = above[position], here = position === lost.position;
      setClass(cell.td, (code === null ? "masked" : here ? "lost" : "kept") + (position === model.categories ? " c-id" : ""));
      setText(cell.label, code === null ? "" : here ? model.token(position, code, leaves) : short(position, code, was && model.beamItems(was.at, was.rank), false));
    });
    setText(view.becomes, fill(T.from_beam, { beam: lost.parent + 1 }));
  }

  return { load, draw };
}

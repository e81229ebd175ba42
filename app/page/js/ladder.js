// @ts-check
// The beam ladder: rank of every beam over the steps. All is drawn once, each step twice: as it looks for good and,
// above that, as it looks while it is shown. A step changes no more than how opaque three groups are. Where the page
// does not show the ladder it has no width, and nothing is built or drawn.

import { make, setBar, setText, svg, whenPainted } from "./core.js";
import { count, fill, percent } from "./words.js";

const LISTED = 6;

export function makeLadder(app) {
  const T = app.T,
    box = app.part("ladder");
  const LEFT = 26,
    TOP = 12;
  let root,
    past,
    now,
    curtain,
    trail,
    room = 0, // pixels across, 0 while it is not shown
    width = 0,
    ROW = 20,
    calledOff = () => {};
  const lines = Array.from({ length: LISTED }, () => make("li"));
  app.part("lost").replaceChildren(make("ul", {}, ...lines));

  // The browser tells of the width once it is known: to ask for it would lay out the whole page.
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width === room) return;
    room = contentRect.width;
    if (!app.model) return;
    load();
    drawPicture(app.step);
  }).observe(box);

  function load() {
    calledOff();
    root = null;
    if (!room) return;
    const model = app.model,
      steps = model.trace.steps;
    const rows = Math.min(model.mostBeams, 20);
    ROW = rows > 12 && !app.root.classList.contains("present") ? 15 : 20;
    const height = TOP * 2 + (rows + 1) * ROW;
    width = Math.max(260, Math.min(room, 900));
    root = svg("svg", {
      viewBox: `0 0 ${width} ${height}`,
      width: "100%",
      height,
      role: "img",
      "aria-label": T.ladder,
    });
    for (let rank = 0; rank < rows; rank++)
      root.append(svg("text", { x: 4, y: y(rank) + 4, class: "rank" }, String(rank + 1)));
    const layers = (draw) =>
      steps.map((step, number) => {
        const group = svg("g", {});
        step.beams.slice(0, rows).forEach((beam, rank) => draw(group, beam, rank, number));
        root.append(group);
        return group;
      });
    past = layers(drawBeam);
    past.forEach((group, number) => number && drawLost(group, steps[number], number, rows));
    curtain = svg("rect", { class: "curtain", y: 0, width, height }); // no hand reaches what is not shown yet
    root.append(curtain);
    now = layers(drawNow);
    steps.forEach((_, number) =>
      root.append(svg("text", { x: x(number), y: height - 3, class: "step" }, String(number))),
    );
    trail = svg("path", { class: "trail", d: "" });
    root.append(trail);
    box.replaceChildren(root);
  }

  const x = (number) => LEFT + (number * (width - LEFT - 58)) / Math.max(1, app.model.last);
  const y = (rank) => TOP + rank * ROW + ROW / 2;

  function curve(number, from, to) {
    const a = x(number - 1),
      b = x(number),
      middle = (a + b) / 2;
    return `M${a},${y(from)}C${middle},${y(from)} ${middle},${y(to)} ${b},${y(to)}`;
  }

  const share = (beam) => Math.exp(Math.min(beam.score, 0));
  const radius = (beam) => 2 + 5 * Math.sqrt(share(beam));

  function drawBeam(group, beam, rank, number) {
    const gold = app.model.isGold(beam.codes) ? " gold" : "";
    drawLine(group, beam, rank, number, "line" + gold);
    const dot = svg("circle", { cx: x(number), cy: y(rank), r: radius(beam).toFixed(1), class: "dot" + gold });
    dot.append(svg("title", {}, words(beam, rank, number)));
    dot.addEventListener("click", () => {
      app.go(number);
      app.choose(rank);
    });
    group.append(dot);
  }

  // Golden dots keep their look.
  function drawNow(group, beam, rank, number) {
    const gold = app.model.isGold(beam.codes) ? " gold" : "";
    drawLine(group, beam, rank, number, "line now" + gold);
    if (!gold) stroke(group, "spot now", 2 * Math.round(radius(beam)), `M${x(number)},${y(rank)}h0`);
    group.append(svg("text", { x: x(number) + 9, y: y(rank) + 4, class: "score now" + gold }, percent(share(beam))));
  }

  function drawLine(group, beam, rank, number, kind) {
    if (!number || beam.parent === null) return;
    stroke(group, kind, Math.max(1.2, Math.round(radius(beam) * 0.8)), curve(number, Math.min(beam.parent, 20), rank));
  }

  // Strokes that look the same are one path: a step has a third of the shapes to paint.
  function stroke(group, kind, thick, d) {
    const same = [...group.children].find(
      (node) => node.getAttribute("class") === kind && node.getAttribute("stroke-width") === String(thick),
    );
    if (same) return same.setAttribute("d", same.getAttribute("d") + d);
    const path = svg("path", { class: kind, "stroke-width": thick, d });
    if (kind.startsWith("line") && !kind.includes("gold")) group.prepend(path);
    else group.append(path);
  }

  function words(beam, rank, number) {
    const model = app.model,
      leaves = model.beamItems(number, rank),
      names = beam.revealed.map((r) => model.tokenInFull(r.position, r.code, leaves)).join(" · ");
    const from = beam.parent === null ? "" : " · " + fill(T.from_beam, { beam: beam.parent + 1 });
    const last = beam.item !== null ? model.title(beam.item) : T.masked;
    return `${T.beam} ${rank + 1}: ${names || last} · ${beam.score.toFixed(3)}${from}`;
  }

  // One cross for each parent that lost candidates, on the row under the last beam.
  function drawLost(group, step, number, rows) {
    const parents = new Map();
    for (const lost of step.dropped)
      if (!parents.has(lost.parent) || app.model.isGold(lost.codes)) parents.set(lost.parent, lost);
    for (const [parent, lost] of parents) {
      if (parent >= rows) continue;
      const gold = app.model.isGold(lost.codes) && model_lost(number) ? " gold" : "";
      const shift = 6 + ((parent * 37) % 16),
        a = x(number - 1),
        b = x(number) - shift;
      stroke(
        group,
        "dead" + gold,
        1,
        `M${a},${y(parent)}C${(a + b) / 2},${y(parent)} ${(a + b) / 2},${y(rows)} ${b},${y(rows)}`,
      );
      stroke(group, "cross" + gold, 1.5, `M${b - 3},${y(rows) - 3}l6,6m0,-6l-6,6`);
    }
  }

  const model_lost = (number) => app.model.trace.gold !== null && app.model.trace.gold.died_at === number;

  function draw(number) {
    drawPicture(number);
    calledOff(); // the list of what was dropped, the slowest to lay out, comes a frame after the picture
    calledOff = whenPainted(() => drawList(app.model.trace.steps[number], number));
  }

  function drawPicture(number) {
    if (!root) return;
    const model = app.model,
      step = model.trace.steps[number];
    past.forEach((group, at) => setOpacity(group, at <= number));
    now.forEach((group, at) => setOpacity(group, at === number));
    curtain.setAttribute("x", x(number) + 8);
    const path = model.lineage(number, Math.min(app.focusBeam(), step.beams.length - 1));
    trail.setAttribute(
      "d",
      path.map((rank, at) => (at && rank < 20 && path[at - 1] < 20 ? curve(at, path[at - 1], rank) : "")).join(""),
    );
    drawMeters(step);
  }

  function setOpacity(group, shown) {
    const value = shown ? "1" : "0";
    if (group.style.opacity !== value) group.style.opacity = value;
  }

  function drawMeters(step) {
    const kept = step.coverage,
      total = app.model.trace.steps[0].items_left || 1;
    setText(app.part("coverage"), kept === null ? T.coverage_none : percent(kept));
    setBar(app.part("coverage-bar"), kept === null ? 0 : kept);
    setText(app.part("items-left"), count(step.items_left));
    setBar(app.part("items-bar"), Math.log(Math.max(1, step.items_left)) / Math.log(Math.max(2, total)));
    setText(app.part("calls"), count(step.nfe));
  }

  function drawList(step, number) {
    const model = app.model;
    app.part("lost-panel").hidden = !number;
    const losses = step.dropped.slice(0, LISTED).map((lost, at) => {
      const label =
        lost.position >= 0
          ? model.tokenInFull(lost.position, lost.code, model.droppedItems(number, at))
          : T.complete_one;
      const words = lost.why === "merged" ? T.merged_line : T.lost_line;
      const gold = model.isGold(lost.codes) ? " ★" : "";
      return fill(words, { label, beam: lost.parent + 1, behind: lost.behind.toFixed(2) }) + gold;
    });
    lines.forEach((line, at) => setText(line, losses[at] || (at || losses.length ? "" : T.lost_none)));
  }

  return { load, draw };
}

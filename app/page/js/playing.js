// @ts-check
// Showing a trace: the step, the chosen beam and the open cell.

import { readBundle } from "./model.js";

export function addPlaying(app) {
  // `grown`: the same decode with more steps; what was chosen in it stays.
  app.show = (bundle, { step = 0, grown = false } = {}) => {
    const stage = app.part("stage"),
      held = stage.contains(document.activeElement);
    app.model = readBundle(bundle);
    app.step = Math.min(step, app.model.last);
    app.parts.marks.clear();
    if (!grown) Object.assign(app, { serial: app.serial + 1, chosen: null, cell: null, filter: null });
    bundle.trace.levels.forEach((_, position) =>
      Object.entries(bundle.trace.labels[position]).forEach(([code, label]) => {
        app.names[position + "." + code] = label;
      }),
    );
    Object.assign(app.names, bundle.names);
    if (!app.server) app.query = { ...app.query, config: bundle.trace.config };
    app.root.classList.add("loaded");
    for (const name of ["grid", "ladder", "alternatives", "results", "player"]) app.parts[name].load();
    app.parts.cart.draw();
    app.redraw();
    app.parts.tree.load();
    app.parts.map.load();
    if (app.parts.settings) app.parts.settings.draw();
    if (held && document.activeElement === document.body) stage.focus({ preventScroll: true });
  };

  app.redraw = () => {
    for (const name of ["player", "grid", "ladder", "alternatives", "results", "tree", "map"])
      app.parts[name].draw(app.step);
    app.parts.cart.drawWinner();
  };

  app.go = (step) => {
    if (!app.model) return;
    const to = Math.max(0, Math.min(app.model.last, app.limit, step));
    if (to !== app.step) {
      app.filter = null;
      app.parts.tree.clear();
      app.parts.marks.clear();
    }
    app.step = to;
    app.redraw();
    if (app.onstep) app.onstep(to);
  };

  app.rebuild = () => {
    app.parts.ladder.load();
    app.redraw();
    app.parts.tree.resize();
  };

  // The chosen beam is followed through the steps: back to its ancestors, on to its best descendant.
  app.focusBeam = (step = app.step) => {
    const { model, chosen } = app,
      beams = model.trace.steps[step].beams;
    if (!chosen) return 0;
    if (step <= chosen.step) return model.lineage(chosen.step, chosen.rank)[step];
    const heir = beams.findIndex((_, rank) => model.lineage(step, rank)[chosen.step] === chosen.rank);
    return Math.max(0, heir);
  };

  app.choose = (rank, keepFilter) => {
    if (!app.model || rank < 0 || rank >= app.model.trace.steps[app.step].beams.length) return;
    app.chosen = { step: app.step, rank };
    if (!keepFilter) app.filter = null;
    app.redraw();
  };

  app.openCell = (rank, position, byKey) => {
    app.parts.player.stop();
    app.cell = { rank, position };
    app.choose(rank);
    app.parts.alternatives.enter(byKey);
  };
  // The focus goes back to the cell where it was in the box that closes.
  app.closeCell = () => {
    const cell = app.cell,
      held = app.part("alternatives").contains(document.activeElement);
    app.cell = null;
    app.redraw();
    if (held) app.parts.grid.focus(cell);
  };
  app.levelName = (position) =>
    app.model && app.model.trace.levels[position] ? app.model.trace.levels[position].name : String(position);
  app.tokenName = (position, code) => app.names[position + "." + code] || String(code);
}

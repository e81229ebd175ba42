// @ts-check
// The player's model of a trace, derived once when it is loaded: names, lineages, the state of every cell.

import { count } from "./words.js";

export const MANY = 1000; // naming three of so many items would tell nothing

/**
 * @typedef {import("./types.js").Bundle} Bundle
 * @param {Bundle} bundle
 */
export function readBundle(bundle) {
  const trace = bundle.trace;
  const categories = trace.levels.filter((level) => level.kind === "category").length;
  const items = new Map(trace.items.map((item) => [item.row, item]));
  const cells = [];
  trace.steps.forEach((step, number) => {
    cells.push(
      step.beams.map((beam, rank) => {
        const before = number ? cells[number - 1][beam.parent] : trace.levels.map(() => null);
        const now = before.slice();
        for (const reveal of beam.revealed) {
          now[reveal.position] = {
            code: reveal.code,
            p: reveal.p,
            forced: reveal.forced,
            at: number,
            parent: beam.parent,
            rank,
          };
        }
        return now;
      }),
    );
  });
  const opinions = trace.steps.map((step) => new Map(step.opinions.map((opinion) => [opinion.beam, opinion])));
  const last = trace.steps.length - 1;
  const { pins = [], steps: wanted, resolve } = trace.config,
    open = trace.levels.length - pins.length;
  // How many steps there will be.
  const expected = bundle.partial ? Math.max(last, wanted || (resolve ? resolve + 1 : open)) : last;

  const model = { bundle, trace, categories, items, cells, last, expected };
  // How much a step may hold: of a decode that still runs, what its settings allow.
  const longest = (part, allowed) =>
    Math.max(bundle.partial ? allowed : 0, ...trace.steps.map((step) => step[part].length));
  Object.assign(model, { mostBeams: longest("beams", trace.config.beam_size), mostDropped: longest("dropped", 1) });

  model.label = (position, code) =>
    trace.labels[position][code] || bundle.names[position + "." + code] || trace.levels[position].name + " " + code;
  // The items that a semantic-ID code leaves: the likeliest by name, and how many there are. Null where no rows were
  // recorded, as in traces of version 1.
  const possible = trace.steps.map((step) => step.possible || { beams: [], alternatives: [], dropped: [] });
  const named = (rows, count) =>
    rows && rows.length ? { titles: rows.map(model.title), count: Math.max(count, rows.length) } : null;
  model.isCategory = (position) => position < categories;
  model.beamItems = (step, rank) => named(possible[step].beams[rank], trace.steps[step].beams[rank].items);
  model.droppedItems = (step, at) => named(possible[step].dropped[at], 1);
  // A token in words: a category by its name, a code by the items that it leaves, or by its keywords where none are
  // known.
  model.token = (position, code, leaves) => {
    if (model.isCategory(position) || !leaves) return model.label(position, code);
    return leaves.titles[0];
  };
  model.tokenInFull = (position, code, leaves) => {
    if (model.isCategory(position) || !leaves) return model.label(position, code);
    const more = leaves.count - leaves.titles.length;
    return leaves.titles.join(" · ") + (more > 0 ? " +" + count(more) : "");
  };
  model.title = (row) => (items.has(row) ? items.get(row).title : trace.titles[row] || "#" + row);
  model.opinion = (step, beam, position) => {
    const opinion = step <= last ? opinions[step].get(beam) : undefined;
    const at = opinion ? opinion.open.findIndex((open) => open.position === position) : -1;
    if (at < 0) return null;
    const looked = opinion.open[at],
      rows = (possible[step].alternatives[trace.steps[step].opinions.indexOf(opinion)] || [])[at];
    return {
      ...looked,
      chosen: opinion.chosen.includes(position),
      leaves: looked.alternatives.map((other, n) => named(rows && rows[n], other.items)),
    };
  };
  model.isGold = (codes) =>
    trace.gold !== null && codes.every((code, position) => code === null || code === trace.gold.codes[position]);
  // Rank of one beam's ancestor at each step up to `step`.
  model.lineage = (step, beam) => {
    const out = new Array(step + 1);
    for (let number = step, rank = beam; number >= 0 && rank !== null && rank !== undefined; number--) {
      out[number] = rank;
      rank = trace.steps[number].beams[rank].parent;
    }
    return out;
  };
  // Beams at `step` whose path runs through one category node.
  model.through = (step, level, code) => trace.steps[step].beams.map((beam) => beam.codes[level] === code);
  return model;
}

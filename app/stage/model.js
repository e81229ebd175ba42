// What the player derives from a trace once, when it is loaded: names, lineages, the state of every cell.

function readBundle(bundle) {
  const trace = bundle.trace;
  const categories = trace.levels.filter((level) => level.kind === "category").length;
  const items = new Map(trace.items.map((item) => [item.row, item]));
  const cells = [];
  trace.steps.forEach((step, number) => {
    cells.push(
      step.beams.map((beam) => {
        const before = number ? cells[number - 1][beam.parent] : trace.levels.map(() => null);
        const now = before.slice();
        for (const reveal of beam.revealed) {
          now[reveal.position] = { code: reveal.code, p: reveal.p, forced: reveal.forced, at: number, parent: beam.parent };
        }
        return now;
      }),
    );
  });
  const opinions = trace.steps.map((step) => new Map(step.opinions.map((opinion) => [opinion.beam, opinion])));
  const last = trace.steps.length - 1;

  const model = { bundle, trace, categories, items, cells, last, mostBeams: Math.max(...trace.steps.map((s) => s.beams.length)) };

  model.label = (position, code) => trace.labels[position][code] || bundle.names[position + "." + code] || trace.levels[position].name + " " + code;
  model.title = (row) => (items.has(row) ? items.get(row).title : "#" + row);
  model.opinion = (step, beam, position) => {
    const found = step <= last ? opinions[step].get(beam) : undefined;
    const place = found && found.open.find((open) => open.position === position);
    return place ? { ...place, chosen: found.chosen.includes(position) } : null;
  };
  model.isGold = (codes) => trace.gold !== null && codes.every((code, position) => code === null || code === trace.gold.codes[position]);
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

// The page's one state and the few ways to change it. Every part reads `app` and draws itself.

const MOST_UNDO = 40;

function mount(element, data, server) {
  const root = element.querySelector(".mr");
  const app = {
    root, data, server, T: data.text, model: null, step: 0, limit: Infinity, onstep: null, chosen: null, cell: null, filter: null, serial: 0,
    query: { checkpoint: null, items: [], target: null, config: { pins: [], forbid_tokens: [] } }, past: [], stale: false, foreign: false, names: {},
    part: (name) => root.querySelector(`[data-part="${name}"]`),
  };
  addPlaying(app);
  addAsking(app);
  addStreaming(app);
  const parts = (app.parts = {
    grid: makeGrid(app), ladder: makeLadder(app), alternatives: makeAlternatives(app), results: makeResults(app), tree: makeTree(app),
    player: makePlayer(app), share: makeShare(app), ...(server ? { history: makeHistory(app), browse: makeBrowse(app), settings: makeSettings(app) } : {}),
  });
  const acts = Object.assign({
    decode: () => app.decode({ play: true }), undo: () => app.undo(), stop: () => app.stop(), tree: () => parts.tree.toggle(),
    "hint-close": () => { app.part("hint").hidden = true; remember("mindrec-hint", "seen"); app.part("stage").focus({ preventScroll: true }); },
  }, ...Object.values(parts).map((part) => part.acts));
  root.addEventListener("click", (event) => {
    const on = event.target.closest("[data-do]");
    if (on && root.contains(on) && acts[on.dataset.do]) acts[on.dataset.do]();
  });
  root.classList.add(server ? "live" : "replay");
  if (server) app.ready = begin(app);
  else if (data.bundle) app.show(data.bundle);
  return app;
}

function remember(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(key);
    localStorage.setItem(key, value);
  } catch {
    return null; // storage may be shut in an embedded page; the hint then shows each time
  }
}

async function begin(app) {
  const { parts, data } = app;
  app.query = { ...app.query, checkpoint: data.checkpoints[0].name, config: { ...data.checkpoints[0].config } };
  parts.settings.build();
  app.about();
  app.part("hint").hidden = remember("mindrec-hint") !== null && remember("mindrec-hint") !== undefined;
  const link = parts.share.read();
  let why = link && link.error;
  if (link && !why) {
    why = await app.follow(link);
    if (!why) return;
  }
  const examples = app.checkpoint().examples;
  if (app.stories().length) await app.openStory(app.stories()[0].number);
  else if (examples.length) await app.openExample(examples[0]);
  else setText(app.part("caption"), app.T.empty_history);
  if (why) app.say(fill(app.T.bad_link, { why }));
  if (document.activeElement === document.body) app.part("stage").focus({ preventScroll: true });
}

// -- showing -----------------------------------------------------------------------------------------------------

function addPlaying(app) {
  // `grown`: the same decode with more steps; what was chosen in it stays.
  app.show = (bundle, { step = 0, grown = false } = {}) => {
    const stage = app.part("stage"), held = grown && stage.contains(document.activeElement);
    app.model = readBundle(bundle);
    app.step = Math.min(step, app.model.last);
    if (!grown) Object.assign(app, { serial: app.serial + 1, chosen: null, cell: null, filter: null });
    bundle.trace.levels.forEach((_, position) => Object.entries(bundle.trace.labels[position]).forEach(([code, label]) => { app.names[position + "." + code] = label; }));
    Object.assign(app.names, bundle.names);
    if (!app.server) app.query.config = bundle.trace.config;
    app.root.classList.add("loaded");
    for (const name of ["grid", "ladder", "alternatives", "results", "player"]) app.parts[name].load();
    app.redraw();
    app.parts.tree.load();
    if (app.parts.settings) app.parts.settings.draw();
    if (held && document.activeElement === document.body) stage.focus({ preventScroll: true });
  };

  app.redraw = () => {
    for (const name of ["player", "grid", "ladder", "alternatives", "results", "tree"]) app.parts[name].draw(app.step);
  };

  app.go = (step) => {
    if (!app.model) return;
    const to = Math.max(0, Math.min(app.model.last, app.limit, step));
    if (to !== app.step) { app.filter = null; app.parts.tree.clear(); }
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
    const { model, chosen } = app, beams = model.trace.steps[step].beams;
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

  app.openCell = (rank, position) => {
    app.parts.player.stop();
    app.cell = { rank, position };
    app.choose(rank);
    app.part("alternatives").scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
  };
  app.closeCell = () => { app.cell = null; app.redraw(); };
  app.levelName = (position) => (app.model && app.model.trace.levels[position] ? app.model.trace.levels[position].name : String(position));
  app.tokenName = (position, code) => app.names[position + "." + code] || String(code);
}

// -- asking the server ---------------------------------------------------------------------------------------------

function addAsking(app) {
  const T = app.T;
  let turn = 0;

  app.checkpoint = () => (app.data.checkpoints || []).find((c) => c.name === app.query.checkpoint) || (app.data.checkpoints || [])[0];
  // A story of another catalog would name items that this checkpoint does not know.
  app.stories = () => app.data.stories.map((story, number) => ({ story, number })).filter(({ story }) => story.catalog === app.checkpoint().fingerprint);
  app.canDecode = () => Boolean(app.server) && !app.foreign && app.query.items.length > 0;

  app.say = (words, kind) => {
    const box = app.part("message");
    box.hidden = !words;
    setClass(box, "mr-message" + (kind ? " " + kind : ""));
    setText(box, words || "");
  };

  app.ask = async (name, request) => {
    try {
      const answer = await app.server[name]({ checkpoint: app.query.checkpoint, ...request });
      if (!answer || answer.error !== undefined) { app.say(answer && answer.error ? answer.error : T.failed); return null; }
      return answer;
    } catch {
      app.say(T.failed);
      return null;
    }
  };

  app.about = () => {
    const c = app.checkpoint(), line = fill(T.runs_on, { name: c.name, device: c.device, items: count(c.items) });
    app.part("about").replaceChildren(make("span", { text: line }), ...c.notes.map((note) => make("span", { text: " " + note })));
    app.parts.history.stories();
    app.parts.history.draw();
    app.parts.settings.draw();
  };

  const keep = () => {
    app.past.push({ query: app.query, bundle: app.model && app.model.bundle, step: app.step, stale: app.stale, foreign: app.foreign });
    if (app.past.length > MOST_UNDO) app.past.shift();
  };

  app.change = async (patch, { decode = false } = {}) => {
    keep();
    const before = app.query;
    app.query = { ...before, ...patch };
    if (app.foreign && patch.items) app.query.config = { ...app.checkpoint().config };
    app.stale = true;
    app.say("");
    app.parts.history.draw();
    app.parts.settings.draw();
    if (decode && app.query.items.length && !(await app.decode({ step: app.step })) && app.query.config !== before.config) {
      app.query = before; // what cannot be decoded is not kept: the page shows what was asked for
      app.past.pop();
      app.stale = false;
      app.parts.history.draw();
      app.parts.settings.draw();
    }
  };

  app.undo = () => {
    const was = app.past.pop();
    if (!was) return;
    turn++;
    app.stop(true);
    Object.assign(app, { query: was.query, stale: was.stale, foreign: was.foreign });
    app.say("");
    app.root.classList.remove("busy");
    if (was.bundle && was.bundle !== app.model.bundle) app.show(was.bundle, { step: was.step });
    app.about();
  };

  app.decode = async ({ play = false, step = 0 } = {}) => {
    const { query } = app, mine = ++turn;
    app.parts.player.stop();
    app.root.classList.add("busy");
    const bundle = await app.fetch({ checkpoint: query.checkpoint, ids: query.items.map((i) => i.id), target: query.target && query.target.id, config: query.config });
    if (mine !== turn) return true;
    app.root.classList.remove("busy");
    if (!bundle) return false;
    const streamed = app.model && app.model.bundle.partial, playing = app.parts.player.following();
    app.adopt(bundle, { step: streamed ? app.step : step, grown: streamed });
    if ((streamed ? playing && app.step < app.model.last : play) && !calm()) app.parts.player.start();
    if (play) app.part("stage").focus({ preventScroll: true });
    if (play) app.part("stage").scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
    return true;
  };

  // The bundle is the truth: history, target and settings are read back from it.
  app.adopt = (bundle, { step = 0, story = null, grown = false } = {}) => {
    const trace = bundle.trace, item = (row) => { const i = trace.items.find((x) => x.row === row); return { id: i.item_id, title: i.title, path: i.path, brand: i.brand }; };
    app.foreign = bundle.checkpoint === null;
    app.query = {
      checkpoint: bundle.checkpoint || app.query.checkpoint, items: app.foreign ? [] : trace.history.map(item),
      target: trace.gold && !app.foreign ? item(trace.gold.row) : null, config: { ...app.checkpoint().config, ...trace.config },
    };
    app.stale = false;
    app.say(app.foreign ? T.read_only : "", "note");
    if (story !== undefined) setText(app.part("story"), story ? [story.title, story.about].filter(Boolean).join(" — ") : "");
    app.show(bundle, { step, grown });
    app.about();
  };

  // The steps that came before a person pressed Stop stay on the stage; the history waits for the next Decode.
  app.stopped = () => {
    turn++;
    app.root.classList.remove("busy");
    app.stale = true;
    app.parts.history.draw();
    app.say(T.stopped, "note");
  };

  app.openBundle = (bundle, story) => { if (app.model) keep(); app.adopt(bundle, { story }); };
  app.openStory = async (number) => {
    const bundle = await app.ask("story", { number });
    if (bundle) app.openBundle(bundle, app.data.stories[number]);
  };
  app.openExample = (example) => app.start({ items: example.items, target: null }, example);
  app.openTrip = (trip) => app.start({ items: trip.items, target: trip.target }, { title: T.trip, about: trip.about });
  app.start = async (patch, story) => {
    if (app.model) keep();
    app.query = { ...app.query, ...patch, config: { ...app.checkpoint().config } };
    app.parts.history.draw();
    if (await app.decode()) setText(app.part("story"), `${story.title} — ${story.about}`);
  };
  // What was pinned or forbidden spoke of the last answer, not of the next one.
  app.goOn = async (item) => {
    const config = { ...app.query.config, pins: [], forbid_tokens: [] };
    await app.change({ items: [...app.query.items, item], target: null, config }, { decode: true });
    app.go(0);
  };

  const without = (pairs, position, code) => pairs.filter((pair) => pair[0] !== position || (code !== undefined && pair[1] !== code));
  app.intervene = (verb, position, code) => {
    const { pins, forbid_tokens } = app.query.config, config = { ...app.query.config };
    config.pins = verb === "pins" ? [...without(pins, position), [position, code]] : without(pins, position, code);
    config.forbid_tokens = verb === "forbid_tokens" ? [...without(forbid_tokens, position, code), [position, code]] : without(forbid_tokens, position, code);
    app.change({ config }, { decode: true });
  };
  app.lift = (verb, position, code) => app.change({ config: { ...app.query.config, [verb]: without(app.query.config[verb], position, code) } }, { decode: true });
  app.useCheckpoint = (name) => {
    const before = app.checkpoint(), next = app.data.checkpoints.find((c) => c.name === name);
    const same = next.fingerprint === before.fingerprint;
    // What was left as the old checkpoint has it becomes what the new one has: its twin can decode from left to right only.
    const chosen = Object.entries(app.query.config).filter(([k, v]) => JSON.stringify(v) !== JSON.stringify(before.config[k]));
    const config = { ...next.config, ...(same ? Object.fromEntries(chosen) : {}) };
    app.change({ checkpoint: name, config, ...(same ? {} : { items: [], target: null }) }, { decode: same }).then(app.about);
  };

  app.follow = async (link) => {
    const bundle = await app.fetch(link);
    if (!bundle) return app.part("message").textContent;
    app.adopt(bundle, { step: link.step });
    if (link.present) app.parts.player.present(true);
    app.part("stage").focus({ preventScroll: true });
    return null;
  };
}

// @ts-check
// Asking the server: histories, settings and interventions, and the answers that come back.

import { calm, make, setClass, setText } from "./core.js";
import { count, fill } from "./words.js";

export function addAsking(app) {
  const T = app.T;
  let turn = 0;

  app.checkpoint = () =>
    (app.data.checkpoints || []).find((c) => c.name === app.query.checkpoint) || (app.data.checkpoints || [])[0];
  // A story of another catalog would name items that this checkpoint does not know.
  app.stories = () =>
    app.data.stories
      .map((story, number) => ({ story, number }))
      .filter(({ story }) => story.catalog === app.checkpoint().fingerprint);
  app.canDecode = () => Boolean(app.server) && !app.foreign;

  app.say = (words, kind) => {
    const box = app.part("message");
    box.hidden = !words;
    setClass(box, "mr-message" + (kind ? " " + kind : ""));
    setText(box, words || "");
  };

  // Begin a question, or an edit. Returns a test of whether it is still the newest: an older one is answered in vain.
  app.begin = () => {
    const mine = ++turn;
    app.stop(true);
    app.root.classList.remove("busy");
    return () => mine === turn;
  };

  // The answer, or null when there is none, which is said where the question is still the `newest`.
  app.ask = async (name, request, newest = () => true) => {
    let answer = null;
    try {
      answer = await app.server[name]({ checkpoint: app.query.checkpoint, ...request });
    } catch {
      // said below
    }
    if (answer && answer.error === undefined) return answer;
    if (newest()) app.say((answer && answer.error) || T.failed);
    return null;
  };

  app.about = () => {
    const c = app.checkpoint(),
      line = fill(T.runs_on, { name: c.title, device: c.device, items: count(c.items) });
    app
      .part("about")
      .replaceChildren(make("span", { text: line }), ...c.notes.map((note) => make("span", { text: " " + note })));
    app.parts.history.stories();
    app.parts.history.draw();
    app.parts.settings.draw();
    app.parts.dial.draw();
  };

  const keep = () => app.store.keep({ bundle: app.model && app.model.bundle });

  app.change = async (patch, { decode = false } = {}) => {
    keep();
    const before = app.query,
      seen = patch.config && app.model && app.parts.marks.look(),
      answered = Boolean(app.model) && !app.stale && !app.foreign;
    app.begin();
    app.store.set({ query: { ...before, ...patch }, stale: true });
    if (app.foreign && patch.items) app.query = { ...app.query, config: { ...app.checkpoint().config } };
    app.say("");
    app.parts.history.draw();
    app.parts.settings.draw();
    app.parts.dial.draw();
    if (
      decode &&
      (app.query.items.length || answered) && // an empty cart is a question too, once it was asked
      (await app.decode({ step: app.step })) === false &&
      app.query.config !== before.config
    ) {
      // A question that cannot be decoded is not kept: the page shows what was asked for.
      app.store.takeBack();
      app.store.set({ query: before, stale: false });
      app.parts.history.draw();
      app.parts.settings.draw();
      app.parts.dial.draw();
    } else if (seen && !app.stale) app.parts.marks.mark(seen);
  };

  app.undo = () => {
    const was = app.store.takeBack();
    if (!was) return;
    app.begin();
    app.store.set({ query: was.query, stale: was.stale, foreign: was.foreign });
    app.say("");
    if (was.bundle && was.bundle !== app.model.bundle) app.show(was.bundle, { step: was.step });
    app.about();
  };

  const cameInParts = (before) => app.model !== before && app.model.bundle.partial;

  // Whether an answer came; null where the question was given up for a newer one or for an edit.
  app.decode = async ({ play = false, step = 0, scroll = play } = {}) => {
    const { query, model } = app,
      newest = app.begin();
    app.parts.player.stop();
    app.root.classList.add("busy");
    const request = {
      checkpoint: query.checkpoint,
      ids: query.items.map((i) => i.id),
      target: query.target && query.target.id,
      config: query.config,
    };
    const bundle = await app.fetch(request, { play, step });
    if (!newest()) return null;
    app.root.classList.remove("busy");
    if (!bundle) return false;
    const streamed = cameInParts(model),
      playing = app.parts.player.following();
    app.adopt(bundle, { step: streamed ? app.stays(step) : step, grown: streamed });
    if ((streamed ? playing && app.step < app.model.last : play) && !calm()) app.parts.player.start();
    if (scroll) app.part("stage").focus({ preventScroll: true });
    if (scroll) app.part("stage").scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
    return true;
  };

  // The bundle is the truth: history, target and settings are read back from it.
  app.adopt = (bundle, { step = 0, story = null, grown = false } = {}) => {
    const trace = bundle.trace,
      item = (row) => {
        const i = trace.items.find((x) => x.row === row);
        return { id: i.item_id, title: i.title, path: i.path, brand: i.brand };
      };
    app.foreign = bundle.checkpoint === null;
    app.query = {
      checkpoint: bundle.checkpoint || app.query.checkpoint,
      items: app.foreign ? [] : trace.history.map(item),
      target: trace.gold && !app.foreign ? item(trace.gold.row) : null,
      config: { ...app.checkpoint().config, ...trace.config },
    };
    app.stale = false;
    app.say(app.foreign ? T.read_only : "", "note");
    if (story !== undefined)
      setText(app.part("story"), story ? [story.title, story.about].filter(Boolean).join(" — ") : "");
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

  // Another answer to the same cart, at the step that is shown.
  app.turnTo = (bundle) => {
    const { step } = app;
    app.begin();
    keep();
    app.adopt(bundle, { step, story: undefined });
  };
  app.openBundle = (bundle, story) => {
    app.begin();
    if (app.model) keep();
    app.adopt(bundle, { story });
  };
  // A story plays by itself; where motion is not wanted it stands at the answer.
  app.openStory = async (number, { play = true } = {}) => {
    const newest = app.begin(),
      bundle = await app.ask("story", { number }, newest);
    if (!bundle || !newest()) return;
    app.openBundle(bundle, app.data.stories[number]);
    if (calm()) app.go(Infinity);
    else if (play) app.parts.player.start();
  };
  app.pickStory = async (number) => {
    await app.openStory(number);
    app.part("stage").scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
  };
  app.openExample = (example, how) => app.start({ items: example.items, target: null }, example, how);
  app.openTrip = (trip) => app.start({ items: trip.items, target: trip.target }, { title: T.trip, about: trip.about });
  app.start = async (patch, story, { scroll = true } = {}) => {
    if (app.model) keep();
    app.query = { ...app.query, ...patch, config: { ...app.checkpoint().config } };
    app.parts.history.draw();
    if (await app.decode({ play: true, scroll })) setText(app.part("story"), `${story.title} — ${story.about}`);
  };
  // Pins and bans spoke of the last answer, not of the next one.
  app.goOn = async (item) => {
    const config = { ...app.query.config, pins: [], forbid_tokens: [] };
    await app.change({ items: [...app.query.items, item], target: null, config }, { decode: true });
    app.go(0);
  };

  const without = (pairs, position, code) =>
    pairs.filter((pair) => pair[0] !== position || (code !== undefined && pair[1] !== code));
  app.intervene = (verb, position, code) => {
    const { pins, forbid_tokens } = app.query.config,
      config = { ...app.query.config };
    config.pins = verb === "pins" ? [...without(pins, position), [position, code]] : without(pins, position, code);
    config.forbid_tokens =
      verb === "forbid_tokens"
        ? [...without(forbid_tokens, position, code), [position, code]]
        : without(forbid_tokens, position, code);
    return app.change({ config }, { decode: true });
  };
  app.lift = (verb, position, code) =>
    app.change(
      { config: { ...app.query.config, [verb]: without(app.query.config[verb], position, code) } },
      { decode: true },
    );
  app.useCheckpoint = (name) => {
    const before = app.checkpoint(),
      next = app.data.checkpoints.find((c) => c.name === name);
    const same = next.fingerprint === before.fingerprint;
    // A setting that stands as the old checkpoint has it becomes that of the new one: its twin can decode from left
    // to right only.
    const chosen = Object.entries(app.query.config).filter(
      ([k, v]) => JSON.stringify(v) !== JSON.stringify(before.config[k]),
    );
    const config = { ...next.config, ...(same ? Object.fromEntries(chosen) : {}) };
    app
      .change({ checkpoint: name, config, ...(same ? {} : { items: [], target: null }) }, { decode: same })
      .then(app.about);
  };

  // A checkpoint that came after the page was opened.
  app.addCheckpoint = (card) => {
    if (!app.data.checkpoints.some(({ name }) => name === card.name)) app.data.checkpoints.push(card);
    app.parts.settings.build();
    app.about();
  };
  app.openCheckpoint = (card) => {
    app.addCheckpoint(card);
    app.useCheckpoint(card.name);
    if (card.examples.length) app.openExample(card.examples[0]);
  };
  // The card of a checkpoint by its name. A model of the Lab is listed nowhere: its card is asked for.
  app.findCheckpoint = async (name) => {
    const known = app.data.checkpoints.find((card) => card.name === name),
      answer = known ? null : await app.ask("lab_open", { checkpoint: name });
    if (answer) app.addCheckpoint(answer.checkpoint);
    return known || (answer && answer.checkpoint);
  };

  // Items of a link that this catalog has; the others may have come and gone with another version of it.
  async function keepKnown(link) {
    const all = [...link.ids, ...(link.target === null ? [] : [link.target])];
    const answer = await app.ask("known", { checkpoint: link.checkpoint, ids: all });
    if (!answer) return null;
    const has = (id) => answer.ids.includes(id);
    const lost = all.filter((id) => !has(id));
    const ids = link.ids.filter(has);
    if (!lost.length || !ids.length) return null;
    return { lost, link: { ...link, ids, target: link.target !== null && has(link.target) ? link.target : null } };
  }

  // Open the decode that a link asks for. Returns null, or why it cannot be opened.
  app.follow = async (link) => {
    const newest = app.begin(),
      { model } = app;
    let bundle = await app.fetch(link, link),
      lost = [];
    if (!newest()) return null;
    const why = app.part("message").textContent;
    if (!bundle) {
      const partly = await keepKnown(link);
      if (!newest()) return null;
      bundle = partly && (await app.fetch(partly.link, link));
      if (!newest()) return null;
      if (!bundle) return why;
      lost = partly.lost;
    }
    const streamed = cameInParts(model);
    app.adopt(bundle, { step: streamed ? app.stays(link.step) : link.step, grown: streamed });
    if (lost.length) app.say(fill(T.link_partly, { items: lost.map((id) => id.slice(0, 60)).join(", ") }), "note");
    if (link.present) app.parts.player.present(true);
    app.part("stage").focus({ preventScroll: true });
    return null;
  };
}

// @ts-check
// The page's one state and the few ways to change it. Every part reads `app` and draws itself.

import { makeAlternatives } from "./alternatives.js";
import { addAsking } from "./asking.js";
import { makeBrowse } from "./browse.js";
import { calm, remember, setText } from "./core.js";
import { makeCart } from "./cart.js";
import { makeDial } from "./dial.js";
import { makeDrawer } from "./drawer.js";
import { makeFilling } from "./filling.js";
import { makeFront } from "./front.js";
import { makeGuilt } from "./guilt.js";
import { makeGrid } from "./grid.js";
import { makeHistory } from "./history.js";
import { makeLadder } from "./ladder.js";
import { makeMap } from "./map.js";
import { makeMarks } from "./marks.js";
import { makeOdd } from "./odd.js";
import { makeOwn } from "./own.js";
import { makePlayer } from "./player.js";
import { addPlaying } from "./playing.js";
import { makeResults } from "./results.js";
import { makeSettings } from "./settings.js";
import { makeShare } from "./share.js";
import { makeStore, shareState } from "./store.js";
import { addStreaming } from "./stream.js";
import { makeTree } from "./tree.js";
import { fill } from "./words.js";

export function mount(element, data, server) {
  const root = element.querySelector(".mr");
  const app = {
    root,
    data,
    server,
    T: data.text,
    model: null,
    limit: Infinity,
    onstep: null,
    changed: () => {},
    chosen: null,
    cell: null,
    filter: null,
    serial: 0,
    names: {},
    part: (name) => root.querySelector(`[data-part="${name}"]`),
  };
  const query = { checkpoint: null, items: [], target: null, config: { pins: [], forbid_tokens: [] } };
  app.store = makeStore({ query, step: 0, stale: false, foreign: false });
  shareState(app, app.store);
  app.store.watch(() => app.changed());
  addPlaying(app);
  addAsking(app);
  addStreaming(app);
  const parts = (app.parts = {
    grid: makeGrid(app),
    ladder: makeLadder(app),
    alternatives: makeAlternatives(app),
    marks: makeMarks(app),
    results: makeResults(app),
    guilt: makeGuilt(app),
    cart: makeCart(app),
    front: makeFront(app),
    tree: makeTree(app),
    map: makeMap(app),
    player: makePlayer(app),
    share: makeShare(app),
    ...(server
      ? {
          history: makeHistory(app),
          browse: makeBrowse(app),
          settings: makeSettings(app),
          drawer: makeDrawer(app),
          filling: makeFilling(app),
          odd: makeOdd(app),
          dial: makeDial(app),
          own: makeOwn(app),
        }
      : {}),
  });
  const acts = Object.assign(
    {
      decode: () => app.decode({ play: true }),
      undo: () => app.undo(),
      stop: () => app.stop(),
      tree: () => parts.tree.toggle(),
      "hint-close": () => {
        app.part("hint").hidden = true;
        remember("mindrec-hint", "seen");
        app.part("stage").focus({ preventScroll: true });
      },
    },
    ...Object.values(parts).map((part) => part.acts),
  );
  root.addEventListener("click", (event) => {
    const on = event.target.closest("[data-do]");
    if (on && root.contains(on) && acts[on.dataset.do]) acts[on.dataset.do]();
  });
  root.classList.add(server ? "live" : "replay");
  if (server) app.ready = begin(app);
  else if (data.bundle) app.show(data.bundle);
  return app;
}

async function begin(app) {
  const { parts, data } = app;
  app.query = { ...app.query, checkpoint: data.checkpoints[0].name, config: { ...data.checkpoints[0].config } };
  parts.settings.build();
  app.about();
  app.part("hint").hidden = remember("mindrec-hint") !== null && remember("mindrec-hint") !== undefined;
  const link = await parts.share.read();
  let why = link && link.error;
  if (link && !why) {
    why = await app.follow(link);
    if (!why) return;
  }
  const examples = app.checkpoint().examples;
  if (app.stories().length) await app.openStory(app.stories()[0].number, { play: !why && !document.hidden });
  else if (examples.length) {
    await app.openExample(examples[0], { scroll: false });
    if (calm()) app.go(Infinity);
  } else setText(app.part("caption"), app.T.empty_history);
  if (why) app.say(fill(app.T.bad_link, { why }));
  if (document.activeElement === document.body) app.part("stage").focus({ preventScroll: true });
}

// @ts-check
// "Fill my cart": decode, put the first answer into the cart, and decode again with it in mind, slot after slot.

import { calm, setText } from "./core.js";
import { fill } from "./words.js";

const SLOTS = 5;
const LOOK = 800; // milliseconds between a winner and the next slot

export function makeFilling(app) {
  const T = app.T,
    button = app.root.querySelector('[data-do="fill"]');
  let running = null; // an object of the run that goes on; another or none ends it

  const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

  function show(on) {
    setText(button, on ? T.fill_stop : T.fill);
    button.setAttribute("aria-pressed", String(on));
  }

  // The stage sets the pace: who pauses it, pauses this. Whether it came to the end of the decode that it began with.
  async function played(mine) {
    const query = app.query;
    if (calm()) app.go(Infinity);
    while (running === mine && app.query === query && app.step < app.model.last) await wait(100);
    if (!calm()) await wait(LOOK);
    return running === mine && app.query === query;
  }

  // The best answer that is not in the cart yet.
  function winner() {
    const { trace } = app.model,
      held = new Set(app.query.items.map((item) => item.id)),
      best = trace.results.map((result) => app.model.items.get(result.row)).find((item) => !held.has(item.item_id));
    return best && { id: best.item_id, title: best.title, path: best.path, brand: best.brand };
  }

  async function run(mine) {
    const chosen = [];
    while (chosen.length < SLOTS) {
      if (app.query.items.length >= app.checkpoint().max_history) break;
      if (!(await app.decode({ play: true, scroll: !chosen.length })) || !(await played(mine))) return;
      const item = winner();
      if (!item) break;
      chosen.push(item);
      const config = { ...app.query.config, pins: [], forbid_tokens: [] };
      await app.change({ items: [...app.query.items, item], target: null, config });
    }
    if (chosen.length && (await app.decode({ step: Infinity })))
      app.say(fill(T.filled, { titles: chosen.map((item) => item.title).join(" · ") }), "note");
  }

  async function toggle() {
    if (running) {
      running = null;
      app.parts.player.stop();
      return show(false);
    }
    const mine = (running = {});
    show(true);
    await run(mine);
    if (running === mine) running = null;
    if (!running) show(false);
  }

  return { acts: { fill: toggle } };
}

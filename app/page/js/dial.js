// @ts-check
// The dial from "what is usual" to "only this cart": guidance. Its other stops are decoded in one answer as soon as a
// person comes near it, so that moving it shows another decode at once.

import { make, setText } from "./core.js";
import { fill } from "./words.js";

export function makeDial(app) {
  const T = app.T,
    { stops, costs } = app.data.dial,
    input = app.part("dial"),
    words = app.part("dial-words");
  let known = null; // the cart that was decoded, and a bundle for each stop

  input.max = stops.length - 1;
  app.part("dial-stops").replaceChildren(...stops.map((_, at) => make("option", { value: at })));

  const usable = () => app.canDecode() && app.query.items.length > 0 && app.query.config.algorithm === "mindrec";
  const nearest = (value) =>
    stops.reduce((best, stop, at) => (Math.abs(stop - value) < Math.abs(stops[best] - value) ? at : best), 0);

  function question() {
    const { checkpoint, items, target, config } = app.query;
    return { checkpoint, ids: items.map((item) => item.id), target: target && target.id, config };
  }

  // Two questions that differ in guidance alone are one cart to the dial.
  const cart = () => JSON.stringify({ ...question(), config: { ...app.query.config, guidance: null } });

  // All stops of the cart as it stands; the one that is shown is not decoded again.
  function prepare() {
    if (!usable() || app.root.classList.contains("busy") || (known && known.cart === cart())) return known;
    const shown = app.stale || !app.model || app.model.bundle.partial ? -1 : stops.indexOf(app.query.config.guidance);
    const missing = stops.filter((_, at) => at !== shown),
      mine = (known = { cart: cart(), bundles: new Map(), ready: null });
    if (shown >= 0) mine.bundles.set(stops[shown], app.model.bundle);
    mine.ready = app
      .ask("dial", { ...question(), stops: missing }, () => known === mine)
      .then((answer) => {
        if (answer) missing.forEach((stop, n) => mine.bundles.set(stop, answer.bundles[n]));
        else if (known === mine) known = null;
      });
    return mine;
  }

  async function turn() {
    const at = Number(input.value);
    say(at);
    if (app.root.classList.contains("busy")) {
      // An answer on its way has the guidance of before.
      return app.change({ config: { ...app.query.config, guidance: stops[at] } }, { decode: true });
    }
    const mine = prepare();
    if (!mine) return;
    if (!mine.bundles.has(stops[at])) await mine.ready;
    if (known !== mine || mine.cart !== cart() || Number(input.value) !== at) return;
    const bundle = mine.bundles.get(stops[at]);
    if (bundle && bundle !== app.model.bundle) app.turnTo(bundle);
  }

  // The cost of a stop was measured at that stop: a guidance between two stops has no cost to show.
  function say(at, guidance = stops[at]) {
    const measured = guidance === stops[at] && (costs[app.query.checkpoint] || [])[at];
    const cost = measured ? fill(T.dial_cost, measured) : "";
    setText(words, [T.dial_stops[at], cost].filter(Boolean).join(" · "));
    input.setAttribute("aria-valuetext", `${T.dial_stops[at]}. ${cost}`);
  }

  function draw() {
    const at = nearest(app.query.config.guidance || 0);
    input.disabled = !usable();
    if (Number(input.value) !== at) input.value = at;
    say(at, app.query.config.guidance || 0);
  }

  input.addEventListener("input", turn);
  for (const near of ["pointerenter", "focus"]) input.addEventListener(near, prepare);
  return { draw };
}

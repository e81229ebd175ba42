// @ts-check
// "Who did it?": how each item of the cart pulls at an answer, as signed bars on the chips, and what the beams lost.

import { make, setText } from "./core.js";
import { fill } from "./words.js";

const FULL = 2; // nats of a pull that fills its bar

export function makeGuilt(app) {
  const T = app.T;
  let answered = null; // of which decode, and which answer, the pulls on the chips are

  // The answer that is looked at: the chosen beam's item, else the first.
  function suspect() {
    const { model } = app,
      beam = model.trace.steps[model.last].beams[app.focusBeam(model.last)];
    const row = beam && app.chosen && beam.item !== null ? beam.item : model.trace.results[0].row;
    return model.items.get(row);
  }

  async function ask() {
    const newest = app.begin(),
      { query, model } = app,
      item = suspect(),
      ids = query.items.map((each) => each.id),
      answer = await app.ask("why", { ids, config: query.config, item: item.item_id }, newest);
    if (!answer || !newest() || app.model !== model) return;
    answered = { serial: app.serial, title: item.title, ...answer };
    draw();
  }

  function draw() {
    const line = app.part("why"),
      chips = [...app.part("chips").children];
    for (const chip of chips) chip.querySelector(".mr-pull")?.remove();
    const valid = answered && app.model && answered.serial === app.serial && !app.stale;
    line.hidden = !valid;
    if (!valid) return;
    setText(line, answered.words);
    const pulls = new Map(answered.pulls.map((pull) => [pull.id, pull]));
    app.query.items.forEach((item, at) => {
      const pull = pulls.get(item.id);
      if (!pull || !chips[at]) return;
      const size = Math.min(1, Math.abs(pull.nats) / FULL);
      chips[at].querySelector("span").append(
        make(
          "em",
          {
            class: "mr-pull " + (pull.nats < 0 ? "against" : "for"),
            title: fill(pull.nats < 0 ? T.pull_against : T.pull_for, { title: answered.title, pull: pull.words }),
          },
          make("i", { "aria-hidden": "true", style: `width:${Math.round(44 * size)}px` }),
          pull.words,
        ),
      );
    });
  }

  // A button under the answers, and one that plays a case's rescue beside it.
  function buttons() {
    const { bundle, trace } = app.model,
      out = [];
    const add = (name, text, title, onclick) =>
      out.push(
        make("button", { type: "button", class: "mr-quiet mr-small", data: { do: name }, text, title, onclick }),
      );
    if (app.canDecode() && trace.history.length && trace.results.length) add("guilt", T.guilt, T.guilt_help, ask);
    if (bundle.rescue && app.playRescue) add("rescue", T.rescue, bundle.rescue.words, () => app.playRescue(bundle));
    return out;
  }

  return { draw, buttons };
}

// @ts-check
// "Mask again the k least certain": the tokens of the first answer dissolve and heal, the others stay as pins.

import { make } from "./core.js";
import { fill } from "./words.js";

const MASKED = 2;

// A button, or nothing where no answer can be rewritten.
export function rewriteButton(app) {
  const T = app.T,
    { trace } = app.model,
    free = trace.levels.length - trace.config.pins.length;
  if (!app.canDecode() || !trace.results.length || !trace.history.length || free <= MASKED) return [];

  async function rewrite() {
    const newest = app.begin(),
      { query } = app,
      ids = query.items.map((item) => item.id),
      answer = await app.ask("least_certain", { ids, config: query.config, k: MASKED }, newest);
    if (!answer || !newest()) return;
    await app.change({ config: { ...query.config, pins: answer.pins }, target: null });
    app.decode({ play: true });
  }

  return [
    make("button", {
      type: "button",
      class: "mr-quiet mr-small",
      data: { do: "rewrite" },
      text: fill(T.rewrite, { count: MASKED }),
      title: T.rewrite_help,
      onclick: rewrite,
    }),
  ];
}

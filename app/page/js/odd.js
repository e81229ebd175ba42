// @ts-check
// "Which one does not belong?": each item of the cart given the others; the one that belongs least is marked.

import { make } from "./core.js";

export function makeOdd(app) {
  const T = app.T;

  async function ask() {
    const newest = app.begin(),
      { query } = app,
      answer = await app.ask("odd_one_out", { ids: query.items.map((item) => item.id), config: query.config }, newest);
    if (!answer || !newest()) return;
    app.say(answer.words, "note");
    const chips = [...app.part("chips").children];
    for (const chip of chips) chip.querySelector(".odd")?.remove();
    answer.items.forEach((item, at) => {
      if (item.odd) chips[at].querySelector("span").append(make("em", { class: "odd", text: " " + T.odd_mark }));
    });
  }

  return { acts: { odd: ask } };
}

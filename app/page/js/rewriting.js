// @ts-check
// Rewriting the first answer: some of its tokens dissolve and heal, the others stay as pins. The k least certain, or
// those that a person marks.

import { make } from "./core.js";
import { fill } from "./words.js";

const MASKED = 2;

// A button and the tokens to mark, or nothing where no answer can be rewritten.
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
    if (answer && newest()) again(answer.pins);
  }

  async function again(pins) {
    await app.change({ config: { ...app.query.config, pins }, target: null });
    app.decode({ play: true });
  }

  // The tokens of the first answer, each with a box; a token that is pinned stays.
  function byHand() {
    const { beams } = trace.steps[app.model.last],
      first = beams.find((beam) => beam.item === trace.results[0].row);
    if (!first) return [];
    const pinned = new Set(trace.config.pins.map(([position]) => position));
    const boxes = trace.levels.map((_, position) => {
      const box = make("input", { type: "checkbox" });
      box.disabled = pinned.has(position);
      return box;
    });
    const tokens = trace.levels.map(({ name }, position) =>
      make("label", {}, boxes[position], ` ${name}: ${app.model.token(position, first.codes[position])}`),
    );
    const go = make("button", {
      type: "button",
      class: "mr-small",
      text: T.rewrite_go,
      onclick: () => again(first.codes.map((code, at) => [at, code]).filter(([at]) => !boxes[at].checked)),
    });
    const ready = () => {
      go.disabled = !boxes.some((box) => box.checked);
    };
    boxes.forEach((box) => box.addEventListener("change", ready));
    ready();
    return [
      make(
        "details",
        { class: "mr-by-hand" },
        make("summary", { text: T.rewrite_hand }),
        make("fieldset", {}, make("legend", { text: T.rewrite_hand_help }), ...tokens),
        go,
      ),
    ];
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
    ...byHand(),
  ];
}

// @ts-check
// The Learn tab: cards that ask before they show, on a player that waits for the guess.

import { make, setText } from "./core.js";
import { writeLink } from "./links.js";
import { copyLink, embedStage, sayIn } from "./panels.js";
import { fill } from "./words.js";

export function makeLearn(page, panel) {
  const { data } = page,
    L = data.words.learn,
    cards = data.lessons,
    glossary = data.words.glossary;
  const part = (name) => panel.querySelector(`[data-part="${name}"]`);
  const say = (words) => sayIn(part("message"), words);
  const stage = embedStage(page, part("stage-box"));
  let at = 0,
    card = null,
    turn = 0,
    guessed = false;

  // "[words|term]" becomes the words with the glossary's line as a tooltip.
  function explained(words) {
    return words.split(/(\[[^\]|]+\|\w+\])/).map((piece) => {
      const found = piece.match(/^\[([^\]|]+)\|(\w+)\]$/);
      if (!found || !glossary[found[2]]) return piece;
      const id = "mr-term-" + found[2] + "-" + Math.random().toString(36).slice(2, 7);
      return make(
        "span",
        { class: "term", tabindex: 0, "aria-describedby": id },
        found[1],
        make("span", { role: "tooltip", id, text: glossary[found[2]][1] }),
      );
    });
  }

  async function open(number, focus) {
    const mine = ++turn;
    at = Math.max(0, Math.min(cards.length - 1, number));
    const found = await page.ask("lesson", { key: cards[at].key }, say);
    if (!found || mine !== turn) return;
    say("");
    card = found;
    guessed = false;
    draw();
    stage.limit = card.step;
    stage.show(card.bundle, { step: card.step });
    if (focus) part("title").focus();
    panel.dataset.card = card.key;
    page.changed();
  }

  function draw() {
    part("nav").replaceChildren(
      ...cards.map((other, number) =>
        make(
          "li",
          {},
          make("button", {
            type: "button",
            "aria-label": `${number + 1}. ${other.title}`,
            title: other.title,
            "aria-current": number === at ? "step" : null,
            text: number + 1,
            onclick: () => open(number, true),
          }),
        ),
      ),
    );
    setText(part("title"), cards[at].title);
    part("body").replaceChildren(...explained(card.body));
    setText(part("ask"), card.ask);
    part("options").replaceChildren(
      ...card.options.map((words, number) =>
        make("button", {
          type: "button",
          class: "option",
          "aria-pressed": "false",
          text: words,
          onclick: () => guess(number),
        }),
      ),
    );
    part("because").hidden = true;
    setText(part("lock"), L.locked);
    setText(part("place"), fill(L.of, { number: at + 1, count: cards.length }));
    part("root").classList.add("locked");
    panel.querySelector('[data-do="back"]').disabled = at === 0;
    setText(panel.querySelector('[data-do="next"]'), at + 1 < cards.length ? L.next : L.again);
    masking();
    handout();
  }

  // Which tokens go first is the same each time, and not simply from left to right.
  function masking() {
    const tokens = card.tokens,
      slider = part("slider");
    part("masking").hidden = !tokens.length;
    if (!tokens.length) return;
    const order = tokens
      .map((_, n) => n)
      .sort((a, b) => ((a * 5 + 3) % 7) - ((b * 5 + 3) % 7))
      .reverse();
    const chips = tokens.map((token) =>
      make("li", {}, make("small", { text: token.level }), make("b", { text: token.label })),
    );
    part("tokens").replaceChildren(...chips);
    slider.max = tokens.length;
    slider.value = 0;
    slider.oninput = () => {
      const hidden = new Set(order.slice(0, Number(slider.value)));
      chips.forEach((chip, n) => {
        chip.classList.toggle("masked", hidden.has(n));
        setText(chip.querySelector("b"), hidden.has(n) ? "[MASK]" : tokens[n].label);
      });
      setText(part("masked"), fill(L.masked_count, { count: hidden.size, all: tokens.length }));
    };
    slider.oninput();
  }

  async function guess(number) {
    if (guessed) return;
    guessed = true;
    const mine = turn;
    setText(part("lock"), L.live);
    const found = await page.ask("reveal", { key: card.key }, say);
    if (mine !== turn) return;
    if (!found) {
      guessed = false;
      return setText(part("lock"), L.locked);
    }
    [...part("options").children].forEach((option, n) => {
      option.disabled = true;
      option.setAttribute("aria-pressed", String(n === number));
      option.classList.toggle("right", n === found.answer);
      option.classList.toggle("wrong", n === number && n !== found.answer);
    });
    part("because").hidden = false;
    const right = number === found.answer;
    part("because").replaceChildren(
      make("b", { text: right ? L.right : L.wrong + " " + fill(L.answer, { option: card.options[found.answer] }) }),
      make("p", { text: found.because }),
      ...(at + 1 === cards.length ? [make("p", { text: L.done })] : []),
    );
    setText(part("lock"), L.look);
    part("root").classList.remove("locked");
    stage.limit = Infinity;
    if (found.bundle) stage.show(found.bundle, { step: 0 });
    stage.go(found.step);
    panel.querySelector('[data-do="next"]').focus({ preventScroll: true });
  }

  // On paper: the case, the question, room for a guess, and every step in words.
  function handout() {
    const trace = card.bundle.trace,
      titles = new Map(trace.items.map((item) => [item.row, item.title]));
    const terms = [...card.body.matchAll(/\|(\w+)\]/g)].map((found) => glossary[found[1]]).filter(Boolean);
    part("handout").replaceChildren(
      make("h2", { text: `${L.handout}: ${cards[at].title}` }),
      make("p", { text: card.body.replace(/\[([^\]|]+)\|\w+\]/g, "$1") }),
      make("p", {}, make("b", { text: L.given + ": " }), trace.history.map((row) => titles.get(row)).join(", ")),
      make("p", {}, make("b", { text: card.ask })),
      make("ul", {}, ...card.options.map((words) => make("li", { text: "☐ " + words }))),
      make("p", { class: "line", text: L.my_answer }),
      make("h3", { text: L.glossary }),
      make("dl", {}, ...terms.flatMap(([term, about]) => [make("dt", { text: term }), make("dd", { text: about })])),
      make("h3", { class: "break", text: L.all_steps }),
      make("ol", {}, ...card.bundle.captions.map((words) => make("li", { text: words }))),
    );
  }

  const address = (bare = page.asked.bare) =>
    writeLink(location.href, { tab: "learn", lesson: card && card.key, bare, theme: page.asked.theme });

  function teacherLink() {
    copyLink(address(true), part("link"), (words) => setText(part("done"), words), {
      copied: L.linked,
      failed: data.text.copy_failed,
    });
  }

  const acts = {
    back: () => open(at - 1, true),
    next: () => open(at + 1 < cards.length ? at + 1 : 0, true),
    print: () => window.print(),
    teacher: teacherLink,
  };
  panel.addEventListener("click", (event) => {
    const on = event.target.closest("[data-do]");
    if (on && acts[on.dataset.do] && !part("stage-box").contains(on)) acts[on.dataset.do]();
  });
  const wanted = cards.findIndex((other) => other.key === page.asked.lesson);
  if (!cards.length) say(L.none);
  else open(Math.max(0, wanted), false);
  return { shown: () => stage.model && stage.rebuild(), address: () => address() };
}

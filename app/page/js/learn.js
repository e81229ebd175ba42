// @ts-check
// The Learn tab: cards that ask before they show, on a player that waits for the guess.

import { make, setText } from "./core.js";
import { drawExercise, makeDissolve } from "./exercises.js";
import { writeLink } from "./links.js";
import { copyLink, embedStage, sayIn } from "./panels.js";
import { fill } from "./words.js";

const PANELS = ["grid", "results", "tree", "gold", "ladder", "lost"]; // of the player, in the order of the course

export function makeLearn(page, panel) {
  const { data } = page,
    L = data.words.learn,
    cards = data.lessons,
    glossary = data.words.glossary;
  const part = (name) => panel.querySelector(`[data-part="${name}"]`);
  const say = (words) => sayIn(part("message"), words);
  const stage = embedStage(page, part("stage-box"));
  const dissolve = makeDissolve(part, L);
  const guesses = new Map(); // by card, whether the guess was right
  let at = 0,
    card = null,
    turn = 0,
    guessed = false;

  // "[words|term]" becomes the words with the glossary's line as a tooltip.
  function explained(words) {
    return words.split(/(\[[^\]|]+\|\w+\])/).map((piece) => {
      const match = piece.match(/^\[([^\]|]+)\|(\w+)\]$/);
      if (!match || !glossary[match[2]]) return piece;
      const id = "mr-term-" + match[2] + "-" + Math.random().toString(36).slice(2, 7);
      return make(
        "span",
        { class: "term", tabindex: 0, "aria-describedby": id },
        match[1],
        make("span", { role: "tooltip", id, text: glossary[match[2]][1] }),
      );
    });
  }

  async function open(number, focus) {
    const mine = ++turn;
    at = Math.max(0, Math.min(cards.length - 1, number));
    const answer = await page.ask("lesson", { key: cards[at].key }, say);
    if (!answer || mine !== turn) return;
    say("");
    card = answer;
    guessed = false;
    draw();
    stage.limit = card.step;
    part("root").classList.toggle("unstaged", !card.panels.length || card.bars.length > 0);
    for (const name of PANELS) part("root").classList.toggle("without-" + name, !card.panels.includes(name));
    stage.show(withoutSpoilers(card.bundle), { step: card.step });
    if (focus) part("title").focus();
    panel.dataset.card = card.key;
    page.changed();
  }

  // The captions and the marks under the scrubber would tell what the question asks.
  const withoutSpoilers = (bundle) => ({
    ...bundle,
    events: [],
    captions: bundle.captions.map((_, step) => fill(L.neutral, { step })),
  });

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
    const { act } = cards[at];
    setText(part("act"), fill(L.act_of, { number: act, title: L.acts.split("|")[act - 1] }));
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
    dissolve.draw(card.tokens);
    drawExercise(part("exercise"), card, L);
    part("formula").hidden = !card.formula;
    part("formula").removeAttribute("open");
    setText(part("formula-words"), card.formula);
    handout();
  }

  async function guess(number) {
    if (guessed) return;
    guessed = true;
    const mine = turn,
      shown = card;
    setText(part("lock"), L.live);
    const answer = await page.ask("reveal", { key: card.key }, say);
    if (mine !== turn || card !== shown) return;
    if (!answer) {
      guessed = false;
      return setText(part("lock"), L.locked);
    }
    [...part("options").children].forEach((option, n) => {
      option.disabled = true;
      option.setAttribute("aria-pressed", String(n === number));
      option.classList.toggle("right", n === answer.answer);
      option.classList.toggle("wrong", n === number && n !== answer.answer);
    });
    part("because").hidden = false;
    const right = number === answer.answer;
    if (!guesses.has(card.key)) guesses.set(card.key, right);
    part("because").replaceChildren(
      make("b", { text: right ? L.right : L.wrong + " " + fill(L.answer, { option: card.options[answer.answer] }) }),
      make("p", { text: answer.because }),
      ...(at + 1 === cards.length ? [make("p", { text: L.done }), ...score()] : []),
    );
    setText(part("lock"), L.look);
    part("root").classList.remove("locked");
    stage.limit = Infinity;
    stage.show(answer.bundle || card.bundle, { step: answer.bundle ? 0 : stage.step });
    stage.go(answer.step);
    panel.querySelector('[data-do="next"]').focus({ preventScroll: true });
    part("because").scrollIntoView({ block: "nearest" }); // the answer is on the screen, whatever was before
  }

  // How many first guesses were right, and a way back to the cards of the others.
  function score() {
    const wrong = cards.filter((other) => guesses.get(other.key) === false);
    const right = [...guesses.values()].filter(Boolean).length;
    const again = (other) =>
      make("button", {
        type: "button",
        class: "mr-small",
        text: other.title,
        onclick: () => open(cards.indexOf(other), true),
      });
    return [
      make("p", { class: "mr-score", text: fill(L.score, { right, asked: guesses.size }) }),
      wrong.length ? make("div", { class: "mr-row" }, L.see_again, ...wrong.map(again)) : null,
    ].filter(Boolean);
  }

  // On paper: the case, the question, room for a guess, and every step in words.
  function handout() {
    const trace = card.bundle.trace,
      titles = new Map(trace.items.map((item) => [item.row, item.title]));
    const terms = [...card.body.matchAll(/\|(\w+)\]/g)].map((match) => glossary[match[1]]).filter(Boolean);
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

  const address = (bare = page.linked.bare) =>
    writeLink(location.href, { tab: "learn", lesson: card && card.key, bare, theme: page.linked.theme });

  function teacherLink() {
    copyLink(address(true), part("link"), (words) => setText(part("done"), words), {
      copied: L.linked,
      failed: data.text.copy_failed,
    });
  }

  // The card on the projector; the next question is the next card's.
  const askClass = () =>
    page.room.ask(
      async () => card && { lesson: card.key },
      () => open(at + 1 < cards.length ? at + 1 : 0, false),
    );

  const acts = {
    class: askClass,
    back: () => open(at - 1, true),
    next: () => open(at + 1 < cards.length ? at + 1 : 0, true),
    heal: () => dissolve.heal(),
    print: () => window.print(),
    teacher: teacherLink,
  };
  panel.addEventListener("click", (event) => {
    const on = event.target.closest("[data-do]");
    if (on && acts[on.dataset.do] && !part("stage-box").contains(on)) acts[on.dataset.do]();
  });
  const wanted = cards.findIndex((other) => other.key === page.linked.lesson);
  if (!cards.length) say(L.none);
  else open(Math.max(0, wanted), false);
  return { shown: () => stage.model && stage.rebuild(), address: () => address() };
}

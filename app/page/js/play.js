// @ts-check
// The Play tab: a person guesses the hidden item of a trip beside the machines. The server keeps the game: nothing on
// this page knows an answer before its guess.

import { calm, make, remember, setText } from "./core.js";
import { writeLink } from "./links.js";
import { sayIn } from "./panels.js";
import { fill } from "./words.js";

const AGAIN = 700, // milliseconds between two looks at whether the test trips are ready
  SECONDS = 20; // of a full clock

export function makePlay(page, panel) {
  const { data } = page,
    G = data.words.game,
    { checkpoint, twin } = data.game;
  const part = (name) => panel.querySelector(`[data-part="${name}"]`);
  const say = (words) => sayIn(part("message"), words);
  const act = (name) => panel.querySelector(`[data-do="${name}"]`);
  let view = null,
    turn = 0,
    busy = false,
    deadline = 0,
    ticking = 0,
    sealed = new Map();

  part("timed").checked = !calm();
  part("twinless").hidden = twin;
  if (!checkpoint) {
    part("kinds").hidden = true;
    setText(part("begin"), G.none);
  }

  async function start(kind, day = null) {
    const mine = ++turn;
    say("");
    for (;;) {
      const request = { checkpoint, kind, timed: part("timed").checked, day };
      const answer = await page.ask("game_start", request, say);
      if (mine !== turn || !answer) return;
      if (!answer.waiting) return open(answer);
      sayIn(part("message"), answer.waiting, "note");
      await new Promise((next) => setTimeout(next, AGAIN));
      if (mine !== turn || panel.hidden) return;
    }
  }

  function open(opened) {
    say("");
    view = opened;
    part("begin").hidden = true;
    part("table").hidden = false;
    part("root").classList.add("playing");
    part("shared").hidden = true;
    setText(part("done"), "");
    sealed = new Map(opened.machines.map((name) => [name, "thinking"]));
    const { day, number, count } = opened;
    setText(part("kind"), fill(G["kind_" + opened.kind], { day, number: number + 1, count }));
    part("cart").replaceChildren(...opened.cart.map((title) => make("li", { text: title })));
    draw();
    clock();
    part("kind").focus();
    opened.machines.forEach(seal);
    page.changed();
  }

  // Each machine chooses while the person thinks; the server keeps its choice.
  async function seal(machine) {
    const { game, number } = view;
    const answer = await page.ask("game_seal", { game, machine }, () => {});
    if (!view || view.game !== game || view.number !== number) return;
    sealed.set(machine, answer && answer.sealed ? "sealed" : "absent");
    players();
  }

  function draw() {
    const stage = view.stage,
      aisle = stage === "aisle",
      over = stage === "done";
    const known = view.aisle && view.aisles[view.aisle.right];
    part("before").hidden = aisle;
    if (!aisle) {
      const right = view.aisle.you === view.aisle.right;
      setText(part("before"), fill(right ? G.aisle_right : G.aisle_wrong, { aisle: known }));
      part("before").classList.toggle("right", right);
    }
    setText(part("ask"), aisle ? G.ask_aisle : G.ask_item);
    part("options").replaceChildren(...(aisle ? view.aisles : view.items).map(option));
    act("pass").hidden = over;
    part("because").hidden = !over;
    part("after").hidden = !over;
    if (over) ending();
    players();
  }

  function option(words, number) {
    const { item } = view,
      over = view.stage === "done";
    const wrong = over && number === item.you && number !== item.right;
    return make("button", {
      type: "button",
      class: "option" + (over && number === item.right ? " right" : wrong ? " wrong" : ""),
      disabled: over,
      "aria-keyshortcuts": String(number + 1),
      data: { key: String(number + 1) },
      text: words,
      onclick: () => guess(number),
    });
  }

  async function guess(choice) {
    if (busy || !view || view.stage === "done") return;
    busy = true;
    const { game, number, stage } = view;
    const answer = await page.ask("game_guess", { game, number, stage, choice }, say);
    busy = false;
    if (!answer || !view || view.game !== game || view.number !== number) return;
    const stood = panel.contains(document.activeElement) && document.activeElement.closest(".mr-play-ask");
    view = answer;
    if (view.stage === "done") stopClock(true);
    draw();
    if (stood) (view.stage === "done" ? act("next") : part("options").firstChild).focus({ preventScroll: true });
  }

  function ending() {
    const { item, items, points, number, count, kind } = view;
    const best = Math.max(...Object.entries(points).map(([who, value]) => (who === "you" ? -1 : value)));
    const outcome = points.you > best ? G.outcome_won : points.you === best ? G.outcome_level : G.outcome_lost;
    const right = item.you === item.right;
    part("because").replaceChildren(
      make("b", { text: fill(right ? G.item_right : G.item_wrong, { item: items[item.right] }) }),
      make("p", { text: outcome }),
    );
    const last = number + 1 >= count;
    act("next").textContent = last ? G.again : G.next;
    act("share").hidden = !last;
    if (kind === "daily") before();
  }

  // The first result of a day stays in this browser, whatever is played later.
  function before() {
    const key = "mindrec-daily-" + view.day,
      { aisle, item } = view,
      mark = (one) => (one.you === one.right ? "✓" : "✗"),
      result = fill(G.share_line, { who: G.you, aisle: mark(aisle), item: mark(item) });
    const first = remember(key);
    if (first) part("because").append(make("p", { class: "mr-help", text: fill(G.played, { result: first }) }));
    else remember(key, result);
  }

  // A row a player; of a machine no more than whether it has chosen, until the person has.
  function players() {
    const over = view.stage === "done";
    const cell = (answer, options, guessed) => {
      if (!answer) return make("td", { text: guessed });
      if (guessed === null) return make("td", { text: G.none_made });
      const right = guessed === answer.right;
      return make(
        "td",
        { class: right ? "right" : "wrong" },
        make("span", { text: options[guessed] }),
        make("b", { "aria-label": right ? G.right : G.wrong, role: "img", text: right ? " ✓" : " ✗" }),
      );
    };
    const row = (name) => {
      const of = (answer) => answer && (name === "you" ? answer.you : answer.machines[name]);
      const waits = name === "you" ? "" : G[sealed.get(name)];
      return make(
        "tr",
        {},
        make("th", { scope: "row", text: G[name] }),
        cell(view.aisle, view.aisles, view.aisle ? of(view.aisle) : waits),
        cell(view.item, view.items, view.item ? of(view.item) : view.aisle ? waits : ""),
        make("td", { class: "n", text: over ? String(view.points[name]) : "" }),
      );
    };
    const head = [G.player, G.aisle, G.item, G.points];
    part("players").replaceChildren(
      make(
        "table",
        { class: "mr-table" },
        make(
          "thead",
          {},
          make("tr", {}, ...head.map((text) => make("th", { scope: "col", class: text === G.points && "n", text }))),
        ),
        make("tbody", {}, ...["you", ...view.machines].map(row)),
      ),
    );
  }

  function clock() {
    stopClock();
    const timed = view.seconds !== null;
    part("bar").hidden = !timed;
    setText(part("left"), timed ? "" : G.no_clock);
    if (!timed) return;
    deadline = performance.now() + 1000 * view.seconds;
    const tick = () => {
      const left = Math.max(0, deadline - performance.now()) / 1000;
      setText(part("left"), fill(G.left, { seconds: Math.ceil(left) }));
      part("bar").firstChild.style.width = (100 * left) / SECONDS + "%";
      if (left > 0) return;
      stopClock();
      sayIn(part("message"), G.late, "note");
      late();
    };
    tick();
    ticking = window.setInterval(tick, 250);
  }

  function stopClock(over = false) {
    clearInterval(ticking);
    if (!over) return;
    part("bar").hidden = true;
    setText(part("left"), "");
  }

  // Out of time: what is still open counts as no guess.
  async function late() {
    const { game, number } = view;
    while (view.game === game && view.number === number && view.stage !== "done") {
      const before = view.stage;
      await guess(null);
      if (view.stage === before) return;
    }
  }

  async function next() {
    if (view.number + 1 >= view.count) return start("one");
    const answer = await page.ask("game_next", { game: view.game }, say);
    if (answer) open(answer);
  }

  async function watch() {
    const { ids, target } = view.watch;
    const known = data.checkpoints.find((one) => one.name === view.checkpoint);
    page.show("watch");
    await page.watch.follow({ checkpoint: known.name, ids, target, config: { ...known.config }, step: 0 });
    page.watch.part("stage").scrollIntoView({ block: "start" });
  }

  async function share() {
    const link = writeLink(location.href, { tab: "play", game: view.kind === "daily" ? view.day : "" });
    const words = `${view.share}\n${link}`;
    part("shared").value = words;
    try {
      await navigator.clipboard.writeText(words);
      part("shared").hidden = true;
      setText(part("done"), G.shared);
    } catch {
      part("shared").hidden = false;
      part("shared").select();
      setText(part("done"), G.copy_failed);
    }
  }

  const acts = {
    class: () =>
      page.room.ask(
        async () => ({ checkpoint }),
        async () => {},
      ),
    one: () => start("one"),
    daily: () => start("daily"),
    run: () => start("run"),
    pass: () => guess(null),
    next,
    watch,
    share,
  };
  panel.addEventListener("click", (event) => {
    const on = event.target.closest("[data-do]");
    if (on && acts[on.dataset.do]) acts[on.dataset.do]();
  });
  panel.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("textarea, input")) return;
    const chosen = view && part("options").children[Number(event.key) - 1];
    if (chosen && !chosen.disabled && /^[1-9]$/.test(event.key)) guess(Number(event.key) - 1);
  });
  const day = /^\d{4}-\d{2}-\d{2}$/.exec(page.linked.game);
  if (checkpoint && day) start("daily", day[0]);
  const address = () =>
    writeLink(location.href, {
      tab: "play",
      game: (view && view.kind === "daily" && view.day) || "",
      theme: page.linked.theme,
    });
  return { shown: () => {}, address };
}

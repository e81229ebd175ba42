// @ts-check
// The Compare tab: two players on one timeline. The server lays the steps over each other and says where they part.

import { make, setText } from "./core.js";
import { writeLink } from "./links.js";
import { agreement, makeMethodView } from "./method_view.js";
import { copyLink, embedStage, sayIn } from "./panels.js";
import { fill } from "./words.js";

const FRAME = 1300;

export function makeCompare(page, panel) {
  const { data } = page,
    C = data.words.compare,
    sides = ["left", "right"];
  const part = (name) => panel.querySelector(`[data-part="${name}"]`);
  const say = (words) => sayIn(part("message"), words);
  const both = (make) => ({ left: make("left"), right: make("right") });
  const players = both((side) => embedStage(page, part(side + "-stage"))),
    methods = both((side) => makeMethodView(C, part(side + "-method"))),
    stages = { ...players }; // what each side shows: a player, or another method
  let answer = null,
    frame = 0,
    timer = null,
    turn = 0,
    moving = false,
    rescue = null, // the side that saves the case which Watch holds, if one does
    drawn = "";

  // -- what is compared -------------------------------------------------------------------------------------------

  function history() {
    const number = part("case").value;
    if (number !== "") return { story: Number(number) };
    const { items, target } = page.watch.query;
    return { ids: items.map((item) => item.id), target: target && target.id };
  }

  const option = (value, words) => make("option", { value, text: words });
  const group = (words, options) => (options.length ? [make("optgroup", { label: words }, ...options)] : []);

  function fillCases() {
    const before = part("case").value;
    part("case").replaceChildren(
      option("", C.case_watch),
      ...page.watch.stories().map(({ story, number }) => option(number, story.title)),
    );
    part("case").value = before;
    if (part("case").selectedIndex < 0) part("case").value = "";
  }

  function fillSides() {
    const others = data.checkpoints.filter(
      (c) => c.fingerprint === page.watch.checkpoint().fingerprint && c.name !== page.watch.checkpoint().name,
    );
    const items = part("case").value === "" ? page.watch.query.items : [];
    for (const side of sides) {
      const box = part(side),
        before = box.value;
      box.replaceChildren(
        ...group(
          C.group_ways,
          data.comparing.ways.map((way) => option(way, C["way_" + way])),
        ),
        ...group(C.group_watch, [option("watch", C.way_watch), ...(rescue ? [option("rescue", rescue.words)] : [])]),
        ...group(
          C.group_methods,
          (data.comparing.methods[page.watch.checkpoint().name] || []).map((m) => option("method:" + m.name, m.title)),
        ),
        ...group(
          C.group_checkpoints,
          others.map((c) => option("checkpoint:" + c.name, c.title)),
        ),
        ...group(
          C.group_history,
          items.length > 1
            ? items.map((item) => option("without:" + item.id, fill(C.without, { title: item.title })))
            : [],
        ),
      );
      box.value = before;
      if (box.selectedIndex < 0) box.value = side === "left" ? "ours" : "greedy";
    }
  }

  function sideOf(value) {
    const checkpoint = page.watch.query.checkpoint,
      [kind, name] = value.split(/:(.*)/);
    if (kind === "watch") return { checkpoint, config: page.watch.query.config };
    if (kind === "rescue") return { checkpoint, config: rescue.config, without: rescue.without };
    if (kind === "checkpoint") return { checkpoint: name };
    if (kind === "method") return { checkpoint, method: name };
    if (kind === "without") return { checkpoint, without: name };
    return { checkpoint, way: kind };
  }

  async function decode() {
    const mine = ++turn,
      request = { ...history(), left: sideOf(part("left").value), right: sideOf(part("right").value) };
    drawn = JSON.stringify(request);
    stop();
    page.changed();
    const empty = request.ids && !request.ids.length;
    panel.classList.toggle("busy", !empty);
    if (empty) return say(data.text.empty_history);
    const compared = await page.ask("compare", request, say);
    if (mine !== turn) return;
    panel.classList.remove("busy");
    if (!compared) return;
    say("");
    answer = compared;
    show();
  }

  // -- showing ----------------------------------------------------------------------------------------------------

  function show() {
    for (const name of ["deck", "two", "lists", "agree"]) part(name).hidden = false;
    for (const side of sides) {
      const other = Boolean(answer[side].method);
      stages[side] = (other ? methods : players)[side];
      part(side + "-stage").hidden = other;
      part(side + "-method").hidden = !other;
      setText(part(side + "-name"), part(side).selectedOptions[0].text);
      part(side + "-facts").replaceChildren(
        ...answer[side].facts.map(([term, value]) =>
          make("div", {}, make("dt", { text: term }), make("dd", { text: value })),
        ),
      );
      stages[side].show(answer[side]);
      stages[side].onstep = (step) => {
        if (!moving) go(answer.frames.findIndex((pair) => pair[sides.indexOf(side)] >= step));
      };
    }
    setText(part("history"), fill(C.history, { items: given().join(", ") }));
    setText(part("words"), answer.words);
    setText(part("gold"), answer.gold || "");
    part("gold").hidden = !answer.gold;
    part("scrub").max = answer.frames.length - 1;
    part("ticks").replaceChildren(
      ...(answer.frame === null
        ? []
        : [
            make("i", {
              class: "t-lost",
              style: `left:${(100 * answer.frame) / (answer.frames.length - 1)}%`,
              title: C.parting,
            }),
          ]),
    );
    panel.querySelector('[data-go="parting"]').disabled = answer.frame === null;
    lists();
    part("agree-table").replaceChildren();
    agree();
    go(0);
    panel.dataset.turn = String(turn);
  }

  function given() {
    if (answer.given) return answer.given;
    const titles = new Map(answer.left.trace.items.map((item) => [item.row, item.title]));
    return answer.left.trace.history.map((row) => titles.get(row));
  }

  // The table of all methods, asked for where it is looked at, and again for another history.
  async function agree() {
    if (!part("agree").open || !answer) return;
    const mine = turn,
      table = part("agree-table");
    const agreed = await page.ask("agree", { ...history(), checkpoint: page.watch.query.checkpoint }, say);
    if (mine !== turn || !agreed) return;
    const gold = agreed.gold ? fill(C.agree_title, { title: agreed.gold }) : "";
    setText(part("agree-help"), `${fill(C.agree_help, { k: agreed.k })} ${gold}`);
    table.replaceChildren(agreement(C, agreed));
  }

  function lists() {
    const column = (key) =>
      make(
        "div",
        {},
        make("h4", { text: fill(C[key], { count: answer.results[key].length }) }),
        make(
          "ol",
          {},
          ...answer.results[key].map((item) =>
            make(
              "li",
              { class: item.gold ? "gold" : "" },
              make("span", { text: (item.gold ? "★ " : "") + item.title }),
              make("small", {
                text: key === "shared" ? fill(C.ranks, item) : fill(C.rank, { rank: item.left || item.right }),
              }),
            ),
          ),
        ),
      );
    part("lists").replaceChildren(column("only_left"), column("shared"), column("only_right"));
  }

  function go(to) {
    if (!answer) return;
    frame = Math.max(0, Math.min(answer.frames.length - 1, to));
    moving = true;
    sides.forEach((side, at) => stages[side].go(answer.frames[frame][at]));
    moving = false;
    part("scrub").value = frame;
    setText(part("stepno"), fill(C.steps, { left: answer.frames[frame][0], right: answer.frames[frame][1] }));
    part("deck").classList.toggle("parted", answer.frame !== null && frame >= answer.frame);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    setText(panel.querySelector('[data-go="play"]'), "▶\uFE0E");
  }

  function play() {
    if (timer) return stop();
    if (frame === answer.frames.length - 1) go(0);
    setText(panel.querySelector('[data-go="play"]'), "❚❚");
    timer = setInterval(() => {
      go(frame + 1);
      if (frame === answer.frames.length - 1) stop();
    }, FRAME);
  }

  const moves = {
    first: () => 0,
    back: () => frame - 1,
    forward: () => frame + 1,
    last: () => Infinity,
    parting: () => answer.frame,
  };
  const move = (name) => {
    if (!answer) return;
    if (name === "play") return play();
    stop();
    go(moves[name]());
  };
  const keys = { " ": "play", ArrowLeft: "back", ArrowRight: "forward", Home: "first", End: "last" };
  part("deck").addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.target.matches("input") || (event.key === " " && event.target.closest("button")))
      return;
    event.preventDefault();
    move(keys[event.key]);
  });
  panel.addEventListener("click", (event) => {
    const on = event.target.closest("[data-go]");
    if (on) move(on.dataset.go);
  });
  part("scrub").addEventListener("input", () => {
    stop();
    go(Number(part("scrub").value));
  });

  // -- links ------------------------------------------------------------------------------------------------------

  function address() {
    const { items, target, checkpoint } = page.watch.query,
      story = part("case").value;
    const values = { tab: "compare", left: part("left").value, right: part("right").value, theme: page.linked.theme };
    if (story !== "") return writeLink(location.href, { ...values, case: story });
    const cart = { ids: items.map((item) => item.id), target: target && target.id };
    return writeLink(location.href, {
      ...values,
      ...cart,
      checkpoint: data.checkpoints.length > 1 ? checkpoint : null,
    });
  }

  function follow() {
    const given = page.linked,
      shown = page.watch.stories().find(({ number }) => data.stories[number].kind === "saved-by-beams");
    fillCases();
    if (given.case !== "") part("case").value = given.case;
    else if (!given.ids.length && shown) part("case").value = String(shown.number);
    fillSides();
    for (const side of sides)
      if (given[side] !== "") {
        part(side).value = given[side];
        if (part(side).selectedIndex < 0) part(side).value = "ours";
      }
  }

  for (const name of ["case", ...sides])
    part(name).addEventListener("change", () => {
      if (name === "case") fillSides();
      decode();
    });
  part("sides").addEventListener("submit", (event) => event.preventDefault());
  part("agree").addEventListener("toggle", agree);
  part("way-back").addEventListener("click", () => page.show(page.cameFrom || "watch"));
  panel.querySelector('[data-do="swap"]').addEventListener("click", () => {
    const [a, b] = sides.map((side) => part(side).value);
    part("left").value = b;
    part("right").value = a;
    decode();
  });
  panel.querySelector('[data-do="copy"]').addEventListener("click", () =>
    copyLink(address(), part("link"), (words) => setText(part("done"), words), {
      copied: C.linked,
      failed: data.text.copy_failed,
    }),
  );
  page.ready.then(() => {
    follow();
    decode();
  });

  // The first frame at which one side has lost the true item and the other has not; else where their leaders part.
  function fatesPart() {
    const alive = (side, step) => Boolean(answer[side].trace.steps[step].gold?.beams);
    const at = answer.frames.findIndex(([left, right]) => alive("left", left) !== alive("right", right));
    return at >= 0 ? at : answer.frame === null ? Infinity : answer.frame;
  }

  // Both sides of a case that a change saves, from the step on at which they part.
  async function playRescue(bundle) {
    rescue = bundle.rescue;
    await page.ready;
    fillCases();
    part("case").value = "";
    fillSides();
    part("left").value = "watch";
    part("right").value = "rescue";
    part("way-back").hidden = false;
    await decode();
    if (answer) go(fatesPart());
    part("deck").focus({ preventScroll: true });
  }

  // The Watch tab may hold another history by now.
  function shown() {
    if (rescue && page.watch.model && page.watch.model.bundle.rescue !== rescue) {
      rescue = null;
      part("way-back").hidden = true;
    }
    if (!drawn) return;
    fillCases();
    fillSides();
    const now = JSON.stringify({ ...history(), left: sideOf(part("left").value), right: sideOf(part("right").value) });
    if (now !== drawn) decode();
    else for (const side of sides) if (stages[side].model) stages[side].rebuild();
  }

  return { shown, address, playRescue };
}

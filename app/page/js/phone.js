// @ts-check
// A phone in a class room: joins, shows the question, sends a vote, shows the result. It asks every few seconds, never
// all phones at once.

import { make, remember, setText } from "./core.js";
import { fill } from "./words.js";

const EVERY = 2200, // milliseconds between two looks, and up to as much again by chance: phones drift apart
  LONGEST = 20000; // after failures

export function openRoom(W) {
  const main = /** @type {HTMLElement} */ (document.getElementById("room"));
  const match = /^(.*\/room)(?:\/([A-Za-z0-9]{1,12}))?$/.exec(location.pathname);
  const code = match && match[2] ? match[2].toUpperCase() : null;
  const base = `${match ? match[1] : "/room"}/${code}`;
  const title = make("h1", { text: code ? fill(W.room, { code }) : W.title });
  const question = make("h2", { tabindex: "-1" });
  const options = make("div", { class: "options", role: "group" });
  const status = make("p", { role: "status", text: W.joining });
  const because = make("p", {});
  let member = null,
    state = null,
    drawn = "",
    mine = null, // my vote: {number, choice}
    sending = Promise.resolve(),
    failures = 0;

  if (!code) return enter();
  main.replaceChildren(title, question, options, status, because, make("p", { class: "small", text: W.nothing }));
  member = remember("mindrec-room-" + code) || null;
  look();

  // The code by hand, where the link was not at hand.
  function enter() {
    const field = /** @type {HTMLInputElement} */ (
      make("input", { id: "code", maxlength: "6", autocapitalize: "characters", autocomplete: "off", required: true })
    );
    const form = make("form", {}, make("label", { for: "code", text: W.enter }), field, make("button", { text: W.go }));
    form.className = "options";
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const typed = field.value.trim().toUpperCase();
      if (/^[A-Z0-9]{6}$/.test(typed)) location.assign("room/" + typed);
    });
    main.replaceChildren(title, form);
    field.focus();
  }

  async function send(path, body) {
    const options = body && {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    };
    const answer = await fetch(base + path, options || {});
    const said = await answer.json();
    return { ok: answer.ok, gone: answer.status === 404, again: [429, 408].includes(answer.status), said };
  }

  async function joined() {
    if (member) return true;
    const { ok, again, said } = await send("/join", {});
    if (ok) {
      member = said.member;
      remember("mindrec-room-" + code, member);
      return true;
    }
    setText(status, said.error || W.failed);
    if (again) failures++;
    return false;
  }

  async function look() {
    try {
      const { ok, gone, said } = await send("/state");
      if (gone) return ended(said.error);
      if (!ok) throw new Error(said.error);
      if (await joined()) {
        failures = 0;
        state = said;
        draw();
      }
    } catch {
      failures++;
      setText(status, W.again);
    }
    const wait = Math.min(LONGEST, EVERY * 2 ** failures);
    setTimeout(look, wait * (1 + Math.random()));
  }

  function ended(words) {
    question.textContent = "";
    options.replaceChildren();
    because.textContent = "";
    setText(status, words);
  }

  function draw() {
    const now = JSON.stringify([state, mine]);
    if (now === drawn) return;
    drawn = now;
    const { number, revealed } = state;
    const chosen = mine && mine.number === number ? mine.choice : null;
    setText(question, state.ask || "");
    if (!number) return setText(status, W.wait);
    setText(because, revealed ? state.because : "");
    if (revealed) {
      setText(status, fill(W.result, { option: state.options[state.answer] }));
      return options.replaceChildren(...state.options.map((words, n) => result(words, n, chosen)));
    }
    setText(status, chosen === null ? W.vote : fill(W.voted, { option: state.options[chosen] }));
    const focus = [...options.children].indexOf(/** @type {Element} */ (document.activeElement));
    options.replaceChildren(
      ...state.options.map((text, n) =>
        make("button", { type: "button", "aria-pressed": String(n === chosen), text, onclick: () => vote(n) }),
      ),
    );
    const again = /** @type {HTMLElement | undefined} */ (options.children[focus]);
    if (again) again.focus();
  }

  function result(words, n, chosen) {
    const highest = Math.max(1, ...state.counts);
    const notes = [n === state.answer && W.right, n === chosen && W.yours].filter(Boolean).join(", ");
    return make(
      "div",
      { class: "result" + (n === state.answer ? " right" : "") },
      make("div", { class: "row" }, make("span", { text: words }), make("b", { text: String(state.counts[n]) })),
      notes ? make("span", { class: "small", text: notes }) : null,
      make("i", { style: `width:${(100 * state.counts[n]) / highest}%` }),
    );
  }

  // One vote after the other: what was meant last counts.
  function vote(choice) {
    const { number } = state;
    setText(status, W.sending);
    sending = sending.then(() => put(number, choice));
  }

  async function put(number, choice) {
    try {
      const { ok, said } = await send("/vote", { member, number, choice });
      if (!ok) return setText(status, said.error || W.failed);
      mine = { number, choice };
      draw();
    } catch {
      setText(status, W.failed);
    }
  }
}

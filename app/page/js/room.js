// @ts-check
// The projector of a class room: how to join, the question, and the votes as they come. The room is this page's alone:
// its token is kept nowhere else.

import { make, setText, svg } from "./core.js";
import { sayIn } from "./panels.js";
import { fill } from "./words.js";

const EVERY = 1000; // milliseconds between two counts

export function makeRoom(page) {
  const R = page.data.words.room;
  let room = null, // {code, teacher, link}
    dialog = null,
    parts = null,
    tally = null,
    source = null, // what is asked, and what comes after it
    timer = 0;

  const say = (words) => sayIn(parts.message, words);
  const request = () => ({ code: room.code, teacher: room.teacher });

  function build() {
    const button = (words, onclick, kind = "") => make("button", { type: "button", class: kind, text: words, onclick });
    parts = {
      message: make("p", { class: "mr-message", role: "alert", hidden: true }),
      join: make("div", { class: "mr-room-join" }),
      present: make("p", { class: "mr-room-present", role: "status" }),
      ask: make("h2", { id: "mr-room-ask", tabindex: "-1" }),
      bars: make("ol", { class: "mr-room-bars" }),
      because: make("p", { class: "mr-room-because", role: "status" }),
      reveal: button(R.reveal, reveal, "mr-primary"),
      next: button(R.next, next),
      hide: button(R.hide, () => dialog.close(), "mr-quiet"),
      close: button(R.close, close, "mr-quiet"),
    };
    const { message, join, present, ask, bars, because } = parts;
    dialog = /** @type {HTMLDialogElement} */ (
      make(
        "dialog",
        { class: "mr-room", "aria-labelledby": "mr-room-ask" },
        make("div", { class: "mr-room-side" }, join, present),
        make(
          "div",
          { class: "mr-room-main" },
          message,
          ask,
          bars,
          because,
          make("div", { class: "mr-row" }, parts.reveal, parts.next, parts.hide, parts.close),
        ),
      )
    );
    // The page's own keys move the player.
    dialog.addEventListener("keydown", (event) => event.stopPropagation());
    dialog.addEventListener("close", () => clearTimeout(timer));
  }

  // The QR code's dark squares as one path; the quiet zone is its four empty modules.
  function code(rows, label) {
    const size = rows.length + 8;
    const path = rows
      .flatMap((row, y) => [...row].map((dark, x) => (dark === "1" ? `M${x + 4} ${y + 4}h1v1h-1z` : "")))
      .join("");
    const picture = svg("svg", {
      viewBox: `0 0 ${size} ${size}`,
      role: "img",
      "aria-label": label,
      class: "mr-room-qr",
    });
    picture.append(svg("rect", { width: size, height: size, fill: "#fff" }), svg("path", { d: path, fill: "#000" }));
    return picture;
  }

  async function open() {
    if (room) return true;
    const address = location.origin + location.pathname.replace(/[^/]*$/, "");
    const answer = await page.ask("room_open", { address }, say);
    if (!answer) return false;
    room = answer;
    const alone = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
    parts.join.replaceChildren(
      make("p", { class: "mr-label", text: R.join }),
      code(answer.qr, fill(R.qr, { link: answer.link })),
      make("p", { class: "mr-room-link", text: answer.link.replace(/^https?:\/\//, "") }),
      make("p", {}, R.code + " ", make("b", { class: "mr-room-code", text: answer.code })),
      alone ? make("p", { class: "mr-help", text: R.loopback }) : null,
    );
    return true;
  }

  /**
   * Put a question to the class, in a new room where none is open.
   * @param {() => Promise<Record<string, any> | null>} what gives what is asked: {lesson} or {checkpoint}
   * @param {() => Promise<any>} [onNext] goes on to what is asked next
   */
  async function ask(what, onNext) {
    if (!dialog) build();
    source = { what, onNext };
    if (!dialog.open) {
      page.element.querySelector(`[data-panel="${page.current()}"] > .mr`).append(dialog);
      dialog.showModal();
    }
    say("");
    setText(parts.ask, room ? R.wait : R.opening);
    parts.bars.replaceChildren();
    if (await open()) await put();
  }

  async function put() {
    clearTimeout(timer);
    say("");
    const wanted = await source.what();
    const answer = wanted && (await page.ask("room_ask", { ...request(), ...wanted }, failed));
    if (!answer) return;
    if (answer.waiting) {
      setText(parts.ask, answer.waiting);
      timer = window.setTimeout(put, EVERY);
      return;
    }
    draw(answer);
    parts.ask.focus();
    watch();
  }

  // The room may be gone: two hours are over, or the app was started again. The next question opens another.
  function failed(words) {
    say(words);
    room = null;
  }

  function watch() {
    clearTimeout(timer);
    timer = window.setTimeout(async () => {
      if (!dialog.open || !room) return;
      const before = tally,
        answer = await page.ask("room_tally", request(), failed);
      if (!answer || tally !== before) return; // counted before what was asked or shown since
      draw(answer);
      if (!answer.revealed) watch();
    }, EVERY);
  }

  function draw(answer) {
    tally = answer;
    const { revealed, counts, options, members, votes } = answer;
    setText(parts.present, fill(R.present, { members, votes }));
    setText(parts.ask, answer.ask);
    setText(parts.because, revealed ? answer.because : "");
    parts.reveal.hidden = revealed;
    parts.next.hidden = !revealed || !source.onNext;
    const highest = Math.max(1, ...counts);
    parts.bars.replaceChildren(
      ...options.map((option, n) => {
        const right = revealed && n === answer.answer;
        return make(
          "li",
          { class: right ? "right" : "" },
          make("span", { text: option }, right ? make("b", { role: "img", "aria-label": R.right, text: " ✓" }) : null),
          make("i", { style: `width:${(100 * counts[n]) / highest}%` }),
          make("b", { text: String(counts[n]) }),
        );
      }),
    );
  }

  async function reveal() {
    setText(parts.present, R.revealing);
    const answer = await page.ask("room_reveal", request(), say);
    if (!answer) return draw(tally);
    clearTimeout(timer);
    draw(answer);
    (parts.next.hidden ? parts.hide : parts.next).focus();
  }

  async function next() {
    await source.onNext();
    await put();
  }

  async function close() {
    if (room) await page.ask("room_close", request(), () => {});
    room = null;
    dialog.close();
  }

  return { ask };
}

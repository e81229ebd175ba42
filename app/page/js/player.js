// @ts-check
// Which step is shown, and everything that moves it: transport, scrubber, keys, Present mode.

import { make, setText } from "./core.js";
import { fill } from "./words.js";

const SPEEDS = [0.25, 0.5, 1, 1.5, 2, 4];
const BEAT = 1600;
const UPBEAT = 120; // how long the step that it starts from is seen first

export function makePlayer(app) {
  const T = app.T,
    scrub = app.part("scrub"),
    speed = app.part("speed"),
    stage = app.part("stage");
  const play = app.root.querySelector('[data-do="play"]');
  let timer = null,
    following = false; // it plays, or waits at the end of a film that still grows

  for (const value of SPEEDS) speed.append(make("option", { value, text: value + "×" }));
  speed.value = "1";

  function load() {
    if (!app.model.bundle.partial) stop();
    const last = app.model.expected;
    scrub.max = last;
    const words = { first: T.mark_first, category: T.mark_category, item: T.mark_item, lost: T.mark_lost };
    app.part("ticks").replaceChildren(
      ...app.model.bundle.events.map((event) =>
        make("i", {
          class: "t-" + event.kind,
          style: `left:${(100 * event.step) / Math.max(1, last)}%`,
          title: words[event.kind],
        }),
      ),
    );
    app.part("transcript").replaceChildren(...app.model.bundle.captions.map((words) => make("li", { text: words })));
  }

  function draw(number) {
    const last = app.model.expected;
    scrub.value = number;
    const mark = app.model.bundle.events
      .filter((event) => event.step === number)
      .map((event) => T["mark_" + event.kind])
      .join(", ");
    scrub.setAttribute("aria-valuetext", fill(T.step_of, { step: number, last }) + (mark ? ", " + mark : ""));
    setText(app.part("stepno"), fill(T.step_of, { step: number, last }));
    setText(app.part("caption"), app.model.bundle.captions[number]);
    for (const name of ["first", "back"]) button(name).disabled = number === 0;
    for (const name of ["forward", "last"]) button(name).disabled = number === app.model.last;
  }

  const button = (name) => app.root.querySelector(`[data-do="${name}"]`);

  function stop() {
    clearTimeout(timer);
    timer = null;
    following = false;
    show(false);
  }

  function show(playing) {
    setText(play, playing ? "❚❚" : "▶\uFE0E");
    play.setAttribute("aria-label", playing ? T.pause : T.play);
    play.setAttribute("aria-pressed", String(playing));
    stage.classList.toggle("playing", playing);
  }

  function start() {
    if (!app.model) return;
    if (timer) return;
    following = true;
    if (app.step >= app.model.last && app.model.bundle.partial) return; // the next step is on its way
    if (app.step >= app.model.last) app.go(0);
    show(true);
    const beat = () => {
      app.go(app.step + 1);
      timer = app.step < app.model.last ? setTimeout(beat, BEAT / Number(speed.value)) : null;
      if (!timer) show(false);
    };
    timer = setTimeout(beat, UPBEAT);
  }

  const toggle = () => (timer ? stop() : start());

  function change(direction) {
    const at = Math.max(0, Math.min(SPEEDS.length - 1, SPEEDS.indexOf(Number(speed.value)) + direction));
    speed.value = String(SPEEDS[at]);
  }

  function seek(number) {
    stop();
    app.go(number);
  }

  function present(on) {
    if (app.root.classList.contains("embedded")) return;
    const now = on === undefined ? !app.root.classList.contains("present") : on;
    app.root.classList.toggle("present", now);
    document.documentElement.classList.toggle("mr-presenting", now);
    setText(button("present"), now ? T.present_end : T.present);
    if (!now && document.fullscreenElement) document.exitFullscreen();
    stage.focus({ preventScroll: true });
    if (app.model) app.rebuild();
    app.changed();
  }

  function fullscreen() {
    if (document.fullscreenElement) return document.exitFullscreen();
    present(true);
    if (app.root.requestFullscreen) app.root.requestFullscreen().catch(() => {});
  }

  function keys(on) {
    const box = app.part("keys"),
      open = on === undefined ? box.hidden : on;
    box.hidden = !open;
    if (open && !box.firstChild) {
      const lines = T.keys_list.split("|").map((line) => line.split(/:(.+)/));
      box.append(
        make("h4", { text: T.keys }),
        make(
          "dl",
          {},
          ...lines.flatMap(([key, words]) => [make("dt", { text: key }), make("dd", { text: words.trim() })]),
        ),
        make("button", {
          type: "button",
          class: "mr-quiet mr-small",
          text: T.close,
          onclick: () => {
            keys(false);
            stage.focus({ preventScroll: true });
          },
        }),
      );
    }
  }

  const bindings = {
    " ": toggle,
    ArrowRight: () => seek(app.step + 1),
    ArrowLeft: () => seek(app.step - 1),
    Home: () => seek(0),
    End: () => seek(Infinity),
    "[": () => change(-1),
    "]": () => change(1),
    ArrowDown: () => app.choose(app.focusBeam() + 1),
    ArrowUp: () => app.choose(app.focusBeam() - 1),
    t: () => app.parts.tree.toggle(),
    p: () => present(),
    "?": () => keys(),
    Escape: () =>
      !app.part("keys").hidden
        ? keys(false)
        : app.cell
          ? app.closeCell()
          : app.root.classList.contains("drawer")
            ? app.parts.drawer.toggle(false)
            : app.root.classList.contains("present")
              ? present(false)
              : null,
  };

  function press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !app.model) return;
    const on = event.target,
      typing = on.matches("input:not([type=range]), textarea, select, [data-part=dial]");
    if (typing || ((event.key === " " || event.key === "Enter") && on.closest("button, summary, label"))) return;
    const act = /^[1-9]$/.test(event.key)
      ? () => app.choose(Number(event.key) - 1)
      : bindings[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  // Keys work in the stage, and also where nothing has the focus: at the start, or after what had it is redrawn.
  stage.addEventListener("keydown", press);
  const alone = !app.root.classList.contains("embedded");
  document.addEventListener("keydown", (event) => {
    if (alone && event.target === document.body && app.root.getClientRects().length) press(event);
  });
  // A click with the pointer leaves the keys to the stage, unless the button has passed the focus on.
  app.root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button && event.detail && [button, document.body].includes(document.activeElement))
      stage.focus({ preventScroll: true });
  });
  scrub.addEventListener("input", () => seek(Number(scrub.value)));

  return {
    load,
    draw,
    stop,
    start,
    following: () => following,
    toggle,
    present,
    fullscreen,
    keys,
    acts: {
      first: () => seek(0),
      back: () => seek(app.step - 1),
      play: toggle,
      forward: () => seek(app.step + 1),
      last: () => seek(Infinity),
      present: () => present(),
      fullscreen,
      keys: () => keys(),
    },
  };
}

// @ts-check
// The Lab tab: dials, a run that is followed while it trains, and a scrubber through its epochs.

import { download, make, setText } from "./core.js";
import { drawCurves, drawFog } from "./lab_charts.js";
import { writeLink } from "./links.js";
import { copyLink, embedStage, sayIn } from "./panels.js";
import { fill, percent } from "./words.js";

const WARM_AGAIN = 20000, // milliseconds
  ASK_AGAIN = 600, // of the run that trains
  ASK_IN_QUEUE = 2500, // each question takes the server's time from those who decode
  MAX_UNANSWERED = 4; // in a row, after which a run is given up
const ROWS = 8; // items in the table of shares, the likeliest by the law

export function makeLab(page, panel) {
  const { data } = page,
    L = data.words.lab,
    lab = data.lab;
  const part = (name) => panel.querySelector(`[data-part="${name}"]`);
  const button = (name) => panel.querySelector(`[data-do="lab-${name}"]`);
  const say = (words) => sayIn(part("message"), words);
  let stage = null;
  let dials = { ...lab.defaults, ...readDials(page.linked.dials) };
  let running = null; // the key of the run on its way
  let turn = 0;
  let start = null,
    epochs = {}, // by model: the "epoch" events so far
    trained = null, // the dials of the run that is shown
    at = 0,
    model = "diffusion",
    held = false, // somebody has scrubbed: new epochs do not move it
    ended = false; // the run that is shown, to its last epoch

  // -- dials -----------------------------------------------------------------------------------------------------

  function readDials(text) {
    const pairs = (text || "").split(",").map((pair) => pair.split(":"));
    const known = pairs.filter(([key]) => key in lab.defaults);
    return Object.fromEntries(known.map(([key, raw]) => [key, typeof lab.defaults[key] === "number" ? +raw : raw]));
  }

  const changed = () => Object.keys(lab.defaults).filter((key) => dials[key] !== lab.defaults[key]);
  const writeDials = () => changed().map((key) => `${key}:${dials[key]}`).join(","); // prettier-ignore
  const address = () =>
    writeLink(location.href, { tab: "lab", dials: writeDials(), bare: page.linked.bare, theme: page.linked.theme });

  function field(spec) {
    const id = "mr-lab-" + spec.key,
      about = { id, "aria-describedby": id + "-help", data: { dial: spec.key } };
    const range = spec.kind === "range",
      out = make("output", { for: id, text: dials[spec.key] });
    const input =
      spec.kind === "choice"
        ? make("select", about, ...spec.choices.map(([value, words]) => make("option", { value, text: words })))
        : make("input", { ...about, type: range ? "range" : "number", min: spec.low, max: spec.high, step: spec.step });
    input.value = dials[spec.key];
    input.disabled = !means(spec.key);
    const take = () => {
      const value = spec.kind === "choice" ? input.value : Number(input.value);
      dials = { ...dials, [spec.key]: value };
      setText(out, String(value));
      if (spec.kind === "choice") giveWay();
      showStory();
      page.changed();
    };
    input.addEventListener(range ? "input" : "change", take);
    return make(
      "div",
      { class: "field" },
      make("label", { for: id, text: spec.name }),
      make("span", { class: "in" }, input, range ? out : null),
      make("small", { id: id + "-help", text: spec.help }),
    );
  }

  // A dial that needs another to stand elsewhere means nothing, and is at its default, until it does.
  const means = (key) =>
    Object.entries((lab.rules[key] || { needs: {} }).needs).every(([other, needed]) => dials[other] === needed);
  function giveWay() {
    for (const [key, { off }] of Object.entries(lab.rules)) {
      if (!means(key)) dials[key] = off;
      const input = part("dials").querySelector(`[data-dial="${key}"]`);
      Object.assign(input, { value: dials[key], disabled: !means(key) });
      setText(part("dials").querySelector(`output[for="${input.id}"]`), String(dials[key]));
    }
  }

  const drawDials = () => part("dials").replaceChildren(...lab.dials.map(field));

  const isStory = (preset, of) =>
    Object.entries({ ...lab.defaults, ...preset.dials }).every(([key, value]) => of[key] === value);
  // The page says what to see once a run of the story has shown it.
  const seen = (number) => ended && trained && isStory(lab.presets[number], trained);

  function showStory() {
    const same = (preset) => isStory(preset, dials);
    let about = "";
    [...part("stories").children].forEach((on, number) => {
      const pressed = same(lab.presets[number]);
      on.setAttribute("aria-pressed", String(pressed));
      if (pressed) about = lab.presets[number].about + (seen(number) ? " " + lab.presets[number].seen : "");
    });
    setText(part("about"), about);
    button("reset").disabled = !changed().length;
  }

  function use(changes) {
    dials = { ...lab.defaults, ...changes };
    drawDials();
    showStory();
    page.changed();
  }

  // -- a run -----------------------------------------------------------------------------------------------------

  async function train() {
    await stop(true);
    const mine = ++turn,
      wanted = { ...dials };
    say("");
    const answer = await page.ask("lab_start", { dials: wanted }, say);
    if (!answer) return;
    if (mine !== turn) return drop(answer.job);
    running = answer.job;
    Object.assign(part("out"), { hidden: true });
    [start, epochs, trained, at, held, ended] = [null, {}, wanted, 0, false, false];
    showStory();
    model = wanted.objective === "ar" ? "ar" : "diffusion";
    part("downloads").replaceChildren();
    busy(true);
    status(answer.place ? fill(L.waiting, answer) : L.starting);
    await follow(answer.job, mine);
    if (mine === turn) {
      running = null;
      busy(false);
    }
  }

  // A question that is lost on its way, or refused for the moment, costs nobody a run or a place in the queue.
  async function follow(job, mine) {
    let after = 0,
      unanswered = 0,
      ahead = 0;
    while (mine === turn) {
      const answer = await page.server.lab_poll({ job, after }).catch(() => null);
      if (mine !== turn) return;
      if (answer && answer.error !== undefined) return say(answer.error);
      unanswered = answer ? 0 : unanswered + 1;
      if (unanswered > MAX_UNANSWERED) return say(data.text.failed);
      if (answer) {
        ahead = answer.place;
        after += answer.events.length;
        answer.events.forEach(take);
        if (ahead) status(fill(L.waiting, answer));
        if (answer.ended || answer.events.some(({ event }) => event === "end")) return drop(job);
      }
      await new Promise((resolve) => setTimeout(resolve, ahead ? ASK_IN_QUEUE : ASK_AGAIN));
    }
  }

  function take(event) {
    if (event.event === "error") {
      status("");
      say(event.message);
    }
    if (event.event === "start") begin(event);
    if (event.event === "model") offer(event);
    if (event.event === "end") finish(event);
    if (event.event !== "epoch") return;
    (epochs[event.objective] ||= []).push(event);
    Object.assign(part("progress"), { max: trained.epochs, value: event.epoch });
    status(fill(L.running, { epoch: event.epoch, epochs: trained.epochs, seconds: event.seconds.toFixed(0) }));
    if (!held && event.objective === model) at = event.epoch;
    draw();
  }

  function begin(event) {
    start = event;
    const M = L.measures[start.measure];
    setText(part("measure"), M.title);
    setText(part("measure-help"), M.help);
    setText(part("fog-help"), M.fog);
    setText(part("stage-help"), M.gold);
    setText(part("cart"), fill(L.cart, { items: event.cart.map((row) => event.items[row]).join(", ") }));
    part("model-box").hidden = trained.objective !== "both";
    part("model").replaceChildren(
      ...["diffusion", "ar"].map((value) => make("option", { value, text: L[value], selected: value === model })),
    );
  }

  function finish(event) {
    const M = L.measures[start.measure],
      said = start.measure === "hit" ? percent : (value) => value.toFixed(3);
    const models = Object.entries(epochs).map(([key, list]) => {
      const { measured } = list[list.length - 1],
        share = start.chance > 0.01 ? percent(Math.max(0, 1 - measured / start.chance)) : "–";
      return fill(M.of, { model: L[key], value: said(measured), chance: said(start.chance), share });
    });
    status(fill(L[event.why], { seconds: event.seconds.toFixed(0), models: models.join("; ") }));
    ended = event.why === "done";
    showStory();
  }

  function offer({ objective, name, zip, checkpoint }) {
    const bytes = Uint8Array.from(atob(zip), (letter) => letter.charCodeAt(0));
    part("downloads").append(
      make("button", {
        type: "button",
        class: "mr-small",
        data: { watch: objective },
        text: fill(L.watch, { model: L[objective] }),
        onclick: () => watchModel(checkpoint),
      }),
      make("button", {
        type: "button",
        class: "mr-small",
        data: { download: objective },
        text: fill(L.download, { model: L[objective] }),
        onclick: () => download(name + ".zip", new Blob([bytes], { type: "application/zip" })),
      }),
    );
  }

  const status = (words) => setText(part("status"), words);
  const drop = (job) => page.server.lab_stop({ job }).catch(() => {});

  function busy(on) {
    button("stop").hidden = part("progress").hidden = !on;
    if (on) part("progress").removeAttribute("value");
    panel.dataset.busy = String(on);
  }

  async function stop(quietly) {
    if (!running) return;
    const job = running;
    turn++;
    running = null;
    busy(false);
    if (!quietly) status(L.stopped);
    if (!quietly) button("train").focus({ preventScroll: true });
    await drop(job);
  }

  // -- its epochs ------------------------------------------------------------------------------------------------

  function draw() {
    const list = epochs[model] || [];
    if (!start || !list.length) return;
    part("out").hidden = false;
    at = Math.min(at, list.length - 1);
    const about = { last: trained.epochs, at, words: L.curve_at },
      of = (key) =>
        Object.entries(epochs).map(([name, events]) => ({
          key: name,
          name: L[name],
          points: events.filter((event) => event[key] !== null).map((event) => [event.epoch, event[key]]),
        }));
    const M = L.measures[start.measure],
      chance = { value: start.chance, name: M.chance };
    drawCurves(part("measured"), of("measured"), { ...about, title: M.title, level: chance });
    drawCurves(part("loss"), of("loss_token"), { ...about, title: L.loss, level: null });
    drawFog(part("fog"), {
      rows: rowsOf(start.law || list[list.length - 1].shares),
      likeliest: start.likeliest,
      items: start.items,
      law: start.law,
      shares: list.map((event) => event.shares),
      at,
      last: trained.epochs,
      words: L,
      choose: scrubTo,
    });
    const words = at ? fill(L.epoch_of, { epoch: at, epochs: trained.epochs }) : L.untrained;
    Object.assign(part("scrub"), { max: list.length - 1, value: at });
    part("scrub").setAttribute("aria-valuetext", words);
    setText(part("epoch"), words);
    show(list[at]);
  }

  // The likeliest items, and the one that is looked for.
  function rowsOf(shares) {
    const rows = shares.map((_, row) => row).sort((a, b) => shares[b] - shares[a]);
    const first = rows.slice(0, ROWS);
    return first.includes(start.likeliest) ? first : [...first.slice(0, -1), start.likeliest];
  }

  // The step that is looked at stays from epoch to epoch; at first it is the last, where the answers are.
  function show(epoch) {
    stage ||= embedStage(page, part("stage-box"));
    const first = !stage.model;
    stage.show(epoch.bundle, { step: first ? Infinity : stage.step });
  }

  function scrubTo(epoch) {
    at = epoch;
    held = at < (epochs[model] || []).length - 1;
    draw();
  }

  function openInWatch() {
    const event = (epochs[model] || [])[at];
    if (!event) return;
    const title = `${L.title} · ${L[model]}`;
    page.watch.openBundle(event.bundle, { title, about: part("epoch").textContent });
    page.show("watch", true);
  }

  // The model as a checkpoint of this page; it is listed nowhere else.
  async function watchModel(checkpoint) {
    const answer = await page.ask("lab_open", { checkpoint }, say);
    if (!answer) return;
    say("");
    page.show("watch", true);
    page.watch.openCheckpoint(answer.checkpoint);
  }

  const acts = {
    "lab-train": train,
    "lab-stop": () => stop(false),
    "lab-reset": () => use({}),
    "lab-open": openInWatch,
    "lab-link": () => {
      const words = { copied: L.linked, failed: data.text.copy_failed };
      copyLink(address(), part("link"), (said) => setText(part("done"), said), words);
    },
  };
  panel.addEventListener("click", (event) => {
    const on = event.target.closest("[data-do]");
    if (on && acts[on.dataset.do]) acts[on.dataset.do]();
  });
  part("scrub").addEventListener("input", () => scrubTo(Number(part("scrub").value)));
  part("model").addEventListener("change", () => {
    model = part("model").value;
    held = false;
    at = Math.max(0, (epochs[model] || []).length - 1);
    draw();
  });
  addEventListener("pagehide", () => running && drop(running));

  part("stories").replaceChildren(
    ...lab.presets.map((preset) =>
      make("button", {
        type: "button",
        class: "mr-small",
        "aria-pressed": "false",
        data: { story: preset.key },
        text: preset.title,
        onclick: () => use(preset.dials),
      }),
    ),
  );
  drawDials();
  showStory();
  button("train").disabled = !lab.on;
  if (!lab.on) status(L.off);

  // While somebody is here, a process waits that has imported what a run needs.
  let warmed = 0;
  function warm() {
    if (!lab.on || running || (warmed && Date.now() - warmed < WARM_AGAIN)) return;
    warmed = Date.now();
    page.ask("lab_warm", {}, () => {});
  }
  panel.addEventListener("pointerdown", warm);
  panel.addEventListener("keydown", warm);

  const shown = () => {
    warm();
    if (stage && stage.model) stage.rebuild();
  };
  return { shown, address };
}

// @ts-check
// Settings: every dial with its line of help; a change decodes again and keeps the step in view.

import { make, setText } from "./core.js";
import { fill } from "./words.js";

export function makeSettings(app) {
  const T = app.T,
    box = app.part("fields");
  const controls = new Map();

  function build() {
    const many = app.data.checkpoints.length > 1;
    box.replaceChildren(...app.data.settings.filter(({ kind }) => kind !== "checkpoint" || many).map(field));
  }

  function field(spec) {
    const id = "mr-set-" + spec.key,
      out = make("output", { for: id });
    const input = control(spec, id);
    controls.set(spec.key, { spec, input, out });
    input.addEventListener("input", () => setText(out, shown(spec, value(spec, input))));
    input.addEventListener("change", () => set(spec, value(spec, input)));
    return make(
      "div",
      { class: "field" },
      make("label", { for: id, text: spec.name }),
      make("span", { class: "in" }, input, spec.kind === "range" ? out : null),
      make("small", { id: id + "-help", text: spec.help }),
    );
  }

  function control(spec, id) {
    const about = { id, "aria-describedby": id + "-help" };
    const choices =
      spec.kind === "checkpoint" ? app.data.checkpoints.map(({ name, title }) => [name, title]) : spec.choices;
    if (choices)
      return make("select", about, ...choices.map(([value, words]) => make("option", { value, text: words })));
    if (spec.kind === "steps") return make("select", about);
    if (spec.kind === "switch") return make("input", { ...about, type: "checkbox" });
    return make("input", {
      ...about,
      type: spec.kind === "range" ? "range" : "number",
      min: spec.low,
      max: spec.high,
      step: spec.step || 1,
    });
  }

  function value(spec, input) {
    if (spec.kind === "switch") return input.checked;
    if (spec.kind === "choice" || spec.kind === "checkpoint") return input.value;
    if (spec.kind === "steps") return input.value === "" ? null : Number(input.value);
    return Math.min(spec.high, Math.max(spec.low, Number(input.value) || 0));
  }

  const shown = (spec, value) => (spec.step && spec.step < 1 ? Number(value).toFixed(1) : String(value));

  // Settings that exclude each other give way to the one just turned; the server declares what each of them needs.
  function set(spec, value) {
    if (spec.key === "checkpoint") return app.useCheckpoint(value);
    const config = { ...app.query.config, [spec.key]: value },
      rules = app.data.rules,
      own = rules[spec.key];
    if (own && value !== own.off) Object.assign(config, own.needs, own.suits);
    for (const [key, { off, needs }] of Object.entries(rules))
      if (Object.entries(needs).some(([other, needed]) => config[other] !== needed)) config[key] = off;
    app.change({ config }, { decode: true });
  }

  function draw() {
    const config = app.query.config,
      base = app.checkpoint().config;
    let changed = 0;
    for (const [key, { spec, input, out }] of controls) {
      const value = key === "checkpoint" ? app.query.checkpoint : config[key];
      if (spec.kind === "steps") steps(input, value);
      else if (spec.kind === "switch") input.checked = value;
      else if (document.activeElement !== input || spec.kind !== "number") input.value = value;
      setText(out, shown(spec, value));
      if (key !== "checkpoint" && value !== base[key]) changed++;
      input.disabled = !app.canDecode() && !(key === "checkpoint");
    }
    setText(app.part("changes"), changed ? ` (${changed})` : "");
    app.root.querySelector('[data-do="reset"]').disabled =
      !changed && !app.query.config.pins.length && !app.query.config.forbid_tokens.length;
  }

  function steps(input, value) {
    const most = app.model ? app.model.trace.levels.length : 7;
    if (input.options.length !== most)
      input.replaceChildren(
        make("option", { value: "", text: T.auto }),
        ...Array.from({ length: most - 1 }, (_, n) => make("option", { value: n + 1, text: n + 1 })),
      );
    input.value = value === null ? "" : String(value);
  }

  function interventions() {
    const box = app.part("interventions"),
      config = app.query.config;
    const chips = [
      ["pins", T.pin_chip],
      ["forbid_tokens", T.forbid_chip],
    ].flatMap(([verb, words]) =>
      config[verb].map(([position, code]) => {
        const text = fill(words, { level: app.levelName(position), label: app.tokenName(position, code) });
        return make(
          "span",
          { class: "chip " + verb },
          make("span", { text }),
          make("button", {
            type: "button",
            "aria-label": fill(T.lift, { label: text }),
            text: "×",
            disabled: !app.canDecode(),
            onclick: () => app.lift(verb, position, code),
          }),
        );
      }),
    );
    box.hidden = !chips.length;
    box.replaceChildren(make("span", { class: "mr-label", text: T.interventions }), ...chips);
  }

  function toggle() {
    const panel = app.part("settings");
    panel.hidden = !panel.hidden;
    app.root.querySelector('[data-do="settings"]').setAttribute("aria-expanded", String(!panel.hidden));
  }

  return {
    build,
    draw: () => {
      draw();
      interventions();
    },
    acts: { settings: toggle, reset: () => app.change({ config: { ...app.checkpoint().config } }, { decode: true }) },
  };
}

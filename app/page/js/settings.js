// @ts-check
// Settings: every dial with its line of help, or why it does not apply; a change decodes again and keeps the step in
// view.

import { make, setText } from "./core.js";
import { fill } from "./words.js";

export function makeSettings(app) {
  const T = app.T;
  const controls = new Map();

  function build() {
    const many = app.data.checkpoints.length > 1,
      specs = app.data.settings.filter(({ kind }) => kind !== "checkpoint" || many);
    for (const [part, basic] of [
      ["fields", true],
      ["more-fields", false],
    ])
      app.part(part).replaceChildren(...specs.filter((spec) => spec.basic === basic).map(field));
  }

  function field(spec) {
    const id = "mr-set-" + spec.key,
      out = make("output", { for: id }),
      why = make("small", { id: id + "-why", class: "why", hidden: true });
    const input = control(spec, id);
    controls.set(spec.key, { spec, input, out, why });
    input.addEventListener("input", () => setText(out, shown(spec, value(spec, input))));
    input.addEventListener("change", () => set(spec, value(spec, input)));
    return make(
      "div",
      { class: "field" },
      make("label", { for: id, text: spec.name }),
      make("span", { class: "in" }, input, spec.kind === "range" ? out : null),
      make("small", { id: id + "-help", text: spec.help }),
      why,
    );
  }

  function control(spec, id) {
    const about = { id, "aria-describedby": `${id}-help ${id}-why` };
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
      rule = rules[spec.key];
    if (rule && value !== rule.off) Object.assign(config, rule.needs);
    for (const [key, { off, needs }] of Object.entries(rules))
      if (Object.entries(needs).some(([other, needed]) => config[other] !== needed)) config[key] = off;
    app.change({ config }, { decode: true });
  }

  // Conditions on other settings without which this one means nothing: null where all hold, else the choices of one
  // that does not, of which any is enough.
  function lacks(key, config) {
    const rule = app.data.rules[key];
    if (!rule) return null;
    const needs = Object.entries(rule.needs).filter(([other]) => controls.has(other)); // others give way unseen
    const needed = [...needs.map(([other, value]) => ({ [other]: { is: value } })), ...rule.with];
    const holds = ([other, ask]) =>
      ("is" in ask ? config[other] === ask.is : config[other] !== ask.not) && !lacks(other, config);
    const missing = needed.find((choices) => !Object.entries(choices).some(holds));
    return missing ? Object.entries(missing) : null;
  }

  const named = (key) => (controls.has(key) ? controls.get(key).spec.name : key);
  const worded = (key, value) => {
    const spec = controls.has(key) ? controls.get(key).spec : {};
    const choice = (spec.choices || []).find(([name]) => name === value);
    if (choice) return choice[1];
    return value === null ? (spec.kind === "steps" ? T.auto : T.setting_none) : String(value);
  };

  // The one value that mends it: the one that is asked for, or of two the one that is not ruled out.
  function wanted(key, ask) {
    if ("is" in ask) return ask.is;
    const choices = (controls.has(key) && controls.get(key).spec.choices) || [];
    return choices.length === 2 ? choices.map(([value]) => value).find((value) => value !== ask.not) : undefined;
  }

  function reason([key, ask]) {
    const value = wanted(key, ask),
      words = typeof ask.not === "number" ? T.setting_above : T.setting_not;
    if (value === undefined) return fill(words, { name: named(key), value: worded(key, ask.not) });
    return fill(T.setting_is, { name: named(key), value: worded(key, value) });
  }

  // Greyed out, with the reason in words and, where one value mends it, a button that sets it.
  function grey({ input, why }, missing) {
    const words = missing ? fill(T.setting_only, { reason: missing.map(reason).join(T.setting_or) }) : "";
    input.closest(".field").classList.toggle("idle", Boolean(missing));
    why.hidden = !missing;
    if (why.dataset.words === words) return;
    why.dataset.words = words;
    why.replaceChildren(words);
    const [key, ask] = missing && missing.length === 1 ? missing[0] : [];
    const value = ask && wanted(key, ask);
    if (value === undefined || !controls.has(key)) return;
    const label = fill(T.setting_use, { name: named(key), value: worded(key, value) });
    const about = { type: "button", class: "mr-link-like", "aria-label": label, text: T.setting_set };
    why.append(" ", make("button", { ...about, onclick: () => set(controls.get(key).spec, value) }));
  }

  function draw() {
    const config = app.query.config,
      base = app.checkpoint().config;
    let changed = 0,
      hidden = 0;
    for (const [key, field] of controls) {
      const { spec, input, out } = field;
      const value = key === "checkpoint" ? app.query.checkpoint : config[key];
      if (spec.kind === "steps") steps(input, value);
      else if (spec.kind === "switch") input.checked = value;
      else if (document.activeElement !== input || spec.kind !== "number") input.value = value;
      setText(out, shown(spec, value));
      const missing = lacks(key, config);
      if (key !== "checkpoint" && value !== base[key]) {
        changed++;
        if (!spec.basic) hidden++;
      }
      grey(field, missing);
      input.disabled = (!app.canDecode() && !(key === "checkpoint")) || Boolean(missing);
    }
    setText(app.part("more-changes"), hidden ? ` (${hidden})` : "");
    setText(app.part("changes"), changed ? ` (${changed})` : "");
    app.root.querySelector('[data-do="reset"]').disabled =
      !changed && !app.query.config.pins.length && !app.query.config.forbid_tokens.length;
  }

  function steps(input, value) {
    const levels = app.model ? app.model.trace.levels.length : 7;
    if (input.options.length !== levels)
      input.replaceChildren(
        make("option", { value: "", text: T.auto }),
        ...Array.from({ length: levels - 1 }, (_, n) => make("option", { value: n + 1, text: n + 1 })),
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

  return {
    build,
    draw: () => {
      draw();
      interventions();
    },
    acts: { reset: () => app.change({ config: { ...app.checkpoint().config } }, { decode: true }) },
  };
}

// @ts-check
// The filters over the table: fields for the usual ones, a chip for every one that is set.

import { make } from "./core.js";
import { fill } from "./words.js";

const RANGES = ["history_length", "item_popularity"];

export function makeFilters(d) {
  const { D, state, part, page } = d,
    causes = page.data.words.causes,
    controls = new Map();

  function build() {
    const table = d.table();
    controls.clear();
    part("fields").replaceChildren(
      search(),
      choice("outcome", [
        ["hit", D.hit],
        ["miss", D.miss],
      ]),
      choice(
        "cause",
        Object.entries(causes).map(([key, [name]]) => [key, name]),
      ),
      choice(
        "step",
        table.steps.map((step) => [String(step), String(step)]),
      ),
      choice(
        "level",
        table.levels.map((name, at) => [String(at), name]),
      ),
      ...(table.sections.length ? [choice("gold", table.sections)] : []),
      ...RANGES.map(range),
      starred(),
    );
  }

  const field = (key, words, ...inner) =>
    make(
      "div",
      { class: "field f-" + key },
      make("label", { class: "mr-label", for: "mr-f-" + key, text: words }),
      ...inner,
    );

  // Sets a filter once a person has stopped typing: to what was typed, whatever is drawn into the field meanwhile.
  function afterTyping(key) {
    let timer = 0;
    return (value) => {
      clearTimeout(timer);
      timer = setTimeout(() => d.filter({ [key]: value }, { toggle: false }), 160);
    };
  }

  function search() {
    const input = make("input", {
      id: "mr-f-q",
      type: "text",
      maxlength: 200,
      autocomplete: "off",
      placeholder: D.search_hint,
    });
    const typed = afterTyping("q");
    input.addEventListener("input", () => typed(input.value.trim()));
    controls.set("q", (value) => {
      if (document.activeElement !== input) input.value = value;
    });
    return field("q", D.search, input);
  }

  function choice(key, choices) {
    const input = make(
      "select",
      { id: "mr-f-" + key },
      make("option", { value: "", text: D.any }),
      ...choices.map(([value, words]) => make("option", { value, text: words })),
    );
    input.addEventListener("change", () => d.filter({ [key]: input.value }, { toggle: false }));
    controls.set(key, (value) => {
      input.value = value;
      if (input.selectedIndex < 0) input.value = "";
    });
    return field(key, D[key], input);
  }

  function range(key) {
    const end = (side) =>
      make("input", {
        id: side === "from" ? "mr-f-" + key : null,
        type: "number",
        min: 0,
        placeholder: D[side],
        "aria-label": `${D[key]}, ${D[side]}`,
      });
    const low = end("from"),
      high = end("to");
    const typed = afterTyping(key);
    const set = () => typed(low.value || high.value ? `${low.value}..${high.value}` : "");
    for (const input of [low, high]) input.addEventListener("input", set);
    controls.set(key, (value) => {
      if ([low, high].includes(document.activeElement)) return;
      [low.value, high.value] = ends(value);
    });
    return field(key, D[key], make("span", { class: "pair" }, low, high));
  }

  function starred() {
    const input = make("input", { id: "mr-f-only", type: "checkbox" });
    input.addEventListener("change", () =>
      d.filter({ only: input.checked ? d.notes.starred(d.table().key).join(",") || "-1" : "" }, { toggle: false }),
    );
    controls.set("only", (value) => {
      input.checked = Boolean(value);
    });
    return field("only", D.starred, input);
  }

  const ends = (value) => {
    const [low, high] = String(value).split("..");
    return [low || "", high === undefined ? low || "" : high];
  };
  const round = (text) => (text === "" ? "" : String(Number(Number(text).toPrecision(3))));

  function words(key, value, names) {
    if (key === "cause" && causes[value]) return causes[value][0];
    if (key === "error" || key === "rescue") return page.data.words[key][value] || value;
    if (key === "outcome") return D[value] || value;
    if (key === "level") return d.table().levels[Number(value)] || value;
    if (["gold", "top", "item", "answer"].includes(key)) return names[key] || value;
    if (key === "only") return D.starred;
    if (key === "cold_item" || key === "repeated_category")
      return value.startsWith("1") ? page.data.words.charts.yes : page.data.words.charts.no;
    if (key === "q" || key === "step") return value;
    const [low, high] = ends(value).map(round);
    return low && high
      ? low === high
        ? low
        : fill(D.range_all, { low, high })
      : low
        ? fill(D.range_from, { low })
        : fill(D.range_to, { high });
  }

  function draw(names) {
    for (const [key, set] of controls) set(state.filters[key] || "");
    const chips = Object.entries(state.filters).map(([key, value]) => {
      const name = key === "q" ? D.search : D[key] || key;
      return make(
        "span",
        { class: "chip" },
        make("span", { text: fill(D.chip, { name, value: words(key, value, names) }) }),
        make("button", {
          type: "button",
          "aria-label": fill(D.chip_lift, { name }),
          text: "×",
          onclick: () => d.filter({ [key]: "" }, { toggle: false }),
        }),
      );
    });
    if (chips.length)
      chips.push(
        make("button", {
          type: "button",
          class: "mr-small mr-quiet",
          text: D.clear,
          onclick: () => {
            state.filters = {};
            state.page = 0;
            d.update();
          },
        }),
      );
    part("chips").hidden = !chips.length;
    part("chips").replaceChildren(...chips);
  }

  return { build, draw };
}

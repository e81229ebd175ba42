// The filters over the table: fields for the usual ones, a chip for every one that is set.

function makeFilters(d) {
  const { D, state, part, page } = d, causes = page.data.words.causes, controls = new Map();
  let timer = 0;

  function build() {
    const table = d.table();
    controls.clear();
    part("fields").replaceChildren(search(), choice("outcome", [["hit", D.hit], ["miss", D.miss]]), choice("cause", Object.entries(causes).map(([key, [name]]) => [key, name])),
      choice("step", table.steps.map((step) => [String(step), String(step)])), choice("level", table.levels.map((name, at) => [String(at), name])),
      ...(table.sections.length ? [choice("gold", table.sections)] : []), ...RANGES.map(range), starred());
  }

  const field = (key, words, ...inner) => make("div", { class: "field f-" + key }, make("label", { class: "mr-label", for: "mr-f-" + key, text: words }), ...inner);

  function search() {
    const input = make("input", { id: "mr-f-q", type: "text", maxlength: 200, autocomplete: "off", placeholder: D.search_hint });
    input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => d.filter({ q: input.value.trim() }, { toggle: false }), 160); });
    controls.set("q", (value) => { if (document.activeElement !== input) input.value = value; });
    return field("q", D.search, input);
  }

  function choice(key, choices) {
    const input = make("select", { id: "mr-f-" + key }, make("option", { value: "", text: D.any }), ...choices.map(([value, words]) => make("option", { value, text: words })));
    input.addEventListener("change", () => d.filter({ [key]: input.value }, { toggle: false }));
    controls.set(key, (value) => { input.value = value; if (input.selectedIndex < 0) input.value = ""; });
    return field(key, D[key], input);
  }

  function range(key) {
    const end = (side) => make("input", { id: side === "from" ? "mr-f-" + key : null, type: "number", min: 0, placeholder: D[side], "aria-label": `${D[key]}, ${D[side]}` });
    const low = end("from"), high = end("to");
    const set = () => { clearTimeout(timer); timer = setTimeout(() => d.filter({ [key]: low.value || high.value ? `${low.value}..${high.value}` : "" }, { toggle: false }), 160); };
    for (const input of [low, high]) input.addEventListener("input", set);
    controls.set(key, (value) => { if ([low, high].includes(document.activeElement)) return; [low.value, high.value] = ends(value); });
    return field(key, D[key], make("span", { class: "pair" }, low, high));
  }

  function starred() {
    const input = make("input", { id: "mr-f-only", type: "checkbox" });
    input.addEventListener("change", () => d.filter({ only: input.checked ? d.notes.starred(d.table().key).join(",") || "-1" : "" }, { toggle: false }));
    controls.set("only", (value) => { input.checked = Boolean(value); });
    return field("only", D.starred, input);
  }

  const ends = (value) => { const [low, high] = String(value).split(".."); return [low || "", high === undefined ? low || "" : high]; };
  const round = (text) => (text === "" ? "" : String(Number(Number(text).toPrecision(3))));

  function words(key, value, names) {
    if (key === "cause" && causes[value]) return causes[value][0];
    if (key === "outcome") return D[value] || value;
    if (key === "level") return d.table().levels[Number(value)] || value;
    if (key === "gold" || key === "top") return names[key] || value;
    if (key === "only") return D.starred;
    if (key === "cold_item" || key === "repeated_category") return value.startsWith("1") ? page.data.words.charts.yes : page.data.words.charts.no;
    if (key === "q" || key === "step") return value;
    const [low, high] = ends(value).map(round);
    return low && high ? (low === high ? low : fill(D.range_all, { low, high })) : low ? fill(D.range_from, { low }) : fill(D.range_to, { high });
  }

  function draw(names) {
    for (const [key, set] of controls) set(state.filters[key] || "");
    const chips = Object.entries(state.filters).map(([key, value]) => {
      const name = key === "q" ? D.search : D[key] || key;
      return make("span", { class: "chip" }, make("span", { text: fill(D.chip, { name, value: words(key, value, names) }) }),
        make("button", { type: "button", "aria-label": fill(D.chip_lift, { name }), text: "×", onclick: () => d.filter({ [key]: "" }, { toggle: false }) }));
    });
    if (chips.length) chips.push(make("button", { type: "button", class: "mr-small mr-quiet", text: D.clear, onclick: () => { state.filters = {}; state.page = 0; d.update(); } }));
    part("chips").hidden = !chips.length;
    part("chips").replaceChildren(...chips);
  }

  return { build, draw };
}

// -- a sample made here ----------------------------------------------------------------------------------------------

function makeSample(d) {
  const { D, part, page } = d, most = page.data.diagnosis.most_sample, size = part("sample-size"), bar = part("sample-bar"), button = part("sample").querySelector("button");
  size.max = most;
  setText(part("sample-words"), fill(D.sample_help, { most }));

  async function run() {
    const watch = page.watch, users = Math.max(1, Math.min(most, Number(size.value) || 100));
    const asked = { checkpoint: watch.query.checkpoint, config: watch.query.config, users, seed: 0 };
    let job = null;
    for (;;) {
      const answer = await page.ask("sample", job === null ? asked : { job }, d.say);
      if (!answer) return setText(part("sample-words"), fill(D.sample_help, { most }));
      if (answer.job !== undefined) job = answer.job;
      if (answer.table) return finish(answer);
      setText(part("sample-words"), answer.waiting || fill(D.sample_working, answer));
      bar.value = answer.total ? answer.done / answer.total : 0;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  function finish(answer) {
    if (!d.tables.some((table) => table.name === answer.table.name)) d.tables.push(answer.table);
    setText(part("sample-words"), fill(D.sample_done, { name: answer.table.name, total: answer.total }));
    return d.choose(answer.table.name);
  }

  part("sample").addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    bar.hidden = false;
    d.say("");
    await run();
    bar.hidden = true;
    button.disabled = false;
  });
}

// -- two tables ------------------------------------------------------------------------------------------------------

function makeVersus(d) {
  const { D, part, page } = d, causes = page.data.words.causes, out = part("versus-out");

  d.drawVersus = () => {
    const options = () => d.tables.map((table) => make("option", { value: table.name, text: table.name }));
    const before = [part("left").value, part("right").value];
    part("left").replaceChildren(...options());
    part("right").replaceChildren(...options());
    part("left").value = before[0] || d.tables[0].name;
    part("right").value = before[1] || d.tables[Math.min(1, d.tables.length - 1)].name;
  };

  const number = (value) => value.toFixed(4);
  const p = (value) => (value < 0.001 ? "< 0.001" : value.toFixed(3));

  function tests(answer) {
    const names = [D.measure, part("left").value, part("right").value, D.difference, D.only_left, D.only_right, D.p, D.test];
    const rows = answer.tests.map((t) => make("tr", {}, make("th", { scope: "row", text: t.measure }), ...[number(t.left), number(t.right), (t.difference > 0 ? "+" : "") + number(t.difference), count(t.only_left), count(t.only_right), p(t.p)].map((text) => make("td", { class: "n", text })), make("td", { text: t.test })));
    return make("table", { class: "mr-table tests" }, make("thead", {}, make("tr", {}, ...names.map((text) => make("th", { scope: "col", text })))), make("tbody", {}, ...rows));
  }

  function flipped(answer) {
    const side = (name, at) => make("button", { type: "button", class: "mr-small", text: at.rank === null ? (at.cause ? causes[at.cause][0] : D.no_rank) : fill(D.rank_at, { rank: at.rank + 1 }), onclick: () => d.open(at, part(name).value) });
    const rows = answer.flipped.map((f) => make("tr", {}, make("th", { scope: "row", text: f.title }), make("td", {}, side("left", f.left)), make("td", {}, side("right", f.right)), make("td", { text: D[f.better] }), make("td", { class: "id", text: f.user })));
    const head = [D.title_col, part("left").value, part("right").value, D.better, D.user_id];
    return make("div", { class: "mr-scroll mr-flipped", tabindex: 0 }, make("table", { class: "mr-table" }, make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col", text })))), make("tbody", {}, ...rows)));
  }

  part("versus-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await page.ask("compare_cases", { left: part("left").value, right: part("right").value }, d.say);
    if (!answer) return out.replaceChildren();
    out.replaceChildren(make("p", { class: "mr-found", text: fill(D.versus_line, { cases: count(answer.cases), flipped: count(answer.all_flipped) }) }), make("div", { class: "mr-scroll" }, tests(answer)), ...(answer.flipped.length ? [flipped(answer)] : []));
  });
}

// The Diagnose tab: a table that the server filters, charts that filter it, and a way from every case to the stage.

const RANGES = ["history_length", "item_popularity"];

function makeDiagnose(page, panel) {
  const { data } = page, D = data.words.diagnose, causes = data.words.causes, tables = data.diagnosis.tables;
  const part = (name) => panel.querySelector(`[data-part="${name}"]`);
  const say = (words) => sayIn(part("message"), words);
  const state = { table: null, filters: {}, sort: null, down: false, page: 0, by: data.diagnosis.slices[0], level: 0 };
  const d = { page, panel, part, say, D, state, tables, table: () => tables.find((t) => t.name === state.table), notes: makeNotes() };
  const charts = makeCharts(page, panel, (filter) => d.filter(filter));
  const list = makeCaseList(d), fields = makeFilters(d);
  makeVersus(d);
  let turn = 0, wait = 0;

  // Every change goes through here; the newest answer wins.
  d.update = async ({ figures = true } = {}) => {
    const mine = ++turn, asked = { table: state.table, filters: state.filters, sort: state.sort, down: state.down, page: state.page };
    say("");
    fields.draw({});
    const drawing = figures ? page.ask("case_charts", { ...asked, by: state.by, level: state.level }, say) : null;
    const answer = await page.ask("cases", asked, say);
    if (mine !== turn || !answer) return;
    state.page = answer.page;
    fields.draw(answer.names);
    list.draw(answer);
    const drawn = await drawing;
    if (mine !== turn) return;
    if (drawn) await charts.draw(drawn.figures);
    panel.dataset.turn = String(mine); // what a test waits for
  };

  // A filter that is set already is lifted by setting it again, as a second click on a bar does.
  d.filter = (patch, { toggle = true } = {}) => {
    const same = toggle && Object.entries(patch).every(([key, value]) => state.filters[key] === value);
    for (const [key, value] of Object.entries(patch)) {
      if (same || value === "" || value === null) delete state.filters[key];
      else state.filters[key] = value;
    }
    state.page = 0;
    clearTimeout(wait);
    wait = setTimeout(d.update, 60);
  };

  d.open = async (line, table) => {
    say("");
    const answer = await page.ask("case", { table: table || state.table, number: line.n }, say);
    if (!answer) return;
    page.watch.openBundle(answer, answer);
    page.show("watch");
    page.watch.go(answer.step);
    page.watch.part("stage").focus({ preventScroll: true });
    page.watch.part("stage").scrollIntoView({ block: "start" });
  };

  d.choose = (name, filters = {}) => {
    Object.assign(state, { table: name, filters, page: 0 });
    const table = d.table();
    part("none").hidden = Boolean(table);
    part("open").hidden = !table;
    part("table").replaceChildren(...tables.map((t) => make("option", { value: t.name, text: t.name })));
    part("table-field").hidden = !tables.length;
    part("versus").hidden = tables.length < 2;
    if (!table) return setText(part("table-line"), "");
    part("table").value = name;
    setText(part("table-line"), fill(D.table_line, { cases: count(table.cases), checkpoint: table.checkpoint, split: table.split, k: table.k, decoder: table.decoder }));
    part("confusion-level").replaceChildren(...table.levels.slice(0, table.categories).map((level, at) => make("option", { value: at, text: level })));
    part("confusion-level").value = state.level;
    fields.build();
    d.drawVersus();
    return d.update();
  };

  function address() {
    const url = new URL(location.href.split(/[?#]/)[0]), put = (key, value) => value !== null && value !== "" && url.searchParams.set(key, value);
    put("tab", "diagnose");
    put("table", state.table);
    for (const [key, value] of Object.entries(state.filters)) put("f." + key, value);
    put("sort", state.sort);
    if (state.down) put("down", "1");
    if (page.asked.get("__theme")) put("__theme", page.asked.get("__theme"));
    return url.href;
  }

  function follow() {
    const given = page.asked, table = tables.find((t) => t.name === given.get("table")), filters = {};
    for (const [key, value] of given) if (key.startsWith("f.")) filters[key.slice(2)] = value;
    Object.assign(state, { sort: given.get("sort"), down: given.get("down") === "1" });
    d.choose(table ? table.name : tables.length ? tables[0].name : null, table || !given.get("table") ? filters : {});
    if (given.get("table") && !table) say(fill(D.no_table, { name: given.get("table").slice(0, 60) }));
  }

  async function save(format) {
    const answer = await page.ask("export_cases", { table: state.table, filters: state.filters, sort: state.sort, down: state.down, format }, say);
    if (!answer) return;
    const bytes = Uint8Array.from(atob(answer.base64), (letter) => letter.charCodeAt(0));
    download(answer.name, new Blob([bytes]), "");
    setText(part("done"), fill(D.saved, { name: answer.name }));
  }

  const acts = {
    previous: () => { state.page--; d.update({ figures: false }); }, next: () => { state.page++; d.update({ figures: false }); },
    link: () => copyLink(address(), part("link"), (words) => setText(part("done"), words), { copied: D.linked, failed: data.text.copy_failed }),
  };
  panel.addEventListener("click", (event) => { const on = event.target.closest("[data-do]"); if (on && acts[on.dataset.do]) acts[on.dataset.do](); });
  part("formats").append(...data.diagnosis.formats.map((format) => make("button", { type: "button", class: "mr-small", text: format.toUpperCase(), onclick: () => save(format) })));
  part("slice-by").append(...data.diagnosis.slices.map((by) => make("option", { value: by, text: data.words.charts["by_" + by] })));
  part("slice-by").addEventListener("change", () => { state.by = part("slice-by").value; d.update(); });
  part("confusion-level").addEventListener("change", () => { state.level = Number(part("confusion-level").value); d.update(); });
  part("table").addEventListener("change", () => d.choose(part("table").value));
  makeSample(d);
  follow();
  return { shown: () => charts.draw() };
}

// -- the table -----------------------------------------------------------------------------------------------------

function makeCaseList(d) {
  const { D, state, part, page } = d, causes = page.data.words.causes;
  const columns = [["star"], ["title", D.title_col], ["answer", D.answer], ["gold_rank", D.gold_rank], ["cause", D.cause], ["died_step", D.died_step],
    ["margin", D.margin, D.margin_help], ["history_length", D.history], ["item_popularity", D.popularity, D.popularity_help], ["top_probability", D.top_probability], ["user_id", D.user_id], ["note"]];

  function head() {
    return make("tr", {}, ...columns.map(([key, words, help]) => {
      if (!words) return make("td");
      const on = state.sort === key;
      const sort = () => { state.down = on ? !state.down : false; state.sort = on && !state.down ? null : key; state.page = 0; d.update({ figures: false }); };
      return make("th", { scope: "col", "aria-sort": on ? (state.down ? "descending" : "ascending") : null, class: "s-" + key },
        make("button", { type: "button", title: help, text: words + (on ? (state.down ? " ▼" : " ▲") : ""), onclick: sort }));
    }));
  }

  function draw(answer) {
    const table = d.table();
    setText(part("found"), fill(D.found, { found: count(answer.found), cases: count(table.cases), hits: count(answer.hits), rate: answer.found ? percent(answer.hits / answer.found) : "–" }));
    setText(part("page"), fill(D.page_of, { page: count(answer.page + 1), pages: count(answer.pages) }));
    d.panel.querySelector('[data-do="previous"]').disabled = answer.page === 0;
    d.panel.querySelector('[data-do="next"]').disabled = answer.page + 1 >= answer.pages;
    const rows = answer.lines.length ? answer.lines.flatMap(line) : [make("tr", {}, make("td", { colspan: columns.length, class: "none", text: D.nothing }))];
    part("cases").replaceChildren(make("thead", {}, head()), make("tbody", {}, ...rows));
  }

  function line(c) {
    const note = d.notes.get(d.table().key, c.n), cell = (words, name) => make("td", { class: name || "", text: words });
    const why = c.cause ? causes[c.cause] : null;
    const star = make("button", { type: "button", class: "star", "aria-pressed": String(Boolean(note.star)), "aria-label": note.star ? D.unstar : D.star, title: note.star ? D.unstar : D.star, text: note.star ? "★" : "☆" });
    star.addEventListener("click", () => { d.notes.set(d.table().key, c.n, { star: !note.star }); note.star = !note.star; star.textContent = note.star ? "★" : "☆"; star.setAttribute("aria-pressed", String(note.star)); });
    const open = make("button", { type: "button", class: "open", title: fill(D.open, { title: c.title }), onclick: () => d.open(c) }, make("b", { text: c.title }), make("small", { text: c.path }));
    const write = make("button", { type: "button", class: "mr-small mr-quiet", "aria-label": fill(D.note_of, { title: c.title }), text: note.text ? "✎ " + D.note : D.note });
    const row = make("tr", { class: c.hit ? "hit" : "miss", data: { n: c.n } }, make("td", {}, star), make("th", { scope: "row" }, open), cell(c.answer), cell(c.rank === null ? "–" : String(c.rank + 1), "n"),
      make("td", {}, make("span", { class: "tag " + (c.cause || "hit"), title: why ? why[1] : null, text: why ? why[0] : D.hit })),
      cell(c.step === null ? D.not_lost : fill(D.lost_at, { step: c.step, level: c.level || "–" })), cell(c.margin === null ? "–" : c.margin.toFixed(2), "n"), cell(String(c.length), "n"),
      cell(count(c.popularity), "n"), cell(percent(c.probability), "n"), cell(c.user, "id"), make("td", {}, write));
    const field = make("input", { type: "text", maxlength: 500, value: note.text || "", "aria-label": fill(D.note_of, { title: c.title }) });
    const below = make("tr", { class: "note" }, make("td", { colspan: columns.length }, field));
    below.hidden = !note.text;
    field.addEventListener("input", () => { d.notes.set(d.table().key, c.n, { text: field.value }); setText(write, field.value ? "✎ " + D.note : D.note); });
    write.addEventListener("click", () => { below.hidden = !below.hidden; if (!below.hidden) field.focus(); });
    row.addEventListener("dblclick", () => d.open(c));
    return [row, below];
  }

  return { draw };
}

// Bookmarks and notes live in this browser, under the trips that they speak of.
function makeNotes() {
  const KEY = "mindrec-cases";
  const read = () => { try { return JSON.parse(remember(KEY)) || {}; } catch { return {}; } };
  return {
    get: (key, n) => ({ ...((read()[key] || {})[n] || {}) }),
    set: (key, n, patch) => { const all = read(); all[key] = { ...all[key], [n]: { ...((all[key] || {})[n] || {}), ...patch } }; remember(KEY, JSON.stringify(all)); },
    starred: (key) => Object.entries(read()[key] || {}).filter(([, note]) => note.star).map(([n]) => n),
  };
}

// @ts-check
// The Diagnose tab: a table that the server filters, charts that filter it, and a way from every case to the stage.

import { drawBehaviour } from "./behaviour.js";
import { makeCaseList } from "./cases.js";
import { makeCasePage } from "./case_page.js";
import { makeCharts } from "./charts.js";
import { download, make, setText } from "./core.js";
import { makeFilters } from "./filters.js";
import { writeLink } from "./links.js";
import { makeNotes } from "./notes.js";
import { copyLink, sayIn } from "./panels.js";
import { makeSample } from "./sample.js";
import { drawSlices } from "./slices.js";
import { makeVersus } from "./versus.js";
import { count, fill } from "./words.js";

export function makeDiagnose(page, panel) {
  const { data } = page,
    D = data.words.diagnose,
    tables = data.diagnosis.tables;
  const part = (name) => panel.querySelector(`[data-part="${name}"]`);
  const say = (words) => sayIn(part("message"), words);
  const state = {
    ...{ table: null, filters: {}, sort: null, down: false, page: 0, about: null },
    ...{ by: data.diagnosis.slices[0], level: 0 },
  };
  const d = {
    page,
    panel,
    part,
    say,
    D,
    state,
    tables,
    table: () => tables.find((t) => t.name === state.table),
    notes: makeNotes(),
  };
  const charts = makeCharts(page, panel, (filter) => d.filter(filter));
  const list = makeCaseList(d),
    fields = makeFilters(d),
    about = makeCasePage(d);
  makeVersus(d, charts);
  let turn = 0,
    wait = 0,
    opening = 0,
    behind = true; // the charts show other filters than these, or none yet

  // The panel names the change that it shows, and nothing while one is on its way: a test waits for it.
  const shown = (mine) => {
    if (mine === turn) panel.dataset.turn = String(mine);
  };
  const begin = () => {
    panel.dataset.turn = "";
    return ++turn;
  };

  // Every change goes through here; the newest answer wins.
  d.update = async ({ figures = true } = {}) => {
    page.changed();
    behind ||= figures;
    const mine = begin(),
      question = { table: state.table, filters: state.filters, sort: state.sort, down: state.down, page: state.page };
    say("");
    fields.draw({});
    const drawing = behind ? page.ask("case_charts", { ...question, by: state.by, level: state.level }, say) : null;
    const answer = await page.ask("cases", question, say);
    if (mine !== turn) return;
    if (!answer) return shown(mine);
    state.page = answer.page;
    fields.draw(answer.names);
    list.draw(answer);
    const drawn = await drawing;
    if (mine !== turn) return;
    if (drawn) {
      drawSlices(part("slice-table"), drawn.slices, d.filter);
      await charts.draw(drawn.figures);
      if (mine === turn) behind = false;
    }
    shown(mine);
  };

  // A filter that is set already is lifted by setting it again, as a second click on a bar does.
  d.filter = (patch, { toggle = true } = {}) => {
    const same = toggle && Object.entries(patch).every(([key, value]) => state.filters[key] === value);
    for (const [key, value] of Object.entries(patch)) {
      if (same || value === "" || value === null) delete state.filters[key];
      else state.filters[key] = value;
    }
    state.page = 0;
    begin(); // an answer on its way is of the filters before
    clearTimeout(wait);
    wait = setTimeout(d.update, 60);
  };

  // These filters and no others.
  d.only = (filters) => {
    Object.assign(state, { filters: { ...filters }, page: 0 });
    return d.update();
  };

  d.open = async (line, table, rescue = false) => {
    say("");
    const mine = ++opening,
      answer = await page.ask("case", { table: table || state.table, number: line.n }, say);
    if (!answer || mine !== opening) return;
    page.watch.openBundle(answer, answer);
    if (rescue) return page.playRescue(answer, "diagnose");
    page.show("watch");
    page.watch.go(answer.step);
    page.watch.part("stage").focus({ preventScroll: true });
    page.watch.part("stage").scrollIntoView({ block: "start" });
  };

  d.choose = (name, filters = {}, named = null) => {
    Object.assign(state, { table: name, filters, page: 0, about: named });
    const table = d.table();
    part("none").hidden = Boolean(table);
    part("open").hidden = !table;
    part("table").replaceChildren(...tables.map((t) => make("option", { value: t.name, text: t.name })));
    part("table-field").hidden = !tables.length;
    part("versus").hidden = tables.length < 2;
    if (!table) return setText(part("table-line"), "");
    part("table").value = name;
    setText(
      part("table-line"),
      fill(D.table_line, {
        cases: count(table.cases),
        checkpoint: table.checkpoint,
        split: table.split,
        k: table.k,
        decoder: table.decoder,
      }) + (table.origin ? " · " + table.origin : ""),
    );
    part("confusion-level").replaceChildren(
      ...table.levels.slice(0, table.categories).map((level, at) => make("option", { value: at, text: level })),
    );
    part("confusion-level").value = state.level;
    drawBehaviour(part("behaviour"), data.diagnosis.behaviour[table.checkpoint]);
    fields.build();
    d.drawVersus();
    about.draw();
    return d.update();
  };

  const usual = (checkpoint) => (data.checkpoints.find((c) => c.name === checkpoint) || data.checkpoints[0]).config;

  // A sample is named by what it is made of, so that another person's page makes it again.
  function address() {
    const { table: name, filters, sort, down, about } = state,
      values = { tab: "diagnose", filters, sort, down, about, theme: page.linked.theme },
      table = d.table();
    if (!table || !table.sample) return writeLink(location.href, { ...values, table: name });
    const { checkpoint, config, users, seed } = table.sample,
      known = data.checkpoints[0].name;
    const made = { sample: `${users}.${seed}`, config, checkpoint: checkpoint === known ? null : checkpoint };
    return writeLink(location.href, { ...values, ...made }, usual(checkpoint));
  }

  function follow() {
    const { table: name, sample, filters, sort, down, about: named } = page.linked,
      table = tables.find((t) => t.name === name);
    Object.assign(state, { sort, down });
    const first = table || tables[0];
    d.choose(first ? first.name : null, table || !(name || sample) ? filters : {}, sample ? null : named);
    if (sample) return again(sample, filters).then(() => about.open(named, { enter: false }));
    if (name && !table) say(fill(D.no_table, { name: name.slice(0, 60) }));
  }

  function again(sample, filters) {
    const [users, seed] = sample.split(".").map((part) => parseInt(part, 10) || 0),
      checkpoint = page.linked.checkpoint || data.checkpoints[0].name;
    return d.sample({ checkpoint, config: { ...usual(checkpoint), ...page.linked.config }, users, seed }, filters);
  }

  // The browser's Back leads to the table's filters and the page of an item or a category.
  function back({ table: name, filters, sort, down, about: named }) {
    if (name !== state.table && tables.some((t) => t.name === name)) return d.choose(name, filters, named);
    const before = JSON.stringify([state.filters, state.sort, state.down]);
    Object.assign(state, { filters, sort, down });
    if (named !== state.about) about.open(named, { enter: false, focus: true });
    if (JSON.stringify([filters, sort, down]) !== before) d.update();
  }

  async function save(format) {
    const answer = await page.ask(
      "export_cases",
      { table: state.table, filters: state.filters, sort: state.sort, down: state.down, format },
      say,
    );
    if (!answer) return;
    const bytes = Uint8Array.from(atob(answer.base64), (letter) => letter.charCodeAt(0));
    download(answer.name, new Blob([bytes]), "");
    setText(part("done"), fill(D.saved, { name: answer.name }));
  }

  const acts = {
    previous: () => {
      state.page--;
      d.update({ figures: false });
    },
    next: () => {
      state.page++;
      d.update({ figures: false });
    },
    link: () =>
      copyLink(address(), part("link"), (words) => setText(part("done"), words), {
        copied: D.linked,
        failed: data.text.copy_failed,
      }),
  };
  panel.addEventListener("click", (event) => {
    const on = event.target.closest("[data-do]");
    if (on && acts[on.dataset.do]) acts[on.dataset.do]();
  });
  part("formats").append(
    ...data.diagnosis.formats.map((format) =>
      make("button", { type: "button", class: "mr-small", text: format.toUpperCase(), onclick: () => save(format) }),
    ),
  );
  part("slice-by").append(
    ...data.diagnosis.slices.map((by) => make("option", { value: by, text: data.words.charts["by_" + by] })),
  );
  part("slice-by").addEventListener("change", () => {
    state.by = part("slice-by").value;
    d.update();
  });
  part("confusion-level").addEventListener("change", () => {
    state.level = Number(part("confusion-level").value);
    d.update();
  });
  part("table").addEventListener("change", () => d.choose(part("table").value));
  makeSample(d);
  follow();
  return { shown: () => charts.draw(), address, back };
}

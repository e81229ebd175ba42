// @ts-check
// "Your data": a dialog that takes a table, shows what is in it, and trains on it. Only a local app offers it.

import { make, setText } from "./core.js";
import { fill } from "./words.js";

const POLL = 500,
  AGAIN = 1500,
  TRIES = 5,
  OF_ITEMS = ["title", "category", "brand"];

export function makeOwn(app) {
  const facts = app.data.own;
  if (!facts) return { acts: {} };
  const W = facts.words;
  const button = make("button", {
    type: "button",
    class: "mr-small mr-quiet",
    data: { do: "own" },
    title: W.open_help,
    text: W.open,
  });
  app.root.querySelector(".mr-head-tools").prepend(button);

  let key = null,
    items = null,
    log = null,
    job = null,
    result = null;
  const selects = new Map();
  const message = make("p", { class: "mr-message", role: "alert", hidden: true });
  const chooser = (label, then) => {
    const input = /** @type {HTMLInputElement} */ (
      make("input", { type: "file", class: "mr-sr", tabindex: "-1", "aria-label": label })
    );
    input.addEventListener("change", () => {
      const [first] = input.files;
      if (first) then(first);
      input.value = "";
    });
    return input;
  };
  const file = chooser(W.choose, take),
    item_file = chooser(W.items, takeItems);
  const drop = make("button", { type: "button", class: "mr-own-drop", text: W.choose, onclick: () => file.click() });
  const state = make("p", { class: "mr-own-state", role: "status" });
  const bar = make("progress", { max: "1", value: "0", "aria-label": W.title, hidden: true });
  const look = make("section", { class: "mr-own-look", hidden: true });
  const beside = make("section", { class: "mr-own-beside" });
  const said = make("ul", { class: "mr-own-said" });
  const work = make("section", { class: "mr-own-work", hidden: true });
  const cancel = make("button", { type: "button", text: W.cancel, onclick: stop });
  const watch = make("button", { type: "button", class: "mr-primary", text: W.watch, hidden: true, onclick: show });
  const heading = make("h2", { id: "mr-own-heading", text: W.title });
  const dialog = /** @type {HTMLDialogElement} */ (
    make(
      "dialog",
      { class: "mr-own", "aria-labelledby": "mr-own-heading" },
      make(
        "div",
        { class: "mr-own-head" },
        heading,
        make("button", { type: "button", class: "mr-quiet", text: W.close, onclick: () => dialog.close() }),
      ),
      make("p", { class: "mr-help", text: W.about }),
      drop,
      file,
      item_file,
      message,
      state,
      bar,
      make("div", { class: "mr-row" }, cancel, watch),
      look,
      work,
    )
  );
  cancel.hidden = true;
  app.root.append(dialog);
  // The page's own keys move the player.
  dialog.addEventListener("keydown", (event) => event.stopPropagation());

  const say = (words) => {
    message.hidden = !words;
    setText(message, words || "");
  };

  async function ask(name, request) {
    try {
      const answer = await app.server[name](request);
      if (answer && answer.error === undefined) return answer;
      say((answer && answer.error) || W.failed);
    } catch {
      say(W.failed);
    }
    return null;
  }

  // -- the file ---------------------------------------------------------------------------------------------------

  const base64 = (part) =>
    new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(String(reader.result).split(",")[1] || "");
      reader.onerror = reject;
      reader.readAsDataURL(part);
    });

  // A part that the rate refuses is sent again a little later.
  async function send(request) {
    for (let left = TRIES; left > 0; left--) {
      try {
        return await app.server.own_upload(request);
      } catch {
        await new Promise((resolve) => setTimeout(resolve, AGAIN));
      }
    }
    return { error: W.failed };
  }

  // The key of the file once it is sent whole; an item file is sent beside its log.
  async function upload(chosen, log) {
    const about = { name: chosen.name, most: String(facts.most / 1e6) };
    if (chosen.size > facts.most) return say(fill(W.too_big, about));
    let sent = null;
    for (let at = 0; at === 0 || at < chosen.size; at += facts.part) {
      const data = await base64(chosen.slice(at, at + facts.part));
      const answer = await send({ name: chosen.name, data, at, key: sent, log });
      if (!answer || answer.error !== undefined) return say((answer && answer.error) || W.failed);
      sent = answer.key;
      const percent = Math.floor((100 * Math.min(at + facts.part, chosen.size)) / Math.max(chosen.size, 1));
      setText(state, fill(W.sending, { ...about, percent }));
    }
    setText(state, "");
    return sent;
  }

  async function take(chosen) {
    say("");
    look.hidden = work.hidden = watch.hidden = true;
    const sent = await upload(chosen, null);
    if (!sent) return;
    key = sent;
    items = null;
    await inspect({});
  }

  async function takeItems(chosen) {
    say("");
    const sent = await upload(chosen, key);
    const answer = sent && (await ask("own_look_items", { key: sent, item: selects.get("item").value }));
    if (!answer) return;
    items = { key: sent, name: chosen.name, found: answer };
    describe();
    selects.get("item_id").focus();
  }

  // -- the look ---------------------------------------------------------------------------------------------------

  async function inspect(reading) {
    say("");
    const answer = await ask("own_look", { key, ...reading });
    if (!answer) return;
    draw(answer, reading);
    look.hidden = false;
    /** @type {HTMLElement} */ (look.querySelector("select")).focus();
  }

  function menu(name, label, choices, value) {
    const id = "mr-own-" + name;
    const select = /** @type {HTMLSelectElement} */ (
      make("select", { id }, ...choices.map(([each, words]) => make("option", { value: each, text: words })))
    );
    select.value = value || "";
    selects.set(name, select);
    return make("div", { class: "field" }, make("label", { for: id, text: label }), select);
  }

  const named = (table) => table.columns.filter((column) => column.name).map(({ name }) => [name, name]);

  // The item file's part of the look. The columns that describe items are that file's where there is one.
  function describe() {
    const table = items ? items.found : log;
    for (const role of OF_ITEMS) {
      const options = [["", W.none], ...named(table)].map(([value, text]) => make("option", { value, text }));
      selects.get(role).replaceChildren(...options);
      selects.get(role).value = table.roles[role] || "";
    }
    selects.delete("item_id");
    const without = () => {
      items = null;
      describe();
      beside.querySelector("button").focus();
    };
    beside.replaceChildren(
      make("h3", { text: W.items }),
      ...(items
        ? [
            make("p", { text: `${items.name}: ${items.found.how}` }),
            make("ul", { class: "mr-own-said" }, ...items.found.said.map((text) => make("li", { text }))),
            menu("item_id", W.items_id, named(items.found), items.found.roles.item),
            make("button", { type: "button", text: W.items_without, onclick: without }),
          ]
        : [
            make("p", { class: "mr-help", text: W.items_about }),
            make("button", { type: "button", text: W.items_choose, onclick: () => item_file.click() }),
          ]),
    );
  }

  function draw(table, reading) {
    selects.clear();
    const rows = table.columns.map((column) =>
      make(
        "tr",
        {},
        make("th", { scope: "row", text: column.name || W.no_name }),
        make("td", { text: column.kind }),
        make("td", { text: column.examples.join(", ") }),
      ),
    );
    const roles = Object.entries(W.roles).map(([role, label]) => {
      const needed = role === "user" || role === "item";
      const none = role === "time" ? W.rows_in_order : needed ? "" : W.none;
      return menu(role, label, [["", none], ...named(table)], table.roles[role]);
    });
    log = table;
    const withFoundFirst = (pairs) => [["", W.as_found], ...pairs];
    const how = [
      menu("separator", W.separator, withFoundFirst(Object.entries(W.separators)), reading.separator),
      menu("encoding", W.encoding, withFoundFirst(W.encodings.map((name) => [name, name])), reading.encoding),
      menu("header", W.header, withFoundFirst(Object.entries(W.headers)), reading.header || (table.header ? "" : "no")),
      menu("dates", W.dates, withFoundFirst(Object.entries(W.date_forms)), reading.dates),
    ];
    const quick = /** @type {HTMLInputElement} */ (make("input", { type: "checkbox", id: "mr-own-quick" }));
    look.replaceChildren(
      make("h3", { text: W.found }),
      make("p", { text: table.how }),
      make(
        "div",
        { class: "mr-scroll" },
        make(
          "table",
          {},
          make(
            "thead",
            {},
            make("tr", {}, ...[W.column, W.kind, W.examples].map((text) => make("th", { scope: "col", text }))),
          ),
          make("tbody", {}, ...rows),
        ),
      ),
      table.more ? make("p", { class: "mr-help", text: fill(W.more_columns, { n: table.more }) }) : "",
      make("ul", { class: "mr-own-said" }, ...table.said.map((text) => make("li", { text }))),
      make("h3", { text: W.meaning }),
      make("div", { class: "mr-fields" }, ...roles),
      beside,
      make(
        "details",
        {},
        make("summary", { text: W.reading }),
        make("div", { class: "mr-fields" }, ...how),
        make("button", { type: "button", text: W.look_again, onclick: () => inspect(readingNow()) }),
      ),
      make("p", {}, quick, " ", make("label", { for: "mr-own-quick", text: W.quick })),
      make("button", { type: "button", class: "mr-primary", text: W.train, onclick: () => train(quick.checked) }),
    );
    describe();
  }

  const chosen = (names) => Object.fromEntries(names.map((name) => [name, selects.get(name).value]));
  const readingNow = () => chosen(["separator", "encoding", "header", "dates"]);

  // -- the training -----------------------------------------------------------------------------------------------

  async function train(quick) {
    say("");
    const of_items = items ? { items: items.key, item_id: selects.get("item_id").value } : {};
    const request = { key, columns: chosen(Object.keys(W.roles)), quick, ...readingNow(), ...of_items };
    const answer = await ask("own_train", request);
    if (!answer) return;
    job = answer.job;
    look.hidden = true;
    work.hidden = bar.hidden = cancel.hidden = false;
    work.replaceChildren(
      make("h3", { text: W.said }),
      said,
      make(
        "details",
        {},
        make("summary", { text: W.commands }),
        make("pre", { class: "mr-scroll", text: answer.commands.join("\n") }),
      ),
    );
    cancel.focus();
    await follow(job);
    bar.hidden = cancel.hidden = true;
  }

  async function follow(mine) {
    while (mine === job) {
      const answer = await ask("own_poll", { job });
      if (!answer) {
        setText(state, "");
        return back(true);
      }
      said.replaceChildren(...answer.lines.map((text) => make("li", { text })));
      bar.value = answer.stage === "done" ? 1 : answer.epochs ? answer.epoch / answer.epochs : 0;
      if (answer.stage === "done") return finish(answer);
      if (answer.stage === "stopped") {
        setText(state, W.stopped);
        return back(false);
      }
      const words = { prepare: W.prepare_stage, train: answer.epoch ? W.epoch : W.train_stage, opening: W.opening };
      setText(state, fill(words[answer.stage], answer));
      await new Promise((resolve) => setTimeout(resolve, POLL));
    }
  }

  // To the menus again; what the commands refuse is often how the file is read.
  function back(refused) {
    look.hidden = false;
    look.querySelector("details").open ||= refused;
    selects.get("user").focus();
  }

  async function stop() {
    cancel.disabled = true;
    await ask("own_cancel", { job });
    cancel.disabled = false;
  }

  function finish(answer) {
    result = answer;
    app.addCheckpoint(answer.checkpoint);
    setText(state, [W.done, ...answer.lines.slice(-1)].join(" ")); // the last line compares the model with counting
    watch.hidden = false;
    if (dialog.open) watch.focus();
  }

  function show() {
    dialog.close();
    app.openCheckpoint(result.checkpoint);
  }

  for (const name of ["dragover", "dragleave", "drop"])
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      const [first] = name === "drop" ? event.dataTransfer.files : [];
      if (first) take(first);
    });

  return { acts: { own: () => dialog.showModal() } };
}

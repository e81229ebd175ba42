// @ts-check
// Links and files: a permalink, the trace, a replay, a picture, and reading a trace back.

import { cardFilm, cardPicture } from "./card.js";
import { download, setText } from "./core.js";
import { stageFilm, stagePicture } from "./film.js";
import { LINK_VERSION, readLink, writeLink } from "./links.js";
import { fill } from "./words.js";

const MAX_BYTES = 4000000;

export function makeShare(app) {
  const T = app.T,
    file = app.part("file"),
    link = app.part("link");

  const linked = readLink(location.href);

  // A history that this server did not decode cannot be asked for again: its link opens the page alone.
  function address() {
    const { query, model } = app,
      many = app.data.checkpoints.length > 1;
    const present = app.root.classList.contains("present"),
      theme = linked.theme;
    if (!query.items.length) return writeLink(location.href, { present, theme });
    const values = {
      ids: query.items.map((item) => item.id),
      target: query.target && query.target.id,
      checkpoint: many ? query.checkpoint : null,
      config: query.config,
      step: model ? app.step : 0,
    };
    return writeLink(location.href, { ...values, present, theme }, app.checkpoint().config);
  }

  // The decode that a link asks for, {error: words} where it cannot be read, null where it asks for none.
  async function read(values = linked) {
    if (values.version === null && !values.ids.length) return null;
    if (values.version !== LINK_VERSION)
      return { error: fill(T.link_version, { version: String(values.version).slice(0, 20) }) };
    const card = await app.findCheckpoint(values.checkpoint || app.data.checkpoints[0].name);
    if (!card) return { error: app.part("message").textContent };
    const { ids, target, step, present } = values;
    return { checkpoint: card.name, ids, target, config: { ...card.config, ...values.config }, step, present };
  }

  async function copy() {
    const url = address();
    try {
      await navigator.clipboard.writeText(url);
      done(T.copied);
      link.hidden = true;
    } catch {
      done(T.copy_failed);
      link.hidden = false;
    }
    link.value = url;
    if (!link.hidden) link.select();
  }

  const done = (words) => setText(app.part("done"), words);
  const name = (ending) => `mindrec-${app.model.trace.history.length}-items.${ending}`;

  function saveTrace() {
    download(name("trace.json"), JSON.stringify(app.model.trace), "application/json");
    done(fill(T.saved, { name: name("trace.json") }));
  }

  async function saveReplay() {
    done(T.saving);
    const answer = await app.ask("replay", { text: JSON.stringify(app.model.trace) });
    if (!answer) return done("");
    download(name("replay.html"), answer.html, "text/html");
    done(fill(T.saved, { name: name("replay.html") }));
  }

  async function save(ending, picture) {
    done(T.saving);
    app.parts.player.stop();
    try {
      const made = await picture();
      download(name(ending), made, made.type);
      done(fill(T.saved, { name: name(ending) }));
    } catch {
      done(T.failed);
    }
  }

  const savePicture = () => save("png", () => stagePicture(app));
  const saveFilm = () => save("film.gif", () => stageFilm(app, (step, last) => done(fill(T.filming, { step, last }))));

  const saveCard = () => save("card.png", () => cardPicture(app, here()));
  const saveCardFilm = () => save("card-film.gif", () => cardFilm(app, here()));
  const here = () => (app.server ? address() : location.href);

  async function open() {
    const chosen = file.files[0];
    file.value = "";
    if (!chosen) return;
    if (chosen.size > MAX_BYTES) return app.say(T.too_big);
    const newest = app.begin(),
      bundle = await app.ask("open_trace", { text: await chosen.text() }, newest);
    if (bundle && newest()) app.openBundle(bundle, { title: chosen.name, about: "" });
  }

  file.addEventListener("change", open);
  file.parentNode.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      file.click();
    }
  });
  return {
    read,
    address,
    acts: {
      link: copy,
      "save-trace": saveTrace,
      "save-replay": saveReplay,
      "save-png": savePicture,
      "save-film": saveFilm,
      "save-card": saveCard,
      "save-card-film": saveCardFilm,
    },
  };
}

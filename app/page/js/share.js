// @ts-check
// Links and files: a permalink, the trace, a replay, a picture, and reading a trace back.

import { download, setText } from "./core.js";
import { stageFilm, stagePicture } from "./film.js";
import { fill } from "./words.js";

export const LINK_VERSION = "1";
const MOST_BYTES = 4000000;
const PAIRS = ["pins", "forbid_tokens"];

export function makeShare(app) {
  const T = app.T,
    file = app.part("file"),
    link = app.part("link");

  function address() {
    const { query, model } = app,
      url = new URL(location.href.split(/[?#]/)[0]),
      put = (key, value) => url.searchParams.set(key, value);
    put("v", LINK_VERSION);
    put("h", query.items.map((item) => encodeURIComponent(item.id)).join(","));
    if (query.target) put("t", query.target.id);
    if (app.data.checkpoints.length > 1) put("ck", query.checkpoint);
    const base = app.checkpoint().config;
    for (const [key, value] of Object.entries(query.config)) {
      if (JSON.stringify(value) === JSON.stringify(base[key]) || value === null) continue;
      put(
        key,
        PAIRS.includes(key)
          ? value.map((pair) => pair.join(".")).join(",")
          : Array.isArray(value)
            ? value.join(",")
            : String(value),
      );
    }
    if (model && app.step) put("step", app.step);
    if (app.root.classList.contains("present")) put("view", "present");
    const theme = new URL(location.href).searchParams.get("__theme");
    if (theme) put("__theme", theme);
    return url.href;
  }

  // What a link asks for; null without one. The server checks ids and settings, this only reads them.
  function read() {
    const given = new URL(location.href).searchParams;
    if (!given.has("h") && !given.has("v")) return null;
    if (given.get("v") !== LINK_VERSION)
      return { error: fill(T.link_version, { version: String(given.get("v")).slice(0, 20) }) };
    const checkpoint = given.get("ck") || app.data.checkpoints[0].name,
      known = app.data.checkpoints.find((c) => c.name === checkpoint);
    const config = { ...(known || app.data.checkpoints[0]).config };
    for (const key of Object.keys(config)) if (given.has(key)) config[key] = parse(key, given.get(key), config[key]);
    let ids;
    try {
      ids = (given.get("h") || "").split(",").filter(Boolean).map(decodeURIComponent);
    } catch {
      ids = [given.get("h")];
    }
    return {
      checkpoint,
      ids,
      target: given.get("t"),
      config,
      step: Math.max(0, parseInt(given.get("step") || "0", 10) || 0),
      present: given.get("view") === "present",
    };
  }

  function parse(key, raw, base) {
    if (PAIRS.includes(key))
      return raw
        .split(",")
        .filter(Boolean)
        .map((pair) => pair.split(".").map(Number));
    if (Array.isArray(base)) return raw.split(",").filter(Boolean).map(Number);
    if (typeof base === "boolean") return raw === "true";
    if (typeof base === "string") return raw;
    return Number(raw);
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
      download(name(ending), await picture(), "image/png");
      done(fill(T.saved, { name: name(ending) }));
    } catch {
      done(T.failed);
    }
  }

  const savePicture = () => save("png", () => stagePicture(app));
  const saveFilm = () => save("film.png", () => stageFilm(app, (step, last) => done(fill(T.filming, { step, last }))));

  async function open() {
    const chosen = file.files[0];
    file.value = "";
    if (!chosen) return;
    if (chosen.size > MOST_BYTES) return app.say(T.too_big);
    const bundle = await app.ask("open_trace", { text: await chosen.text() });
    if (bundle) app.openBundle(bundle, { title: chosen.name, about: "" });
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
    },
  };
}

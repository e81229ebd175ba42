// @ts-check
// The map: every item of the catalog a point, as bright as the search finds it likely at this step. What can still be
// named is land; the rest of the catalog lies in the dark. One canvas, drawn whole at each step.

import { make, setText } from "./core.js";
import { count, fill, percent } from "./words.js";

const SHADES = 12; // points of one shade are one path
const FAINTEST = Math.log(1e5); // nats under the brightest item at which an item is as dark as none
const REACH = 14; // pixels from the pointer to a point
const SHORE = 9; // pixels from an item to the shore of its island
const MAX_LAND = 500; // islands are drawn once so few items are left
const LISTED = 5;

export function makeMap(app) {
  const T = app.T,
    box = app.part("map"),
    words = app.part("map-words"),
    canvas = make("canvas", { "aria-hidden": "true" }),
    tip = make("div", { class: "mr-tip", hidden: true }),
    acts = make("p", { class: "mr-row mr-map-acts" });
  const known = new Map(); // maps by checkpoint
  let map = null,
    steps = null,
    loaded = null,
    chosen = null;

  const shown = () => app.root.classList.contains("view-map");

  // The points of this checkpoint and the light of this trace, asked for once each, and only where they are looked at.
  async function load() {
    const { bundle } = app.model;
    if (!shown() || loaded === bundle) return;
    loaded = bundle;
    steps = null;
    if (!app.server) map = bundle.map || null;
    else if (bundle.checkpoint === null) map = null;
    else {
      map = known.get(bundle.checkpoint) || (await question("item_map", { checkpoint: bundle.checkpoint }));
      if (map) known.set(bundle.checkpoint, map);
    }
    if (loaded !== bundle) return;
    if (map && !bundle.partial) {
      const request = { checkpoint: bundle.checkpoint, text: JSON.stringify(bundle.trace) };
      const answer = app.server ? await question("item_masses", request) : map;
      if (loaded !== bundle) return;
      steps = answer && lightOf(answer.steps, map.x.length);
    }
    if (app.model.bundle === bundle) draw(app.step);
  }

  async function question(name, request) {
    const answer = await app.server[name](request).catch(() => null);
    if (answer && answer.error === undefined) return answer;
    setText(words, (answer && answer.error) || T.failed);
    return null;
  }

  // The masses of all items at each step, from those that changed.
  function lightOf(changes, size) {
    let masses = new Float32Array(size);
    return changes.map((change) => {
      masses = masses.slice();
      change.rows.forEach((row, n) => {
        masses[row] = change.masses[n];
      });
      return { masses, owners: null };
    });
  }

  // Of each item the leading beam that can become it, -1 for none.
  function ownersAt(number) {
    const step = steps[number];
    if (step.owners) return step.owners;
    const owners = new Int16Array(step.masses.length).fill(-1),
      beams = app.model.trace.steps[number].beams.map((beam) =>
        beam.codes.flatMap((code, position) => (code === null ? [] : [[position, code]])),
      );
    for (let row = 0; row < owners.length; row++)
      if (step.masses[row] > 0)
        owners[row] = beams.findIndex((codes) => codes.every(([position, code]) => map.codes[row][position] === code));
    return (step.owners = owners);
  }

  // -- drawing --------------------------------------------------------------------------------------------------

  function viewport() {
    const width = box.clientWidth,
      height = box.clientHeight,
      pad = 18;
    // The map fills the panel: neighbours stay neighbours where one side is stretched.
    const across = (width / 2 - pad) / map.extent,
      down = (height / 2 - pad) / map.extent;
    return {
      width,
      height,
      x: (row) => width / 2 + map.x[row] * across,
      y: (row) => height / 2 - map.y[row] * down,
      across,
      down,
    };
  }

  function ink() {
    const style = getComputedStyle(box);
    return (name) => style.getPropertyValue("--mr-" + name).trim();
  }

  function draw(number) {
    if (!shown() || !app.model) return;
    if (loaded !== app.model.bundle) return void load();
    tip.hidden = true;
    if (!map || !box.clientWidth) return;
    if (canvas.parentNode !== box) box.replaceChildren(canvas, tip);
    const at = viewport(),
      colour = ink(),
      ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(at.width * ratio) || canvas.height !== Math.round(at.height * ratio)) {
      canvas.width = Math.round(at.width * ratio);
      canvas.height = Math.round(at.height * ratio);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, at.width, at.height);
    const step = steps && steps[Math.min(number, steps.length - 1)],
      bright = shades(step && step.masses);
    if (step && bright.lit <= MAX_LAND) islands(pen, at, colour, number, step.masses);
    points(pen, at, colour, bright);
    marks(pen, at, colour, number);
    names(pen, at, colour, step && step.masses);
    if (step) tell(number, step.masses, bright.lit);
  }

  // Which shade each item has: 0 is dark, SHADES the brightest. Steps are logarithms: a likely item is many times as
  // likely as the next.
  function shades(masses) {
    const of = new Uint8Array(map.x.length);
    let top = 0,
      lit = 0;
    if (!masses) return { of, lit };
    for (const mass of masses) if (mass > top) top = mass;
    for (let row = 0; row < of.length; row++)
      if (masses[row] > 0) {
        lit++;
        of[row] = Math.max(1, Math.round(SHADES * (1 + Math.log(masses[row] / top) / FAINTEST)));
      }
    return { of, lit };
  }

  function points(pen, at, colour, { of }) {
    const paths = Array.from({ length: SHADES + 1 }, () => new Path2D());
    for (let row = 0; row < of.length; row++) {
      const level = of[row] / SHADES,
        radius = of[row] ? 1.3 + 4 * level * level * level : 1.1,
        x = at.x(row),
        y = at.y(row);
      // A small square is as good as a disc, and drawn in a fraction of the time.
      if (radius < 2) paths[of[row]].rect(x - radius * 0.9, y - radius * 0.9, radius * 1.8, radius * 1.8);
      else {
        paths[of[row]].moveTo(x + radius, y);
        paths[of[row]].arc(x, y, radius, 0, 2 * Math.PI);
      }
    }
    paths.forEach((path, shade) => {
      pen.globalAlpha = shade ? 0.25 + (0.75 * shade) / SHADES : 0.55;
      pen.fillStyle = colour(shade ? "accent" : "dim");
      pen.fill(path);
    });
    pen.globalAlpha = 1;
  }

  // The land of each beam: discs around its items that grow together, the shore first and the land over it.
  function islands(pen, at, colour, number, masses) {
    const owners = ownersAt(number),
      focus = app.focusBeam(number);
    const discs = (mine, radius, name) => {
      const path = new Path2D();
      for (let row = 0; row < masses.length; row++)
        if (masses[row] > 0 && (owners[row] === focus) === mine) {
          path.moveTo(at.x(row) + radius, at.y(row));
          path.arc(at.x(row), at.y(row), radius, 0, 2 * Math.PI);
        }
      pen.fillStyle = colour(name);
      pen.fill(path);
    };
    discs(false, SHORE + 1.2, "line");
    discs(false, SHORE, "accent-soft");
    discs(true, SHORE + 1.2, "new");
    discs(true, SHORE, "new-soft");
  }

  // Rings around the items of the cart, a star on the true next item, and at the end a ring around the answer.
  function marks(pen, at, colour, number) {
    const { trace, last, bundle } = app.model;
    pen.lineWidth = 2;
    pen.strokeStyle = colour("ink");
    for (const row of trace.history) ring(pen, at.x(row), at.y(row), 5.5);
    if (number === last && !bundle.partial && trace.results.length) {
      pen.strokeStyle = colour("new");
      pen.lineWidth = 3;
      ring(pen, at.x(trace.results[0].row), at.y(trace.results[0].row), 9);
    }
    if (chosen !== null) {
      pen.strokeStyle = colour("accent");
      ring(pen, at.x(chosen), at.y(chosen), 11);
    }
    if (trace.gold === null) return;
    const x = at.x(trace.gold.row),
      y = at.y(trace.gold.row);
    pen.beginPath();
    for (let n = 0; n < 10; n++) {
      const radius = n % 2 ? 4 : 9.5,
        turn = (Math.PI * n) / 5;
      pen.lineTo(x + radius * Math.sin(turn), y - radius * Math.cos(turn));
    }
    pen.closePath();
    pen.fillStyle = colour("gold");
    pen.strokeStyle = colour("ink");
    pen.lineWidth = 1.2;
    pen.fill();
    pen.stroke();
  }

  function ring(pen, x, y, radius) {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.stroke();
  }

  // Names of the continents, and at the end of the answer, where they do not cover each other.
  function names(pen, at, colour, masses) {
    const family = getComputedStyle(box).fontFamily,
      { trace, last, bundle } = app.model,
      done = app.step === last && !bundle.partial && trace.results.length > 0;
    const taken = [];
    const write = (text, x, y, size, name) => {
      pen.font = `600 ${size}px ${family}`;
      const half = pen.measureText(text).width / 2,
        middle = Math.max(half + 2, Math.min(at.width - half - 2, x)),
        spot = [middle - half, y - size, middle + half, y + 4];
      if (taken.some((t) => spot[0] < t[2] && spot[2] > t[0] && spot[1] < t[3] && spot[3] > t[1])) return;
      taken.push(spot);
      pen.lineWidth = 3.5;
      pen.lineJoin = "round";
      pen.strokeStyle = colour("card");
      pen.strokeText(text, middle, y);
      pen.fillStyle = colour(name);
      pen.fillText(text, middle, y);
    };
    pen.textAlign = "center";
    if (done) {
      const { row } = trace.results[0];
      write(app.model.title(row), at.x(row), at.y(row) - 14, 13, "new-ink");
    }
    const living = masses && new Set(map.codes.filter((_, row) => masses[row] > 0).map((codes) => codes[0]));
    for (const section of map.sections)
      write(
        section.name,
        at.width / 2 + section.x * at.across,
        Math.max(13, at.height / 2 - section.y * at.down - 8),
        12,
        !living || living.has(section.code) ? "ink" : "muted",
      );
  }

  // The same in words, for those who do not see the picture.
  function tell(number, masses, lit) {
    const best = [];
    for (let row = 0; row < masses.length; row++)
      if (masses[row] > 0 && (best.length < LISTED || masses[row] > masses[best[LISTED - 1]])) {
        best.push(row);
        best.sort((a, b) => masses[b] - masses[a]);
        best.length = Math.min(best.length, LISTED);
      }
    const named = best.map((row) => `${map.titles[row]} ${percent(masses[row])}`).join(" · ");
    setText(words, fill(T.map_words, { step: number, count: count(lit), all: count(masses.length), named }));
  }

  // -- pointer --------------------------------------------------------------------------------------------------

  function nearest(event) {
    const frame = canvas.getBoundingClientRect(),
      at = viewport(),
      x = event.clientX - frame.left,
      y = event.clientY - frame.top;
    let best = null,
      least = REACH * REACH;
    for (let row = 0; row < map.x.length; row++) {
      const far = (at.x(row) - x) ** 2 + (at.y(row) - y) ** 2;
      if (far < least) [best, least] = [row, far];
    }
    return best;
  }

  const chance = (row) => (steps ? percent(steps[Math.min(app.step, steps.length - 1)].masses[row]) : "");

  function hover(event) {
    const row = nearest(event);
    canvas.style.cursor = row === null ? "" : "pointer";
    tip.hidden = row === null;
    if (row === null) return;
    const at = viewport();
    tip.replaceChildren(
      make("b", { text: map.titles[row] }),
      make("div", { text: [map.paths[map.leaf[row]].join(" › "), chance(row)].filter(Boolean).join(" · ") }),
    );
    tip.style.left = Math.max(0, Math.min(at.x(row) + 12, at.width - 244)) + "px";
    tip.style.top = Math.min(at.y(row) + 12, at.height - 60) + "px";
  }

  // A click opens the item under the map: its name, and what can be done with it.
  function choose(row) {
    chosen = row;
    const path = row === null ? [] : map.paths[map.leaf[row]],
      level = app.model.categories - 1;
    const act = (text, title, onclick) => make("button", { type: "button", class: "mr-small", text, title, onclick });
    acts.replaceChildren(
      ...(row === null
        ? []
        : [
            make("b", { text: map.titles[row] }),
            make("span", { text: [path.join(" › "), chance(row)].filter(Boolean).join(" · ") }),
            ...(app.canDecode()
              ? [
                  act(T.add_on, fill(T.add_on_help, { title: map.titles[row] }), () =>
                    app.goOn({ id: map.ids[row], title: map.titles[row], path, brand: null }),
                  ),
                  ...(level >= 0
                    ? [act(T.tree_only, "", () => app.intervene("pins", level, map.codes[row][level]))]
                    : []),
                ]
              : []),
          ]),
    );
    draw(app.step);
  }

  canvas.addEventListener("pointermove", hover);
  canvas.addEventListener("pointerleave", () => {
    tip.hidden = true;
  });
  canvas.addEventListener("click", (event) => choose(nearest(event)));
  app.part("map-panel").append(acts);
  new ResizeObserver(() => draw(app.step)).observe(box);
  new MutationObserver(() => draw(app.step)).observe(document.body, { attributeFilter: ["class"] }); // light and dark

  return {
    load: () => {
      if (chosen !== null) choose(null);
      return load();
    },
    draw,
  };
}

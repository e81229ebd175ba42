// @ts-check
// The share card: 1200 x 675 pixels that say all of a decode at one step, for a post or a slide. Cart, path, three
// answers, link; a film of it shows the answer first and then how it was found.

import { make } from "./core.js";
import { filmOf, pngOf } from "./film.js";
import { count, fill, percent } from "./words.js";

const WIDTH = 1200,
  HEIGHT = 675,
  EDGE = 56,
  INSIDE = WIDTH - 2 * EDGE;
const FACE = "system-ui, -apple-system, Segoe UI, Roboto, sans-serif";

/** A canvas's paper with the page's colours, and text that never leaves its box. */
function paperOf(app) {
  const canvas = make("canvas", { width: WIDTH, height: HEIGHT }),
    paper = canvas.getContext("2d"),
    style = getComputedStyle(app.part("stage"));
  const colour = (name) => style.getPropertyValue("--mr-" + name).trim();

  function write(text, x, y, { size = 24, bold = false, ink = "ink", width = INSIDE, right = false } = {}) {
    paper.font = `${bold ? 650 : 400} ${size}px ${FACE}`;
    paper.fillStyle = colour(ink);
    let shown = text;
    while (shown.length > 1 && paper.measureText(shown).width > width)
      shown = shown.replace(/…$/, "").slice(0, -1).trimEnd() + "…";
    const wide = paper.measureText(shown).width;
    paper.fillText(shown, right ? x - wide : x, y);
    return wide;
  }

  // On two lines at most, broken between words.
  function wrap(text, x, y, { size, width, bold, ink }) {
    paper.font = `${bold ? 650 : 400} ${size}px ${FACE}`;
    const words = text.split(" ");
    let first = words.shift();
    while (words.length && paper.measureText(`${first} ${words[0]}`).width <= width) first += " " + words.shift();
    write(first, x, y, { size, width, bold, ink });
    if (words.length) write(words.join(" "), x, y + size * 1.15, { size, width, bold, ink });
  }

  function box(x, y, width, height, { ground = "raised", line = "line", heavy = 2 } = {}) {
    paper.beginPath();
    paper.roundRect(x, y, width, height, 12);
    paper.fillStyle = colour(ground);
    paper.fill();
    paper.lineWidth = heavy;
    paper.strokeStyle = colour(line);
    paper.stroke();
  }

  return { canvas, paper, colour, write, wrap, box };
}

function drawCart(app, on) {
  const names = app.model.trace.history.map((row) => app.model.title(row));
  on.write(app.T.cart, EDGE, 132, { size: 22, ink: "muted" });
  let x = EDGE,
    y = 148;
  for (const [at, name] of names.entries()) {
    on.paper.font = `650 24px ${FACE}`;
    const wide = Math.min(on.paper.measureText(name).width, 460) + 36,
      rest = names.length - at;
    if (x + wide > WIDTH - EDGE - (rest > 1 && y > 148 ? 70 : 0)) {
      if (y > 148) {
        on.write(`+${rest}`, x, y + 33, { bold: true, ink: "muted" });
        return;
      }
      [x, y] = [EDGE, y + 58];
    }
    on.box(x, y, wide, 48);
    on.write(name, x + 18, y + 32, { bold: true, width: wide - 32 });
    x += wide + 12;
  }
}

// The leading beam: one box for each category level, one for the item.
function drawPath(app, on, number) {
  const { model } = app,
    beam = model.trace.steps[number].beams[0],
    boxes = model.categories + 1,
    wide = (INSIDE - 14 * (boxes - 1)) / boxes;
  for (let at = 0; at < boxes; at++) {
    const x = EDGE + at * (wide + 14),
      last = at === boxes - 1,
      code = beam && !last ? beam.codes[at] : null,
      item = beam && last ? beam.item : null,
      known = code !== null || item !== null;
    const value = item !== null ? model.title(item) : code !== null ? model.label(at, code) : app.T.masked;
    const look = known ? { ground: last ? "new-soft" : "accent-soft", line: last ? "new" : "accent" } : {};
    on.box(x, 284, wide, 92, look);
    on.write(last ? app.T.card_item : model.trace.levels[at].name, x + 16, 312, {
      size: 18,
      ink: "muted",
      width: wide - 32,
    });
    const left =
      last && !known && beam
        ? beam.items === 1
          ? app.T.item_one
          : fill(app.T.items, { count: count(beam.items) })
        : value;
    on.wrap(left, x + 16, 340, { size: 21, bold: known, ink: known ? "ink" : "muted", width: wide - 28 });
  }
}

function drawAnswers(app, on, number) {
  const { model } = app,
    beams = model.trace.steps[number].beams.slice(0, 3);
  beams.forEach((beam, rank) => {
    const y = 404 + rank * 66,
      share = number ? Math.exp(Math.min(beam.score, 0)) : 0;
    const path = beam.codes.flatMap((code, at) =>
      code === null || !model.isCategory(at) ? [] : [model.label(at, code)],
    );
    const words = beam.item !== null ? model.title(beam.item) : path[path.length - 1] || app.T.answer_masked;
    on.box(EDGE, y, INSIDE, 56, rank ? {} : { ground: "new-soft", line: "new" });
    on.write(String(rank + 1), EDGE + 18, y + 36, { size: 22, ink: "muted" });
    const wide = on.write(words, EDGE + 50, y + 36, { bold: true, width: 620 });
    on.write(path.join(" › "), EDGE + 66 + wide, y + 36, { size: 20, ink: "muted", width: INSIDE - wide - 180 });
    if (number) on.write(percent(share), WIDTH - EDGE - 18, y + 36, { right: true });
    on.paper.fillStyle = on.colour(rank ? "accent" : "new");
    on.paper.fillRect(EDGE + 8, y + 50, Math.max(0, (INSIDE - 16) * share), 4);
  });
}

/** The card at a step, as a canvas. */
function drawCard(app, number, link) {
  const on = paperOf(app),
    { T } = app;
  on.paper.fillStyle = on.colour("card");
  on.paper.fillRect(0, 0, WIDTH, HEIGHT);
  const wide = on.write(T.brand, EDGE, 84, { size: 44, bold: true, ink: "accent" });
  on.write(T.card_about, EDGE + wide + 24, 82, { size: 22, ink: "muted", width: INSIDE - wide - 24 });
  drawCart(app, on);
  drawPath(app, on, number);
  drawAnswers(app, on, number);
  const steps = fill(T.step_of, { step: number, last: app.model.expected });
  const stepWide = on.write(steps, WIDTH - EDGE, 640, { size: 20, ink: "muted", right: true });
  on.write(link, EDGE, 640, { size: 20, ink: "muted", width: INSIDE - stepWide - 40 });
  return on.canvas;
}

// A file has no address that anyone else could open.
const linkOf = (address) => (address.startsWith("http") ? address.replace(/^https?:\/\//, "") : "");

/** The card at the step that is shown, as a PNG. */
export const cardPicture = (app, address) => pngOf(drawCard(app, app.step, linkOf(address)));

/** All steps as a GIF. */
export const cardFilm = (app, address) =>
  filmOf(app.model.last, async (step, scale) => {
    const card = drawCard(app, step, linkOf(address)),
      canvas = make("canvas", { width: WIDTH * scale, height: HEIGHT * scale });
    canvas.getContext("2d").drawImage(card, 0, 0, canvas.width, canvas.height);
    return canvas;
  });

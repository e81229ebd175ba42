// @ts-check
// One side of Compare that is no decode: another method, told in steps. Items are points, bright where the method ranks
// them high at this step; a walk is a line from noise to the answer, and a voter is tied to those it votes for.

import { make, setText } from "./core.js";

const PAD = 14;
const TIED = 10; // lines from a voter
const LARGE = 5.5; // radius of the brightest item

/** The same calls as a player's: show, go, rebuild; `model` is set once something is shown. */
export function makeMethodView(words, box) {
  const canvas = make("canvas", { role: "img" }),
    about = make("p", { class: "mr-help" }),
    line = make("p", { class: "mr-method-line", "aria-live": "polite" }),
    list = make("ol", { class: "mr-method-list", "aria-label": words.step_list }),
    none = make("p", { class: "mr-help", text: words.no_picture });
  const view = { model: null, onstep: null, show, go, rebuild };
  let step = 0;

  function show(side) {
    view.model = side;
    setText(about, side.about);
    canvas.setAttribute("aria-label", words.picture);
    canvas.hidden = !side.picture;
    none.hidden = Boolean(side.picture);
    box.replaceChildren(about, line, canvas, none, list);
  }

  function go(to) {
    step = Math.max(0, Math.min(view.model.steps.length - 1, to));
    const now = view.model.steps[step],
      gold = view.model.gold?.row;
    setText(line, now.words);
    list.replaceChildren(
      ...now.items.map((item) =>
        make("li", { class: item.row === gold ? "gold" : "", text: (item.row === gold ? "★ " : "") + item.title }),
      ),
    );
    rebuild();
  }

  function rebuild() {
    if (view.model?.picture && canvas.clientWidth) draw(view.model, step);
  }

  function draw({ picture, steps, history, gold }, number) {
    const style = getComputedStyle(box),
      colour = (name) => style.getPropertyValue("--mr-" + name).trim(),
      now = steps[number],
      walk = steps.map((each) => each.point).filter(Boolean),
      ratio = window.devicePixelRatio || 1,
      width = canvas.clientWidth,
      height = canvas.clientHeight;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const across = scale([...picture.x, ...walk.map(([x]) => x)], PAD, width - PAD),
      up = scale([...picture.y, ...walk.map(([, y]) => y)], height - PAD, PAD);
    /** @returns {[number, number]} */
    const at = (row) => [across(picture.x[row]), up(picture.y[row])];
    const dot = (x, y, radius, ink, alpha = 1) => {
      pen.globalAlpha = alpha;
      pen.fillStyle = ink;
      pen.beginPath();
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.fill();
      pen.globalAlpha = 1;
    };
    const path = (points, ink, thick) => {
      pen.strokeStyle = ink;
      pen.lineWidth = thick;
      pen.beginPath();
      points.forEach(([x, y], n) => (n ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      pen.stroke();
    };
    picture.x.forEach((_, row) => dot(...at(row), 1.3, colour("muted"), 0.35));
    if (now.voter !== null) for (const row of now.lit.slice(0, TIED)) path([at(now.voter), at(row)], colour("line"), 1);
    now.lit.forEach((row, n) => {
      const share = 1 - n / now.lit.length;
      dot(...at(row), 2 + (LARGE - 2) * share, colour("accent"), 0.25 + 0.75 * share);
    });
    for (const row of history)
      ring(pen, at(row), row === now.voter ? 7 : 4, colour("ink"), row === now.voter ? 2.5 : 1);
    if (walk.length) {
      /** @type {[number, number][]} */
      const points = walk.map(([x, y]) => [across(x), up(y)]);
      path(points, colour("strong-line"), 1);
      path(points.slice(0, number + 1), colour("new-ink"), 2.5);
      dot(...points[number], 6, colour("new-ink"));
    }
    if (gold) ring(pen, at(gold.row), 8, colour("gold-ink"), 2.5);
    names(pen, now.items.slice(0, 3), at, width, colour);
  }

  // The leading three by name, none over another.
  function names(pen, items, at, width, colour) {
    const taken = [];
    pen.font = `12px ${getComputedStyle(box).fontFamily}`;
    pen.textBaseline = "middle";
    for (const { row, title } of items) {
      const [x, y] = at(row),
        long = title.length > 26 ? title.slice(0, 25) + "…" : title,
        wide = pen.measureText(long).width,
        left = Math.max(2, Math.min(x + 9, width - wide - 4));
      let level = y;
      while (taken.some((other) => Math.abs(other - level) < 16)) level += 16;
      taken.push(level);
      pen.fillStyle = colour("card");
      pen.globalAlpha = 0.85;
      pen.fillRect(left - 3, level - 8, wide + 6, 16);
      pen.globalAlpha = 1;
      pen.fillStyle = colour("ink");
      pen.fillText(long, left, level);
    }
  }

  new ResizeObserver(rebuild).observe(canvas);
  return view;
}

function ring(pen, [x, y], radius, ink, thick) {
  pen.strokeStyle = ink;
  pen.lineWidth = thick;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.stroke();
}

// From values to pixels, `low` at the least value and `high` at the largest.
function scale(values, low, high) {
  const least = Math.min(...values),
    span = Math.max(...values) - least || 1;
  return (value) => low + ((value - least) / span) * (high - low);
}

/** The table of all methods on one history: shared answers of each two, and where the true item stands. */
export function agreement(words, answer) {
  const head = make(
    "tr",
    {},
    make("th", {}),
    ...answer.titles.map((title, n) => make("th", { scope: "col", title, text: String(n + 1) })),
    make("th", { scope: "col", text: words.agree_gold }),
  );
  const rows = answer.titles.map((title, n) =>
    make(
      "tr",
      {},
      make("th", { scope: "row", text: `${n + 1} ${title}` }),
      ...answer.shared[n].map((count, m) => {
        const cell = make("td", { class: n === m ? "n self" : "n", text: String(count) });
        cell.style.setProperty("--share", String(count / answer.k));
        return cell;
      }),
      make("td", { class: "n gold", text: answer.ranks[n] === null ? words.agree_none : String(answer.ranks[n]) }),
    ),
  );
  return make("table", { class: "mr-table mr-agree" }, make("thead", {}, head), make("tbody", {}, ...rows));
}

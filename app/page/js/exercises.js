// @ts-check
// Exercises that a card of the course shows: the dissolving item, masked states, codebooks, measured bars.

import { calm, make, setText } from "./core.js";
import { count, fill, percent } from "./words.js";

const SIDE = 16; // pixels of the picture, each way
const HEAL = 1400; // milliseconds from t = 1 to t = 0

// A small picture of an apple, a colour a pixel, from three shapes.
function apple(x, y) {
  const dx = x - 7.5,
    dy = y - 9;
  if (Math.abs(x - 8) < 0.8 && y > 1 && y < 5) return "#7a4b21";
  if ((x - 11) ** 2 / 7 + (y - 3) ** 2 / 2.2 < 1) return "#2e9e5b";
  if (dx * dx * 0.95 + dy * dy < 34) return dx + dy < -4.5 ? "#f2897f" : "#cc3b33";
  return null;
}

// When each part vanishes: the same each time, and in no order.
function thresholds(count, seed) {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return state / 4294967296;
  });
}

/** The slider t, which masks the picture's pixels and the item's tokens alike. Returns `draw(tokens)`. */
export function makeDissolve(part, L) {
  const slider = part("slider"),
    picture = part("picture");
  let tokens = [],
    chips = [],
    timer = 0;
  const pixelAt = thresholds(SIDE * SIDE, 7);
  let tokenAt = [];

  function show() {
    const t = Number(slider.value),
      pen = picture.getContext("2d"),
      size = picture.width / SIDE;
    let pixels = 0;
    for (let n = 0; n < SIDE * SIDE; n++) {
      const x = n % SIDE,
        y = Math.floor(n / SIDE),
        masked = pixelAt[n] < t;
      pixels += Number(masked);
      pen.fillStyle = masked ? ((x + y) % 2 ? "#9aa3af" : "#b9c1cb") : apple(x, y) || "#f4ead7";
      pen.fillRect(x * size, y * size, size, size);
    }
    let count = 0;
    chips.forEach((chip, n) => {
      const masked = tokenAt[n] < t;
      count += Number(masked);
      chip.classList.toggle("masked", masked);
      setText(chip.querySelector("b"), masked ? "[MASK]" : tokens[n].label);
    });
    const all = { count, all: tokens.length, pixels, all_pixels: SIDE * SIDE, t: t.toFixed(2) };
    setText(part("masked"), fill(L.masked_count, all));
  }

  function heal() {
    cancelAnimationFrame(timer);
    const from = Number(slider.value) || 1;
    if (calm()) {
      slider.value = "0";
      return show();
    }
    const began = performance.now();
    const frame = (now) => {
      const t = Math.max(0, from - (now - began) / HEAL);
      slider.value = String(t);
      show();
      if (t > 0) timer = requestAnimationFrame(frame);
    };
    timer = requestAnimationFrame(frame);
  }

  slider.addEventListener("input", () => {
    cancelAnimationFrame(timer);
    show();
  });
  function draw(given) {
    cancelAnimationFrame(timer);
    tokens = given;
    part("masking").hidden = !tokens.length;
    if (!tokens.length) return;
    tokenAt = thresholds(tokens.length, 38);
    chips = tokens.map((token) =>
      make("li", {}, make("small", { text: token.level }), make("b", { text: token.label })),
    );
    part("tokens").replaceChildren(...chips);
    slider.value = "0";
    show();
  }
  return { draw, heal };
}

/** Masked states of one target, the fall through codebooks, or measured bars: whichever a card has. */
export function drawExercise(box, card, L) {
  const rows = card.exercise || [];
  const blocks = [];
  if (rows.length && rows[0].tokens) blocks.push(...states(rows, L));
  if (rows.length && rows[0].before) blocks.push(codebooks(rows, L));
  if (card.bars.length) blocks.push(bars(card.bars));
  box.hidden = !blocks.length;
  box.replaceChildren(...blocks);
}

// Losses show after the guess; until then the masks alone.
function states(rows, L) {
  const token = (one) =>
    one.p === null
      ? make("li", { title: one.level, text: one.label })
      : make(
          "li",
          {
            class: "masked",
            title: fill(L.token_nats, { p: percent(one.p), nats: one.nats.toFixed(2) }),
          },
          make("span", { text: "?" }),
          make("small", { class: "late", text: percent(one.p) }),
        );
  return [
    make("p", { class: "mr-label", text: fill(L.states, { count: rows.length }) }),
    make(
      "div",
      { class: "mr-state heads", "aria-hidden": "true" },
      make("ol", {}, ...rows[0].tokens.map((one) => make("li", { text: one.level }))),
    ),
    ...rows.map((row) =>
      make(
        "div",
        { class: "mr-state" },
        make("ol", {}, ...row.tokens.map(token)),
        make("b", { class: "late", text: fill(L.state_loss, { loss: row.loss.toFixed(2) }) }),
      ),
    ),
  ];
}

function codebooks(rows, L) {
  const highest = Math.log(rows[0].before + 1);
  return make(
    "ol",
    { class: "mr-fall" },
    ...rows.map((row) =>
      make(
        "li",
        {},
        make("span", {}, make("small", { text: row.level }), make("b", { text: row.label })),
        make("i", { style: `width:${(100 * Math.log(row.after + 1)) / highest}%` }),
        make("span", { text: fill(L.fall, { before: count(row.before), after: count(row.after) }) }),
        make("small", { text: row.titles.join(", ") + (row.after > row.titles.length ? "…" : "") }),
      ),
    ),
  );
}

function bars(values) {
  const highest = Math.max(...values.map(([, value]) => value));
  return make(
    "dl",
    { class: "mr-worth" },
    ...values.flatMap(([name, value]) => [
      make("dt", { text: name }),
      make("dd", { class: "late" }, make("i", { style: `width:${(70 * value) / highest}%` }), value.toFixed(3)),
    ]),
  );
}

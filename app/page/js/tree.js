// @ts-check
// The category tree. Plotly draws its nodes once, at the places that app/views/tree.py gives, and owns zoom, hover and
// clicks. A step changes only looks: classes of the nodes, and the branches and names painted around them in Plotly's
// own coordinates. So a step costs a few milliseconds, where a redraw by Plotly takes fifty.

import { make, setText, whenPainted } from "./core.js";
import { drawsSlowly, isPlotted, loadPlotly, plotFrame, pointNodes } from "./plotly_internals.js";
import { makeLayers } from "./tree_layers.js";
import { count, fill, percent } from "./words.js";

const WIDTHS = 6;
const LABEL_PX = 6.4;
const LIFT = 12; // pixels that keep a label clear of a thick branch

export function makeTree(app) {
  const T = app.T,
    box = app.part("tree"),
    tip = make("div", { class: "mr-tip", hidden: true }),
    layers = makeLayers();
  let P = null,
    view = null,
    visible = false,
    size = null, // of the box when it was last in sight
    waiting = false, // for Plotly to draw the trace that is shown
    drawn = { view: null, serial: null }, // by Plotly
    points = [],
    looks = [],
    range = null,
    calledOff = () => {};

  async function load() {
    view = app.model.bundle.tree;
    try {
      P = await loadPlotly(app.data.plotly);
    } catch {
      return box.replaceChildren(make("p", { class: "mr-wait", text: T.failed }));
    }
    if (visible) plot();
  }

  // The browser tells whether the tree is in sight, and how large: it is drawn only there, and anew when it comes back.
  new ResizeObserver(([{ contentRect }]) => {
    const back = !visible,
      other = size !== null && size !== contentRect.width + "," + contentRect.height;
    visible = contentRect.width > 0;
    if (!visible) return;
    size = contentRect.width + "," + contentRect.height;
    if (!P || !view) return;
    if (back) plot();
    if (other) resize();
  }).observe(box);

  function figure() {
    const low = Math.min(...view.nodes.map((n) => n.y)) - 0.6,
      high = Math.max(...view.nodes.map((n) => n.y)) + 0.6;
    const ever = (node) => node.mass.some((mass) => mass > 0);
    return {
      ranges: { x: [-0.1, view.depth + 1.95], y: [Math.min(low, high - 6), high] },
      nodes: {
        type: "scatter",
        mode: "markers",
        x: view.nodes.map((n) => n.x),
        y: view.nodes.map((n) => n.y),
        customdata: view.nodes.map((_, at) => at),
        hoverinfo: "none",
        cliponaxis: true,
        marker: {
          size: view.nodes.map((n) => (ever(n) ? 7 + 7 * Math.sqrt(Math.max(...n.mass)) : isGold(n) ? 8 : 4.5)),
          symbol: view.nodes.map((n) => (n.row !== null ? "square" : "circle")),
          opacity: 1,
        },
      },
    };
  }

  // Plotly takes longer than a frame to draw another trace: until it has, the tree shows nodes of its own at the same
  // places.
  function plot() {
    calledOff();
    if (drawn.view === view && !waiting) return draw(app.step);
    const next = figure();
    layers.clear();
    if (!drawsSlowly(box) || drawn.serial === app.serial) return finish(next);
    waiting = true;
    points = layers.sketch(next.nodes);
    looks = [];
    range = { ...next.ranges };
    box.classList.add("sketched");
    draw(app.step);
    calledOff = whenPainted(() => finish(next));
  }

  async function finish({ ranges, nodes }) {
    const axis = { visible: false, fixedrange: false, zeroline: false },
      first = !isPlotted(box);
    if (first) box.replaceChildren();
    waiting = false;
    drawn = { view, serial: app.serial };
    await P.react(
      box,
      [nodes],
      {
        uirevision: "trace" + app.serial,
        showlegend: false,
        hovermode: "closest",
        dragmode: "pan",
        margin: { l: 8, r: 8, t: 8, b: 8 },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        xaxis: { ...axis, range: ranges.x },
        yaxis: { ...axis, range: ranges.y },
      },
      {
        responsive: true,
        displaylogo: false,
        displayModeBar: "hover",
        modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d"]],
      },
    );
    if (!first) return; // Plotly has told of its drawing, and the nodes are attached
    listen();
    attach();
  }

  // After every drawing by Plotly: find its nodes again, and measure its frame.
  function attach() {
    const frame = plotFrame(box);
    if (!frame || !view || waiting) return;
    if (layers.under.parentNode !== box) {
      box.prepend(layers.under);
      box.append(layers.nodes, layers.over, tip);
    }
    points = pointNodes(box);
    looks = [];
    range = { x: frame.x.range, y: frame.y.range };
    draw(app.step);
    box.classList.remove("sketched");
    layers.sketch(null);
  }

  function listen() {
    box.on("plotly_afterplot", attach);
    box.on("plotly_click", (event) => {
      const at = event.points[0] && event.points[0].customdata;
      if (typeof at === "number" && at > 0) choose(at);
    });
    box.on("plotly_hover", (event) => tell(event.points[0].customdata));
    box.on("plotly_unhover", () => {
      tip.hidden = true;
    });
    box.on("plotly_relayouting", (change) => {
      for (const axis of ["x", "y"])
        if (`${axis}axis.range[0]` in change)
          range[axis] = [change[`${axis}axis.range[0]`], change[`${axis}axis.range[1]`]];
      draw(app.step);
    });
  }

  // -- what a step looks like -----------------------------------------------------------------------------------

  function focusPath(number) {
    const beams = app.model.trace.steps[number].beams;
    if (!beams.length) return new Set();
    const beam = beams[Math.min(app.focusBeam(), beams.length - 1)];
    const on = new Set([0]);
    view.nodes.forEach((node, at) => {
      if (node.row !== null ? beam.item === node.row : node.level >= 0 && beam.codes[node.level] === node.code)
        on.add(at);
    });
    // A deeper token tells the ones above it, also while they are masked.
    for (const at of [...on]) for (let up = view.nodes[at].above; up !== null; up = view.nodes[up].above) on.add(up);
    return on;
  }

  // Before the first step every top category is still open; they are shown waiting.
  const seen = (node, number) => node.first <= number || (number === 0 && node.level === 0 && node.first === 1);
  const isGold = (node) => {
    const gold = app.model.trace.gold;
    return (
      gold !== null &&
      (node.row !== null ? node.row === gold.row : node.level >= 0 && gold.codes[node.level] === node.code)
    );
  };

  function draw(number) {
    if (!P || !view || !visible || !app.model || !range || view !== app.model.bundle.tree) return;
    const shown = view.nodes.map((_, at) => at).filter((at) => seen(view.nodes[at], number)),
      on = focusPath(number),
      scale = places();
    if (waiting) layers.put(scale, view.nodes);
    lookOfNodes(number);
    branches(shown, on, number, scale);
    names(shown, on, number, scale);
  }

  // Data to pixels of the box, in the frame that Plotly has at the moment.
  function places() {
    const { x: across, y: down, width, height } = plotFrame(box);
    layers.resize(width, height);
    const wide = across.length / (range.x[1] - range.x[0]),
      high = down.length / (range.y[1] - range.y[0]);
    return {
      width,
      height,
      column: wide,
      x: (x) => across.offset + (x - range.x[0]) * wide,
      y: (y) => down.offset + (range.y[1] - y) * high,
    };
  }

  function lookOfNodes(number) {
    view.nodes.forEach((node, at) => {
      const live = node.mass[number] > 0;
      const look = !seen(node, number)
        ? "point off"
        : "point" +
          (live ? " live" : "") +
          (isGold(node) ? " gold" : live && number && node.first === number ? " fresh" : "");
      if (looks[at] === look || !points[at]) return;
      looks[at] = look;
      points[at].setAttribute("class", look);
    });
  }

  // A branch leaves its parent level, falls, and arrives level; branches of one width are one path.
  function branches(shown, on, number, scale) {
    const paths = new Map();
    for (const at of shown) {
      const node = view.nodes[at],
        above = view.nodes[node.above];
      if (!above) continue;
      const mass = node.mass[number],
        bucket = mass ? 1 + Math.min(WIDTHS - 1, Math.floor(Math.sqrt(mass) * WIDTHS)) : 0;
      const key = (mass && on.has(at) ? 90 : 0) + bucket;
      const a = scale.x(above.x),
        b = scale.x(node.x),
        c = scale.y(above.y).toFixed(1),
        d = scale.y(node.y).toFixed(1),
        m = ((a + b) / 2).toFixed(1);
      paths.set(key, (paths.get(key) || "") + `M${a.toFixed(1)},${c}C${m},${c} ${m},${d} ${b.toFixed(1)},${d}`);
    }
    layers.branches(
      [...paths.keys()]
        .sort((a, b) => a - b)
        .map((key) => {
          const bucket = key % 10;
          return {
            d: paths.get(key),
            kind: bucket === 0 ? "dim" : key > 9 ? "live on" : "live",
            width: bucket ? 1.5 + bucket * 1.7 : 1,
          };
        }),
    );
  }

  // Labels of live nodes, the heaviest first, where they do not cover one another; counts of what is not drawn.
  function names(shown, on, number, scale) {
    const nodes = view.nodes,
      big = app.root.classList.contains("present") ? 1.45 : 1,
      h = 14 * big,
      taken = [],
      out = [];
    const inner = new Set(shown.map((at) => nodes[at].above));
    const rank = (at) =>
      (on.has(at) ? 10 : isGold(nodes[at]) ? 5 : 0) + nodes[at].mass[number] + (nodes[at].row !== null ? 0.2 : 0);
    const free = (spot) =>
      spot.a >= 0 &&
      spot.c >= -4 &&
      spot.d <= scale.height + 4 &&
      !taken.some((o) => o.a < spot.b && spot.a < o.b && o.c < spot.d && spot.c < o.d);
    for (const at of shown
      .filter((n) => n && (number === 0 || nodes[n].mass[number] > 0 || isGold(nodes[n])))
      .sort((a, b) => rank(b) - rank(a))) {
      const node = nodes[at],
        side = !inner.has(at),
        x = scale.x(node.x),
        y = scale.y(node.y),
        letter = LABEL_PX * big * (on.has(at) ? 1.12 : 1);
      const letters = Math.floor((side ? scale.width - x - 20 : scale.column * 0.98) / letter);
      if (letters < 6) continue;
      const text = node.label.length > letters ? node.label.slice(0, letters - 1).trimEnd() + "…" : node.label,
        w = text.length * letter;
      const spot = side
        ? { a: x + 8, b: x + 12 + w, c: y - h / 2, d: y + h / 2 }
        : { a: x - w / 2, b: x + w / 2, c: y - LIFT * big - h / 2, d: y - LIFT * big + h / 2 };
      if (!free(spot)) continue;
      taken.push(spot);
      out.push({
        key: at,
        x: (side ? x + 12 : x).toFixed(1),
        y: (side ? y : y - LIFT * big).toFixed(1),
        text,
        kind: (side ? "side" : "") + (on.has(at) ? " on" : ""),
      });
    }
    for (const [at, rest] of view.rests.entries()) {
      if (rest.first > number || !(nodes[rest.above].mass[number] > 0 || rest.first === number)) continue;
      const x = scale.x(rest.x),
        y = scale.y(rest.y),
        text = fill(T.tree_more, { count: rest.count }),
        spot = { a: x - 4, b: x + 24, c: y - 5, d: y + 5 };
      if (!free(spot)) continue;
      taken.push(spot);
      out.push({ key: nodes.length + at, x: x.toFixed(1), y: y.toFixed(1), text, kind: "rest" });
    }
    layers.write(out);
  }

  // -- what a person does with it -------------------------------------------------------------------------------

  function words(node, number) {
    const all = app.model.trace.steps[number].beams.length,
      label = node.label || T.tree_start;
    const lines = [
      node.mass[number]
        ? fill(T.tree_node, { label, beams: node.beams[number], all, mass: percent(node.mass[number]) })
        : fill(T.tree_dead, { label }),
    ];
    if (node.p !== null) lines.push(fill(T.tree_considered, { p: percent(node.p) }));
    if (node.items !== null) lines.push(node.items === 1 ? T.item_one : fill(T.items, { count: count(node.items) }));
    return lines;
  }

  function tell(at) {
    const node = view.nodes[at];
    tip.hidden = !node || !seen(node, app.step);
    if (tip.hidden) return;
    const scale = places(),
      x = scale.x(node.x),
      y = scale.y(node.y);
    tip.replaceChildren(...words(node, app.step).map((line) => make("div", { text: line })));
    Object.assign(tip.style, { top: `${y + 12}px`, left: `${Math.max(0, Math.min(x - 20, scale.width - 240))}px` });
  }

  function choose(at) {
    const node = view.nodes[at],
      line = app.part("node"),
      number = app.step;
    if (!seen(node, number)) return;
    const beams = app.model.trace.steps[number].beams;
    const goes = (beam) => (node.row !== null ? beam.item === node.row : beam.codes[node.level] === node.code);
    app.filter = node.mass[number] ? beams.map(goes) : null;
    const first = beams.findIndex(goes);
    line.replaceChildren(words(node, number).join(" · "));
    if (node.row === null && app.canDecode()) {
      const act = (words, verb) =>
        make("button", {
          type: "button",
          class: "mr-small",
          text: words,
          onclick: () => app.intervene(verb, node.level, node.code),
        });
      line.append(" ", act(T.tree_only, "pins"), " ", act(T.tree_forbid, "forbid_tokens"));
    }
    if (first >= 0) app.choose(first, true);
    else app.redraw();
  }

  function toggle() {
    const closed = app.part("tree-panel").classList.toggle("closed"),
      button = app.root.querySelector('[data-do="tree"]');
    button.setAttribute("aria-expanded", String(!closed));
    setText(button, closed ? T.tree_show : T.tree_hide);
  }

  function clear() {
    setText(app.part("node"), T.tree_help);
  }

  async function resize() {
    if (P && isPlotted(box) && visible) await P.Plots.resize(box);
    draw(app.step);
  }

  return { load, draw, toggle, clear, resize };
}

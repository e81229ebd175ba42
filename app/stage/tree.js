// The category tree, drawn by plotly.js. Places come from app/views/tree.py and never move; a step changes only looks.

const WIDTHS = 6;
const LABEL_PX = 6.4;
// A branch leaves its parent level, falls, and arrives level.
const CURVE = [0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1].map((x) => [x, x <= 0.1 ? 0 : x >= 0.85 ? 1 : (1 - Math.cos((Math.PI * (x - 0.1)) / 0.75)) / 2]);
const LIFT = 12; // pixels that keep a label clear of a thick branch

function makeTree(app) {
  const T = app.T, box = app.part("tree");
  let P = null, view = null, drawn = -1, hidden = false, shown = [], ranges = null;

  async function load() {
    view = app.model.bundle.tree;
    drawn = -1;
    ranges = fullRange();
    try {
      P = await loadPlotly(app.data.plotly);
    } catch {
      return box.replaceChildren(make("p", { class: "mr-wait", text: T.failed }));
    }
    if (box.querySelector(".mr-wait")) box.replaceChildren();
    await draw(app.step, true);
  }

  function fullRange() {
    const low = Math.min(...view.nodes.map((n) => n.y)) - 0.6, high = Math.max(...view.nodes.map((n) => n.y)) + 0.6;
    return { x: [-0.1, view.depth + 1.95], y: [Math.min(low, high - 6), high] };
  }

  function colours() {
    const style = getComputedStyle(app.root);
    return Object.fromEntries(["accent", "dim", "ink", "muted", "card", "gold", "new", "strong-line"].map((name) => [name, style.getPropertyValue("--mr-" + name).trim()]));
  }

  function focusPath(number) {
    const beams = app.model.trace.steps[number].beams;
    if (!beams.length) return new Set();
    const beam = beams[Math.min(app.focusBeam(), beams.length - 1)];
    const on = new Set([0]);
    view.nodes.forEach((node, at) => {
      if (node.row !== null ? beam.item === node.row : node.level >= 0 && beam.codes[node.level] === node.code) on.add(at);
    });
    // A deeper token tells the ones above it, also while they are masked.
    for (const at of [...on]) for (let up = view.nodes[at].above; up !== null; up = view.nodes[up].above) on.add(up);
    return on;
  }

  // Before the first step every top category is still open; they are shown waiting.
  const seen = (node, number) => node.first <= number || (number === 0 && node.level === 0 && node.first === 1);
  const isGold = (node) => {
    const gold = app.model.trace.gold;
    return gold !== null && (node.row !== null ? node.row === gold.row : node.level >= 0 && gold.codes[node.level] === node.code);
  };

  function traces(number) {
    const c = colours(), on = focusPath(number), nodes = view.nodes, lines = new Map();
    shown = nodes.map((_, at) => at).filter((at) => seen(nodes[at], number));
    for (const at of shown) {
      const node = nodes[at], above = nodes[node.above];
      if (!above) continue;
      const mass = node.mass[number], bucket = mass ? 1 + Math.min(WIDTHS - 1, Math.floor(Math.sqrt(mass) * WIDTHS)) : 0;
      const key = bucket + (mass && on.has(at) ? "on" : "");
      if (!lines.has(key)) lines.set(key, { x: [], y: [], bucket, live: mass > 0, on: on.has(at) && mass > 0 });
      const line = lines.get(key), wide = node.x - above.x, high = node.y - above.y;
      for (const [across, down] of CURVE) line.x.push(above.x + wide * across), line.y.push(above.y + high * down);
      line.x.push(null), line.y.push(null);
    }
    const edges = [...lines.values()].sort((a, b) => a.bucket - b.bucket || a.on - b.on).map((line) => ({
      type: "scatter", mode: "lines", x: line.x, y: line.y, hoverinfo: "skip",
      line: { color: line.live ? c.accent : c.dim, width: line.live ? 1.5 + line.bucket * 1.7 : 1, shape: "linear" },
      opacity: line.on ? 1 : line.live ? 0.5 : 0.75,
    }));
    const dots = {
      type: "scatter", mode: "markers", x: shown.map((at) => nodes[at].x), y: shown.map((at) => nodes[at].y), customdata: shown,
      marker: {
        size: shown.map((at) => (nodes[at].mass[number] ? 7 + 9 * Math.sqrt(nodes[at].mass[number]) : isGold(nodes[at]) ? 7 : 4)),
        color: shown.map((at) => (nodes[at].mass[number] ? c.accent : c.dim)),
        symbol: shown.map((at) => (nodes[at].row !== null ? "square" : nodes[at].mass[number] && nodes[at].first === number && number ? "diamond" : "circle")),
        line: { color: shown.map((at) => (isGold(nodes[at]) ? c.gold : nodes[at].first === number && nodes[at].mass[number] ? c.new : c.card)), width: shown.map((at) => (isGold(nodes[at]) ? 3 : 1.5)) },
        opacity: 1,
      },
      text: shown.map((at) => hover(nodes[at], number)), hovertemplate: "%{text}<extra></extra>",
    };
    return [...edges, dots, labels(number, on, c), rests(number, c)];
  }

  function hover(node, number) {
    const all = app.model.trace.steps[number].beams.length, label = safe(node.label || T.tree_start);
    const lines = [node.mass[number] ? fill(T.tree_node, { label, beams: node.beams[number], all, mass: percent(node.mass[number]) }) : fill(T.tree_dead, { label })];
    if (node.p !== null) lines.push(fill(T.tree_considered, { p: percent(node.p) }));
    if (node.items !== null) lines.push(node.items === 1 ? T.item_one : fill(T.items, { count: count(node.items) }));
    return lines.join("<br>");
  }

  // Plotly reads a little HTML in text; titles must stay text.
  const safe = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  // Labels of live nodes, the heaviest first, where they do not cover one another.
  function labels(number, on, c) {
    const nodes = view.nodes, area = box._fullLayout, range = current();
    const width = (area ? area.width : box.clientWidth || 500) - 16, height = (area ? area.height : box.clientHeight || 420) - 16;
    const big = app.root.classList.contains("present") ? 1.45 : 1, column = width / (range.x[1] - range.x[0]);
    const px = (x) => ((x - range.x[0]) / (range.x[1] - range.x[0])) * width;
    const py = (y) => ((range.y[1] - y) / (range.y[1] - range.y[0])) * height;
    const inner = new Set(shown.map((at) => nodes[at].above));
    const rank = (at) => (on.has(at) ? 10 : isGold(nodes[at]) ? 5 : 0) + nodes[at].mass[number] + (nodes[at].row !== null ? 0.2 : 0);
    const taken = [], out = { x: [], y: [], text: [], textposition: [] };
    for (const at of shown.filter((n) => n && (number === 0 || nodes[n].mass[number] > 0 || isGold(nodes[n]))).sort((a, b) => rank(b) - rank(a))) {
      const node = nodes[at], side = !inner.has(at);
      const room = side ? width - px(node.x) - 12 : column * 0.98, most = Math.floor(room / (LABEL_PX * big));
      if (most < 6) continue;
      const text = node.label.length > most ? node.label.slice(0, most - 1) + "…" : node.label;
      const w = text.length * LABEL_PX * big, h = 14 * big, cx = px(node.x), cy = py(node.y);
      const place = side ? { a: cx + 8, b: cx + 10 + w, c: cy - h / 2, d: cy + h / 2 } : { a: cx - w / 2, b: cx + w / 2, c: cy - LIFT * big - h / 2, d: cy - LIFT * big + h / 2 };
      if (place.a < 0 || place.c < -4 || place.d > height + 4 || taken.some((o) => o.a < place.b && place.a < o.b && o.c < place.d && place.c < o.d)) continue;
      taken.push(place);
      out.x.push(node.x), out.y.push(side ? node.y : node.y + (LIFT * big * (range.y[1] - range.y[0])) / height), out.text.push(side ? "\u2002" + safe(text) : safe(text)), out.textposition.push(side ? "middle right" : "middle center");
    }
    return { type: "scatter", mode: "text", hoverinfo: "skip", ...out, textfont: { color: c.ink, size: 12 * big, shadow: `0 0 3px ${c.card}, 0 0 3px ${c.card}, 0 0 4px ${c.card}` }, cliponaxis: false };
  }

  function rests(number, c) {
    const live = view.rests.filter((rest) => rest.first <= number && (view.nodes[rest.above].mass[number] > 0 || rest.first === number));
    return {
      type: "scatter", mode: "text", hoverinfo: "skip", x: live.map((r) => r.x), y: live.map((r) => r.y),
      text: live.map((r) => fill(T.tree_more, { count: r.count })), textfont: { color: c.muted, size: 9.5 },
    };
  }

  function current() {
    const full = box._fullLayout;
    return full && full.xaxis && drawn >= 0 ? { x: full.xaxis.range.slice(), y: full.yaxis.range.slice() } : ranges;
  }

  async function draw(number, fresh) {
    if (!P || !view || hidden || !app.model) return;
    const c = colours(), axis = { visible: false, fixedrange: false, zeroline: false };
    const revision = "trace" + app.serial;
    const layout = {
      uirevision: revision, showlegend: false, hovermode: "closest", dragmode: "pan", margin: { l: 8, r: 8, t: 8, b: 8 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: "system-ui, sans-serif", color: c.ink },
      xaxis: { ...axis, range: ranges.x }, yaxis: { ...axis, range: ranges.y },
      hoverlabel: { bgcolor: c.card, bordercolor: c["strong-line"], font: { color: c.ink, size: 13 } },
    };
    const config = { responsive: true, displaylogo: false, displayModeBar: "hover", modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d"]] };
    const first = !box._fullLayout;
    if (fresh) drawn = -1;
    await P.react(box, traces(number), layout, config);
    drawn = number;
    if (first) listen();
  }

  function listen() {
    let again = 0;
    box.on("plotly_click", (event) => {
      const at = event.points[0] && event.points[0].customdata;
      if (typeof at === "number" && at > 0) choose(at);
    });
    box.on("plotly_relayout", (change) => {
      if (!Object.keys(change).some((key) => key.includes("range"))) return;
      cancelAnimationFrame(again);
      again = requestAnimationFrame(() => draw(app.step));
    });
  }

  function choose(at) {
    const node = view.nodes[at], line = app.part("node"), number = app.step;
    const beams = app.model.trace.steps[number].beams;
    const goes = (beam) => (node.row !== null ? beam.item === node.row : beam.codes[node.level] === node.code);
    app.filter = node.mass[number] ? beams.map(goes) : null;
    const first = beams.findIndex(goes);
    line.replaceChildren(hover(node, number).split("<br>").map((t) => t.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&")).join(" · "));
    if (node.row === null && app.canDecode()) {
      const act = (words, verb) => make("button", { type: "button", class: "mr-small", text: words, onclick: () => app.intervene(verb, node.level, node.code) });
      line.append(" ", act(T.tree_only, "pins"), " ", act(T.tree_forbid, "forbid_tokens"));
    }
    if (first >= 0) app.choose(first, true);
    else app.redraw();
  }

  function toggle(force) {
    hidden = force === undefined ? !hidden : force;
    app.part("tree-panel").classList.toggle("closed", hidden);
    const button = app.root.querySelector('[data-do="tree"]');
    button.setAttribute("aria-expanded", String(!hidden));
    setText(button, hidden ? T.tree_show : T.tree_hide);
    if (!hidden) draw(app.step, true);
  }

  function clear() {
    setText(app.part("node"), T.tree_help);
  }

  async function resize() {
    if (P && box._fullLayout && !hidden) await P.Plots.resize(box);
    await draw(app.step);
  }

  return { load, draw, toggle, clear, resize };
}

// @ts-check
// Layers painted around the tree's nodes: branches under them, names over them, in the pixels of the plot; and nodes
// where Plotly has none yet. A step writes what it changes; the rest keeps its elements, so that the browser need not
// lay them out again.

import { setText, svg } from "./core.js";
import { pointShape } from "./light_plot.js";

/**
 * @typedef {{ d: string, kind: string, width: number }} Branch all branches of one look
 * @typedef {{ key: number, text: string, kind: string, x: string, y: string }} Name
 */
export function makeLayers() {
  const under = svg("svg", { class: "mr-branches", "aria-hidden": "true" }),
    nodes = svg("svg", { class: "mr-nodes", "aria-hidden": "true" }),
    over = svg("svg", { class: "mr-names", "aria-hidden": "true" });
  let size = "",
    names = []; // by key, so that their order is the same however a step is come to

  const set = (node, values) => {
    for (const [name, value] of Object.entries(values))
      if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  };

  function resize(width, height) {
    if (size === width + "," + height) return;
    size = width + "," + height;
    for (const layer of [under, nodes, over]) set(layer, { viewBox: `0 0 ${width} ${height}`, width, height });
  }

  /** Points of our own, in the place of Plotly's; null for none. */
  function sketch(trace) {
    const points = trace ? trace.x.map((_, at) => pointShape(trace, at)) : [];
    nodes.replaceChildren(...points);
    return points;
  }

  function put({ x, y }, spots) {
    spots.forEach((spot, at) => set(nodes.children[at], { transform: `translate(${x(spot.x)},${y(spot.y)})` }));
  }

  /** @param {Branch[]} looks from the lowest to the one on top */
  function branches(looks) {
    while (under.children.length < looks.length) under.append(svg("path"));
    [...under.children].forEach((path, n) => {
      const look = looks[n];
      set(path, look ? { d: look.d, class: look.kind, "stroke-width": look.width } : { d: "" });
    });
  }

  /** @param {Name[]} shown */
  function write(shown) {
    const left = new Set(names.filter((label) => label && label.text));
    for (const { key, text, kind, x, y } of shown) {
      const label = (names[key] ||= add(key));
      left.delete(label);
      set(label.node, { class: kind, x, y });
      label.text = text;
      setText(label.node, text);
    }
    for (const label of left) {
      label.text = "";
      setText(label.node, "");
    }
  }

  function add(key) {
    const node = svg("text"),
      next = names.slice(key + 1).find(Boolean);
    over.insertBefore(node, next ? next.node : null);
    return { node, text: "" };
  }

  /** The names of another trace have other keys. */
  function clear() {
    names = [];
    over.replaceChildren();
  }

  return { under, nodes, over, resize, sketch, put, branches, write, clear };
}

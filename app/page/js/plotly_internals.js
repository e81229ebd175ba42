// @ts-check
// All that the page knows of plotly.js beyond its public functions: the elements of its points and the frame of its
// axes. A release that renames them fails the browser test of this file.

import { make } from "./core.js";
import { lightPlot } from "./light_plot.js";

let plotlyLoaded = null;

// plotly.js is fetched once, after the first paint; the alias keeps it ours if another copy is loaded later. A replay
// has no address of it and draws its tree by itself.
export function loadPlotly(address) {
  plotlyLoaded ||= new Promise((resolve, reject) => {
    if (!address) return resolve(lightPlot);
    const script = make("script", { src: address, async: true });
    script.onload = () => resolve(/** @type {any} */ (window).Plotly);
    script.onerror = () => reject(new Error(address));
    document.head.append(script);
  });
  return plotlyLoaded;
}

/**
 * The frame of a drawn plot in pixels and data, or null before the first drawing.
 * @typedef {{ range: [number, number], offset: number, length: number }} Axis
 * @param {any} box the element that Plotly drew into
 * @returns {{ width: number, height: number, x: Axis, y: Axis } | null}
 */
export function plotFrame(box) {
  if (box.light) return box.light.frame();
  const full = box._fullLayout;
  if (!full) return null;
  const axis = (of) => ({ range: of.range.slice(), offset: of._offset, length: of._length });
  return { width: full.width, height: full.height, x: axis(full.xaxis), y: axis(full.yaxis) };
}

/** Whether Plotly has drawn into `box`; also true of a chart without axes. */
export function isPlotted(box) {
  return Boolean(box.light || box._fullLayout);
}

/** Whether drawing other points into `box` takes longer than a frame: Plotly does. */
export function drawsSlowly(box) {
  return Boolean(box._fullLayout);
}

/**
 * The elements of the points of the first trace, by the number of the point.
 * @param {HTMLElement} box
 * @returns {SVGElement[]}
 */
export function pointNodes(box) {
  if (/** @type {any} */ (box).light) return /** @type {any} */ (box).light.points;
  const nodes = [];
  box.querySelectorAll(".scatterlayer .point").forEach((/** @type {any} */ node) => {
    nodes[node.__data__.i] = node;
  });
  return nodes;
}

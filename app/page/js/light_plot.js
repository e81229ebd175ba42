// @ts-check
// Points in a frame that can be dragged and zoomed: as much of a plotting library as the tree of a replay needs, so
// that a replay file need not carry plotly.js.

import { svg } from "./core.js";

const NEAR = 14; // pixels from a point at which it is meant
const STILL = 4; // pixels that a click may move

/**
 * The element of one point of a trace, around the origin.
 * @returns {SVGElement}
 */
export function pointShape({ marker }, at) {
  const size = marker.size[at];
  return marker.symbol[at] === "square"
    ? svg("rect", { class: "point", x: -size / 2, y: -size / 2, width: size, height: size })
    : svg("circle", { class: "point", r: size / 2 });
}

/** A drawing of the points of the first trace; `frame` and `points` are what the tree paints by. */
class LightPlot {
  constructor(box) {
    this.box = box;
    this.listeners = {};
    this.points = [];
    this.root = svg("svg", { class: "mr-light" });
    this.held = null;
    box.append(this.root);
    box.on = (name, act) => (this.listeners[name] ||= []).push(act);
    this.root.addEventListener("wheel", (event) => this.zoom(event), { passive: false });
    this.root.addEventListener("pointerdown", (event) => this.hold(event));
    this.root.addEventListener("pointermove", (event) => this.move(event));
    this.root.addEventListener("pointerup", (event) => this.release(event));
    this.root.addEventListener("pointerleave", () => this.emit("plotly_unhover"));
    this.root.addEventListener("dblclick", () => this.reset());
  }

  emit(name, about) {
    for (const act of this.listeners[name] || []) act(about);
  }

  load(trace, layout) {
    this.data = trace;
    this.margin = layout.margin;
    this.home = { x: layout.xaxis.range, y: layout.yaxis.range };
    if (this.revision !== layout.uirevision) this.range = { x: [...this.home.x], y: [...this.home.y] };
    this.revision = layout.uirevision;
    this.points = trace.x.map((_, at) => pointShape(trace, at));
    this.root.replaceChildren(...this.points);
    this.draw();
  }

  frame() {
    const { clientWidth: width, clientHeight: height } = this.box,
      { l, r, t, b } = this.margin;
    return {
      width,
      height,
      x: { range: [...this.range.x], offset: l, length: Math.max(1, width - l - r) },
      y: { range: [...this.range.y], offset: t, length: Math.max(1, height - t - b) },
    };
  }

  draw() {
    const { width, height, x, y } = this.frame();
    this.root.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.spots = this.data.x.map((value, at) => [
      x.offset + ((value - x.range[0]) * x.length) / (x.range[1] - x.range[0]),
      y.offset + ((y.range[1] - this.data.y[at]) * y.length) / (y.range[1] - y.range[0]),
    ]);
    this.points.forEach((point, at) => point.setAttribute("transform", `translate(${this.spots[at].join(" ")})`));
    this.emit("plotly_afterplot");
  }

  /** @returns {[number, number]} */
  at(event) {
    const edge = this.root.getBoundingClientRect();
    return [event.clientX - edge.left, event.clientY - edge.top];
  }

  /**
   * The point that is meant, or -1.
   * @param {[number, number]} spot
   */
  nearest([left, top]) {
    let best = -1,
      least = NEAR;
    this.spots.forEach(([x, y], at) => {
      const far = Math.hypot(x - left, y - top);
      if (far < least && !this.points[at].classList.contains("off")) [best, least] = [at, far];
    });
    return best;
  }

  tell(name, at) {
    this.emit(name, { points: [{ customdata: this.data.customdata[at] }] });
  }

  hold(event) {
    this.held = { from: this.at(event), range: { x: [...this.range.x], y: [...this.range.y] }, moved: false };
    this.root.setPointerCapture(event.pointerId);
  }

  move(event) {
    const here = this.at(event);
    if (!this.held) {
      const near = this.nearest(here);
      return near < 0 ? this.emit("plotly_unhover") : this.tell("plotly_hover", near);
    }
    const { x, y } = this.frame(),
      { from, range } = this.held;
    if (!this.held.moved && Math.hypot(here[0] - from[0], here[1] - from[1]) < STILL) return;
    this.held.moved = true;
    const across = ((here[0] - from[0]) * (range.x[1] - range.x[0])) / x.length,
      down = ((here[1] - from[1]) * (range.y[1] - range.y[0])) / y.length;
    this.range = { x: range.x.map((v) => v - across), y: range.y.map((v) => v + down) };
    this.draw();
  }

  release(event) {
    const near = this.held && !this.held.moved ? this.nearest(this.at(event)) : -1;
    this.held = null;
    if (near >= 0) this.tell("plotly_click", near);
  }

  // Around the pointer, with Ctrl as maps in pages do: the wheel alone scrolls the page.
  zoom(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const [left, top] = this.at(event),
      { x, y } = this.frame(),
      by = Math.exp(event.deltaY / 400),
      scaled = ([low, high], share) => {
        const middle = low + share * (high - low);
        return [middle + (low - middle) * by, middle + (high - middle) * by];
      };
    this.range = {
      x: scaled(this.range.x, (left - x.offset) / x.length),
      y: scaled(this.range.y, 1 - (top - y.offset) / y.length),
    };
    this.draw();
  }

  reset() {
    this.range = { x: [...this.home.x], y: [...this.home.y] };
    this.draw();
  }
}

/** The functions of Plotly that the tree calls. */
export const lightPlot = {
  react: async (box, [trace], layout) => {
    if (!box.light) box.light = new LightPlot(box);
    box.light.load(trace, layout);
  },
  Plots: { resize: async (box) => box.light.draw() },
};

// @ts-check
// The stage as pictures: one step as a PNG, all steps as an animated PNG. Its own markup and style are put into an SVG,
// which the browser draws on a canvas.

import { animated } from "./apng.js";
import { make } from "./core.js";

const PAUSE = 1600,
  LAST_PAUSE = 4000; // milliseconds a step of the film

// How the stage looks now, w x h, on a canvas of `scale` times that.
async function paintStage(app, w, h, scale) {
  const stage = app.part("stage");
  const rules = [...document.styleSheets].flatMap((sheet) => {
    try {
      return [...sheet.cssRules];
    } catch {
      return [];
    }
  });
  const css = rules
    .map((rule) => rule.cssText)
    .filter((text) => text.includes(".mr"))
    .join("\n");
  const dark = document.body.classList.contains("dark") ? "dark" : "";
  const page = make(
    "div",
    { class: dark },
    make("div", { class: app.root.className }, make("style", { text: css }), stage.cloneNode(true)),
  );
  page
    .querySelectorAll(".mr-transport, .mr-alternatives, .modebar-container, .mr-grid:not(.front)")
    .forEach((node) => node.remove());
  const body = new XMLSerializer().serializeToString(page);
  const frame = `<foreignObject width="100%" height="100%">${body}</foreignObject>`;
  const source = `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}">${frame}</svg>`;
  const image = new Image();
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(source);
  await image.decode();
  const canvas = make("canvas", { width: w * scale, height: h * scale }),
    paper = canvas.getContext("2d");
  paper.scale(scale, scale);
  paper.fillStyle = getComputedStyle(stage).backgroundColor;
  paper.fillRect(0, 0, w, h);
  paper.drawImage(image, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

const stageSize = (app) => {
  const box = app.part("stage").getBoundingClientRect();
  return [Math.ceil(box.width), Math.ceil(box.height)];
};

export async function stagePicture(app) {
  return paintStage(app, ...stageSize(app), 2);
}

// Every step in turn, at the size of the tallest; the step that was shown is shown again afterwards.
export async function stageFilm(app, told) {
  const shown = app.step,
    steps = [...Array(app.model.last + 1).keys()],
    sizes = [],
    frames = [];
  try {
    for (const step of steps) {
      app.go(step);
      sizes.push(stageSize(app));
    }
    const [w, h] = [0, 1].map((side) => Math.max(...sizes.map((size) => size[side])));
    for (const step of steps) {
      app.go(step);
      await new Promise((resolve) => setTimeout(resolve, 50)); // the tree draws after the step
      frames.push(new Uint8Array(await (await paintStage(app, w, h, 1)).arrayBuffer()));
      told(step, app.model.last);
    }
  } finally {
    app.go(shown);
  }
  return new Blob(
    [
      animated(
        frames,
        frames.map((_, n) => (n === frames.length - 1 ? LAST_PAUSE : PAUSE)),
      ),
    ],
    { type: "image/png" },
  );
}

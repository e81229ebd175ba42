// @ts-check
// Films as GIF pictures that can be posted, the answer first; and the stage as pictures: its own markup and style are
// put into an SVG, which the browser draws on a canvas.

import { make } from "./core.js";
import { makeGif } from "./gif.js";

const PAUSE = 1500,
  ANSWER_PAUSE = 3500; // milliseconds a frame
const MAX_BYTES = 2000000,
  MAX_FRAMES = 32,
  SCALES = [1, 0.75, 0.5, 0.35]; // of a film that would be too large to post

// The answer, which is what a place shows that does not play it, then how it was found: each step in turn, or as many
// of them as a film has frames.
function framesOf(last) {
  const count = Math.min(last, MAX_FRAMES - 2);
  return [last, ...Array.from({ length: count + 1 }, (_, n) => (count ? Math.round((n * last) / count) : last))];
}

/**
 * A film under MOST_BYTES.
 * @param {number} last step
 * @param {(step: number, scale: number) => Promise<HTMLCanvasElement>} paint one frame; all of a scale have one size
 */
export async function filmOf(last, paint) {
  for (const scale of SCALES) {
    let film = null;
    for (const step of framesOf(last)) {
      const canvas = await paint(step, scale),
        { width, height } = canvas;
      film = film || makeGif(width, height);
      film.add(canvas.getContext("2d").getImageData(0, 0, width, height).data, step === last ? ANSWER_PAUSE : PAUSE);
      await new Promise((resolve) => setTimeout(resolve)); // the page lives on
    }
    const bytes = film.bytes();
    if (bytes.length < MAX_BYTES) return new Blob([bytes], { type: "image/gif" });
  }
  throw new Error("the film is too large");
}

export const pngOf = (canvas) => new Promise((resolve) => canvas.toBlob(resolve, "image/png"));

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
  // A copy of a dial stands at its beginning.
  const dials = stage.querySelectorAll('input[type="range"]');
  page.querySelectorAll('input[type="range"]').forEach((copy, at) => {
    copy.setAttribute("value", /** @type {HTMLInputElement} */ (dials[at]).value);
  });
  page
    .querySelectorAll(".mr-transport, .mr-alternatives, .modebar-container, .mr-grid:not(.front)")
    .forEach((node) => node.remove());
  const body = new XMLSerializer().serializeToString(page);
  const frame = `<foreignObject width="100%" height="100%">${body}</foreignObject>`;
  const source = `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}">${frame}</svg>`;
  const image = new Image();
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(source);
  await image.decode();
  const canvas = make("canvas", { width: Math.round(w * scale), height: Math.round(h * scale) }),
    paper = canvas.getContext("2d");
  paper.scale(scale, scale);
  paper.fillStyle = getComputedStyle(stage).backgroundColor;
  paper.fillRect(0, 0, w, h);
  paper.drawImage(image, 0, 0);
  return canvas;
}

const stageSize = (app) => {
  const box = app.part("stage").getBoundingClientRect();
  return [Math.ceil(box.width), Math.ceil(box.height)];
};

export async function stagePicture(app) {
  return pngOf(await paintStage(app, ...stageSize(app), 2));
}

// At the size of the tallest step; the step that was shown is shown again afterwards.
export async function stageFilm(app, report) {
  const shown = app.step,
    { last } = app.model,
    sizes = [];
  app.root.classList.add("filmed"); // without the list of answers, which the last step alone has
  try {
    for (let step = 0; step <= last; step++) {
      app.go(step);
      sizes.push(stageSize(app));
    }
    const [w, h] = [0, 1].map((side) => Math.max(...sizes.map((size) => size[side])));
    return await filmOf(last, async (step, scale) => {
      app.go(step);
      await new Promise((resolve) => setTimeout(resolve, 50)); // the tree draws after the step
      report(step, last);
      return paintStage(app, w, h, scale);
    });
  } finally {
    app.root.classList.remove("filmed");
    app.go(shown);
  }
}

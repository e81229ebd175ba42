// The stage as pictures: one step as a PNG, all steps as an animated PNG. Its own markup and style are put into an SVG,
// which the browser draws on a canvas.

const PAUSE = 1600, LAST_PAUSE = 4000; // milliseconds a step of the film

// How the stage looks now, w x h, on a canvas of `scale` times that.
async function paintStage(app, w, h, scale) {
  const stage = app.part("stage");
  const rules = [...document.styleSheets].flatMap((sheet) => { try { return [...sheet.cssRules]; } catch { return []; } });
  const css = rules.map((rule) => rule.cssText).filter((text) => text.includes(".mr")).join("\n");
  const dark = document.body.classList.contains("dark") ? "dark" : "";
  const page = make("div", { class: dark }, make("div", { class: app.root.className }, make("style", { text: css }), stage.cloneNode(true)));
  page.querySelectorAll(".mr-transport, .modebar-container, .mr-grid:not(.front)").forEach((node) => node.remove());
  const body = new XMLSerializer().serializeToString(page);
  const source = `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}"><foreignObject width="100%" height="100%">${body}</foreignObject></svg>`;
  const image = new Image();
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(source);
  await image.decode();
  const canvas = make("canvas", { width: w * scale, height: h * scale }), paper = canvas.getContext("2d");
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

async function stagePicture(app) {
  return paintStage(app, ...stageSize(app), 2);
}

// Every step in turn, at the size of the tallest; the step that was shown is shown again afterwards.
async function stageFilm(app, told) {
  const shown = app.step, steps = [...Array(app.model.last + 1).keys()], sizes = [], frames = [];
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
  return new Blob([animated(frames, frames.map((_, n) => (n === frames.length - 1 ? LAST_PAUSE : PAUSE)))], { type: "image/png" });
}

// PNG pictures of one size -> an animated PNG (W3C PNG, third edition): the data of the first stay, those of the others
// become numbered frame data.
function animated(pictures, pauses) {
  const parts = [pictures[0].subarray(0, 8)], all = pictures.map(chunksOf);
  const head = all[0].find((chunk) => chunk.type === "IHDR"), [width, height] = [numberAt(head.data, 0), numberAt(head.data, 4)];
  let serial = 0;
  parts.push(chunk("IHDR", head.data), chunk("acTL", numbers(pictures.length, 0)));
  all.forEach((chunks, n) => {
    const shape = numbers(serial++, width, height, 0, 0), pause = new Uint8Array([pauses[n] >> 8, pauses[n] & 255, 1000 >> 8, 1000 & 255, 0, 0]);
    parts.push(chunk("fcTL", joined(shape, pause)));
    for (const { type, data } of chunks) {
      if (type === "IDAT") parts.push(n ? chunk("fdAT", joined(numbers(serial++), data)) : chunk("IDAT", data));
    }
  });
  return joined(...parts, chunk("IEND", new Uint8Array(0)));
}

function chunksOf(png) {
  const out = [];
  for (let at = 8; at < png.length;) {
    const size = numberAt(png, at);
    out.push({ type: String.fromCharCode(...png.subarray(at + 4, at + 8)), data: png.subarray(at + 8, at + 8 + size) });
    at += size + 12;
  }
  return out;
}

function chunk(type, data) {
  const named = joined(Uint8Array.from(type, (letter) => letter.charCodeAt(0)), data);
  return joined(numbers(data.length), named, numbers(checksum(named)));
}

// CRC-32 as PNG defines it.
function checksum(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

const numberAt = (bytes, at) => new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0);

function numbers(...values) {
  const out = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, n) => out.setUint32(4 * n, value));
  return new Uint8Array(out.buffer);
}

function joined(...parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

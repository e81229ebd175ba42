// @ts-check
// The writer of animated GIF pictures, which every place takes where people post: pixels in, bytes out.

const SHADES = 32, // of each of red, green and blue, while colours are counted
  BUCKETS = SHADES ** 3;
const SAME = 255; // the entry of the palette that stands for "as in the frame before"
const APART = [24, 10, 0]; // how far colours of the palette must be from each other, the first passes before the last
const CLEAR = 256,
  END = 257,
  MAX_CODES = 4096;

/** Frames of one size, given one after the other. */
export function makeGif(width, height) {
  const counts = new Float64Array(BUCKETS),
    sums = new Float64Array(3 * BUCKETS),
    frames = [];

  /** @param {Uint8ClampedArray} pixels red, green, blue and opacity; all is opaque; @param {number} pause in ms */
  function add(pixels, pause) {
    const buckets = new Uint16Array(width * height);
    for (let at = 0, byte = 0; at < buckets.length; at++, byte += 4) {
      const [red, green, blue] = [pixels[byte], pixels[byte + 1], pixels[byte + 2]],
        bucket = ((red >> 3) << 10) | ((green >> 3) << 5) | (blue >> 3);
      buckets[at] = bucket;
      counts[bucket]++;
      sums[3 * bucket] += red;
      sums[3 * bucket + 1] += green;
      sums[3 * bucket + 2] += blue;
    }
    frames.push({ buckets, pause });
  }

  /** The whole file; it plays for ever. */
  function bytes() {
    const { palette, nearest } = paletteOf(counts, sums);
    const out = [...letters("GIF89a"), ...short(width), ...short(height), 0xf7, 0, 0];
    const parts = [Uint8Array.from(out), palette];
    parts.push(Uint8Array.from([0x21, 0xff, 11, ...letters("NETSCAPE2.0"), 3, 1, 0, 0, 0]));
    let before = null;
    for (const { buckets, pause } of frames) {
      const now = Uint8Array.from(buckets, (bucket) => nearest[bucket]),
        box = before ? changed(before, now, width, height) : { left: 0, top: 0, right: width, bottom: height };
      parts.push(frameOf(now, before, box, width, pause));
      before = now;
    }
    parts.push(Uint8Array.of(0x3b));
    return joined(parts);
  }

  return { add, bytes };
}

// The colours that are used most, of those that look alike the first alone, and for every bucket the nearest of them.
function paletteOf(counts, sums) {
  const used = [...counts.keys()].filter((bucket) => counts[bucket]).sort((a, b) => counts[b] - counts[a]);
  const colours = new Map(used.map((b) => [b, [0, 1, 2].map((part) => Math.round(sums[3 * b + part] / counts[b]))]));
  const chosen = [],
    taken = new Set();
  const distance = (a, b) => (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;
  for (const apart of APART)
    for (const bucket of used) {
      const colour = colours.get(bucket);
      if (chosen.length === SAME) break;
      if (taken.has(bucket) || chosen.some((other) => distance(colour, other) < apart ** 2)) continue;
      chosen.push(colour);
      taken.add(bucket);
    }
  const nearest = new Uint8Array(BUCKETS);
  for (const bucket of used) {
    const colour = colours.get(bucket);
    let best = Infinity;
    chosen.forEach((other, at) => {
      const far = distance(colour, other);
      if (far < best) [best, nearest[bucket]] = [far, at];
    });
  }
  const palette = new Uint8Array(3 * 256);
  palette.set(chosen.flat());
  return { palette, nearest };
}

// The smallest rectangle that holds all that differs; one pixel where nothing does.
function changed(before, now, width, height) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++, at++) {
      if (before[at] === now[at]) continue;
      if (x < left) left = x;
      if (x >= right) right = x + 1;
      if (y < top) top = y;
      bottom = y + 1;
    }
  return right ? { left, top, right, bottom } : { left: 0, top: 0, right: 1, bottom: 1 };
}

function frameOf(now, before, { left, top, right, bottom }, width, pause) {
  const wide = right - left,
    pixels = new Uint8Array(wide * (bottom - top));
  for (let y = top, to = 0; y < bottom; y++)
    for (let x = left; x < right; x++, to++) {
      const at = y * width + x;
      pixels[to] = before && before[at] === now[at] ? SAME : now[at];
    }
  const control = [0x21, 0xf9, 4, 0b101, ...short(Math.round(pause / 10)), SAME, 0]; // drawn over the frame before
  const head = [0x2c, ...short(left), ...short(top), ...short(wide), ...short(bottom - top), 0, 8];
  return joined([Uint8Array.from([...control, ...head]), ...blocks(squeezed(pixels)), Uint8Array.of(0)]);
}

// LZW as GIF has it, from codes of nine bits up to twelve.
function squeezed(pixels) {
  const table = new Uint16Array(MAX_CODES * 256),
    out = [];
  let size = 9,
    next = END + 1,
    held = 0,
    bits = 0;
  const write = (code) => {
    held |= code << bits;
    bits += size;
    for (; bits >= 8; bits -= 8, held >>>= 8) out.push(held & 255);
    if (next > (1 << size) - 1 && size < 12) size++;
  };
  write(CLEAR);
  let prefix = pixels[0];
  for (let at = 1; at < pixels.length; at++) {
    const key = prefix * 256 + pixels[at];
    if (table[key]) {
      prefix = table[key];
      continue;
    }
    write(prefix);
    if (next < MAX_CODES) table[key] = next++;
    else {
      write(CLEAR);
      [size, next] = [9, END + 1];
      table.fill(0);
    }
    prefix = pixels[at];
  }
  write(prefix);
  write(END);
  if (bits) out.push(held & 255);
  return Uint8Array.from(out);
}

function blocks(data) {
  const out = [];
  for (let at = 0; at < data.length; at += 255) {
    const part = data.subarray(at, at + 255);
    out.push(Uint8Array.of(part.length), part);
  }
  return out;
}

const letters = (text) => Array.from(text, (letter) => letter.charCodeAt(0));
const short = (value) => [value & 255, (value >> 8) & 255];

function joined(parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

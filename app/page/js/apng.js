// @ts-check
// The writer of animated PNG pictures: bytes in, bytes out.

// PNG pictures of one size -> an animated PNG (W3C PNG, third edition): the data of the first stay, those of the others
// become numbered frame data.
export function animated(pictures, pauses) {
  const parts = [pictures[0].subarray(0, 8)],
    all = pictures.map(chunksOf);
  const head = all[0].find((chunk) => chunk.type === "IHDR"),
    [width, height] = [numberAt(head.data, 0), numberAt(head.data, 4)];
  let serial = 0;
  parts.push(chunk("IHDR", head.data), chunk("acTL", numbers(pictures.length, 0)));
  all.forEach((chunks, n) => {
    const shape = numbers(serial++, width, height, 0, 0),
      pause = new Uint8Array([pauses[n] >> 8, pauses[n] & 255, 1000 >> 8, 1000 & 255, 0, 0]);
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
  const named = joined(
    Uint8Array.from(type, (letter) => letter.charCodeAt(0)),
    data,
  );
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

export function joined(...parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

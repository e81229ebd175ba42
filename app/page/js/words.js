// @ts-check
// Words and numbers as a person reads them.

// Words of app/words/sentences.py with {names} filled in.
export function fill(words, values) {
  return words.replace(/\{(\w+)\}/g, (whole, key) => (values && key in values ? String(values[key]) : whole));
}

export function percent(p) {
  if (p === null || p === undefined) return "";
  if (p >= 0.995 && p < 1) return ">99%";
  if (p >= 0.0095 || p === 0) return Math.round(p * 100) + "%";
  if (p >= 0.001) return (p * 100).toFixed(1) + "%";
  return "<0.1%";
}

// One formatter: toLocaleString makes one for each number, and a step shows hundreds.
const counts = new Intl.NumberFormat("en-US");

export function count(n) {
  return counts.format(n);
}

// @ts-check
// Small helpers that all parts share. Text reaches the page as text nodes only: titles are not trusted.

export function make(tag, options, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(options || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") node.className = value;
    else if (key === "text") node.textContent = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "data") Object.assign(node.dataset, value);
    else node.setAttribute(key, value === true && !key.startsWith("aria-") ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function svg(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setClass(node, name) {
  if (node.className !== name) node.className = name;
}

// How full a bar is, 0 to 1.
export function setBar(node, share) {
  const value = `${(100 * share).toFixed(1)}% 100%`;
  if (node.style.backgroundSize !== value) node.style.backgroundSize = value;
}

export function makeBar(share) {
  const bar = make("span", { class: "bar" });
  setBar(bar, share);
  return bar;
}

// Runs `work` once the next frame is painted; returns a function that calls it off. (requestIdleCallback waits for long
// after a key press.)
export function whenPainted(work) {
  let off = false;
  requestAnimationFrame(() => setTimeout(() => off || work(), 0));
  return () => {
    off = true;
  };
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export function download(name, content, type) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = make("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

export function remember(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(key);
    localStorage.setItem(key, value);
  } catch {
    return null; // storage may be shut in an embedded page; the hint then shows each time
  }
}

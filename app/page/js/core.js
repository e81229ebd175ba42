// Small helpers that all parts share. Text reaches the page as text nodes only: titles are not trusted.

function make(tag, options, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(options || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") node.className = value;
    else if (key === "text") node.textContent = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "data") Object.assign(node.dataset, value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function svg(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// Words of app/text.py with {names} filled in.
function fill(words, values) {
  return words.replace(/\{(\w+)\}/g, (whole, key) => (values && key in values ? String(values[key]) : whole));
}

function percent(p) {
  if (p === null || p === undefined) return "";
  if (p > 0.995 && p < 1) return ">99%";
  if (p >= 0.1 || p === 0) return Math.round(p * 100) + "%";
  if (p >= 0.0095) return Math.round(p * 100) + "%";
  if (p >= 0.001) return (p * 100).toFixed(1) + "%";
  return "<0.1%";
}

function count(n) {
  return n.toLocaleString("en-US");
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setClass(node, name) {
  if (node.className !== name) node.className = name;
}

// How full a bar is, 0 to 1.
function setBar(node, share) {
  const value = `${(100 * share).toFixed(1)}% 100%`;
  if (node.style.backgroundSize !== value) node.style.backgroundSize = value;
}

function makeBar(share) {
  const bar = make("span", { class: "bar" });
  setBar(bar, share);
  return bar;
}

// Work for when the next frame is painted. (requestIdleCallback waits for long after a key press.) Returns what calls it off.
function whenPainted(work) {
  let off = false;
  requestAnimationFrame(() => setTimeout(() => off || work(), 0));
  return () => { off = true; };
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

function download(name, content, type) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = make("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

let plotlyLoaded = null;

// plotly.js is fetched once, after the first paint; the alias keeps it ours if another copy is loaded later.
function loadPlotly(address) {
  plotlyLoaded ||= new Promise((resolve, reject) => {
    if (!address) return resolve(window.Plotly);
    const script = make("script", { src: address, async: true });
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error(address));
    document.head.append(script);
  });
  return plotlyLoaded;
}

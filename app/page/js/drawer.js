// @ts-check
// The settings' drawer: beside the stage, so that what a setting changes is in sight; a sheet at the bottom where there
// is no room. The keyboard goes in and comes out as it pleases.

import { standBeside } from "./beside.js";

export function makeDrawer(app) {
  const box = app.part("settings"),
    stage = app.part("stage"),
    button = app.root.querySelector('[data-do="settings"]');
  const position = () => box.hidden || standBeside(box, stage);

  function toggle(open = box.hidden) {
    const held = box.contains(document.activeElement);
    box.hidden = !open;
    app.root.classList.toggle("drawer", open);
    button.setAttribute("aria-expanded", String(open));
    const sheet = open && standBeside(box, stage);
    if (sheet) stage.scrollIntoView(); // its answers above the sheet
    const first = box.querySelector("input:enabled, select:enabled") || box.querySelector("button:enabled");
    if (open) /** @type {HTMLElement} */ (first).focus({ preventScroll: true });
    else if (held) button.focus({ preventScroll: true });
    if (app.model) app.rebuild();
  }

  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") toggle(false);
  });
  for (const event of ["resize", "scroll"]) addEventListener(event, position, true);
  new ResizeObserver(position).observe(app.root);
  return { toggle, acts: { settings: () => toggle(), "settings-close": () => toggle(false) } };
}

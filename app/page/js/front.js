// @ts-check
// How much of the page is shown: the plain page or all that is under the hood, the small print, and on a narrow screen
// one picture of the decode at a time.

import { remember } from "./core.js";

export function makeFront(app) {
  const button = (name) => app.root.querySelector(`[data-do="${name}"]`);

  function hood(open = app.root.classList.contains("plain")) {
    app.root.classList.toggle("plain", !open);
    button("hood").setAttribute("aria-pressed", String(open));
    remember("mindrec-hood", open ? "open" : "shut");
    if (app.model) app.rebuild();
  }

  function about() {
    const box = app.part("about");
    box.hidden = !box.hidden;
    button("about").setAttribute("aria-expanded", String(!box.hidden));
  }

  // Beams and path stand side by side where there is room, and the map in the path's place; the style sheet shows one
  // picture only where there is not.
  function view(name) {
    for (const each of ["path", "map"]) app.root.classList.toggle("view-" + each, name === each);
    for (const each of ["beams", "path", "map"])
      button("view-" + each).setAttribute("aria-pressed", String(each === name));
    if (app.model) app.rebuild();
  }

  if (app.server && button("hood")) hood(remember("mindrec-hood") === "open");
  return {
    acts: {
      hood: () => hood(),
      about,
      "view-beams": () => view("beams"),
      "view-path": () => view("path"),
      "view-map": () => view("map"),
    },
  };
}

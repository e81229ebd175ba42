// @ts-check
// The page around the stage: six tabs, made when first shown, that share one way to ask the server.

import { makeCompare } from "./compare.js";
import { makeDiagnose } from "./diagnose.js";
import { makeAddress } from "./address.js";
import { makeLab } from "./lab.js";
import { makeLearn } from "./learn.js";
import { declareSettings, readLink } from "./links.js";
import { makePlay } from "./play.js";
import { makeRoom } from "./room.js";
import { mount } from "./stage.js";

export function mountPage(element, data, server) {
  declareSettings(data.links);
  const panel = (name) => element.querySelector(`[data-panel="${name}"]`);
  const page = {
    element,
    data,
    server,
    linked: readLink(location.href),
    pristine: panel("watch").querySelector(".mr").cloneNode(true),
  };
  page.watch = mount(panel("watch"), data, server);
  page.ready = page.watch.ready; // the first story or link is open
  const makers = { compare: makeCompare, diagnose: makeDiagnose, learn: makeLearn, play: makePlay, lab: makeLab };
  const made = {
    watch: { shown: () => page.watch.model && page.watch.rebuild(), address: () => page.watch.parts.share.address() },
  };
  const tabs = [...element.querySelectorAll("[data-tab]")];

  let current = "watch";
  page.current = () => current;
  page.room = makeRoom(page);
  const address = makeAddress(() => made[current].address());
  page.changed = address.changed;
  page.watch.changed = address.changed;
  page.ready.then(address.begin);

  // A tab that is opened by hand can be left by the browser's Back.
  page.show = (name, focus) => {
    if (name === current) return show(name, focus);
    page.enter(() => show(name, focus));
  };

  // A change that the browser's Back undoes.
  page.enter = (change) => {
    address.flush();
    change();
    address.push();
  };

  function show(name, focus) {
    for (const tab of tabs) {
      const on = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      panel(tab.dataset.tab).hidden = !on;
      if (on && focus) tab.focus();
    }
    made[name] ||= makers[name](page, panel(name));
    current = name;
    made[name].shown();
  }

  // From a case that a change would have saved, in Watch or in Diagnose, to both sides of it.
  page.playRescue = (bundle, from) => {
    page.cameFrom = from;
    page.show("compare");
    return made.compare.playRescue(bundle);
  };
  page.watch.playRescue = (bundle) => page.playRescue(bundle, "watch");

  const named = (values) => {
    const wanted = values.tab !== "watch" || values.lesson === null ? values.tab : "learn";
    return tabs.some((tab) => tab.dataset.tab === wanted) ? wanted : "watch";
  };

  // Back to another tab, and to the history that it stood beside.
  addEventListener("popstate", async () => {
    const values = readLink(location.href),
      differs = named(values) === "watch" && location.href !== made.watch.address();
    show(named(values));
    const link = differs && (await page.watch.parts.share.read(values));
    if (link && !link.error) await page.watch.follow(link);
    if (made[current].back) made[current].back(values);
    address.begin();
  });

  tabs.forEach((tab, at) => {
    tab.addEventListener("click", () => page.show(tab.dataset.tab));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      page.show(tabs[(to + tabs.length) % tabs.length].dataset.tab, true);
    });
  });

  // An answer, or null once `say` has told what went wrong.
  page.ask = async (name, request, say) => {
    try {
      const answer = await server[name](request);
      if (!answer || answer.error !== undefined) {
        say(answer && answer.error ? answer.error : data.text.failed);
        return null;
      }
      return answer;
    } catch {
      say(data.text.failed);
      return null;
    }
  };

  element.querySelector(".mr-page").classList.toggle("bare", page.linked.bare);
  show(named(page.linked));
  /** @type {any} */ (window).mindrecIsOpen = true; // see app/server/guard.py
}

// The page around the stage: four tabs, made when first shown, that share one way to ask the server.

function mountPage(element, data, server) {
  const panel = (name) => element.querySelector(`[data-panel="${name}"]`);
  const page = { data, server, asked: new URL(location.href).searchParams, pristine: panel("watch").querySelector(".mr").cloneNode(true) };
  page.watch = mount(panel("watch"), data, server);
  page.ready = page.watch.ready; // the first story or link is open
  const makers = { compare: makeCompare, diagnose: makeDiagnose, learn: makeLearn };
  const made = { watch: { shown: () => page.watch.model && page.watch.rebuild() } };
  const tabs = [...element.querySelectorAll("[data-tab]")];

  page.show = (name, focus) => {
    for (const tab of tabs) {
      const on = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      panel(tab.dataset.tab).hidden = !on;
      if (on && focus) tab.focus();
    }
    made[name] ||= makers[name](page, panel(name));
    made[name].shown();
  };

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
      if (!answer || answer.error !== undefined) { say(answer && answer.error ? answer.error : data.text.failed); return null; }
      return answer;
    } catch {
      say(data.text.failed);
      return null;
    }
  };

  const wanted = page.asked.get("tab") || (page.asked.has("lesson") ? "learn" : "watch");
  element.querySelector(".mr-page").classList.toggle("bare", page.asked.get("controls") === "0");
  page.show(tabs.some((tab) => tab.dataset.tab === wanted) ? wanted : "watch");
  window.mindrecIsOpen = true; // see app/web.py
}

// A player of its own inside a tab: the stage's markup as it was served, without the history and the settings.
function embedStage(page, box) {
  const root = page.pristine.cloneNode(true);
  root.querySelectorAll(".mr-setup, .mr-head, .mr-hint").forEach((node) => node.remove());
  root.classList.add("embedded");
  box.replaceChildren(root);
  return mount(box, { text: page.data.text, plotly: page.data.plotly, bundle: null }, null);
}

// A line of words in a part of a tab; empty words hide it.
function sayIn(box, words, kind) {
  box.hidden = !words;
  setClass(box, "mr-message" + (kind ? " " + kind : ""));
  setText(box, words || "");
}

async function copyLink(url, field, say, words) {
  field.value = url;
  try {
    await navigator.clipboard.writeText(url);
    field.hidden = true;
    say(words.copied);
  } catch {
    field.hidden = false;
    field.select();
    say(words.failed);
  }
}

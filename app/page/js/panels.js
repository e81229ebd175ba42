// @ts-check
// Parts that the tabs share: a player inside a tab, a line of words, a link that is copied.

import { setClass, setText } from "./core.js";
import { mount } from "./stage.js";

// A player of its own inside a tab: the stage's markup as it was served, without the history and the settings.
export function embedStage(page, box) {
  const root = page.pristine.cloneNode(true);
  root.querySelectorAll(".mr-setup, .mr-head, .mr-hint").forEach((node) => node.remove());
  root.classList.add("embedded");
  box.replaceChildren(root);
  return mount(box, { text: page.data.text, plotly: page.data.plotly, bundle: null }, null);
}

// A line of words in a part of a tab; empty words hide it.
export function sayIn(box, words, kind) {
  box.hidden = !words;
  setClass(box, "mr-message" + (kind ? " " + kind : ""));
  setText(box, words || "");
}

export async function copyLink(url, field, say, words) {
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

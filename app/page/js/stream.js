// @ts-check
// Decodes that take longer than a blink: a place in the queue, then steps as they are computed. The player paces them.

import { calm, setText } from "./core.js";
import { fill } from "./words.js";

const AT_ONCE = 0.6; // seconds that the server may take to answer in one piece, as fast decodes do
const ASK_AGAIN = 350;

export function addStreaming(app) {
  const T = app.T;
  let running = null; // {job, stopped} of the decode on its way
  let turn = 0;

  // The bundle of a decode, or null when it failed, was stopped, or gave way to a newer one. The steps of a long one
  // are shown as they come: they `play`, or it stays at the `step` that was looked at.
  app.fetch = async (request, { play = false, step = 0 } = {}) => {
    app.stop(true);
    const number = turn,
      newest = () => number === turn;
    const answer = await app.ask("decode", { ...request, wait: AT_ONCE }, newest);
    if (!newest()) {
      if (answer && answer.job) drop(answer.job);
      return null;
    }
    if (!answer || !answer.job) return answer;
    const mine = (running = { job: answer.job, stopped: false, play, step });
    show(fill(answer.place ? T.waiting_place : T.waiting_first, answer));
    const bundle = await follow(mine);
    if (running === mine) end();
    return bundle;
  };

  async function follow(mine) {
    let whole = null;
    while (!mine.stopped) {
      const after = whole ? whole.trace.steps.length : 0;
      const answer = await app.ask("decode_poll", { job: mine.job, after }, () => !mine.stopped);
      if (mine.stopped || !answer) return null;
      if (answer.bundle) return answer.bundle;
      if (answer.part) {
        const first = !whole;
        whole = joined(whole, answer.part);
        arrive(whole, first, mine);
      } else if (!whole) show(answer.place ? fill(T.waiting_place, answer) : T.waiting_first);
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN));
    }
    return null;
  }

  function joined(whole, part) {
    const add = (list, key) => (whole ? [...list(whole)[key], ...list(part)[key]] : list(part)[key]);
    const trace = { ...part.trace, steps: add((b) => b.trace, "steps") };
    return { ...part, trace, captions: add((b) => b, "captions"), partial: true };
  }

  // The first part takes the stage; later ones only make the film longer. One that plays plays on by itself, unless
  // motion is not wanted or somebody has paused it.
  function arrive(whole, first, { play, step }) {
    app.root.classList.add("streaming");
    app.show(whole, first ? { step } : { step: app.stays(step), grown: true });
    show(
      fill(T.progress, { step: whole.trace.steps.length - 1, last: app.model.expected }),
      whole.trace.steps.length - 1,
      app.model.expected,
    );
    if (!calm() && ((first && play) || app.parts.player.following())) app.parts.player.start();
  }

  // The step to show once there are more: the wanted one, unless a person has gone to another.
  app.stays = (wanted) => (app.step === Math.min(wanted, app.model.last) ? wanted : app.step);

  function show(words, done, all) {
    const bar = app.part("progress-bar");
    app.part("progress").hidden = app.root.querySelector('[data-do="stop"]').hidden = false;
    setText(app.part("progress-words"), words);
    if (done === undefined) bar.removeAttribute("value");
    else Object.assign(bar, { max: all, value: done });
  }

  function end() {
    running = null;
    app.root.classList.remove("streaming");
    app.part("progress").hidden = app.root.querySelector('[data-do="stop"]').hidden = true;
  }

  // It is dropped by itself when nobody asks for it; this is sooner.
  function drop(job) {
    app.server.decode_stop({ job }).catch(() => {});
  }

  // `quietly` when a newer question or an edit takes its place; one that has no place in the queue yet is dropped too.
  app.stop = (quietly) => {
    turn++;
    if (!running) return;
    const { job } = running;
    running.stopped = true;
    end();
    drop(job);
    if (!quietly) app.stopped();
  };
}

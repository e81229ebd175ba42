// @ts-check
// A sample of test trips that the server diagnoses on the spot.

import { setText } from "./core.js";
import { fill } from "./words.js";

export function makeSample(d) {
  const { D, part, page } = d,
    limit = page.data.diagnosis.most_sample,
    size = part("sample-size"),
    bar = part("sample-bar"),
    button = part("sample").querySelector("button");
  size.max = limit;
  setText(part("sample-words"), fill(D.sample_help, { most: limit }));

  async function run(request, filters) {
    let job = null;
    for (;;) {
      const answer = await page.ask("sample", job === null ? request : { job }, d.say);
      if (!answer) return setText(part("sample-words"), fill(D.sample_help, { most: limit }));
      if (answer.job !== undefined) job = answer.job;
      if (answer.table) return finish(answer, filters);
      setText(part("sample-words"), answer.waiting || fill(D.sample_working, answer));
      bar.value = answer.total ? answer.done / answer.total : 0;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  function finish(answer, filters) {
    if (!d.tables.some((table) => table.name === answer.table.name)) d.tables.push(answer.table);
    setText(part("sample-words"), fill(D.sample_done, { name: answer.table.name, total: answer.total }));
    return d.choose(answer.table.name, filters);
  }

  // Diagnoses { checkpoint, config, users, seed } and opens the table with some filters.
  d.sample = async (request, filters = {}) => {
    button.disabled = true;
    bar.hidden = false;
    d.say("");
    await run(request, filters);
    bar.hidden = true;
    button.disabled = false;
  };

  part("sample").addEventListener("submit", (event) => {
    event.preventDefault();
    const { checkpoint, config } = page.watch.query,
      users = Math.max(1, Math.min(limit, Number(size.value) || 100));
    return d.sample({ checkpoint, config, users, seed: 0 });
  });
}

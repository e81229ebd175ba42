// @ts-check
// The address bar follows the page: a change replaces the address, another tab adds one to the browser's history.

const WAIT = 120; // milliseconds; browsers refuse a page that changes its address too often

/** @param {() => string} addressNow */
export function makeAddress(addressNow) {
  let timer = 0,
    last = null;

  function write() {
    clearTimeout(timer);
    timer = 0;
    const href = addressNow();
    if (last === null || href === last) return;
    last = href;
    history.replaceState(history.state, "", href);
  }

  return {
    /** From now on changes count; the address that was opened stays until the first. */
    begin: () => {
      last = addressNow();
    },
    changed: () => {
      if (last !== null && !timer) timer = setTimeout(write, WAIT);
    },
    flush: () => timer && write(),
    push: () => {
      last = addressNow();
      history.pushState(history.state, "", last);
    },
  };
}

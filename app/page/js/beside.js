// @ts-check
// Where a box goes that speaks of something on the page, below it, else above it, and never outside the screen; and
// where a drawer stands beside the stage.

const EDGE = 8, // pixels that stay free at the screen's edge
  GAP = 6,
  LEAST = 220; // pixels of height below which a box would rather cover what it speaks of

export const PHONE = "(max-width: 640px)"; // there the style sheet makes it a sheet at the bottom

const ROOM = "(min-width: 1000px)"; // for a drawer beside the stage

/** @param {HTMLElement} box that is shown; @param {Element | null} anchor what it speaks of, if it is on the page. */
export function placeBeside(box, anchor) {
  const style = box.style;
  style.maxHeight = style.left = style.top = "";
  if (!anchor) return;
  const at = anchor.getBoundingClientRect();
  if (matchMedia(PHONE).matches) return;
  const [wide, high] = [document.documentElement.clientWidth, innerHeight];
  const below = high - EDGE - GAP - at.bottom,
    above = at.top - GAP - EDGE,
    down = box.offsetHeight <= below || below >= above;
  const height = Math.min(high - 2 * EDGE, Math.max(LEAST, down ? below : above));
  style.maxHeight = height + "px";
  const inside = (value, room) => Math.max(EDGE, Math.min(room - EDGE, value));
  style.left = inside(at.left, wide - box.offsetWidth) + "px";
  style.top = inside(down ? at.bottom + GAP : at.top - GAP - box.offsetHeight, high - box.offsetHeight) + "px";
}

/** Scrolls the page so far that a sheet at the bottom of a phone does not cover what it speaks of. */
export function clearOfSheet(box, anchor) {
  if (!anchor || !matchMedia(PHONE).matches) return;
  const covered = anchor.getBoundingClientRect().bottom + EDGE - box.getBoundingClientRect().top;
  if (covered > 0) scrollBy(0, covered);
}

/**
 * Right of the stage and as high as what is seen of it. Where there is no room the style sheet makes it a sheet at the
 * bottom; returns whether it is one.
 */
export function standBeside(box, stage) {
  const at = stage.getBoundingClientRect(),
    beside = matchMedia(ROOM).matches;
  box.style.left = beside ? at.right + 12 + "px" : "";
  box.style.top = beside ? Math.max(EDGE, Math.min(at.top, innerHeight - LEAST)) + "px" : "";
  return !beside;
}

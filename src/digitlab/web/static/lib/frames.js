// Work that shows something, spread over the browser's frames: a page that learns ten times a second stays fluid.
//
// One queue for the page. What waits longest is done first; of one who waits already the newest work takes its place.
import { Component } from "./html.js";

/** Milliseconds of a frame after which no other work is begun. */
const SHARE = 6;
/** @type {Map<unknown, () => boolean | void>} */
const due = new Map();
let isAsked = false;
let hasWaited = false;

function ask() {
  if (isAsked || due.size === 0) return;
  isAsked = true;
  requestAnimationFrame(work);
}

/** @param {number} now when the frame began: others have worked in it too */
function work(now) {
  isAsked = false;
  const end = now + SHARE;
  hasWaited = performance.now() >= end && !hasWaited; // once, else a busy machine would never draw
  for (const [who, part] of hasWaited ? [] : due) {
    due.delete(who);
    if (part() && !due.has(who)) due.set(who, part);
    if (performance.now() >= end) break;
  }
  ask();
}

/**
 * Does a piece of work in one of the next frames.
 * @param {unknown} who  whose work it is
 * @param {() => boolean | void} part  whether there is more of it, for a later turn
 */
export function inFrame(who, part) {
  due.set(who, part);
  ask();
}

/** @param {unknown} who whose work is wanted no more */
export const outOfFrames = (who) => void due.delete(who);

/** What it holds is drawn in a frame of its own, not together with all else that has changed. */
export class Later extends Component {
  shouldComponentUpdate() {
    inFrame(this, () => this.forceUpdate());
    return false;
  }

  componentWillUnmount() {
    outOfFrames(this);
  }

  render() {
    return /** @type {any} */ (this.props).children;
  }
}

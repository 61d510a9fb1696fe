// The views, each loaded when it is first opened. A view is a component of {route}.
/** @type {Record<string, () => Promise<{default: (props: {route: import("./lib/route.js").Route, about: any}) => any}>>} */
export const views = {
  train: () => import("./train/view.js"),
  board: () => import("./board/view.js"),
  draw: () => import("./draw/view.js"),
  studies: () => import("./studies/view.js"),
  runs: () => import("./runs/view.js"),
  compare: () => import("./compare/view.js"),
};

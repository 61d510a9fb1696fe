// A scale of colours that rises in brightness for every eye (viridis, by Smith and van der Walt), and its ink.
const STOPS = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
];

/** @param {number} share 0 to 1 @returns {number[]} */
function mixed(share) {
  const at = Math.max(0, Math.min(1, share)) * (STOPS.length - 1);
  const i = Math.min(Math.floor(at), STOPS.length - 2);
  return STOPS[i].map((from, c) => Math.round(from + (at - i) * (STOPS[i + 1][c] - from)));
}

/** @param {number} share 0 to 1 */
export const shade = (share) => `rgb(${mixed(share).join(", ")})`;

/** Black or white, whichever can be read on the shade. @param {number} share */
export function ink(share) {
  const [r, g, b] = mixed(share).map((value) => (value / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000" : "#fff";
}

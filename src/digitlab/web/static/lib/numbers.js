// Numbers as Python has them.
// @ts-check

/** To the nearest whole number, halves to the even one: Python's `round`, NumPy's `rint`. @param {number} x */
export function roundHalfEven(x) {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

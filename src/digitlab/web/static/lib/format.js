// Numbers as people read them, the same in every view.
const WHOLE = new Intl.NumberFormat("en-GB"); // made once: toLocaleString would make one each time

/** 0.125 -> "1/8"; what is no power of two stays a decimal number. @param {number} value */
export function rate(value) {
  const exponent = Math.log2(value);
  if (value > 0 && value < 1 && Number.isInteger(exponent) && exponent >= -16) return `1/${2 ** -exponent}`;
  return String(Number(value.toPrecision(3)));
}

/** "1/8" or "0.125" -> 0.125; NaN where it is no number. @param {string} text */
export function readRate(text) {
  const [above, below] = text.trim().replace(",", ".").split("/");
  return below === undefined ? Number(above || NaN) : Number(above || NaN) / Number(below || NaN);
}

/** 0.9751 -> "97.51 %". @param {number | null | undefined} share @param {number} [digits] */
export const percent = (share, digits = 2) => (isNumber(share) ? `${(100 * share).toFixed(digits)} %` : "–");

/** A difference of two shares, in percentage points: 0.003 -> "0.3 points". @param {number} share */
export const points = (share) => `${(100 * share).toFixed(1)} points`;

/** 50000 -> "50,000". @param {number} value */
export const count = (value) => WHOLE.format(Math.round(value));

/** 0.1123 -> "0.112"; what is not finite by its name. @param {number | string | null | undefined} value */
export function loss(value) {
  if (typeof value === "string") return value === "Infinity" ? "∞" : value;
  if (!isNumber(value)) return "–";
  return value >= 100 ? value.toPrecision(3) : value < 0.001 ? value.toExponential(1) : value.toFixed(3);
}

/** 4.2 -> "4 s", 75 -> "1 min 15 s", 0.3 -> "0.3 s". @param {number | null | undefined} value */
export function seconds(value) {
  if (!isNumber(value)) return "–";
  if (value < 1) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.round((whole % 3600) / 60)} min`;
}

/** @param {unknown} value @returns {value is number} */
export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

// Safetensors bytes -> metadata and arrays. Strict: whatever is not exactly the format is refused, with a reason.
// @ts-check

/**
 * @typedef {Float32Array | Float64Array} Numbers
 * @typedef {{shape: number[], values: Numbers}} Tensor   values row by row
 * @typedef {{metadata: Record<string, string>, tensors: Map<string, Tensor>}} Tensors
 */

/** Bytes of the longest header, as in Python. */
export const HEADER_LIMIT = 1 << 20;
/** Bytes of the largest file: more than any network of the laboratory has. */
export const FILE_LIMIT = 512 * 2 ** 20;
const TYPES = { F32: Float32Array, F64: Float64Array };

/** Weights that cannot be used; `reason` says why, as a name that the texts know. */
export class WeightsError extends Error {
  /** @param {string} reason */
  constructor(reason) {
    super(reason);
    this.name = "WeightsError";
    this.reason = reason;
  }
}

/**
 * All tensors of a file. The tensors must fill the bytes behind the header, without gaps and overlaps.
 * @param {ArrayBuffer} buffer
 * @returns {Tensors}
 * @throws {WeightsError}
 */
export function readTensors(buffer) {
  const { header, start } = readHeader(buffer);
  const { __metadata__: metadata = {}, ...entries } = header;
  if (!isRecord(metadata) || !Object.values(metadata).every((text) => typeof text === "string")) refuse("header");
  const placed = Object.entries(entries).map(([name, entry]) => ({ name, ...checked(entry) }));
  placed.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let next = 0;
  /** @type {Map<string, Tensor>} */
  const tensors = new Map();
  for (const { name, Type, shape, begin, end } of placed) {
    if (begin !== next || start + end > buffer.byteLength) refuse("tensors");
    tensors.set(name, { shape, values: new Type(buffer.slice(start + begin, start + end)) });
    next = end;
  }
  if (start + next !== buffer.byteLength) refuse("tensors");
  return { metadata: /** @type {Record<string, string>} */ (metadata), tensors };
}

/**
 * @param {ArrayBuffer} buffer
 * @returns {{header: Record<string, unknown>, start: number}}
 */
function readHeader(buffer) {
  if (buffer.byteLength < 10 || buffer.byteLength > FILE_LIMIT) refuse("file");
  const length = new DataView(buffer).getBigUint64(0, true);
  if (length > BigInt(Math.min(HEADER_LIMIT, buffer.byteLength - 8))) refuse("header");
  const start = 8 + Number(length);
  let header;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(buffer, 8, Number(length))));
  } catch {
    refuse("header");
  }
  if (!isRecord(header)) refuse("header");
  return { header, start };
}

/** @param {unknown} entry */
function checked(entry) {
  if (!isRecord(entry)) refuse("header");
  const { dtype, shape, data_offsets: offsets } = entry;
  const Type = Object.hasOwn(TYPES, String(dtype)) ? TYPES[/** @type {"F32" | "F64"} */ (dtype)] : refuse("type");
  if (!isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) refuse("header");
  const size = shape.reduce((product, side) => product * side, Type.BYTES_PER_ELEMENT);
  const [begin, end] = offsets;
  if (size > FILE_LIMIT || end - begin !== size) refuse("tensors");
  return { Type, shape, begin, end };
}

/** @param {unknown} value @returns {value is number[]} */
function isCounts(value) {
  return Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && count >= 0);
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isRecord(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {string} reason @returns {never} */
function refuse(reason) {
  throw new WeightsError(reason);
}

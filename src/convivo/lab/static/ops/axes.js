// Whole numbers about axes. Every operation here works on three axes; signals and images have
// leading axes of one sample, and windows of one tap along them.

/** Three axes of one to three. @returns {number[]} */
export function lift(values, filler) {
  return [...Array(3 - values.length).fill(filler), ...values];
}

export const product = (sizes) => sizes.reduce((a, b) => a * b, 1);

/** Absolute values. @returns {Float32Array} */
export const absolute = (values) => Float32Array.from(values).map((v) => Math.abs(v));

/** Place in the flat array. */
export const flat = (at, size) => (at[0] * size[1] + at[1]) * size[2] + at[2];

/** The cell at a place of the flat array. @returns {number[]} */
export function unflat(index, size) {
  const x = index % size[2];
  const rest = (index - x) / size[2];
  return [Math.floor(rest / size[1]), rest % size[1], x];
}

const mod = (a, n) => ((a % n) + n) % n;

/**
 * Where the sample at `i` of a padded axis of `n` samples comes from; -1: it is a zero, or nothing.
 *   zeros 0 0|a b c d|0 0   replicate a a|a b c d|d d   circular c d|a b c d|a b
 *   reflect c b|a b c d|c b   symmetric b a|a b c d|d c
 * All go on beyond the length of the axis, as in NumPy's pad.
 */
export function source(i, n, mode) {
  if (i >= 0 && i < n) return i;
  if (mode === "replicate") return i < 0 ? 0 : n - 1;
  if (mode === "circular") return mod(i, n);
  if (mode === "reflect") {
    if (n === 1) return 0;
    const j = mod(i, 2 * (n - 1));
    return j < n ? j : 2 * (n - 1) - j;
  }
  if (mode === "symmetric") {
    const j = mod(i, 2 * n);
    return j < n ? j : 2 * n - 1 - j;
  }
  return -1;
}

/**
 * Windows on one axis: how many, from where to where they reach, and what the last leaves unread.
 * @returns {{padded: number, reach: number, out: number, unread: number}}
 */
export function windows(n, k, stride, dilation, lo, hi) {
  const padded = n + lo + hi;
  const reach = dilation * (k - 1) + 1;
  const out = Math.floor((padded - reach) / stride) + 1;
  const unread = out > 0 ? padded - ((out - 1) * stride + reach) : padded;
  return { padded, reach, out, unread: Math.max(0, unread) };
}

/**
 * For every output and tap of an axis the sample it reads, or -1; output by output.
 * @returns {Int32Array}
 */
export function reads(n, k, stride, dilation, lo, out, mode) {
  const table = new Int32Array(out * k);
  for (let o = 0; o < out; o += 1) {
    for (let t = 0; t < k; t += 1)
      table[o * k + t] = source(o * stride + t * dilation - lo, n, mode);
  }
  return table;
}

/**
 * The sum of doubles, rounded once (Shewchuk 1997, as Python's math.fsum).
 * @param {Iterable<number>} values
 */
export function exactSum(values) {
  const parts = [];
  for (let x of values) {
    if (!Number.isFinite(x)) return [...values].reduce((a, b) => a + b, 0);
    let kept = 0;
    for (let y of parts) {
      if (Math.abs(x) < Math.abs(y)) [x, y] = [y, x];
      const high = x + y;
      const low = y - (high - x);
      if (low) parts[kept++] = low;
      x = high;
    }
    parts.length = kept;
    parts.push(x);
  }
  return rounded(parts);
}

/** Parts that do not overlap, added from the largest; ties are broken by what lies below. */
function rounded(parts) {
  let at = parts.length;
  if (!at) return 0;
  let high = parts[--at];
  let low = 0;
  while (at) {
    const x = high;
    const y = parts[--at];
    high = x + y;
    low = y - (high - x);
    if (low) break;
  }
  if (at && ((low < 0 && parts[at - 1] < 0) || (low > 0 && parts[at - 1] > 0))) {
    const twice = 2 * low;
    if (twice === high + twice - high) high += twice;
  }
  return high;
}

// Pooling: the largest value or the average of each window, as layers.Pool does it.

import { absolute, flat, product, unflat } from "./axes.js";
import { sizes } from "./conv.js";

/** What a window sees: its samples in order; `from` null where it lies in the padding. */
export function members(x, spec, at) {
  const rows = [];
  for (let tap = 0; tap < product(spec.kernel); tap += 1) {
    const place = unflat(tap, spec.kernel);
    const padded = place.map((p, a) => at[a] * spec.stride[a] + p * spec.dilation[a]);
    const from = padded.map((p, a) => p - spec.lo[a]);
    const inside = from.every((p, a) => p >= 0 && p < spec.size[a]);
    rows.push({
      index: tap,
      place,
      padded,
      from: inside ? from : null,
      inside,
      x: inside ? x[flat(from, spec.size)] : 0,
    });
  }
  return rows;
}

/** The place of the largest in a window, the first of equals; NaN counts as the largest. */
export function winner(rows) {
  let best = -1;
  rows.forEach((row, i) => {
    if (!row.inside) return;
    if (best < 0 || row.x > rows[best].x || (Number.isNaN(row.x) && !Number.isNaN(rows[best].x)))
      best = i;
  });
  return best;
}

/** Samples that an average divides by. */
export const counted = (rows, countPadding) =>
  countPadding ? rows.length : rows.filter((r) => r.inside).length;

/**
 * All windows: values, and for "max" where each came from (flat place in the input).
 * @returns {{data: Float32Array, places: Int32Array|null, out: number[]}}
 */
export function forward(x, kind, spec, countPadding) {
  const { out } = sizes(spec);
  const data = new Float32Array(product(out));
  const places = kind === "max" ? new Int32Array(data.length) : null;
  for (let i = 0; i < data.length; i += 1) {
    const rows = members(x, spec, unflat(i, out));
    if (places) {
      const row = rows[winner(rows)];
      data[i] = row.x;
      places[i] = flat(row.from, spec.size);
    } else {
      data[i] = average(rows, countPadding);
    }
  }
  return { data, places, out };
}

/** The sum in float32, in order, divided once. */
export function average(rows, countPadding) {
  const sum = rows.reduce((s, r) => (r.inside ? Math.fround(s + r.x) : s), 0);
  return Math.fround(sum / counted(rows, countPadding));
}

/** The largest error of an average: (n + 1) 2^-24 times the mean of absolute values. */
export function bounds(x, spec, countPadding) {
  const means = forward(absolute(x), "avg", spec, countPadding).data;
  const factor = (product(spec.kernel) + 2) * 2 ** -24 * 1.0001;
  return Float64Array.from(means, (m) => m * factor);
}

/** Why there are no windows of this kind, or "". */
export function refusal(spec) {
  const { reach, wrong, out } = sizes(spec);
  if (reach.some((r, a) => spec.lo[a] >= r || spec.hi[a] >= r))
    return "padding must be shorter than the window";
  if (wrong >= 0) return "the window is larger than the input";
  const empty = out.some((n, a) => {
    for (let o = 0; o < n; o += 1) {
      let seen = false;
      for (let t = 0; t < spec.kernel[a]; t += 1) {
        const at = o * spec.stride[a] + t * spec.dilation[a] - spec.lo[a];
        seen ||= at >= 0 && at < spec.size[a];
      }
      if (!seen) return true;
    }
    return false;
  });
  return empty ? "a window would see padding only" : "";
}

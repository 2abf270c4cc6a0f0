// Convolution as layers do it, in float32, tap by tap in the order of the table. Pure; no page.

import { absolute, exactSum, flat, product, reads, source, unflat, windows } from "./axes.js";

/**
 * @typedef {object} ConvSpec   every list has three entries, one an axis
 * @property {number[]} size    of the input
 * @property {number[]} kernel  taps
 * @property {number[]} stride
 * @property {number[]} dilation
 * @property {number[]} lo      samples added before
 * @property {number[]} hi      and behind
 * @property {string} mode      of padding, see axes.source
 * @property {boolean} flip     true: convolution, the kernel turned by 180 degrees
 */

/** Sizes that follow: out, padded, reach, unread, each of three; `wrong` the axis that has none. */
export function sizes(spec) {
  const axes = spec.size.map((n, a) =>
    windows(n, spec.kernel[a], spec.stride[a], spec.dilation[a], spec.lo[a], spec.hi[a]),
  );
  const each = (name) => axes.map((axis) => axis[name]);
  const wrong = axes.findIndex((axis) => axis.out < 1);
  return {
    out: each("out"),
    padded: each("padded"),
    reach: each("reach"),
    unread: each("unread"),
    wrong,
  };
}

/** The kernel as it meets the image: turned, where the operation is a true convolution. */
export const taps = (w, flip) => (flip ? Float32Array.from(w).reverse() : Float32Array.from(w));

/** All outputs, row by row. @returns {Float32Array} */
export function forward(x, w, bias, spec) {
  const { out } = sizes(spec);
  const [kd, kh, kw] = spec.kernel;
  const [, H, W] = spec.size;
  const used = taps(w, spec.flip);
  const [rz, ry, rx] = spec.size.map((n, a) =>
    reads(n, spec.kernel[a], spec.stride[a], spec.dilation[a], spec.lo[a], out[a], spec.mode),
  );
  const result = new Float32Array(product(out));
  const b = Math.fround(bias);
  let at = 0;
  for (let z = 0; z < out[0]; z += 1)
    for (let y = 0; y < out[1]; y += 1)
      for (let c = 0; c < out[2]; c += 1) {
        let sum = 0;
        let tap = 0;
        for (let u = 0; u < kd; u += 1) {
          const iz = rz[z * kd + u];
          for (let v = 0; v < kh; v += 1) {
            const iy = ry[y * kh + v];
            if (iz < 0 || iy < 0) {
              tap += kw;
              continue;
            }
            const row = (iz * H + iy) * W;
            for (let t = 0; t < kw; t += 1, tap += 1) {
              const ix = rx[c * kw + t];
              if (ix >= 0) sum = Math.fround(sum + Math.fround(x[row + ix] * used[tap]));
            }
          }
        }
        result[at++] = Math.fround(sum + b);
      }
  return result;
}

/**
 * The products of one output: where each comes from, and the running total in float32.
 * `index` is the place in the kernel as it is written, also where it is turned.
 */
export function terms(x, w, spec, at) {
  const used = taps(w, spec.flip);
  const rows = [];
  let sum = 0;
  for (let tap = 0; tap < used.length; tap += 1) {
    const place = unflat(tap, spec.kernel);
    const padded = place.map((p, a) => at[a] * spec.stride[a] + p * spec.dilation[a]);
    const from = padded.map((p, a) => source(p - spec.lo[a], spec.size[a], spec.mode));
    const inside = padded.every((p, a) => p >= spec.lo[a] && p < spec.lo[a] + spec.size[a]);
    const value = from.includes(-1) ? 0 : x[flat(from, spec.size)];
    const part = Math.fround(value * used[tap]);
    sum = Math.fround(sum + part);
    const index = spec.flip ? used.length - 1 - tap : tap;
    rows.push({
      index,
      place,
      padded,
      from: from.includes(-1) ? null : from,
      inside,
      x: value,
      w: used[tap],
      product: part,
      sum,
    });
  }
  return rows;
}

/** Totals of the rows with the bias: in float32, and exact rounded once to float32. */
export function totals(rows, bias) {
  const b = Math.fround(bias);
  const single = Math.fround((rows.length ? rows[rows.length - 1].sum : 0) + b);
  const exact = Math.fround(exactSum([...rows.map((r) => r.x * r.w), b]));
  const size = rows.reduce((s, r) => s + Math.abs(r.x * r.w), Math.abs(b));
  return { single, exact, bound: (rows.length + 1) * 2 ** -24 * size };
}

/** The outputs that an input cell feeds, each with the tap that meets it. */
export function fed(spec, cell) {
  const { out } = sizes(spec);
  const each = spec.size.map((n, a) => {
    const found = [];
    for (let o = 0; o < out[a]; o += 1)
      for (let t = 0; t < spec.kernel[a]; t += 1) {
        if (
          source(o * spec.stride[a] + t * spec.dilation[a] - spec.lo[a], n, spec.mode) === cell[a]
        )
          found.push([o, t]);
      }
    return found;
  });
  const all = [];
  for (const [oz, tz] of each[0])
    for (const [oy, ty] of each[1])
      for (const [ox, tx] of each[2]) {
        all.push({ out: [oz, oy, ox], tap: [tz, ty, tx] });
      }
  return all;
}

/** The largest error that float32 may make at each output: (n + 1) 2^-24 sum |w x|. */
export function bounds(x, w, bias, spec) {
  const sums = forward(absolute(x), absolute(w), Math.abs(bias), spec);
  const factor = (product(spec.kernel) + 1) * 2 ** -24 * 1.0001;
  return Float64Array.from(sums, (s) => s * factor);
}

/** The padded input, as it is seen by the kernel; where there is nothing, 0. */
export function padded(x, spec) {
  const size = spec.size.map((n, a) => n + spec.lo[a] + spec.hi[a]);
  const [sz, sy, sx] = size.map((n, a) =>
    Int32Array.from({ length: n }, (_, i) => source(i - spec.lo[a], spec.size[a], spec.mode)),
  );
  const result = new Float32Array(product(size));
  let at = 0;
  for (let z = 0; z < size[0]; z += 1) {
    for (let y = 0; y < size[1]; y += 1) {
      const row = (sz[z] * spec.size[1] + sy[y]) * spec.size[2];
      const there = sz[z] >= 0 && sy[y] >= 0;
      for (let c = 0; c < size[2]; c += 1, at += 1) {
        if (there && sx[c] >= 0) result[at] = x[row + sx[c]];
      }
    }
  }
  return { data: result, size };
}

/** Whether a kernel is an outer product, so that it can be done axis by axis; its largest error. */
export function separable(w, kernel) {
  const big = w.reduce((best, v, i) => (Math.abs(v) > Math.abs(w[best]) ? i : best), 0);
  const pivot = w[big];
  if (!pivot || kernel.filter((k) => k > 1).length < 2) return false;
  const home = unflat(big, kernel);
  const along = (a, i) =>
    w[
      flat(
        home.map((p, b) => (b === a ? i : p)),
        kernel,
      )
    ];
  return w.every((v, i) => {
    const at = unflat(i, kernel);
    const guess = pivot * at.reduce((m, p, a) => (m * along(a, p)) / pivot, 1);
    return Math.abs(v - guess) <= 1e-6 * Math.abs(pivot);
  });
}

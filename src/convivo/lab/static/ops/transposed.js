// Transposed convolution in its two readings: every input paints the kernel, scaled by its value;
// or zeros are put between the inputs and the turned kernel slides over them. The same numbers.

import { absolute, exactSum, flat, product, source, unflat } from "./axes.js";

/**
 * Sizes: `full` before the padding is taken off, `out`, and `wrong` the axis of which none is left.
 * spec as in conv.js, with `extra`: samples added to the end (output_padding).
 */
export function sizes(spec) {
  const reach = spec.kernel.map((k, a) => spec.dilation[a] * (k - 1) + 1);
  const full = spec.size.map((n, a) => (n - 1) * spec.stride[a] + reach[a] + spec.extra[a]);
  const out = full.map((n, a) => n - spec.lo[a] - spec.hi[a]);
  return { full, out, reach, wrong: out.findIndex((n) => n < 1) };
}

/** Where what is painted at `p` of the full grid counts: its place in the output, or null. */
export function home(p, spec, out) {
  const at = p.map((q, a) => source(q - spec.lo[a], out[a], spec.mode));
  return at.includes(-1) ? null : at;
}

/** What one input paints: [{tap, padded, to, w, product}]; `to` null where it is cut off. */
export function strokes(x, w, spec, cell) {
  const { out } = sizes(spec);
  const value = x[flat(cell, spec.size)];
  return Array.from(w, (weight, index) => {
    const tap = unflat(index, spec.kernel);
    const full = tap.map((t, a) => cell[a] * spec.stride[a] + t * spec.dilation[a]);
    return {
      index,
      tap,
      full,
      to: home(full, spec, out),
      x: value,
      w: Math.fround(weight),
      product: Math.fround(value * Math.fround(weight)),
    };
  });
}

/** Where each cell and tap of an axis is painted, or -1; cell by cell. */
function targets(spec, a, n) {
  const k = spec.kernel[a];
  const table = new Int32Array(spec.size[a] * k);
  for (let i = 0; i < spec.size[a]; i += 1)
    for (let t = 0; t < k; t += 1) {
      table[i * k + t] = source(
        i * spec.stride[a] + t * spec.dilation[a] - spec.lo[a],
        n,
        spec.mode,
      );
    }
  return table;
}

/** The strokes that meet at one output, input by input: [{cell, index}], both flat places. */
export function meeting(spec, at) {
  const { out } = sizes(spec);
  const pairs = spec.kernel.map((k, a) => {
    const found = [];
    targets(spec, a, out[a]).forEach((to, i) => {
      if (to === at[a]) found.push([Math.floor(i / k), i % k]);
    });
    return found;
  });
  const all = [];
  for (const [z, u] of pairs[0])
    for (const [y, v] of pairs[1])
      for (const [x, t] of pairs[2]) {
        all.push({ cell: flat([z, y, x], spec.size), index: flat([u, v, t], spec.kernel) });
      }
  return all.sort((a, b) => a.cell - b.cell || a.index - b.index);
}

/**
 * All outputs, painted input by input; after the input `last` and no further.
 * @returns {Float32Array}
 */
export function forward(x, w, bias, spec, last = Infinity) {
  const { out } = sizes(spec);
  const [kd, kh, kw] = spec.kernel;
  const [tz, ty, tx] = out.map((n, a) => targets(spec, a, n));
  const result = new Float32Array(product(out));
  const weights = Float32Array.from(w);
  let cell = 0;
  for (let z = 0; z < spec.size[0]; z += 1)
    for (let y = 0; y < spec.size[1]; y += 1)
      for (let c = 0; c < spec.size[2]; c += 1, cell += 1) {
        if (cell > last) break;
        let index = 0;
        for (let u = 0; u < kd; u += 1)
          for (let v = 0; v < kh; v += 1) {
            const [oz, oy] = [tz[z * kd + u], ty[y * kh + v]];
            if (oz < 0 || oy < 0) {
              index += kw;
              continue;
            }
            const row = (oz * out[1] + oy) * out[2];
            for (let t = 0; t < kw; t += 1, index += 1) {
              const ox = tx[c * kw + t];
              if (ox >= 0)
                result[row + ox] = Math.fround(
                  result[row + ox] + Math.fround(x[cell] * weights[index]),
                );
            }
          }
      }
  const b = Math.fround(bias);
  return b ? result.map((v) => Math.fround(v + b)) : result;
}

/** How many strokes meet at each output: uneven where the kernel is no multiple of the stride. */
export function overlaps(spec) {
  const ones = new Float32Array(product(spec.size)).fill(1);
  return forward(ones, new Float32Array(product(spec.kernel)).fill(1), 0, spec);
}

/** The terms of one output, with the running total in float32. */
export function terms(x, w, spec, at) {
  let sum = 0;
  return meeting(spec, at).map(({ cell, index }) => {
    const weight = Math.fround(w[index]);
    const part = Math.fround(x[cell] * weight);
    sum = Math.fround(sum + part);
    return {
      index,
      cell,
      from: unflat(cell, spec.size),
      place: unflat(index, spec.kernel),
      x: x[cell],
      w: weight,
      product: part,
      sum,
      inside: true,
    };
  });
}

/** Totals of the rows with the bias: in float32, and exact, rounded once to float32. */
export function totals(rows, bias) {
  const b = Math.fround(bias);
  const single = Math.fround((rows.length ? rows[rows.length - 1].sum : 0) + b);
  return { single, exact: Math.fround(exactSum([...rows.map((r) => r.x * r.w), b])) };
}

/** The largest error that float32 may make at each output. */
export function bounds(x, w, bias, spec) {
  const sums = forward(absolute(x), absolute(w), Math.abs(bias), spec);
  const counts = overlaps(spec);
  return Float64Array.from(sums, (s, i) => s * (counts[i] + 2) * 2 ** -24 * 1.0001);
}

/**
 * The second reading: stride - 1 zeros between the inputs, reach - 1 around (less what padding
 * takes off), over which the turned kernel slides with stride 1. For zero padding.
 */
export function stretched(x, spec) {
  const { reach } = sizes(spec);
  const before = reach.map((r, a) => r - 1 - spec.lo[a]);
  const size = spec.size.map(
    (n, a) => (n - 1) * spec.stride[a] + 1 + before[a] + reach[a] - 1 - spec.hi[a] + spec.extra[a],
  );
  const data = new Float32Array(product(size.map((n) => Math.max(0, n))));
  const real = new Uint8Array(data.length);
  for (let i = 0; i < product(spec.size); i += 1) {
    const at = unflat(i, spec.size).map((p, a) => p * spec.stride[a] + before[a]);
    if (at.every((p, a) => p >= 0 && p < size[a])) {
      data[flat(at, size)] = x[i];
      real[flat(at, size)] = 1;
    }
  }
  return { data, real, size, before };
}

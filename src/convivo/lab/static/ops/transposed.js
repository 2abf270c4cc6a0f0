// Transposed convolution in its two readings: every input paints the kernel, scaled by its value;
// or zeros are put between the inputs and the turned kernel slides over them. The same numbers.

import { exactSum, flat, product, source, unflat } from "./axes.js";

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
    return { index, tap, full, to: home(full, spec, out), x: value, w: Math.fround(weight), product: Math.fround(value * Math.fround(weight)) };
  });
}

/** What meets at each output, input by input in order: [{cell, index, product}] by flat output. */
export function meetings(spec) {
  const { out } = sizes(spec);
  const lists = Array.from({ length: product(out) }, () => []);
  for (let i = 0; i < product(spec.size); i += 1) {
    const cell = unflat(i, spec.size);
    for (let index = 0; index < product(spec.kernel); index += 1) {
      const tap = unflat(index, spec.kernel);
      const to = home(tap.map((t, a) => cell[a] * spec.stride[a] + t * spec.dilation[a]), spec, out);
      if (to) lists[flat(to, out)].push({ cell: i, index });
    }
  }
  return lists;
}

/**
 * All outputs, painted input by input; after the input `last` and no further.
 * @returns {Float32Array}
 */
export function forward(x, w, bias, spec, last = Infinity) {
  const { out } = sizes(spec);
  const result = new Float32Array(product(out));
  const cells = Math.min(product(spec.size), last + 1);
  for (let i = 0; i < cells; i += 1) {
    for (const stroke of strokes(x, w, spec, unflat(i, spec.size))) {
      if (stroke.to) {
        const at = flat(stroke.to, out);
        result[at] = Math.fround(result[at] + stroke.product);
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

/** The terms of one output, with the running total in float32; and the exact total. */
export function terms(x, w, spec, list) {
  let sum = 0;
  const rows = list.map(({ cell, index }) => {
    const weight = Math.fround(w[index]);
    const part = Math.fround(x[cell] * weight);
    sum = Math.fround(sum + part);
    return { index, cell, from: unflat(cell, spec.size), place: unflat(index, spec.kernel), x: x[cell], w: weight, product: part, sum, inside: true };
  });
  return rows;
}

export function totals(rows, bias) {
  const b = Math.fround(bias);
  const single = Math.fround((rows.length ? rows[rows.length - 1].sum : 0) + b);
  return { single, exact: Math.fround(exactSum([...rows.map((r) => r.x * r.w), b])) };
}

/** The largest error that float32 may make at each output. */
export function bounds(x, w, bias, spec) {
  const sums = forward(Float32Array.from(x, Math.abs), Float32Array.from(w, Math.abs), Math.abs(bias), spec);
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
  const size = spec.size.map((n, a) => (n - 1) * spec.stride[a] + 1 + before[a] + reach[a] - 1 - spec.hi[a] + spec.extra[a]);
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

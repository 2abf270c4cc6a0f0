// Unpooling: every pooled value gets a place in a finer grid, as layers.Unpool does it.

import { flat, product, unflat } from "./axes.js";

/** Nearest: the value fills its window. Bed of nails: it stands at the window's first sample. */
export function spread(x, size, factor, kind) {
  const out = size.map((n, a) => n * factor[a]);
  const data = new Float32Array(product(out));
  for (let i = 0; i < data.length; i += 1) {
    const at = unflat(i, out);
    const first = at.every((p, a) => p % factor[a] === 0);
    const from = at.map((p, a) => Math.floor(p / factor[a]));
    data[i] = kind === "nearest" || first ? x[flat(from, size)] : 0;
  }
  return { data, out };
}

/**
 * Max-unpooling: each value goes back to where pooling found it, zeros elsewhere. Of several that
 * go to one place the largest stays. `winners` is the pooled cell that wrote each place, or -1.
 */
export function putBack(values, places, size) {
  const data = new Float32Array(product(size));
  const winners = new Int32Array(data.length).fill(-1);
  for (let i = 0; i < values.length; i += 1) {
    const at = places[i];
    if (winners[at] < 0 || values[i] > data[at]) {
      data[at] = values[i];
      winners[at] = i;
    }
  }
  return { data, winners };
}

/** The pooled cells that go to the same place as this one, itself among them. */
export function rivals(places, cell) {
  const found = [];
  places.forEach((p, i) => {
    if (p === places[cell]) found.push(i);
  });
  return found;
}

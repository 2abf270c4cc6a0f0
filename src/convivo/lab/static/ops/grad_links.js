/**
 * Which input sample reaches which output, through which weight or factor: the links of one layer.
 *
 * Convolution, pooling, unpooling and ReLU are all sums over links, z[o] = sum of factor * x[source]
 * (+ bias); so one list serves the forward pass and every gradient. Pure arithmetic, no page.
 *
 * A layer: {op: "conv" | "pool" | "unpool" | "relu", size, kernel, stride, dilation: one number an
 * axis, pad: {mode, lo, hi}, flip, kind, counted}. All grids are flat arrays, last axis fastest.
 */

import { product, source as sourceOf } from "./axes.js";

export const PADDINGS = ["zeros", "reflect", "symmetric", "replicate", "circular"];
export const NOTHING = -1; // a source: zero padding; a weight: none

/** Place in each axis of a flat index. */
export function placeOf(index, size) {
  const place = new Array(size.length);
  for (let axis = size.length - 1; axis >= 0; axis -= 1) {
    place[axis] = index % size[axis];
    index = Math.floor(index / size[axis]);
  }
  return place;
}

/** Flat index of a place. */
export const flatOf = (place, size) => place.reduce((sum, p, axis) => sum * size[axis] + p, 0);

export { sourceOf };

const reachOf = (layer, axis) => layer.dilation[axis] * (layer.kernel[axis] - 1) + 1;

/** Size of the padded grid. */
export const paddedSize = (layer) =>
  layer.size.map((n, a) => n + layer.pad.lo[a] + layer.pad.hi[a]);

/** Size of the output; an entry below 1 means that no window fits. */
export function outputSize(layer) {
  if (layer.op === "relu") return [...layer.size];
  if (layer.op === "unpool") return [...layer.fine];
  return paddedSize(layer).map((n, a) => Math.floor((n - reachOf(layer, a)) / layer.stride[a]) + 1);
}

/** What is wrong with a layer, in words; "" where nothing is. */
export function problem(layer) {
  const padded = paddedSize(layer);
  const bad = outputSize(layer).findIndex((n) => n < 1);
  if (bad >= 0) {
    const reach = reachOf(layer, bad);
    return `kernel reach ${reach} is larger than padded input ${padded[bad]}: raise padding or lower dilation`;
  }
  const wide = layer.pad.lo.findIndex((p, a) => Math.max(p, layer.pad.hi[a]) >= reachOf(layer, a));
  if (layer.op === "pool" && wide >= 0) {
    return `padding must be shorter than the window ${reachOf(layer, wide)}: use less of it, or a larger window`;
  }
  return "";
}

/** Growing lists of links, made typed at the end. */
class Collector {
  constructor() {
    this.rows = { out: [], tap: [], weight: [], source: [], place: [], factor: [] };
  }

  add(out, tap, weight, source, place, factor) {
    const r = this.rows;
    r.out.push(out);
    r.tap.push(tap);
    r.weight.push(weight);
    r.source.push(source);
    r.place.push(place);
    r.factor.push(factor);
  }

  done(layer) {
    const { out, tap, weight, source, place, factor } = this.rows;
    const ints = { out, tap, weight, source, place };
    const links = { layer, count: out.length, factor: Float64Array.from(factor) };
    for (const [name, list] of Object.entries(ints)) links[name] = Int32Array.from(list);
    return links;
  }
}

/** Per tap of the window at output `o`: place in the padded grid and source, both flat. */
function* windowOf(layer, o, taps, padded) {
  for (let tap = 0; tap < taps.length; tap += 1) {
    const place = o.map((n, a) => n * layer.stride[a] + taps[tap][a] * layer.dilation[a]);
    const inside = place.map((p, a) =>
      sourceOf(p - layer.pad.lo[a], layer.size[a], layer.pad.mode),
    );
    const source = inside.includes(NOTHING) ? NOTHING : flatOf(inside, layer.size);
    yield [tap, flatOf(place, padded), source];
  }
}

const allPlaces = (size) => Array.from({ length: product(size) }, (_, i) => placeOf(i, size));

function convolution(layer, found) {
  const taps = allPlaces(layer.kernel);
  const padded = paddedSize(layer);
  allPlaces(outputSize(layer)).forEach((o, out) => {
    for (const [tap, place, source] of windowOf(layer, o, taps, padded)) {
      found.add(out, tap, layer.flip ? taps.length - 1 - tap : tap, source, place, 1);
    }
  });
}

function pooling(layer, x, found) {
  const taps = allPlaces(layer.kernel);
  const padded = paddedSize(layer);
  const inner = { ...layer, pad: { ...layer.pad, mode: "zeros" } };
  allPlaces(outputSize(layer)).forEach((o, out) => {
    const window = [...windowOf(inner, o, taps, padded)];
    const real = window.filter(([, , source]) => source !== NOTHING);
    if (layer.kind === "avg") {
      const share = 1 / (layer.counted ? taps.length : real.length);
      for (const [tap, place, source] of window) found.add(out, tap, NOTHING, source, place, share);
      return;
    }
    // of equal maxima the first, as the engine has it
    const winner = real.reduce((best, row) => (x[row[2]] > x[best[2]] ? row : best));
    found.add(out, winner[0], NOTHING, winner[2], winner[1], 1);
  });
}

/** Which sample of the fine grid each pooled one came from. */
export function winners(layer, before) {
  const pool = poolBefore(layer);
  const found = new Collector();
  pooling(pool, before, found);
  return Int32Array.from(found.rows.source);
}

/** The pooling that an unpooling undoes. */
export const poolBefore = (layer) => ({
  ...layer,
  op: "pool",
  kind: "max",
  size: layer.fine,
});

function unpooling(layer, x, stored, found) {
  const size = layer.fine;
  if (layer.kind === "max") return backToWinners(x, stored, product(size), found);
  allPlaces(size).forEach((o, out) => {
    const from = o.map((n, a) => Math.min(Math.floor(n / layer.kernel[a]), layer.size[a] - 1));
    const first = o.every((n, a) => n === from[a] * layer.kernel[a]);
    if (layer.kind === "bed_of_nails" && !first) return;
    const source = flatOf(from, layer.size);
    found.add(out, 0, NOTHING, source, source, 1);
  });
}

/** Where windows share a winner the largest value is set; values that tie share the gradient. */
function backToWinners(x, stored, count, found) {
  const writers = Array.from({ length: count }, () => []);
  stored.forEach((place, source) => writers[place].push(source));
  writers.forEach((sources, out) => {
    const best = Math.max(...sources.map((s) => x[s]));
    const kept = sources.filter((s) => x[s] === best);
    for (const source of kept) found.add(out, 0, NOTHING, source, source, 1 / kept.length);
  });
}

/**
 * All links of a layer, in the order of its outputs, then taps.
 *
 * @param x the input, which decides about maxima and ReLU; @param stored of max-unpooling the
 * places that pooling stored.
 * @returns {count, out, tap, weight, source, place, factor}: typed arrays, an entry a link.
 */
export function linksOf(layer, x, stored = []) {
  const found = new Collector();
  if (layer.op === "conv") convolution(layer, found);
  else if (layer.op === "pool") pooling(layer, x, found);
  else if (layer.op === "unpool") unpooling(layer, x, stored, found);
  else x.forEach((value, i) => found.add(i, 0, NOTHING, i, i, value > 0 ? 1 : 0));
  return found.done(layer);
}

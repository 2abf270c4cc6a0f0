/**
 * The backward pass of one layer, number by number: gradients, and the terms that they are made of.
 *
 * Input, kernel and upstream gradient are float32. A product of two float32 numbers is exact in a
 * double; sums are given twice, as a float32 engine adds (one rounding a term) and exactly.
 */

import { exactSum, product } from "./axes.js";
import { NOTHING, outputSize, paddedSize } from "./grad_links.js";

const round = Math.fround;

const weightOf = (links, w, i) =>
  links.weight[i] === NOTHING ? links.factor[i] : w[links.weight[i]];
const inputOf = (links, x, i) => (links.source[i] === NOTHING ? 0 : x[links.source[i]]);

/** z, the layer's output, in doubles. */
export function forward(links, x, w, bias = 0) {
  const z = new Float64Array(product(outputSize(links.layer))).fill(bias);
  for (let i = 0; i < links.count; i += 1) {
    z[links.out[i]] += weightOf(links, w, i) * inputOf(links, x, i);
  }
  return z;
}

/**
 * The gradients that outputs first to last (exclusive) bring.
 *
 * @returns {dw, db, padded, dx}: padded is dx on the padded grid, before its margin is folded back.
 */
export function gradients(links, x, w, g, last = Infinity) {
  const { layer } = links;
  const dw = new Float64Array(layer.op === "conv" ? product(layer.kernel) : 0);
  const dx = new Float64Array(product(layer.size));
  const padded = new Float64Array(layer.op === "unpool" ? dx.length : product(paddedSize(layer)));
  for (let i = 0; i < links.count && links.out[i] < last; i += 1) {
    const up = g[links.out[i]];
    const back = up * weightOf(links, w, i);
    if (links.weight[i] !== NOTHING) dw[links.weight[i]] += up * inputOf(links, x, i);
    padded[links.place[i]] += back;
    if (links.source[i] !== NOTHING) dx[links.source[i]] += back;
  }
  let db = 0;
  for (let o = 0; o < Math.min(last, g.length); o += 1) db += g[o];
  return { dw, db, padded, dx };
}

/** Whether a layer's factors are shares, 1 / n: then terms are quotients, as the layer has them. */
export const shares = ({ op, kind }) => kind === "avg" || (op === "unpool" && kind === "max");

/**
 * A term of a gradient from the output `out`, over the padded place `place`: up * other, or up / n
 * where `other` is the n of a share.
 */
const term = (links, i, up, other) => ({
  out: links.out[i],
  tap: links.tap[i],
  weight: links.weight[i],
  source: links.source[i],
  place: links.place[i],
  up,
  other,
});

/** The terms of dL/dw at `index`: a product an output, of what comes from above and of the input. */
export function termsOfWeight(links, x, g, index) {
  const rows = [];
  for (let i = 0; i < links.count; i += 1) {
    if (links.weight[i] === index) rows.push(term(links, i, g[links.out[i]], inputOf(links, x, i)));
  }
  return rows;
}

/** The terms of dL/dI at `index`: a product for each output that the sample reaches. */
export function termsOfInput(links, w, g, index) {
  const shared = shares(links.layer);
  const rows = [];
  for (let i = 0; i < links.count; i += 1) {
    if (links.source[i] !== index) continue;
    const factor = weightOf(links, w, i);
    const other = shared ? Math.round(1 / factor) : factor;
    rows.push({ ...term(links, i, g[links.out[i]], other), shared });
  }
  const own = ownPlace(links.layer, index);
  // what arrives through the padding comes last: it is folded back
  return rows.sort((a, b) => (a.place !== own) - (b.place !== own));
}

/** The terms of dL/db: the bias reaches every output with the factor 1. */
export const termsOfBias = (g) =>
  Array.from(g, (up, out) => ({ out, up, other: 1, place: NOTHING }));

/** Where an input sample stands in the padded grid, flat. */
export function ownPlace(layer, index) {
  if (layer.op === "unpool") return index;
  const padded = paddedSize(layer);
  let rest = index;
  let place = 0;
  let step = 1;
  for (let axis = layer.size.length - 1; axis >= 0; axis -= 1) {
    place += ((rest % layer.size[axis]) + layer.pad.lo[axis]) * step;
    rest = Math.floor(rest / layer.size[axis]);
    step *= padded[axis];
  }
  return place;
}

/** In doubles: exact for a product, rounded once for a quotient. */
const productOf = ({ up, other, shared }) => (shared ? up / other : up * other);

/**
 * Terms with their products and running totals.
 *
 * @returns {rows: [{..., product, running}], engine, exact}: products and running totals as float32
 * has them; engine: the last running total; exact: the sum of the unrounded products.
 */
export function summed(terms) {
  let running = 0;
  const rows = terms.map((one) => {
    const product = round(productOf(one));
    running = round(running + product);
    return { ...one, product, running };
  });
  return { rows, engine: running, exact: exactSum(terms.map(productOf)) };
}

/** Sum of magnitudes: what rounding errors are measured against. */
export const magnitude = (terms) => terms.reduce((sum, t) => sum + Math.abs(productOf(t)), 0);

/**
 * The upstream gradient as the gather reading slides over it: stride - 1 zeros between its samples
 * and the kernel's reach - 1 of them around. A full correlation with the turned kernel reads it.
 *
 * @returns {size, origin: per sample its output or NOTHING}
 */
export function spreadOut(layer) {
  const out = outputSize(layer);
  const margin = layer.kernel.map((k, a) => layer.dilation[a] * (k - 1));
  const size = paddedSize(layer).map((n, a) => n + margin[a]);
  const origin = new Int32Array(product(size)).fill(NOTHING);
  for (let o = 0; o < product(out); o += 1) {
    let rest = o;
    let place = 0;
    let step = 1;
    for (let axis = out.length - 1; axis >= 0; axis -= 1) {
      place += (margin[axis] + (rest % out[axis]) * layer.stride[axis]) * step;
      rest = Math.floor(rest / out[axis]);
      step *= size[axis];
    }
    origin[place] = o;
  }
  return { size, origin, margin };
}

/**
 * Where the upstream gradient comes from, what its numbers are checked against, and the step that
 * they are for: losses, central differences, momentum.
 */

import { forward, gradients } from "./grad.js";

export const UPSTREAM = ["ones", "one-hot", "random", "mse", "bce", "own"];
const round = Math.fround;

/** Numbers in [0, 1) from a seed, the same on every machine (mulberry32). */
export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Multiples of 1/8 in [-1, 1]: short in decimals, exact in float32. */
export function randomValues(count, seed) {
  const draw = generator(seed);
  return Float32Array.from({ length: count }, () => Math.floor(draw() * 17) / 8 - 1);
}

const sigmoid = (z) => (z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z)));
const softplus = (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));

/**
 * The loss of an output z.
 *
 * @param up {kind, pin, seed, target, own}: target for mse its values, for bce zeros and ones.
 */
export function loss(z, up) {
  const mean = (each) => z.reduce((sum, value, i) => sum + each(value, i), 0) / z.length;
  if (up.kind === "mse") return mean((value, i) => (value - up.target[i]) ** 2);
  if (up.kind === "bce") return mean((value, i) => softplus(value) - up.target[i] * value);
  const g = upstream(z, up); // of a sum with fixed factors, the factors are the gradient
  return z.reduce((sum, value, i) => sum + g[i] * value, 0);
}

/** dL/dz as float32, an entry an output. */
export function upstream(z, up) {
  const n = z.length;
  if (up.kind === "mse") return Float32Array.from(z, (v, i) => (2 * (v - up.target[i])) / n);
  if (up.kind === "bce") return Float32Array.from(z, (v, i) => (sigmoid(v) - up.target[i]) / n);
  if (up.kind === "random") return randomValues(n, up.seed);
  if (up.kind === "own") return Float32Array.from(z, (_, i) => up.own[i] ?? 0);
  return Float32Array.from(z, (_, i) => (up.kind === "ones" || i === up.pin ? 1 : 0));
}

/**
 * A gradient by central differences, (L(v + h) - L(v - h)) / 2h, in doubles.
 *
 * @param links of the layer; @param entry {grid: "w" | "b" | "x", index}; @param relink a function of
 * the input that gives its links, since another input may have other maxima.
 */
export function centralDifference(relink, values, up, entry, h) {
  const moved = (by) => {
    const x = Float64Array.from(values.x);
    const w = Float64Array.from(values.w);
    let { bias } = values;
    if (entry.grid === "w") w[entry.index] += by;
    else if (entry.grid === "x") x[entry.index] += by;
    else bias += by;
    return loss(forward(relink(x), x, w, bias), up);
  };
  return (moved(h) - moved(-h)) / (2 * h);
}

/** |a - b| as a share of the larger; 0 where both are 0. */
export function relativeError(a, b) {
  const larger = Math.max(Math.abs(a), Math.abs(b));
  return larger === 0 ? 0 : Math.abs(a - b) / larger;
}

/** One step of momentum for one weight: v' = m v + g, w' = w - r v', each rounded to float32. */
export function momentumStep(w, v, g, rate, momentum) {
  const velocity = round(round(momentum * v) + g);
  return { velocity, weight: round(w - round(rate * velocity)) };
}

/**
 * The kernel after `steps` updates, with what came before the last one.
 *
 * @returns {w, bias, v, vb, before: {w, bias, v, vb, dw, db, loss} | null, loss}
 */
export function trained(links, values, up, { steps, rate, momentum }) {
  let state = {
    w: Float32Array.from(values.w),
    bias: round(values.bias),
    v: new Float32Array(values.w.length),
    vb: 0,
  };
  let before = null;
  const lossOf = (s) => loss(forward(links, values.x, s.w, s.bias), up);
  for (let step = 0; step < steps; step += 1) {
    const g = upstream(forward(links, values.x, state.w, state.bias), up);
    const { dw, db } = gradients(links, values.x, state.w, g);
    before = { ...state, dw: Float32Array.from(dw), db: round(db), loss: lossOf(state) };
    state = updated(before, rate, momentum);
  }
  return { ...state, before, loss: lossOf(state) };
}

function updated(before, rate, momentum) {
  const moved = Array.from(before.w, (w, i) =>
    momentumStep(w, before.v[i], before.dw[i], rate, momentum),
  );
  const bias = momentumStep(before.bias, before.vb, before.db, rate, momentum);
  return {
    w: Float32Array.from(moved, (m) => m.weight),
    v: Float32Array.from(moved, (m) => m.velocity),
    bias: bias.weight,
    vb: bias.velocity,
  };
}

// State + numbers -> everything that the page shows of a backward pass, computed once a state.

import { product } from "../../ops/axes.js";
import {
  forward,
  gradients,
  magnitude,
  ownPlace,
  spreadOut,
  summed,
  termsOfBias,
  termsOfInput,
  termsOfWeight,
} from "../../ops/grad.js";
import {
  NOTHING,
  linksOf,
  outputSize,
  paddedSize,
  poolBefore,
  problem,
  winners,
} from "../../ops/grad_links.js";
import { centralDifference, generator, loss, trained, upstream } from "../../ops/grad_learning.js";
import { kernelOf, layerOf, sizeOf, smallNumbers } from "./state.js";

const MOST_OUT = 1024;
const MOST_LINKS = 60_000;

/** What was made of a model last under a name, made anew when its key changes. */
export function recall(model, name, key, make) {
  if (model.kept[name]?.key !== key) model.kept[name] = { key, value: make() };
  return model.kept[name].value;
}

/** The numbers of a source: float32, or null while the data is on its way. */
export function numbersOf(state, card, region) {
  const size = sizeOf(state, card);
  if (state.src === "small") return { size, data: smallNumbers(size.length) };
  if (state.src === "data") return region ? { size: region.shape, data: region.data } : null;
  const draw = generator(7919 * (state.seed + 1));
  return { size, data: Float32Array.from({ length: product(size) }, () => 4 * draw() - 2) };
}

/** What a target is made with: the centre less the mean of what surrounds it. */
function differential(count) {
  const middle = Math.floor(count / 2);
  return Float32Array.from({ length: count }, (_, i) =>
    i === middle ? 1 : -1 / Math.max(1, count - 1),
  );
}

/** @returns the model, or {wrong} */
export function build(state, given) {
  const layer = layerOf(state, given.size);
  const wrong = problem(layer) || tooMany(layer);
  if (wrong) return { wrong, layer };
  const before = given.data;
  const stored = layer.op === "unpool" ? winners(layer, before) : [];
  const x = layer.op === "unpool" ? pooled(layer, before) : before;
  const links = linksOf(layer, x, layer.kind === "max" ? stored : []);
  const kernel =
    layer.op === "conv"
      ? Float32Array.from(kernelOf(state, layer.size.length).values)
      : new Float32Array(0);
  const up = upstreamOf(state, links, x, kernel);
  const start = { x, w: kernel, bias: layer.op === "conv" ? Math.fround(state.b) : 0 };
  const training = { steps: layer.op === "conv" ? state.t : 0, rate: state.lr, momentum: state.mo };
  const now = trained(links, start, up, training);
  const next = trained(links, start, up, { ...training, steps: training.steps + 1 });
  const values = { x, w: now.w, bias: now.bias };
  const z = Float32Array.from(forward(links, x, values.w, values.bias));
  const g = upstream(z, up);
  const found = gradients(links, x, values.w, g);
  return {
    kept: {},
    state,
    layer,
    links,
    before,
    stored,
    up,
    z,
    g,
    next,
    now,
    ...values,
    out: outputSize(layer),
    padded: layer.op === "unpool" ? layer.size : paddedSize(layer),
    dims: layer.size.length,
    dw: Float32Array.from(found.dw),
    dx: Float32Array.from(found.dx),
    db: Math.fround(found.db),
    dpad: Float32Array.from(found.padded),
    loss: loss(z, up),
  };
}

function tooMany(layer) {
  const out = product(outputSize(layer));
  if (out > MOST_OUT)
    return `${out} outputs are more than ${MOST_OUT}: choose a smaller region or a larger stride`;
  const links = out * product(layer.kernel);
  return links > MOST_LINKS
    ? `${links} products are more than ${MOST_LINKS}: choose a smaller region or kernel`
    : "";
}

function pooled(layer, before) {
  const pool = poolBefore(layer);
  return Float32Array.from(forward(linksOf(pool, before), before, []));
}

/** Where dL/dz comes from, with its target. */
function upstreamOf(state, links, x, kernel) {
  const z = forward(links, x, kernel, 0);
  const wanted =
    links.layer.op === "conv" ? forward(links, x, differential(kernel.length), 0) : z.map(() => 0);
  const target = state.g === "bce" ? wanted.map((v) => (v > 0 ? 1 : 0)) : wanted;
  return {
    kind: state.g,
    pin: Math.min(state.hot, z.length - 1),
    seed: state.seed,
    own: state.own,
    target: Float32Array.from(target),
  };
}

/** The size of the grid that a gradient belongs to. */
export const entrySize = (model, of) =>
  ({ w: model.layer.kernel, x: model.layer.size, b: [1] })[of];

/** How many entries a gradient has. */
export const countOf = (model, of) => ({ w: model.dw.length, x: model.dx.length, b: 1 })[of];

/** The gradient that is looked at; weights only where there are some. */
export const ofNow = (model) => (model.layer.op === "conv" ? model.state.of : "x");

export const stepsOf = (model) =>
  model.state.read === "gather" ? countOf(model, ofNow(model)) : model.z.length;

/** The terms of one entry. */
export function termsOf(model, of, index) {
  const { links, x, w, g } = model;
  if (of === "w") return termsOfWeight(links, x, g, index);
  return of === "b" ? termsOfBias(g) : termsOfInput(links, w, g, index);
}

/** The terms with products and totals, and what came through the padding marked. */
export const sumOf = (model, of, index) =>
  recall(model, "sum", `${of}/${index}`, () => addedUp(model, of, index));

function addedUp(model, of, index) {
  const terms = termsOf(model, of, index);
  const own = of === "x" ? ownPlace(model.layer, index) : NOTHING;
  const found = summed(terms);
  return {
    ...found,
    of,
    index,
    rows: found.rows.map((r) => ({ ...r, folded: of === "x" && r.place !== own })),
    magnitude: magnitude(terms),
  };
}

/** The gradients as far as the step: partial sums, or the entries that are done. */
export function partial(model, step) {
  const { links, x, w, g } = model;
  const found = gradients(links, x, w, g, step + 1);
  return {
    dw: Float32Array.from(found.dw),
    dx: Float32Array.from(found.dx),
    dpad: Float32Array.from(found.padded),
    db: Math.fround(found.db),
  };
}

/** Analytic in doubles, and by central differences. */
export const checked = (model, of, index) =>
  recall(model, "check", `${of}/${index}`, () => differences(model, of, index));

function differences(model, of, index) {
  const { layer, links, stored, up, x, w, bias, state } = model;
  const moves = layer.op === "relu" || layer.kind === "max"; // another input, other links
  const relink = (values) => (moves ? linksOf(layer, values, stored) : links);
  const entry = { grid: of, index };
  const numeric = centralDifference(relink, { x, w, bias }, up, entry, state.h);
  const found = recall(model, "analytic", "", () => gradients(links, x, w, doubles(model)));
  const analytic = { w: found.dw[index], x: found.dx[index], b: found.db }[of];
  return { numeric, analytic };
}

/** dL/dz without rounding, for the comparison with differences. */
function doubles(model) {
  const z = forward(model.links, model.x, model.w, model.bias);
  const { up } = model;
  if (up.kind === "mse") return z.map((v, i) => (2 * (v - up.target[i])) / z.length);
  if (up.kind === "bce") return z.map((v, i) => (1 / (1 + Math.exp(-v)) - up.target[i]) / z.length);
  return Float64Array.from(model.g);
}

/** What the gather reading slides over, for dL/dI of a convolution. */
export const spread = (model) => spreadOut(model.layer);

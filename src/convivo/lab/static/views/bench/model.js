// State and region -> everything that is shown: outputs, sizes, what a step runs over. Pure.

import { product, unflat } from "../../ops/axes.js";
import * as conv from "../../ops/conv.js";
import * as pool from "../../ops/pool.js";
import * as transposed from "../../ops/transposed.js";
import * as unpool from "../../ops/unpool.js";
import { kernelFor, specOf } from "./state.js";

const LIMIT = 2 ** 21; // outputs

/**
 * @typedef {object} Model
 * @property {string} op
 * @property {number} dims
 * @property {any} spec
 * @property {Float32Array} x
 * @property {Float32Array} w
 * @property {string} wrong        why there is no output, or ""
 * @property {Float32Array} out
 * @property {number[]} outSize    three
 * @property {number[]} stepSize   three: the grid that a step runs over
 * @property {"out"|"in"|"mid"} walks  which grid that is
 * @property {any} [mid]           pooled values and places of max-unpooling, or stretched input
 * @property {Float32Array} [other]  of the same operation with the kernel turned
 */

/** @returns {Model} */
export function build(state, input) {
  const dims = input.shape.length;
  const spec = specOf(state, input.shape);
  const k = kernelFor(state, dims);
  const common = {
    op: state.op,
    dims,
    spec,
    x: input.data,
    w: Float32Array.from(k.values),
    bias: state.b,
    kernel: k,
  };
  const made = {
    conv: buildConv,
    pool: buildPool,
    unpool: buildUnpool,
    transposed: buildTransposed,
  }[state.op](common, state);
  return { ...common, wrong: "", ...made };
}

const refused = (wrong) => ({
  wrong,
  out: new Float32Array(0),
  outSize: [0, 0, 0],
  stepSize: [0, 0, 0],
  walks: "out",
});
const tooMany = (size) =>
  product(size) > LIMIT ? "more outputs than can be shown: choose a smaller region or stride" : "";

function buildConv({ x, w, spec, bias }, state) {
  const { out, wrong, reach, padded } = conv.sizes(spec);
  if (wrong >= 0)
    return refused(
      `the kernel reaches over ${reach[wrong]} samples, the padded input has ${padded[wrong]}: raise padding or lower dilation`,
    );
  if (tooMany(out)) return refused(tooMany(out));
  const other = state.cmp ? conv.forward(x, w, bias, { ...spec, flip: !spec.flip }) : undefined;
  return { out: conv.forward(x, w, bias, spec), outSize: out, stepSize: out, walks: "out", other };
}

function buildPool({ x, spec }, state) {
  const wrong = pool.refusal(spec);
  if (wrong) return refused(`${wrong}: change window, padding or region`);
  const { data, places, out } = pool.forward(x, state.pool, spec, state.cp);
  return {
    out: data,
    outSize: out,
    stepSize: out,
    walks: "out",
    places,
    kind: state.pool,
    countPadding: state.cp,
  };
}

function buildUnpool({ x, spec }, state) {
  if (state.up !== "max") {
    const grown = spec.size.map((n, a) => n * spec.kernel[a]);
    if (tooMany(grown)) return refused(tooMany(grown));
    const { data, out } = unpool.spread(x, spec.size, spec.kernel, state.up);
    return { out: data, outSize: out, stepSize: spec.size, walks: "in", kind: state.up };
  }
  const wrong = pool.refusal(spec);
  if (wrong) return refused(`${wrong}: change window, padding or region`);
  const { data, places, out } = pool.forward(x, "max", spec, true);
  const values = state.mid === "count" ? Float32Array.from(data, (_, i) => i + 1) : data;
  const back = unpool.putBack(values, places, spec.size);
  return {
    out: back.data,
    winners: back.winners,
    outSize: spec.size,
    stepSize: out,
    walks: "mid",
    kind: "max",
    mid: { data: values, size: out, places },
  };
}

function buildTransposed({ x, w, spec, bias }, state) {
  const { out, wrong } = transposed.sizes(spec);
  if (wrong >= 0) return refused("padding takes everything off the output: lower it");
  if (tooMany(out)) return refused(tooMany(out));
  const full = transposed.forward(x, w, bias, spec);
  const stretched = spec.mode === "zeros" && product(spec.size) <= 65536;
  const zeros = state.read === "zeros" && stretched;
  return {
    out: full,
    outSize: out,
    stepSize: zeros ? out : spec.size,
    walks: zeros ? "out" : "in",
    reading: zeros ? "zeros" : "scatter",
    mid: stretched ? transposed.stretched(x, spec) : undefined,
    counts: transposed.overlaps(spec),
  };
}

/** The cell of a step. */
export const cellOf = (model, step) => unflat(step, model.stepSize);

/** How many steps there are. */
export const stepsOf = (model) => (model.wrong ? 0 : product(model.stepSize));

/** The largest error that float32 may make at each output; 0: the numbers are only moved. */
export function boundsOf(model) {
  const { op, x, w, bias, spec } = model;
  if (op === "conv") return conv.bounds(x, w, bias, spec);
  if (op === "transposed") return transposed.bounds(x, w, bias, spec);
  if (op === "pool" && model.kind === "avg") return pool.bounds(x, spec, model.countPadding);
  return new Float64Array(model.out.length);
}

/** Size of the output with its numbers filled in, an axis: [{text, value}]. */
export function formulas(model) {
  const { spec, dims, op, outSize } = model;
  return Array.from({ length: dims }, (_, i) => {
    const a = 3 - dims + i;
    if (op === "unpool" && model.kind !== "max")
      return { parts: ["times", spec.size[a], spec.kernel[a]], value: outSize[a] };
    if (op === "unpool") return { parts: ["same", spec.size[a]], value: outSize[a] };
    const p = [
      spec.size[a],
      spec.lo[a],
      spec.hi[a],
      spec.dilation[a],
      spec.kernel[a],
      spec.stride[a],
    ];
    if (op === "transposed") return { parts: ["up", ...p, spec.extra[a]], value: outSize[a] };
    return { parts: ["down", ...p], value: model.wrong ? 0 : outSize[a] };
  });
}

/** Cells that no window reads, behind the last one, an axis of the data. */
export function unread(model) {
  const reads =
    model.op === "conv" || model.op === "pool" || (model.op === "unpool" && model.kind === "max");
  return reads && !model.wrong ? conv.sizes(model.spec).unread : [0, 0, 0];
}

/** What is worth knowing: rows and columns behind the last window. */
export function note(model) {
  const names = model.dims === 1 ? ["", "", "sample"] : ["slice", "row", "column"];
  const told = (n, name) =>
    n > 1 ? `the last ${n} ${name}s are never read` : `the last ${name} is never read`;
  const parts = unread(model).map((n, a) => (n ? told(n, names[a]) : ""));
  return parts.filter(Boolean).join(", ");
}

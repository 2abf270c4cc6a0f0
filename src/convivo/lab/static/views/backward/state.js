// What a link tells of the backward pass. Names that the bench has too mean the same as there.

import { choice, flag, integer, integers, number, numbers } from "../../core/state.js";
import { lift, product } from "../../ops/axes.js";
import { UPSTREAM } from "../../ops/grad_learning.js";
import { PADDINGS, per, region, schema as bench } from "../bench/state.js";

export const OPS = [
  ["conv", "Convolution"],
  ["pool", "Pooling"],
  ["unpool", "Unpooling"],
  ["relu", "ReLU"],
];
export const SOURCES = [
  ["small", "small whole numbers"],
  ["random", "random numbers"],
  ["data", "the open data"],
];
export const MOST = { axis: 16, values: 512 };
/** The lecture's figure: 5 x 5, padded by one zero, stride 2. */
const LECTURE = [2, 2, 3, 3, 3, 0, 1, 3, 0, 3, 2, 3, 0, 1, 3, 3, 3, 2, 1, 2, 3, 3, 0, 2, 3];
const FIGURE = { shape: [3, 3], values: [2, 0, 1, 1, 0, 0, 0, 1, 1] };
const SIZES = { 1: [10], 2: [5, 5], 3: [3, 4, 4] };
const KERNELS = {
  1: { shape: [3], values: [-1, 0, 2] },
  2: FIGURE,
  3: { shape: [2, 2, 2], values: [1, 0, 0, -1, 0, 2, -1, 0] },
};

export const schema = {
  op: choice(
    OPS.map(([name]) => name),
    "conv",
  ),
  src: choice(
    SOURCES.map(([name]) => name),
    "small",
  ),
  dims: integer(1, 3, 2),
  size: integers(1, 3, 1, MOST.axis, [5]),
  seed: integer(0, 1e6, 0),
  k: { ...bench.k, initial: FIGURE },
  s: { ...bench.s, initial: [2] },
  pad: choice(
    PADDINGS.map(([name]) => name),
    "zeros",
  ),
  g: choice(UPSTREAM, "ones"),
  own: numbers(1, 1024, -1e6, 1e6, [1]),
  hot: integer(0, 1023, 0),
  of: choice(["w", "x", "b"], "w"),
  cell: integer(0, 1023, 0),
  read: choice(["accumulate", "gather"], "accumulate"),
  lr: number(0, 10, 0.01),
  mo: number(0, 0.999, 0.9),
  t: integer(0, 200, 0),
  h: number(1e-6, 0.1, 0.001),
  ...Object.fromEntries(
    [
      "ch",
      "at",
      "n",
      "b",
      "flip",
      "dl",
      "lo",
      "hi",
      "pool",
      "pk",
      "ps",
      "pd",
      "plo",
      "phi",
      "cp",
      "up",
      "all",
      "tab",
    ].map((name) => [name, bench[name]]),
  ),
};

/** How many axes the numbers have. */
export const dimsOf = (state, card) =>
  state.src === "data" && card ? card.shape.length - 1 : state.dims;

/** What the state of another number of axes begins with. */
export const afresh = (dims) => ({
  dims,
  k: KERNELS[dims],
  size: SIZES[dims],
  cell: 0,
  step: 0,
  hot: 0,
  t: 0,
  own: [1],
});

/** The size of the grid that the numbers fill. */
export function sizeOf(state, card) {
  const dims = dimsOf(state, card);
  if (state.src === "small") return SIZES[dims];
  const wanted = state.src === "data" ? region(state, card).n : per(state.size, dims);
  const size = wanted.map((n) => Math.min(n, MOST.axis * (dims === 1 ? 4 : 1)));
  while (product(size) > MOST.values) size[size.indexOf(Math.max(...size))] -= 1;
  return size;
}

/** The small whole numbers: in 2D the lecture's own, else some as small. */
export function smallNumbers(dims) {
  const count = product(SIZES[dims]);
  return dims === 2
    ? Float32Array.from(LECTURE)
    : Float32Array.from({ length: count }, (_, i) => LECTURE[(i * 7) % 25] - 1);
}

/** The layer in the words of ops/grad_links.js, for a grid of this size. */
export function layerOf(state, size) {
  const dims = size.length;
  const each = (values, filler) => (values ? per(values, dims) : Array(dims).fill(filler));
  const plain = {
    size,
    kernel: each(null, 1),
    stride: each(null, 1),
    dilation: each(null, 1),
    pad: { mode: "zeros", lo: each(null, 0), hi: each(null, 0) },
    flip: false,
    kind: "",
    counted: true,
  };
  if (state.op === "conv") return convolution(state, plain, each);
  if (state.op === "relu") return { ...plain, op: "relu" };
  const most = size.map((n, a) => Math.min(each(state.pk)[a], n));
  if (state.op === "pool") {
    const dilation = state.pool === "max" ? each(state.pd) : each(null, 1);
    return {
      ...plain,
      op: "pool",
      kind: state.pool,
      counted: state.cp,
      kernel: most,
      stride: each(state.ps),
      dilation,
      pad: { mode: "zeros", lo: each(state.plo), hi: each(state.phi) },
    };
  }
  const stride = state.up === "max" ? each(state.ps) : most;
  const pooled = size.map((n, a) => Math.floor((n - most[a]) / stride[a]) + 1);
  return { ...plain, op: "unpool", kind: state.up, kernel: most, stride, size: pooled, fine: size };
}

function convolution(state, plain, each) {
  const dims = plain.size.length;
  const none = state.pad === "none";
  const pad = {
    mode: none ? "zeros" : state.pad,
    lo: each(none ? null : state.lo, 0),
    hi: each(none ? null : state.hi, 0),
  };
  return {
    ...plain,
    op: "conv",
    kernel: kernelOf(state, dims).shape,
    stride: each(state.s),
    dilation: each(state.dl),
    pad,
    flip: state.flip,
  };
}

export const kernelOf = (state, dims) => (state.k.shape.length === dims ? state.k : KERNELS[dims]);

/** A grid as sheets of rows: three axes always. */
export const sheets = (size) => lift(size, 1);

const FIRST = { signal: [24], image: [7, 7], volume: [3, 5, 5] };

/** A state that fits newly opened data: a small region where something happens. */
export function fitting(card) {
  const size = card.shape.slice(1);
  const n = FIRST[card.kind].map((v, a) => Math.min(v, size[a]));
  const at = n.map((v, a) => Math.min(size[a] - v, Math.max(0, card.busy[a] - Math.floor(v / 2))));
  return { n, at, ch: 0, step: 0, cell: 0, t: 0 };
}

// What a link tells of the bench, and the operation that follows from it.

import { lift } from "../../ops/axes.js";
import { choice, flag, integer, integers, number, numbers } from "../../core/state.js";

export const OPS = [
  ["conv", "Convolution"],
  ["pool", "Pooling"],
  ["unpool", "Unpooling"],
  ["transposed", "Transposed"],
];
export const PADDINGS = [
  ["none", "none: the border is lost", ""],
  ["zeros", "zero", "0 0|a b c d|0 0"],
  ["replicate", "replicate (SciPy nearest)", "a a|a b c d|d d"],
  ["reflect", "mirror, edge once (NumPy reflect, SciPy mirror)", "c b|a b c d|c b"],
  ["symmetric", "mirror, edge twice (NumPy symmetric, SciPy reflect)", "b a|a b c d|d c"],
  ["circular", "circular (wrap)", "c d|a b c d|a b"],
];
const MOST_TAPS = 9;
const SOBEL = { shape: [3, 3], values: [-1, 0, 1, -2, 0, 2, -1, 0, 1] };

/** A kernel as 3x3:0,1,0,... */
const kernel = {
  initial: SOBEL,
  parse(text) {
    const [head, tail, more] = text.split(":");
    if (more !== undefined || !/^[1-9](x[1-9]){0,2}$/.test(head) || !tail) return undefined;
    const shape = head.split("x").map(Number);
    const count = shape.reduce((a, b) => a * b, 1);
    const values = numbers(count, count, -1e6, 1e6, null).parse(tail);
    return values && { shape, values };
  },
  format: (k) => `${k.shape.join("x")}:${k.values.join(",")}`,
};

export const schema = {
  op: choice(
    OPS.map(([name]) => name),
    "conv",
  ),
  ch: integer(0, 4095, 0),
  at: integers(1, 3, 0, 1e6, [0]),
  n: integers(1, 3, 1, 512, [10]),
  k: kernel,
  b: number(-1e6, 1e6, 0),
  flip: flag(false),
  s: integers(1, 3, 1, 8, [1]),
  dl: integers(1, 3, 1, 8, [1]),
  pad: choice(
    PADDINGS.map(([name]) => name),
    "reflect",
  ),
  lo: integers(1, 3, 0, 16, [1]),
  hi: integers(1, 3, 0, 16, [1]),
  xo: integers(1, 3, 0, 7, [0]),
  read: choice(["scatter", "zeros"], "scatter"),
  pool: choice(["max", "avg"], "max"),
  pk: integers(1, 3, 1, MOST_TAPS, [2]),
  ps: integers(1, 3, 1, MOST_TAPS, [2]),
  pd: integers(1, 3, 1, 4, [1]),
  plo: integers(1, 3, 0, 8, [0]),
  phi: integers(1, 3, 0, 8, [0]),
  cp: flag(true),
  up: choice(["nearest", "bed_of_nails", "max"], "nearest"),
  mid: choice(["same", "count"], "same"),
  build: flag(false),
  cmp: flag(false),
  all: flag(false),
  tab: flag(false),
  z: numbers(2, 6, -50, 50, [2, 1, 0.1]),
};

const FIRST = { signal: [64], image: [10, 10], volume: [6, 8, 8] };
const SLOPES = {
  1: { shape: [3], values: [-0.5, 0, 0.5] },
  2: SOBEL,
  3: { shape: [3, 3, 3], values: [1, 2, 1].flatMap((m) => SOBEL.values.map((v) => m * v)) },
};

/** A state that fits newly opened data: a region where something happens, a kernel of its axes. */
export function fitting(state, card) {
  const size = card.shape.slice(1);
  const n = FIRST[card.kind].map((v, a) => Math.min(v, size[a]));
  const at = n.map((v, a) => Math.min(size[a] - v, Math.max(0, card.busy[a] - Math.floor(v / 2))));
  const k = kernelFor(state, size.length);
  return { n, at, k, ch: 0, step: n.reduce((all, v) => all * v + Math.floor(v / 2), 0) };
}

/** One entry an axis, whatever a link says. */
export function per(values, dims) {
  if (values.length >= dims) return values.slice(values.length - dims);
  return [...Array(dims - values.length).fill(values[0]), ...values];
}

/** Where the region begins and how large it is, within the array. */
export function region(state, card) {
  const size = card.shape.slice(1);
  const n = per(state.n, size.length).map((v, a) => Math.min(v, size[a]));
  const at = per(state.at, size.length).map((v, a) => Math.min(v, size[a] - n[a]));
  return { at, n };
}

/** The kernel in as many axes as the data has; where a link has another, a slope. */
export const kernelFor = (state, dims) => (state.k.shape.length === dims ? state.k : SLOPES[dims]);

/** The specification for ops/: three axes always. */
export function specOf(state, n) {
  const dims = n.length;
  const three = (values, filler) => lift(per(values, dims), filler);
  const size = lift(n, 1);
  if (state.op === "pool" || (state.op === "unpool" && state.up === "max")) {
    const dilated = state.op === "unpool" || state.pool === "max";
    return {
      size,
      kernel: three(state.pk, 1),
      stride: three(state.ps, 1),
      dilation: three(dilated ? state.pd : [1], 1),
      lo: three(state.plo, 0),
      hi: three(state.phi, 0),
      mode: "zeros",
      flip: false,
    };
  }
  if (state.op === "unpool") return { size, kernel: three(state.pk, 1) };
  const none = state.pad === "none";
  const stride = three(state.s, 1);
  return {
    size,
    kernel: lift(kernelFor(state, dims).shape, 1),
    stride,
    dilation: three(state.dl, 1),
    lo: none ? [0, 0, 0] : three(state.lo, 0),
    hi: none ? [0, 0, 0] : three(state.hi, 0),
    mode: none ? "zeros" : state.pad,
    flip: state.flip && state.op === "conv",
    extra: three(state.xo, 0).map((v, a) => Math.min(v, stride[a] - 1)),
  };
}

/** What the engine is asked, in the words of api_bench.py. */
export function wish(state, card) {
  const { at, n } = region(state, card);
  const dims = n.length;
  const spec = specOf(state, n);
  const own = (values) => values.slice(3 - dims);
  const weighs = state.op === "conv" || state.op === "transposed";
  const ones = Array(dims).fill(1);
  return {
    op: state.op,
    array: card.id,
    channel: Math.min(state.ch, card.shape[0] - 1),
    first: at,
    end: at.map((v, a) => v + n[a]),
    kernel: own(spec.kernel),
    stride: spec.stride ? own(spec.stride) : ones,
    dilation: spec.dilation ? own(spec.dilation) : ones,
    padding: {
      mode: spec.mode ?? "zeros",
      lo: spec.lo ? own(spec.lo) : ones.map(() => 0),
      hi: spec.hi ? own(spec.hi) : ones.map(() => 0),
    },
    ...(weighs ? { weights: kernelFor(state, dims).values, bias: state.b, flip: spec.flip } : {}),
    ...(state.op === "transposed" ? { extra: own(spec.extra) } : {}),
    ...(state.op === "pool" ? { kind: state.pool, count_padding: state.cp } : {}),
    ...(state.op === "unpool" ? { kind: state.up, middle: state.mid } : {}),
  };
}

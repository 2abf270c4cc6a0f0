// The scenes that lead to a finer grid: unpooling and transposed convolution. Pure.

import { extent, greyScale, signedScale } from "../../core/colour.js";
import { flat, unflat } from "../../ops/axes.js";
import * as conv from "../../ops/conv.js";
import * as transposed from "../../ops/transposed.js";
import * as unpool from "../../ops/unpool.js";
import {
  box,
  detailOf,
  inputPanel,
  kept,
  MOST_MARKS,
  one,
  outputPanel,
  plainInput,
  scales,
  sliceName,
} from "./pictures.js";

export function ofUnpool(model, focus) {
  if (model.kind === "max") return ofPutBack(model, focus);
  const { spec } = model;
  const from = focus.out.map((p, a) => Math.floor(p / spec.kernel[a]));
  const window = from.map((p, a) => p * spec.kernel[a]);
  const marks = [
    box(window, spec.kernel, "--input", { width: 2.5 }),
    box(focus.out, one, "--output", { width: 2.5 }),
  ];
  return [
    plainInput(
      model,
      [from[0]],
      [[box(from, one, "--input", { width: 2.5 })]],
      sliceName(model, from[0]),
    ),
    outputPanel(model, [focus.out[0]], [marks], sliceName(model, focus.out[0])),
  ];
}

/** Pooling, the pooled values, and what goes back where. */
function ofPutBack(model, focus) {
  const { spec, mid } = model;
  const { reach } = conv.sizes(spec);
  const winner = model.winners[flat(focus.out, model.outSize)];
  const cell = winner >= 0 ? unflat(winner, mid.size) : null;
  const z = focus.out[0];
  const rivals = winner >= 0 ? unpool.rivals(mid.places, winner) : [];
  const places = kept(model, `rings:${z}`, () =>
    [...new Set(mid.places)]
      .map((p) => unflat(p, spec.size))
      .filter((p) => p[0] === z)
      .slice(0, MOST_MARKS),
  );
  const rings = places.map((p) => ({
    kind: "ring",
    row: p[1] + spec.lo[1],
    col: p[2] + spec.lo[2],
    colour: "--error",
    width: 1.2,
  }));
  const windows = rivals
    .map((i) => unflat(i, mid.size))
    .map((p) =>
      box(
        p.map((q, a) => q * spec.stride[a]),
        reach,
        "--kernel",
        { width: 2, dashed: rivals.length > 1 },
      ),
    );
  const midMarks = rivals
    .map((i) => unflat(i, mid.size))
    .filter((p) => p[0] === (cell?.[0] ?? 0))
    .map((p) => box(p, one, "--input", { dashed: flat(p, mid.size) !== winner }));
  const middle = {
    id: "mid",
    role: "kernel",
    title: "Pooled, with places",
    detail: detailOf(mid.size, model.dims),
    grid: { data: mid.data, size: mid.size },
    scale: kept(model, "midScale", () =>
      extent(mid.data)[0] < 0 ? signedScale(mid.data) : greyScale(mid.data, [0]),
    ),
    slices: [cell?.[0] ?? 0],
    names: sliceName(model, cell?.[0] ?? 0),
    marks: [midMarks],
  };
  return [
    inputPanel(model, [z + spec.lo[0]], [[...rings, ...windows]], sliceName(model, z)),
    middle,
    outputPanel(
      model,
      [z],
      [[box(focus.out, one, "--output", { width: 2.5 })]],
      sliceName(model, z),
    ),
  ];
}

export function ofTransposed(model, focus) {
  const { spec, dims } = model;
  if (model.reading === "zeros") return ofStretched(model, focus);
  const strokes = focus.gather
    ? []
    : transposed.strokes(model.x, model.w, spec, focus.cell).filter((s) => s.to);
  const inputMarks = focus.gather
    ? transposed
        .meeting(spec, focus.out)
        .map((m) => unflat(m.cell, spec.size))
        .filter((p) => p[0] === focus.cell[0])
        .map((p) => box(p, one, "--input"))
    : [box(focus.cell, one, "--input", { width: 2.5 })];
  const slices =
    dims === 3
      ? [...new Set(focus.gather ? [focus.out[0]] : strokes.map((s) => s.to[0]))].sort(
          (a, b) => a - b,
        )
      : [0];
  const lit = focus.tap;
  const marks = (slices.length ? slices : [0]).map((z) => [
    ...strokes
      .filter((s) => s.to[0] === z)
      .map((s) =>
        box(s.to, one, s.index === lit ? "--error" : "--kernel", {
          width: s.index === lit ? 3 : 1.5,
        }),
      ),
    ...(focus.gather && focus.out[0] === z
      ? [box(focus.out, one, "--output", { width: 2.5 })]
      : []),
  ]);
  const shown = slices.length ? slices : [0];
  return [
    plainInput(model, [focus.cell[0]], [inputMarks], sliceName(model, focus.cell[0])),
    outputPanel(model, shown, marks, dims === 3 ? shown.map((z) => `slice ${z}`) : []),
    countPanel(model, focus.out?.[0] ?? 0),
  ];
}

function ofStretched(model, focus) {
  const { spec, mid, dims } = model;
  const out = focus.out;
  const { reach } = transposed.sizes(spec);
  const slices = Array.from(
    { length: dims === 3 ? spec.kernel[0] : 1 },
    (_, u) => out[0] + u * spec.dilation[0],
  );
  const real = kept(model, "inserted", () => mid.real.map((v) => 1 - v));
  const marks = slices.map(() => [box([0, out[1], out[2]], reach, "--kernel", { width: 2.5 })]);
  const middle = {
    id: "mid",
    role: "input",
    title: "Zeros inserted",
    detail: `${detailOf(mid.size, dims)}, kernel turned by 180°, stride 1`,
    grid: mid,
    scale: scales(model).input,
    slices,
    names: dims === 3 ? slices.map((z) => `slice ${z - mid.before[0]}`) : [],
    marks,
    empty: { data: real, size: mid.size },
  };
  return [
    middle,
    outputPanel(
      model,
      [out[0]],
      [[box(out, one, "--output", { width: 2.5 })]],
      sliceName(model, out[0]),
    ),
    countPanel(model, out[0]),
  ];
}

/** How often each output is painted: uneven where the kernel is no multiple of the stride. */
function countPanel(model, z) {
  const { spec, dims } = model;
  const uneven = spec.kernel.some((k, a) => k % spec.stride[a]);
  const rule = spec.kernel
    .slice(3 - dims)
    .map((k, i) => `${k} mod ${spec.stride[3 - dims + i]} = ${k % spec.stride[3 - dims + i]}`)
    .join(", ");
  return {
    id: "count",
    role: "error",
    title: "Strokes a cell",
    detail: uneven ? `uneven: ${rule}` : `even inside: ${rule}`,
    grid: { data: model.counts, size: model.outSize },
    scale: kept(model, "countScale", () => ({ ...greyScale(model.counts, [0]), kind: "count" })),
    slices: [z],
    names: sliceName(model, z),
    marks: [[]],
    small: true,
  };
}

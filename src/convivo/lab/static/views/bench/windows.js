// The scene of convolution and pooling: a window on the padded input, one cell of the output. Pure.

import { signedScale } from "../../core/colour.js";
import { short } from "../../core/numbers.js";
import { flat, product, source, unflat } from "../../ops/axes.js";
import * as conv from "../../ops/conv.js";
import { box, inputPanel, kept, MOST_MARKS, one, outputPanel } from "./pictures.js";

/** Convolution and pooling: a window on the padded input, one cell of the output. */
export function ofWindows(model, focus) {
  const { spec, dims } = model;
  const { reach } = conv.sizes(spec);
  const out = focus.out;
  const first = out.map((p, a) => p * spec.stride[a]);
  const count = spec.kernel[0];
  const slices = Array.from(
    { length: dims === 3 ? count : 1 },
    (_, u) => first[0] + u * spec.dilation[0],
  );
  const names =
    dims === 3
      ? slices.map((z) =>
          z < spec.lo[0] || z >= spec.lo[0] + spec.size[0]
            ? `slice ${short(z - spec.lo[0])}, padding`
            : `slice ${z - spec.lo[0]}`,
        )
      : [];
  const marks = slices.map((z, u) => windowMarks(model, focus, first, reach, z, u));
  const panels = [inputPanel(model, slices, marks, names)];
  const outMarks = [...fedMarks(model, focus), box(out, one, "--output", { width: 2.5 })];
  panels.push(outputPanel(model, [out[0]], [outMarks], dims === 3 ? [`slice ${out[0]}`] : []));
  if (model.other) panels.push(differencePanel(model, out));
  const under = dims === 1 && spec.stride[2] === 1 ? (reach[2] - 1) / 2 : 0;
  return panels.map((p) => (p.id === "input" ? p : { ...p, shift: under }));
}

function windowMarks(model, focus, first, reach, z, u) {
  const { spec } = model;
  const marks = [];
  const dilated = spec.dilation[1] > 1 || spec.dilation[2] > 1;
  if (model.dims === 1 && model.op === "conv") {
    marks.push({
      kind: "stems",
      row: 0,
      col: first[2],
      values: [...conv.taps(model.w, spec.flip)],
      every: spec.dilation[2],
      colour: "--kernel",
      width: 2,
      opacity: 0.9,
    });
  }
  if (focus.tap !== null) marks.push(...metBy(model, focus.tap, u));
  if (dilated) {
    for (let v = 0; v < spec.kernel[1]; v += 1)
      for (let t = 0; t < spec.kernel[2]; t += 1) {
        marks.push(
          box(
            [0, first[1] + v * spec.dilation[1], first[2] + t * spec.dilation[2]],
            one,
            "--kernel",
            { width: 1.5 },
          ),
        );
      }
    marks.push(box([0, first[1], first[2]], reach, "--kernel", { dashed: true, width: 1 }));
  } else {
    marks.push(box([0, first[1], first[2]], reach, "--kernel", { width: 2.5 }));
  }
  if (model.kind === "max" && model.op === "pool") {
    const from = unflat(model.places[flat(focus.out, model.outSize)], spec.size);
    if (from[0] + spec.lo[0] === z)
      marks.push({
        kind: "ring",
        row: from[1] + spec.lo[1],
        col: from[2] + spec.lo[2],
        colour: "--error",
      });
  }
  if (focus.input && focus.input[0] === z) marks.push(...pointed(model, focus.input));
  return marks;
}

/** A padded cell, with an arrow to where it comes from. */
function pointed(model, at) {
  const { spec } = model;
  const marks = [box(at, one, "--input", { width: 2 })];
  const from = at.map((p, a) => source(p - spec.lo[a], spec.size[a], spec.mode));
  const inside = at.every((p, a) => p >= spec.lo[a] && p < spec.lo[a] + spec.size[a]);
  if (inside || from.includes(-1) || model.op === "pool") return marks;
  const to = from.map((p, a) => p + spec.lo[a]);
  if (to[0] === at[0])
    marks.push({
      kind: "arrow",
      row: at[1],
      col: at[2],
      to: [to[1], to[2]],
      colour: "--error",
      width: 2,
    });
  return [...marks, box(to, one, "--error", { width: 2 })];
}

/** Every input that a weight meets, on the slice of its own. */
function metBy(model, tap, u) {
  const { spec, outSize } = model;
  const place = unflat(spec.flip ? product(spec.kernel) - 1 - tap : tap, spec.kernel);
  if (model.dims === 3 && place[0] !== u) return [];
  const marks = [];
  for (let r = 0; r < outSize[1] && marks.length < MOST_MARKS; r += 1)
    for (let c = 0; c < outSize[2]; c += 1) {
      marks.push({
        kind: "fill",
        row: r * spec.stride[1] + place[1] * spec.dilation[1],
        col: c * spec.stride[2] + place[2] * spec.dilation[2],
        colour: "--kernel",
        opacity: 0.38,
      });
    }
  return marks;
}

/** The outputs that an input cell feeds. */
function fedMarks(model, focus) {
  const { spec } = model;
  if (!focus.input) return [];
  const cell = focus.input.map((p, a) =>
    source(p - spec.lo[a], spec.size[a], model.op === "pool" ? "zeros" : spec.mode),
  );
  if (cell.includes(-1)) return [];
  const seen = kept(model, `fed:${cell}`, () => conv.fed(spec, cell));
  return seen
    .filter((f) => f.out[0] === focus.out[0])
    .slice(0, MOST_MARKS)
    .map((f) => box(f.out, one, "--input", { width: 1.5, dashed: true }));
}

function differencePanel(model, out) {
  const data = kept(model, "difference", () =>
    model.out.map((v, i) => Math.fround(v - model.other[i])),
  );
  const same = data.every((v) => v === 0);
  const which = model.spec.flip ? "convolution − correlation" : "correlation − convolution";
  const detail = same ? "identical: the kernel is the same when turned" : which;
  return {
    id: "difference",
    role: "error",
    title: "Difference",
    detail,
    grid: { data, size: model.outSize },
    scale: signedScale(data),
    slices: [out[0]],
    names: [],
    marks: [[box(out, one, "--output")]],
  };
}

// What stands in the panels, and what is outlined there, for one cell. Pure: no page.

import { greyScale, signedScale, extent } from "../../core/colour.js";
import { short } from "../../core/numbers.js";
import { flat, product, source, unflat } from "../../ops/axes.js";
import * as conv from "../../ops/conv.js";
import * as transposed from "../../ops/transposed.js";
import * as unpool from "../../ops/unpool.js";

const MOST_MARKS = 3000;

/** Computed once for a model, kept with it. */
function kept(model, name, make) {
  model.kept ??= new Map();
  if (!model.kept.has(name)) model.kept.set(name, make());
  return model.kept.get(name);
}

/** One slice of a grid of three axes, the same object every time. */
export function slice(model, name, grid, z) {
  const step = grid.size[1] * grid.size[2];
  return kept(model, `${name}:${z}`, () => grid.data.subarray(z * step, (z + 1) * step));
}

const padded = (model) => kept(model, "padded", () => conv.padded(model.x, model.spec));

/** Scales of input and output: shared where they can be compared. */
export function scales(model) {
  return kept(model, "scales", () => {
    const [low, high] = extent(model.x);
    const [least, most] = extent(model.out);
    const size = Math.max(Math.abs(low), high);
    const near = Math.max(Math.abs(least), most) <= 2 * size;
    const positive = low >= 0;
    if (positive && least >= 0 && near) {
      const both = greyScale(model.x, model.out, [0]);
      return { input: both, output: both };
    }
    const both = [model.x, model.out];
    const input = positive ? greyScale(model.x, [0]) : signedScale(...(near ? both : [model.x]));
    const output =
      positive || !near
        ? least >= 0 && positive
          ? greyScale(model.out, [0])
          : signedScale(model.out)
        : input;
    return { input, output };
  });
}

const box = (at, size, colour, more = {}) => ({
  kind: "box",
  row: at[1],
  col: at[2],
  rows: size[1],
  cols: size[2],
  colour,
  ...more,
});
const one = [1, 1, 1];

/**
 * The panels: [{id, role, title, detail, grid: {data, size}, name, scale, slices, names, inner, read, marks: [[...], ...]}].
 * @param {any} model
 * @param {{out: number[]|null, cell: number[]|null, input: number[]|null, tap: number|null}} focus
 *   out: the output cell spoken of; cell: the one of the step; input: a padded input cell or an
 *   input cell pointed at; tap: a weight pointed at
 */
export function scene(model, focus) {
  return { conv: ofWindows, pool: ofWindows, unpool: ofUnpool, transposed: ofTransposed }[model.op](
    model,
    focus,
  );
}

function inputPanel(model, slices, marks, names) {
  const { spec, dims } = model;
  const grid = padded(model);
  const read = conv.sizes(spec);
  const unread = read.unread;
  const inner = [spec.lo[1], spec.lo[2], spec.size[1], spec.size[2]];
  const added = spec.lo.some(Boolean) || spec.hi.some(Boolean);
  return {
    id: "input",
    role: "input",
    title: "Input",
    detail: detailOf(spec.size, dims) + (added ? ` + padding` : ""),
    grid,
    name: "padded",
    scale: scales(model).input,
    slices,
    names,
    inner: added ? inner : undefined,
    marks,
    read: unread[1] || unread[2] ? [grid.size[1] - unread[1], grid.size[2] - unread[2]] : undefined,
  };
}

const detailOf = (size, dims) => size.slice(3 - dims).join(" × ");

function outputPanel(model, slices, marks, names, title = "Output") {
  return {
    id: "output",
    role: "output",
    title,
    detail: detailOf(model.outSize, model.dims),
    grid: { data: model.out, size: model.outSize },
    name: "out",
    scale: scales(model).output,
    slices,
    names,
    marks,
  };
}

/** Convolution and pooling: a window on the padded input, one cell of the output. */
function ofWindows(model, focus) {
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
  return { panels };
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
    name: "difference",
    scale: signedScale(data),
    slices: [out[0]],
    names: [],
    marks: [[box(out, one, "--output")]],
  };
}

function plainInput(model, slices, marks, names, title = "Input") {
  return {
    id: "input",
    role: "input",
    title,
    detail: detailOf(model.spec.size, model.dims),
    grid: { data: model.x, size: model.spec.size },
    name: "x",
    scale: scales(model).input,
    slices,
    names,
    marks,
  };
}

const sliceName = (model, z) => (model.dims === 3 ? [`slice ${z}`] : []);

function ofUnpool(model, focus) {
  if (model.kind === "max") return ofPutBack(model, focus);
  const { spec } = model;
  const from = focus.out.map((p, a) => Math.floor(p / spec.kernel[a]));
  const window = from.map((p, a) => p * spec.kernel[a]);
  const marks = [
    box(window, spec.kernel, "--input", { width: 2.5 }),
    box(focus.out, one, "--output", { width: 2.5 }),
  ];
  return {
    panels: [
      plainInput(
        model,
        [from[0]],
        [[box(from, one, "--input", { width: 2.5 })]],
        sliceName(model, from[0]),
      ),
      outputPanel(model, [focus.out[0]], [marks], sliceName(model, focus.out[0])),
    ],
  };
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
    name: "mid",
    scale: kept(model, "midScale", () =>
      extent(mid.data)[0] < 0 ? signedScale(mid.data) : greyScale(mid.data, [0]),
    ),
    slices: [cell?.[0] ?? 0],
    names: sliceName(model, cell?.[0] ?? 0),
    marks: [midMarks],
  };
  return {
    panels: [
      inputPanel(model, [z + spec.lo[0]], [[...rings, ...windows]], sliceName(model, z)),
      middle,
      outputPanel(
        model,
        [z],
        [[box(focus.out, one, "--output", { width: 2.5 })]],
        sliceName(model, z),
      ),
    ],
  };
}

function ofTransposed(model, focus) {
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
  return {
    panels: [
      plainInput(model, [focus.cell[0]], [inputMarks], sliceName(model, focus.cell[0])),
      outputPanel(model, shown, marks, dims === 3 ? shown.map((z) => `slice ${z}`) : []),
      countPanel(model, focus.out?.[0] ?? 0),
    ],
  };
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
    name: "stretched",
    scale: scales(model).input,
    slices,
    names: dims === 3 ? slices.map((z) => `slice ${z - mid.before[0]}`) : [],
    marks,
    empty: { data: real, size: mid.size },
  };
  return {
    panels: [
      middle,
      outputPanel(
        model,
        [out[0]],
        [[box(out, one, "--output", { width: 2.5 })]],
        sliceName(model, out[0]),
      ),
      countPanel(model, out[0]),
    ],
  };
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
    name: "counts",
    scale: kept(model, "countScale", () => ({ ...greyScale(model.counts, [0]), kind: "count" })),
    slices: [z],
    names: sliceName(model, z),
    marks: [[]],
    small: true,
  };
}

/** Outputs only as far as the step: {values, empty}; null where all are shown. */
export function builtUp(model, step) {
  const empty = new Uint8Array(model.out.length);
  if (model.walks === "out") {
    empty.fill(1, step + 1);
    return { data: model.out, empty };
  }
  if (model.op === "transposed") {
    const ones = transposed.forward(
      new Float32Array(model.x.length).fill(1),
      new Float32Array(model.w.length).fill(1),
      0,
      model.spec,
      step,
    );
    ones.forEach((n, i) => {
      empty[i] = n ? 0 : 1;
    });
    return { data: transposed.forward(model.x, model.w, 0, model.spec, step), empty };
  }
  if (model.walks === "mid") {
    const part = unpool.putBack(
      model.mid.data.subarray(0, step + 1),
      model.mid.places.subarray(0, step + 1),
      model.spec.size,
    );
    return { data: part.data, empty };
  }
  for (let i = 0; i < empty.length; i += 1) {
    const from = unflat(i, model.outSize).map((p, a) => Math.floor(p / model.spec.kernel[a]));
    empty[i] = flat(from, model.spec.size) > step ? 1 : 0;
  }
  return { data: model.out, empty };
}

/** The products at one output, as a grid like the kernel. */
export function productsOf(model, sum) {
  const values = new Float32Array(product(model.spec.kernel)).fill(NaN);
  const at = sum.head.indexOf("w·x");
  sum.rows.forEach((row) => {
    const place = model.spec.flip ? values.length - 1 - row.index : row.index;
    values[place] = (Number.isNaN(values[place]) ? 0 : values[place]) + row.cells[at];
  });
  return values;
}

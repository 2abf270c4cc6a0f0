// What panels are made of: grids, their slices and scales, boxes. Computed once a model, kept with it.

import { greyScale, signedScale, extent } from "../../core/colour.js";
import * as conv from "../../ops/conv.js";

export const MOST_MARKS = 3000;

/** Computed once for a model, kept with it. */
export function kept(model, name, make) {
  model.kept ??= new Map();
  if (!model.kept.has(name)) model.kept.set(name, make());
  return model.kept.get(name);
}

const slices = new WeakMap();

/** One slice of a grid of three axes; of the same array the same object every time. */
export function slice({ data, size }, z) {
  if (!slices.has(data)) slices.set(data, new Map());
  const known = slices.get(data);
  const step = size[1] * size[2];
  if (!known.has(z)) known.set(z, data.subarray(z * step, (z + 1) * step));
  return known.get(z);
}

const paddings = new WeakMap();

/** The padded input; the same as long as the input and its padding are. */
function padded({ x, spec }) {
  const key = [spec.size, spec.lo, spec.hi, spec.mode].join();
  if (paddings.get(x)?.key !== key) paddings.set(x, { key, grid: conv.padded(x, spec) });
  return paddings.get(x).grid;
}

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
    if (!positive && near) {
      const both = signedScale(model.x, model.out);
      return { input: both, output: both };
    }
    const own = (values, grey) => (grey ? greyScale(values, [0]) : signedScale(values));
    return { input: own(model.x, positive), output: own(model.out, positive && least >= 0) };
  });
}

export const box = (at, size, colour, more = {}) => ({
  kind: "box",
  row: at[1],
  col: at[2],
  rows: size[1],
  cols: size[2],
  colour,
  ...more,
});
export const one = [1, 1, 1];

export function inputPanel(model, slices, marks, names) {
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
    scale: scales(model).input,
    slices,
    names,
    inner: added ? inner : undefined,
    marks,
    read: unread[1] || unread[2] ? [grid.size[1] - unread[1], grid.size[2] - unread[2]] : undefined,
  };
}

export const detailOf = (size, dims) => size.slice(3 - dims).join(" × ");

export function outputPanel(model, slices, marks, names, title = "Output") {
  return {
    id: "output",
    role: "output",
    title,
    detail: detailOf(model.outSize, model.dims),
    grid: { data: model.out, size: model.outSize },
    scale: scales(model).output,
    slices,
    names,
    marks,
  };
}

export function plainInput(model, slices, marks, names) {
  return {
    id: "input",
    role: "input",
    title: "Input",
    detail: detailOf(model.spec.size, model.dims),
    grid: { data: model.x, size: model.spec.size },
    scale: scales(model).input,
    slices,
    names,
    marks,
  };
}

export const sliceName = (model, z) => (model.dims === 3 ? [`slice ${z}`] : []);

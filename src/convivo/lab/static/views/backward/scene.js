// Which panels a backward pass has, what stands in them, and what is marked at a step.

import { greyScale, signedScale } from "../../core/colour.js";
import { product, unflat } from "../../ops/axes.js";
import { NOTHING, sourceOf } from "../../ops/grad_links.js";
import { sheets } from "./state.js";
import { hasMargin, innerOf, marksOf } from "./marks.js";
import { ofNow, partial, recall, spread } from "./model.js";

/**
 * @typedef {object} Item
 *   id, role, title, detail; values: flat; size: three axes; scale; empty?: 1 where nothing is yet;
 *   inner?: of a padded grid [lo, size] as three axes; marks: [{at: flat, kind, colour, ...}]
 */

/** The input as the layer meets it: with its padding. */
function paddedInput(model) {
  const { layer, x, padded } = model;
  const size = sheets(padded);
  const lo = [...Array(3 - layer.size.length).fill(0), ...layer.pad.lo];
  const own = sheets(layer.size);
  return Float32Array.from({ length: product(size) }, (_, i) => {
    const place = unflat(i, size).map((p, a) => sourceOf(p - lo[a], own[a], layer.pad.mode));
    return place.includes(NOTHING) ? 0 : x[(place[0] * own[1] + place[1]) * own[2] + place[2]];
  });
}

const imageScale = (values) =>
  values.some((v) => v < 0) ? signedScale(values) : greyScale(values);

/** The gradients that are shown: partial sums, or entries done. */
function shown(model, step) {
  if (model.state.read === "accumulate") return { ...partial(model, step), empty: {} };
  const of = ofNow(model);
  const empty = (name, count) =>
    of === name ? Uint8Array.from({ length: count }, (_, i) => (i > step ? 1 : 0)) : undefined;
  return {
    dw: model.dw,
    dx: model.dx,
    dpad: model.dpad,
    db: model.db,
    empty: { w: empty("w", model.dw.length), x: empty("x", model.dx.length) },
  };
}

/** @returns {Item[]} */
export function scene(model, focus) {
  const { read } = model.state;
  const of = ofNow(model);
  const lit = marksOf(model, focus);
  const fixed = recall(model, "forward", "", () => forwardItems(model));
  const key = `${read}/${of}/${focus.step}`;
  const moving = recall(model, "backward", key, () =>
    gradientItems(model, shown(model, focus.step)),
  );
  const items = [...fixed, ...moving];
  if (model.layer.op === "conv" && read === "gather" && of === "x")
    items.push(recall(model, "spread", "", () => spreadItem(model)));
  for (const item of items) item.cuts ??= new Map(); // what was cut once is the same array again
  return items.map((item) => ({ ...item, marks: lit[item.id] ?? [] }));
}

function forwardItems(model) {
  const { layer, before, x, z, g, out } = model;
  const margin = hasMargin(layer);
  const values = margin ? paddedInput(model) : x;
  const first =
    layer.op === "unpool"
      ? [
          {
            id: "before",
            role: "input",
            title: "Before pooling",
            values: before,
            size: sheets(layer.fine),
            scale: imageScale(before),
          },
        ]
      : [];
  const input = {
    id: "I",
    role: "input",
    title: layer.op === "unpool" ? "I, pooled" : "I, the input",
    detail: margin ? "with its padding" : "",
    values,
    size: sheets(margin ? model.padded : layer.size),
    scale: imageScale(x),
    inner: margin ? innerOf(layer) : undefined,
  };
  const output = {
    id: "z",
    role: "output",
    title: "z, the output",
    values: z,
    size: sheets(out),
    scale: signedScale(z),
  };
  const upstream = {
    id: "g",
    role: "gradient",
    title: "G = ∂L/∂z",
    values: g,
    size: sheets(out),
    scale: signedScale(g),
  };
  return [...first, input, output, upstream];
}

function gradientItems(model, now) {
  const { layer } = model;
  const items = [];
  if (layer.op === "conv") {
    items.push({
      id: "w",
      role: "kernel",
      title: "∂L/∂w",
      values: now.dw,
      size: sheets(layer.kernel),
      scale: signedScale(model.dw),
      empty: now.empty.w,
    });
    items.push({
      id: "b",
      role: "bias",
      title: "∂L/∂b",
      values: Float32Array.of(now.db),
      size: [1, 1, 1],
      scale: signedScale([model.db]),
    });
  }
  const scale = signedScale(model.dx, model.dpad);
  if (hasMargin(layer)) {
    const fate =
      layer.pad.mode === "zeros" || layer.op !== "conv"
        ? "the margin is dropped"
        : "the margin folds back";
    items.push({
      id: "p",
      role: "gradient",
      title: "∂L/∂I on the padded grid",
      detail: fate,
      values: now.dpad,
      size: sheets(model.padded),
      scale,
      inner: innerOf(layer),
    });
  }
  items.push({
    id: "x",
    role: "gradient",
    title: "∂L/∂I",
    values: now.dx,
    size: sheets(layer.size),
    scale,
    empty: now.empty.x,
  });
  return items;
}

function spreadItem(model) {
  const { size, origin } = spread(model);
  const values = Float32Array.from(origin, (o) => (o === NOTHING ? 0 : model.g[o]));
  return {
    id: "spread",
    role: "gradient",
    title: "G as the turned kernel reads it",
    detail: "zeros between and around",
    values,
    size: sheets(size),
    scale: signedScale(model.g),
    zeros: Uint8Array.from(origin, (o) => (o === NOTHING ? 1 : 0)),
  };
}

/** One sheet's part of an item: its picture's values and its marks in rows and columns. */
export function sheetOf(item, z) {
  const [, rows, cols] = item.size;
  const count = rows * cols;
  const cut = (values, name) => {
    if (!values) return undefined;
    const key = name + z;
    if (!item.cuts.has(key)) item.cuts.set(key, values.subarray(z * count, (z + 1) * count));
    return item.cuts.get(key);
  };
  const place = (at) => ({ row: Math.floor((at % count) / cols), col: at % cols });
  const here = (at) => Math.floor(at / count) === z;
  const lo = item.inner?.lo;
  const target = (to) => {
    const own = unflat(to, item.inner.size);
    return [own[0] + lo[0], own[1] + lo[1], own[2] + lo[2]];
  };
  const marks = item.marks
    .filter((m) => here(m.at))
    .flatMap((m) => {
      if (m.to === undefined) return [{ ...m, ...place(m.at) }];
      const [tz, row, col] = target(m.to);
      return tz === z ? [{ ...m, ...place(m.at), to: [row, col] }] : [];
    });
  return {
    rows,
    cols,
    values: cut(item.values, "values"),
    empty: cut(item.empty ?? item.zeros, "empty"),
    inner: innerSheet(item, z),
    marks,
  };
}

function innerSheet(item, z) {
  if (!item.inner) return undefined;
  const { lo, size } = item.inner;
  return z >= lo[0] && z < lo[0] + size[0] ? [lo[1], lo[2], size[1], size[2]] : [0, 0, 0, 0];
}

// Which panels a backward pass has, what stands in them, and what is marked at a step.

import { greyScale, signedScale } from "../../core/colour.js";
import { product, unflat } from "../../ops/axes.js";
import { NOTHING, sourceOf } from "../../ops/grad_links.js";
import { sheets } from "./state.js";
import { ofNow, partial, spread } from "./model.js";

/**
 * @typedef {object} Item
 *   id, role, title, detail; values: flat; size: three axes; scale; empty?: 1 where nothing is yet;
 *   inner?: of a padded grid [lo, size] as three axes; marks: [{at: flat, kind, colour, ...}]
 */

const mark = (at, colour, more = {}) => ({ at, kind: "box", colour, ...more });

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

const hasMargin = (layer) =>
  layer.op !== "unpool" && [...layer.pad.lo, ...layer.pad.hi].some((n) => n > 0);

function innerOf(layer) {
  const lo = [...Array(3 - layer.size.length).fill(0), ...layer.pad.lo];
  return { lo, size: sheets(layer.size) };
}

const isSigned = (values) => values.some((v) => v < 0);
const imageScale = (values) => (isSigned(values) ? signedScale(values) : greyScale(values));

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
  const { layer, step } = { layer: model.layer, step: focus.step };
  const now = shown(model, step);
  const lit = marksOf(model, focus);
  const items = [...forwardItems(model), ...gradientItems(model, now)];
  if (layer.op === "conv" && model.state.read === "gather" && ofNow(model) === "x")
    items.push(spreadItem(model));
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

/** Marks by panel: the step's output and its window, the entry looked at and what it takes part in. */
function marksOf(model, focus) {
  const lit = {};
  const put = (id, one) => (lit[id] ??= []).push(one);
  const { of, index, out } = focus;
  if (model.state.read === "accumulate" || focus.hoverOut) outputMarks(model, out, put);
  entryMarks(model, focus, put);
  put(of === "b" ? "b" : of, mark(of === "b" ? 0 : index, "--ink", { width: 2.5 }));
  if (model.state.read === "gather" && of === "x" && model.layer.op === "conv")
    spreadMarks(model, index, put);
  return lit;
}

function outputMarks(model, out, put) {
  const { links, layer } = model;
  put("z", mark(out, "--output"));
  put("g", mark(out, "--gradient"));
  const margin = hasMargin(layer);
  for (let i = 0; i < links.count; i += 1) {
    if (links.out[i] !== out) continue;
    const at = margin ? links.place[i] : links.source[i];
    if (at !== NOTHING) put("I", mark(at, "--input", { width: 1.5 }));
    if (margin) put("p", mark(links.place[i], "--gradient", { width: 1.5 }));
    if (links.source[i] !== NOTHING) put("x", mark(links.source[i], "--gradient", { width: 1.5 }));
    if (margin && links.source[i] !== NOTHING && !samePlace(model, links.place[i], links.source[i]))
      put("p", {
        at: links.place[i],
        to: links.source[i],
        kind: "arrow",
        colour: "--gradient",
        width: 1.5,
      });
    if (links.weight[i] !== NOTHING) put("w", mark(links.weight[i], "--kernel", { width: 1.5 }));
    if (layer.op === "unpool" && layer.kind === "max")
      put("before", mark(model.stored[links.source[i]], "--input"));
  }
}

/** Whether a padded place is its source's own. */
function samePlace(model, place, source) {
  const size = sheets(model.padded);
  const own = sheets(model.layer.size);
  const lo = innerOf(model.layer).lo;
  const [p, s] = [unflat(place, size), unflat(source, own)];
  return p.every((v, a) => v - lo[a] === s[a]);
}

/** Of the entry looked at: dashed, everything that it is a sum over. */
function entryMarks(model, { of, index }, put) {
  const { links, layer } = model;
  const margin = hasMargin(layer);
  const dot = (id, at) => put(id, mark(at, "--ink", { width: 1.25, dashed: true }));
  if (of === "b") {
    model.z.forEach((_, o) => dot("g", o));
    return;
  }
  for (let i = 0; i < links.count; i += 1) {
    if ((of === "w" ? links.weight[i] : links.source[i]) !== index) continue;
    dot("g", links.out[i]);
    if (of === "w") dot("I", margin ? links.place[i] : links.source[i]);
    else if (margin) dot("p", links.place[i]);
  }
}

/** The window of the turned kernel over G, for the input sample itself. */
function spreadMarks(model, index, put) {
  const { layer } = model;
  const { size } = spread(model);
  const lo = innerOf(layer).lo;
  const at = unflat(index, sheets(layer.size)).map((p, a) => p + lo[a]);
  const reach = sheets(layer.kernel.map((k, a) => layer.dilation[a] * (k - 1) + 1));
  const step = sheets(layer.dilation);
  const three = sheets(size);
  for (let i = 0; i < product(reach); i += 1) {
    const tap = unflat(i, reach);
    if (tap.some((t, a) => t % step[a])) continue;
    const place = at.map((p, a) => p + tap[a]);
    put(
      "spread",
      mark((place[0] * three[1] + place[1]) * three[2] + place[2], "--kernel", { width: 1.5 }),
    );
  }
}

/** One sheet's part of an item: its picture's values and its marks in rows and columns. */
export function sheetOf(item, z) {
  const [, rows, cols] = item.size;
  const count = rows * cols;
  const cut = (values) => values?.subarray(z * count, (z + 1) * count);
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
    values: cut(item.values),
    empty: cut(item.empty ?? item.zeros),
    inner: innerSheet(item, z),
    marks,
  };
}

function innerSheet(item, z) {
  if (!item.inner) return undefined;
  const { lo, size } = item.inner;
  return z >= lo[0] && z < lo[0] + size[0] ? [lo[1], lo[2], size[1], size[2]] : [0, 0, 0, 0];
}

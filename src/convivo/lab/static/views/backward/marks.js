// What is marked at a step: the output and its window, the entry looked at and all it is a sum over.

import { product, unflat } from "../../ops/axes.js";
import { NOTHING } from "../../ops/grad_links.js";
import { spread } from "./model.js";
import { sheets } from "./state.js";

const MANY = 20;

const mark = (at, colour, more = {}) => ({ at, kind: "box", colour, ...more });

/** Whether the layer pads its input. */
export const hasMargin = (layer) =>
  layer.op !== "unpool" && [...layer.pad.lo, ...layer.pad.hi].some((n) => n > 0);

/** Where the input lies in its padded grid, as three axes. */
export function innerOf(layer) {
  const lo = [...Array(3 - layer.size.length).fill(0), ...layer.pad.lo];
  return { lo, size: sheets(layer.size) };
}

/** Marks by panel: the step's output and its window, the entry looked at and what it takes part in. */
export function marksOf(model, focus) {
  const lit = {};
  const put = (id, one) => (lit[id] ??= []).push(one);
  const { of, index, out } = focus;
  if (model.state.read === "accumulate" || focus.over) outputMarks(model, out, put);
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
  const many = of !== "x" && model.z.length > MANY; // nearly all cells: a tint, no outlines
  const kind = many ? { kind: "fill", opacity: 0.12 } : { width: 1.25, dashed: true };
  const dot = (id, at) => put(id, mark(at, "--ink", kind));
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

// What a cell under the pointer, a row of the table or an arrow key means. Pure.

import { MOVES } from "../../core/keys.js";
import { flat, unflat } from "../../ops/axes.js";
import * as conv from "../../ops/conv.js";
import { cellOf, stepsOf } from "./model.js";

/** Of a cell [slice, row, col] of a panel: {out}, {step} of the walked grid, or {input}. */
export function pointedAt(model, id, at) {
  if (id === "output" || id === "difference" || id === "count") return { out: at };
  const walked = id === "input" ? model.walks === "in" : id === "mid" && model.walks === "mid";
  if (walked) return { step: flat(at, model.stepSize) };
  return id === "input" ? { input: at } : {};
}

/** The step that a click on it goes to; undefined: none. */
export function pinnedStep(model, { out, step, input }) {
  if (step !== undefined) return step;
  if (input) return model.walks === "out" ? nearestOutput(model, input) : undefined;
  if (!out) return undefined;
  if (model.walks === "out") return flat(out, model.stepSize);
  if (model.walks === "mid") {
    const winner = model.winners[flat(out, model.outSize)];
    return winner < 0 ? undefined : winner;
  }
  if (model.op !== "unpool") return undefined;
  const from = out.map((p, a) => Math.floor(p / model.spec.kernel[a]));
  return flat(from, model.stepSize);
}

/** The output whose window has this padded cell nearest its middle. */
function nearestOutput(model, at) {
  const { reach } = conv.sizes(model.spec);
  const cell = at.map((p, a) => {
    const nearest = Math.round((p - (reach[a] - 1) / 2) / model.spec.stride[a]);
    return Math.min(model.stepSize[a] - 1, Math.max(0, nearest));
  });
  return flat(cell, model.stepSize);
}

/** The step after an arrow key: a cell on, with Shift a window; undefined for other keys. */
export function movedStep(model, step, event) {
  const move = MOVES[event.key];
  if (!move) return undefined;
  const { kernel, stride = [1, 1, 1] } = model.spec;
  const by = (a) => (event.shiftKey ? Math.max(1, Math.ceil(kernel[a] / stride[a])) : 1);
  const cell = cellOf(model, Math.min(step, stepsOf(model) - 1)).map((p, a) =>
    Math.min(model.stepSize[a] - 1, Math.max(0, p + move[a] * by(a))),
  );
  return flat(cell, model.stepSize);
}

/** A row of the table lights its weight and its sample. */
export function lightOf(model, row, out) {
  if (model.op !== "conv") return { row: row.index };
  const { kernel, stride, dilation, flip } = model.spec;
  const tap = unflat(flip ? model.w.length - 1 - row.index : row.index, kernel);
  return { row: row.index, input: out.map((p, a) => p * stride[a] + tap[a] * dilation[a]) };
}

// The backward pass in sentences: what this step does, and what a reader is told.

import { short, trimmed } from "../../core/numbers.js";
import { unflat } from "../../ops/axes.js";
import { entrySize, stepsOf, sumOf } from "./model.js";
import { sheets } from "./state.js";

export const NAMES = { w: "∂L/∂w", x: "∂L/∂I", b: "∂L/∂b" };

/** An index as the data's axes have it: "1, 2". */
export const placed = (at, size, dims, gap = ", ") =>
  unflat(at, sheets(size))
    .slice(3 - dims)
    .join(gap);

const terms = ({ rows }) => `${rows.length} term${rows.length === 1 ? "" : "s"}`;

/** Such as ∂L/∂w[1, 2]. */
export const entryName = (model, of, index) =>
  of === "b" ? NAMES.b : `${NAMES[of]}[${placed(index, entrySize(model, of), model.dims)}]`;

/** What this step does, in words. */
export function doing(model, { step, of, index, out, over }) {
  if (model.state.read === "gather" && !over) {
    const name = entryName(model, of, index);
    const found = terms(sumOf(model, of, index));
    return `Entry ${step + 1} of ${stepsOf(model)}: ${name} gathers its ${found}.`;
  }
  const g = `G[${placed(out, model.out, model.dims)}] = ${trimmed(model.g[out])}`;
  if (model.layer.op !== "conv")
    return `${g} goes back to the samples that this output was made from.`;
  return `${g}: times its patch of I it is added to ∂L/∂w, times w to ∂L/∂I, by itself to ∂L/∂b.`;
}

/** For the live region. */
export function said(model, { of, index, step }) {
  const sum = sumOf(model, of, index);
  const where = placed(index, entrySize(model, of), model.dims);
  const entry = of === "b" ? NAMES.b : `${NAMES[of]} at ${where}`;
  const output = `output ${placed(step, model.out, model.dims)}, G ${short(model.g[step])}. `;
  const before = model.state.read === "accumulate" ? output : "";
  return `${before}${entry}: ${short(sum.engine)}, ${terms(sum)}`;
}

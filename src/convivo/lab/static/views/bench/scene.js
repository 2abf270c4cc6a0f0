// What stands in the panels, and what is outlined there, for one cell. Pure: no page.

import { ofTransposed, ofUnpool } from "./upward.js";
import { ofWindows } from "./windows.js";

/**
 * The panels: [{id, role, title, detail, grid: {data, size}, scale, slices, names, marks,
 * inner, read, empty, shift, small}]; marks are lists, one a slice; the rest is as in core/grid.js.
 * @param {any} model
 * @param {{out: number[]|null, cell: number[]|null, input: number[]|null, tap: number|null}} focus
 *   out: the output cell spoken of; cell: the one of the step; input: a padded input cell or an
 *   input cell pointed at; tap: a weight pointed at
 */
export function scene(model, focus) {
  const scenes = { conv: ofWindows, pool: ofWindows, unpool: ofUnpool, transposed: ofTransposed };
  return scenes[model.op](model, focus);
}

export { slice } from "./pictures.js";

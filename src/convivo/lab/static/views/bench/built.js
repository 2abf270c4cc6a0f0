// Outputs as far as a step has come, and the products of one cell. Pure.

import { flat, product, unflat } from "../../ops/axes.js";
import * as transposed from "../../ops/transposed.js";
import * as unpool from "../../ops/unpool.js";

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

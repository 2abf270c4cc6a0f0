// The arithmetic of one cell, as rows: what the inspector prints, row by row, and what is copied.

import { flat, unflat } from "../../ops/axes.js";
import * as conv from "../../ops/conv.js";
import * as pool from "../../ops/pool.js";
import * as transposed from "../../ops/transposed.js";
import * as unpool from "../../ops/unpool.js";
import { cellOf } from "./model.js";

/**
 * @typedef {object} Sum
 * @property {string} title        such as out[4, 7]
 * @property {string[]} head
 * @property {{cells: (string|number)[], sheet: number, outside: boolean, index: number, from: number[]|null, best?: boolean}[]} rows
 * @property {{label: string, value: number}[]} totals   bias, exact total, value
 * @property {number} value        of the cell
 * @property {number[]} out        the cell that is spoken of, three
 * @property {boolean} ofOutput    whether that is an output's
 * @property {string} text         one sentence
 */

/** Indices without the leading axes that the data does not have. */
export const own = (at, dims) => at.slice(3 - dims);
export const placed = (name, at, dims) => `${name}[${own(at, dims).join(", ")}]`;

/** The output cell that belongs to a step: for painting inputs, the first they paint. */
export function outputOf(model, step) {
  const cell = cellOf(model, step);
  if (model.walks === "out") return cell;
  if (model.walks === "mid")
    return unflat(model.mid.places[flat(cell, model.mid.size)], model.outSize);
  if (model.op === "unpool") return cell.map((p, a) => p * model.spec.kernel[a]);
  return transposed.strokes(model.x, model.w, model.spec, cell).find((s) => s.to)?.to ?? null;
}

/** @returns {Sum} */
export function sumOf(model, out) {
  const sums = {
    conv: (...asked) => ofProducts(conv, ...asked, "product", "products"),
    pool: ofPool,
    unpool: ofUnpool,
    transposed: (...asked) => ofProducts(transposed, ...asked, "stroke", "strokes meet"),
  };
  return { ...sums[model.op](model, out), ofOutput: true };
}

function weighed(model, out, rows, totals) {
  const { dims, spec, bias } = model;
  const shown = rows.map((r, i) => ({
    cells: [
      i + 1,
      own(unflat(r.index, spec.kernel), dims).join(","),
      r.w,
      r.from ? own(r.from, dims).join(",") : "pad",
      r.x,
      r.product,
      r.sum,
    ],
    sheet: r.place[0],
    outside: !r.inside,
    index: r.index,
    from: r.from,
  }));
  const lines = [];
  if (bias) lines.push({ label: "+ bias", value: Math.fround(bias) });
  lines.push({ label: "= out", value: totals.single });
  if (totals.exact !== totals.single)
    lines.push({ label: "exact, rounded once", value: totals.exact });
  return {
    head: ["#", "w at", "w", "in at", "x", "w·x", "Σ"],
    rows: shown,
    totals: lines,
    value: totals.single,
    out,
    title: placed("out", out, dims),
  };
}

/** @param op conv.js or transposed.js; one, many: what its terms are called. */
function ofProducts(op, model, out, one, many) {
  const { x, w, spec, bias, dims } = model;
  const rows = op.terms(x, w, spec, out);
  const sum = weighed(model, out, rows, op.totals(rows, bias));
  const words = rows.length === 1 ? one : many;
  return { ...sum, text: `${placed("output", out, dims)}, ${rows.length} ${words}` };
}

function ofPool(model, out) {
  const { x, spec, dims, kind, countPadding } = model;
  const members = pool.members(x, spec, out);
  return kind === "max"
    ? ofLargest(members, out, dims)
    : ofAverage(members, out, dims, countPadding);
}

function ofLargest(members, out, dims) {
  const best = pool.winner(members);
  let largest = -Infinity;
  const rows = members.map((m, i) => {
    if (m.inside && (m.x > largest || i === best)) largest = m.x;
    const cells = [
      i + 1,
      m.from ? own(m.from, dims).join(",") : "pad",
      m.inside ? m.x : "",
      largest === -Infinity ? "" : largest,
    ];
    return {
      cells,
      sheet: m.place[0],
      outside: !m.inside,
      index: m.index,
      from: m.from,
      best: i === best,
    };
  });
  const value = members[best].x;
  const where = placed("in", members[best].from, dims);
  return {
    head: ["#", "in at", "x", "largest"],
    rows,
    totals: [{ label: `= out, from ${where}`, value }],
    value,
    out,
    title: placed("out", out, dims),
    text: `${placed("output", out, dims)}, the largest of ${rows.filter((r) => !r.outside).length}, at ${where}`,
  };
}

function ofAverage(members, out, dims, countPadding) {
  let sum = 0;
  const rows = members.map((m, i) => {
    if (m.inside) sum = Math.fround(sum + m.x);
    const cells = [i + 1, m.from ? own(m.from, dims).join(",") : "pad", m.inside ? m.x : 0, sum];
    return { cells, sheet: m.place[0], outside: !m.inside, index: m.index, from: m.from };
  });
  const count = pool.counted(members, countPadding);
  const value = pool.average(members, countPadding);
  return {
    head: ["#", "in at", "x", "Σ"],
    rows,
    totals: [
      { label: "÷ samples", value: count },
      { label: "= out", value },
    ],
    value,
    out,
    title: placed("out", out, dims),
    text: `${placed("output", out, dims)}, the mean of ${count}`,
  };
}

function ofUnpool(model, out) {
  const { dims, spec, kind, x } = model;
  const title = placed("out", out, dims);
  const at = flat(out, model.outSize);
  const value = model.out[at];
  if (kind !== "max") {
    const from = out.map((p, a) => Math.floor(p / spec.kernel[a]));
    const first = out.every((p, a) => p % spec.kernel[a] === 0);
    const copied = kind === "nearest" || first;
    const row = {
      cells: [
        1,
        copied ? own(from, dims).join(",") : "none",
        copied ? x[flat(from, spec.size)] : 0,
      ],
      sheet: 0,
      outside: !copied,
      index: 0,
      from: copied ? from : null,
    };
    const text = copied
      ? `${placed("output", out, dims)}, a copy of ${placed("in", from, dims)}`
      : `${placed("output", out, dims)}, a zero between the nails`;
    return {
      head: ["#", "in at", "x"],
      rows: [row],
      totals: [{ label: "= out", value }],
      value,
      out,
      title,
      text,
    };
  }
  const winner = model.winners[at];
  const { data, size, places } = model.mid;
  const all = winner < 0 ? [] : unpool.rivals(places, winner);
  const rows = all.map((i, n) => ({
    cells: [
      n + 1,
      own(unflat(i, size), dims).join(","),
      data[i],
      i === winner ? "stays" : "is covered",
    ],
    sheet: 0,
    outside: i !== winner,
    index: i,
    from: unflat(i, size),
    best: i === winner,
  }));
  const text = all.length
    ? `${placed("output", out, dims)}, ${all.length > 1 ? `the largest of ${all.length} values that go there` : "the value that came from there"}`
    : `${placed("output", out, dims)}, zero: no maximum was here`;
  return {
    head: ["#", "pooled at", "value", ""],
    rows,
    totals: [{ label: "= out", value }],
    value,
    out,
    title,
    text,
  };
}

/** What one input paints in a transposed convolution. @returns {Sum} */
export function strokesOf(model, cell, step) {
  const { x, w, spec, dims } = model;
  const before =
    step > 0 ? transposed.forward(x, w, 0, spec, step - 1) : new Float32Array(model.out.length);
  const after = Float32Array.from(before);
  const rows = transposed.strokes(x, w, spec, cell).map((s, i) => {
    const at = s.to ? flat(s.to, model.outSize) : -1;
    if (at >= 0) after[at] = Math.fround(after[at] + s.product);
    const cells = [
      i + 1,
      own(s.tap, dims).join(","),
      s.w,
      s.to ? own(s.to, dims).join(",") : "cut off",
      s.product,
      s.to ? after[at] : "",
    ];
    return { cells, sheet: s.tap[0], outside: !s.to, index: s.index, from: s.to };
  });
  const value = x[flat(cell, spec.size)];
  return {
    head: ["#", "w at", "w", "out at", "w·x", "out so far"],
    rows,
    totals: [{ label: "x, painted with", value }],
    value,
    out: cell,
    ofOutput: false,
    title: placed("in", cell, dims),
    text: `${placed("input", cell, dims)} paints ${rows.filter((r) => !r.outside).length} outputs`,
  };
}

// The output's size, with the numbers filled in: one line an axis, as MathML.

import { h, math } from "../../core/dom.js";
import { formulas } from "./model.js";

const AXES = { 1: ["t"], 2: ["row", "col"], 3: ["slice", "row", "col"] };
const mn = (v) => math("mn", {}, String(v));
const mo = (t) => math("mo", {}, t);

/** @param {any} model */
export function sizeFormulas(model) {
  const rows = formulas(model).map(({ parts, value }, a) =>
    h(
      "div",
      { class: "formula-row" },
      h("span", { class: "axis", text: AXES[model.dims][a] }),
      math("math", {}, math("mrow", {}, ...shown(parts), mo("="), mn(value))),
    ),
  );
  const rule = {
    conv: "floor((n + before + behind − d (k − 1) − 1) / s) + 1",
    pool: "floor((n + before + behind − d (k − 1) − 1) / s) + 1",
    transposed: "(n − 1) s − before − behind + d (k − 1) + output padding + 1",
    unpool: model.kind === "max" ? "the size that was pooled" : "n · factor",
  }[model.op];
  return h("div", {}, ...rows, h("p", { class: "muted small", text: rule }));
}

function shown([kind, ...p]) {
  if (kind === "same") return [mn(p[0])];
  if (kind === "times") return [mn(p[0]), mo("·"), mn(p[1])];
  const [n, lo, hi, d, k, s, extra] = p;
  if (kind === "up")
    return [
      mo("("),
      mn(n),
      mo("−"),
      mn(1),
      mo(")"),
      mo("·"),
      mn(s),
      mo("−"),
      mn(lo),
      mo("−"),
      mn(hi),
      mo("+"),
      mn(d),
      mo("·"),
      mo("("),
      mn(k),
      mo("−"),
      mn(1),
      mo(")"),
      mo("+"),
      mn(extra),
      mo("+"),
      mn(1),
    ];
  const top = math(
    "mrow",
    {},
    mn(n),
    mo("+"),
    mn(lo),
    mo("+"),
    mn(hi),
    mo("−"),
    mn(d),
    mo("·"),
    mo("("),
    mn(k),
    mo("−"),
    mn(1),
    mo(")"),
    mo("−"),
    mn(1),
  );
  return [mo("⌊"), math("mfrac", {}, top, mn(s)), mo("⌋"), mo("+"), mn(1)];
}

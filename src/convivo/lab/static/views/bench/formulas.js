// Formulas as MathML: the operation, and the size of its output with the numbers filled in.

import { h, math } from "../../core/dom.js";
import { formulas } from "./model.js";

const AXES = { 1: ["t"], 2: ["row", "col"], 3: ["slice", "row", "col"] };
const mn = (v) => math("mn", {}, String(v));
const mo = (t) => math("mo", { stretchy: "false" }, t);

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
  const note = (text) => text && h("p", { class: "muted small", text });
  return h("div", {}, ...rows, note(rule), note(undone(model)));
}

/** Which convolution a transposed one undoes in size. */
function undone({ op, wrong, spec, outSize, dims }) {
  if (op !== "transposed" || wrong) return "";
  const own = (size) => size.slice(3 - dims).join(" × ");
  return `The convolution that it transposes takes ${own(outSize)} to ${own(spec.size)}.`;
}

/** d · (k − 1): how far a kernel reaches. */
const reach = (d, k) => [mn(d), mo("·"), mo("("), mn(k), mo("−"), mn(1), mo(")")];

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
      ...reach(d, k),
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
    ...reach(d, k),
    mo("−"),
    mn(1),
  );
  return [mo("⌊"), math("mfrac", {}, top, mn(s)), mo("⌋"), mo("+"), mn(1)];
}

const mi = (text, role) => math("mi", role ? { class: `ink-${role}` } : {}, text);
const row = (...parts) => math("mrow", {}, ...parts);
const at = (name, role, ...inside) => row(mi(name, role), mo("["), ...inside, mo("]"));

/** The operation in the field's signs, each in the colour of its role. */
export function formulaOf(model) {
  const { op, kind, spec } = model;
  const sum = math("munder", {}, mo("∑"), mi("u"));
  const index = (sign) => [
    mi("i"),
    ...(spec.stride?.some((s) => s > 1) ? [mo("·"), mi("s")] : []),
    mo(sign),
    mi("u"),
    ...(spec.dilation?.some((d) => d > 1) ? [mo("·"), mi("d")] : []),
  ];
  const bias =
    model.bias && (op === "conv" || op === "transposed") ? [mo("+"), mi("b", "bias")] : [];
  const left = [at("out", "output", mi("i")), mo("=")];
  const right = {
    conv: () => [
      sum,
      at("in", "input", ...index(spec.flip ? "−" : "+")),
      at("w", "kernel", mi("u")),
      ...bias,
    ],
    transposed: () => [
      math(
        "munder",
        {},
        mo("∑"),
        row(mi("j"), mo("·"), mi("s"), mo("+"), mi("u"), mo("="), mi("i")),
      ),
      at("in", "input", mi("j")),
      at("w", "kernel", mi("u")),
      ...bias,
    ],
    pool: () =>
      kind === "max"
        ? [math("munder", {}, mo("max"), mi("u")), at("in", "input", ...index("+"))]
        : [math("mfrac", {}, math("mn", {}, "1"), mi("n")), sum, at("in", "input", ...index("+"))],
    unpool: () =>
      kind === "max"
        ? [
            math(
              "munder",
              {},
              mo("max"),
              row(mi("j"), mo(":"), mi("where"), mo("("), mi("j"), mo(")"), mo("="), mi("i")),
            ),
            at("pooled", "input", mi("j")),
          ]
        : [
            at("in", "input", mo("⌊"), mi("i"), mo("/"), mi("f"), mo("⌋")),
            ...(kind === "nearest"
              ? []
              : [mo(","), mi("f"), mo("∣"), mi("i"), mo(";"), math("mn", {}, "0")]),
          ],
  }[op]();
  return math("math", { display: "block" }, row(...left, ...right));
}

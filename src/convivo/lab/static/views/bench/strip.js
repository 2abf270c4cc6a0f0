// The padding of the last axis as a strip of letters: what stands before and behind a b c d e.

import { h } from "../../core/dom.js";
import { source } from "../../ops/axes.js";
import { PADDINGS } from "./state.js";

const SHOWN = 6; // samples on each side
const FOLDED = " Transposed: what falls there is folded back onto the sample it would come from.";
const text = (words) => h("p", { class: "muted small", text: words });

/** @param {any} model */
export function paddingStrip(model) {
  const { spec, op } = model;
  if (op === "unpool" && model.kind !== "max") return text("Windows lie side by side: no padding.");
  if (op === "pool" || op === "unpool") return text(pooled(model));
  const [lo, hi] = [Math.min(SHOWN, spec.lo[2]), Math.min(SHOWN, spec.hi[2])];
  if (!lo && !hi) {
    return text(
      op === "conv" ? "No padding: the border is lost." : "Nothing is cut off the output.",
    );
  }
  const n = Math.min(spec.size[2], 5);
  const cells = Array.from({ length: lo + n + hi }, (_, i) => cell(i - lo, n, spec.mode));
  const [, name, letters] = PADDINGS.find(([mode]) => mode === spec.mode);
  const label = `padding ${letters.replaceAll("|", ", ")}`;
  const words = `${name}: ${spec.lo[2]} before, ${spec.hi[2]} behind, on the last axis.`;
  return h(
    "div",
    {},
    h("div", { class: "strip", role: "img", "aria-label": label }, ...cells),
    text(words + (op === "transposed" ? FOLDED : "")),
  );
}

function cell(i, n, mode) {
  const from = source(i, n, mode);
  const inside = i >= 0 && i < n;
  return h("span", { class: inside ? "in" : "out", text: from < 0 ? "0" : "abcde"[from] });
}

function pooled(model) {
  if (model.kind === "max" || model.op === "unpool")
    return "Nothing stands there: it is never the largest.";
  return model.countPadding ? "Zeros, counted in the average." : "Not counted in the average.";
}

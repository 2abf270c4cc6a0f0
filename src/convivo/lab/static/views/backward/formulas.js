// The three gradients in the field's signs, each symbol in the colour of its role, and in words.

import { math } from "../../core/dom.js";

const mi = (text, role) => math("mi", role ? { class: `ink-${role}` } : {}, text);
const mo = (text) => math("mo", { stretchy: "false" }, text);
const row = (...parts) => math("mrow", {}, ...parts);
const at = (name, role, ...inside) => row(mi(name, role), mo("["), ...inside, mo("]"));
const slope = (of, role) => math("mfrac", {}, row(mo("∂"), mi("L")), row(mo("∂"), mi(of, role)));
const sum = (...under) => math("munder", {}, mo("∑"), row(...under));

/** What an input index is made of: i s + u d, less the padding. */
function reads({ layer }) {
  const parts = [mi("i")];
  if (layer.stride.some((s) => s > 1)) parts.push(mo("·"), mi("s"));
  const tap = layer.flip
    ? row(mo("("), mi("k"), mo("−"), math("mn", {}, "1"), mo("−"), mi("u"), mo(")"))
    : mi("u");
  parts.push(mo("+"), tap);
  if (layer.dilation.some((d) => d > 1)) parts.push(mo("·"), mi("d"));
  if (layer.pad.lo.some((p) => p > 0)) parts.push(mo("−"), mi("p"));
  return parts;
}

/** The formula of the gradient that is looked at. */
export function formulaOf(model, of) {
  const { layer } = model;
  const g = at("G", "gradient", mi("i"));
  const reaches = row(mi("i"), mo("→"), mi("j"));
  const right = {
    w: () => [sum(mi("i")), g, mo("·"), at("I", "input", ...reads(model))],
    b: () => [sum(mi("i")), g],
    x: () => [sum(reaches), g, ...factor(layer)],
  }[of]();
  const left = {
    w: [slope("w", "kernel"), mo("["), mi("u"), mo("]")],
    b: [slope("b", "bias")],
    x: [slope("I", "input"), mo("["), mi("j"), mo("]")],
  }[of];
  return math("math", { display: "block" }, row(...left, mo("="), ...right));
}

function factor(layer) {
  if (layer.op === "conv") return [mo("·"), at("w", "kernel", mi("u"))];
  if (layer.kind === "avg") return [mo("·"), math("mfrac", {}, math("mn", {}, "1"), mi("n"))];
  return [];
}

/** One or two sentences on what the formula is as an operation. */
export function words(model, of) {
  const { layer } = model;
  if (layer.op === "relu")
    return "Where the input is above 0 the gradient passes unchanged; elsewhere it stops. At 0 itself it stops.";
  if (layer.op === "pool")
    return layer.kind === "max"
      ? "The winner of each window takes the window's whole gradient; of equal ones the first."
      : "Every sample of a window takes an equal share of its gradient.";
  if (layer.op === "unpool")
    return {
      nearest: "A value takes the gradients of all copies of it.",
      bed_of_nails: "A value takes the gradient of the one place where it was put.",
      max: "A value takes the gradient of the place its maximum came from; values that tie share it, smaller ones get none.",
    }[layer.kind];
  if (of === "b") return "The bias reaches every output with the factor 1.";
  const turned = layer.flip;
  if (of === "w")
    return `G slides over the padded input: a cross-correlation${layer.stride.some((s) => s > 1) ? ", with gaps of the stride" : ""}${turned ? ", its result turned by 180°, since this layer turns its kernel" : ""}.`;
  return `Full ${turned ? "cross-correlation of G with w: the layer turned the kernel, so the way back does not" : "convolution of G with w, that is, a cross-correlation with w turned by 180°"}${layer.stride.some((s) => s > 1) ? "; zeros stand between the samples of G, one less than the stride" : ""}. ${marginWords(layer)}`;
}

function marginWords(layer) {
  if (![...layer.pad.lo, ...layer.pad.hi].some((n) => n > 0)) return "";
  if (layer.pad.mode === "zeros") return "What reaches the zeros around the input is dropped.";
  return "What reaches the padding is folded back onto the samples that it repeats.";
}

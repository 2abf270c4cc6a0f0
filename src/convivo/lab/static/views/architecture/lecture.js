// The sums with which the lecture opens, written out; each can be shown in the view.

import { h } from "../../core/dom.js";
import { commas } from "./words.js";

const BYTES = 4;
const IMAGE = 200 * 200;
const sum = (values) => values.reduce((a, b) => a + b, 0);

/** The lecture's count of a fully connected network: 4 * (input + weights + biases). */
export function fullyConnected(widths) {
  const pairs = widths.slice(1).map((n, i) => [widths[i], n]);
  const products = pairs.map(([from, to]) => from * to);
  const weights = sum(products);
  const biases = sum(widths.slice(1));
  const total = BYTES * (widths[0] + weights + biases);
  return {
    weights,
    biases,
    total,
    parameters: weights + biases,
    lines: [
      `input ${commas(widths[0])} values`,
      `weights ${pairs.map(([a, b]) => `${commas(a)} × ${commas(b)}`).join(" + ")} = ${commas(weights)}`,
      `biases ${widths.slice(1).map(commas).join(" + ")} = ${commas(biases)}`,
      `${BYTES} bytes × (${commas(widths[0])} + ${commas(weights)} + ${commas(biases)}) = ${commas(total)} bytes`,
    ],
  };
}

export const ONE_LAYER = fullyConnected([IMAGE, 1000, 1]);
const DEEP = [40000, 30000, 20000, 10000, 2000, 512, 128];
export const EIGHT_LAYERS = fullyConnected([IMAGE, ...DEEP, 1]);
const MLP = {
  net: "mlp",
  dims: 2,
  size: [200, 200],
  channels: 1,
  batch: 1,
  mode: "infer",
  precision: "fp32",
  width: 1,
  run: "",
  pin: -1,
};

export const CARDS = [
  {
    title: "One hidden layer: 160 MB",
    about:
      "1,000 neurons, each connected to every pixel of a 200 × 200 image, one output, float32.",
    lines: ONE_LAYER.lines,
    state: { ...MLP, classes: 1, options: "hidden=1000," },
  },
  {
    title: "Eight narrow layers: 14 GB",
    about: `40,000 – ${DEEP.map(commas).join(" – ")} – 1. Trainable parameters alone: ${commas(EIGHT_LAYERS.parameters)}.`,
    lines: EIGHT_LAYERS.lines,
    state: { ...MLP, classes: 1, options: `hidden=${DEEP.join(",")},` },
  },
  {
    title: "Ten features: 400,010 against 260",
    about: "The weights of a convolution do not depend on the size of the image.",
    lines: [
      `fully connected: 10 × ${commas(IMAGE)} + 10 = ${commas(10 * IMAGE + 10)} parameters, output 10`,
      `ten 5 × 5 filters: 10 × 5 × 5 × 1 + 10 = ${commas(10 * 25 + 10)} parameters, output 10 × 200 × 200`,
    ],
    state: { ...MLP, classes: 10, options: "hidden=," },
  },
  {
    title: "One 5 × 5 sees what two 3 × 3 see",
    about:
      "Each further 3 × 3 adds 2 samples to the receptive field; with an activation between them it is also less linear.",
    lines: [
      "receptive field: 3 + (3 − 1) = 5; again + (3 − 1) = 7",
      "5 × 5 = 25 weights; 2 × 3 × 3 = 18 weights",
      "7 × 7 = 49 weights; 3 × 3 × 3 = 27 weights",
    ],
    state: {
      net: "vgg16",
      dims: 2,
      size: [],
      channels: 0,
      classes: 0,
      options: "",
      width: 1,
      run: "",
      pin: 1,
    },
  },
  {
    title: "Why the slide says “stride 1, padding 2”",
    about:
      "A transposed convolution is carried out as an ordinary one, on a grid with zeros put in. The numbers beside the figure are those of the ordinary one.",
    lines: [
      "its forward twin, kernel 3, stride 2: ⌊(5 − 3) / 2⌋ + 1 = 2, so 5 × 5 becomes 2 × 2",
      "backwards: stride − 1 = 1 zero between samples, 2 + 1 = 3, so 2 × 2 becomes 3 × 3",
      "padding: kernel − 1 = 2 on each side, 3 + 2 × 2 = 7",
      "ordinary convolution, stride 1: 7 − 3 + 1 = 5, so the output is 5 × 5",
    ],
    view: "conv",
    sample: "lecture",
    state: {
      op: "transposed",
      read: "zeros",
      n: [2, 2],
      s: [2],
      pad: "none",
      k: { shape: [3, 3], values: [2, 0, 1, 1, 0, 0, 0, 1, 1] },
      step: 12,
    },
  },
];

/** The cards; `show(state, view, sample)` puts one into this view, or another. */
export function lectureCards(show) {
  const card = ({ title, about, lines, state, view, sample }) =>
    h(
      "article",
      { class: "lecture" },
      h("h2", { text: title }),
      h("p", { class: "muted", text: about }),
      h("ol", { class: "sums" }, ...lines.map((text) => h("li", { text }))),
      h("button", {
        type: "button",
        text: view ? "Show it in the first view" : "Show it here",
        onclick: () => show(state, view, sample),
      }),
    );
  return h(
    "details",
    { class: "panel lectures" },
    h("summary", { text: "The lecture's sums, written out" }),
    h("div", { class: "lecture-cards" }, ...CARDS.map(card)),
  );
}

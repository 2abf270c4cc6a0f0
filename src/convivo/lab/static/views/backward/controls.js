// The controls of the backward pass: the layer, the numbers, and what comes from above.

import { h, select, tick, whole } from "../../core/dom.js";
import { regionControls } from "../bench/controls.js";
import { PADDINGS, per } from "../bench/state.js";
import { OPS, SOURCES, afresh, dimsOf } from "./state.js";

const AXES = { 1: ["t"], 2: ["row", "col"], 3: ["slice", "row", "col"] };
const UPSTREAM = [
  ["ones", "1 everywhere: L = Σ z"],
  ["one-hot", "1 at one output"],
  ["random", "random"],
  ["mse", "mean squared error"],
  ["bce", "sigmoid and cross-entropy"],
  ["own", "typed in"],
];
const named = (text, control, title = "") =>
  h("label", { class: "field", title }, h("span", { text }), control);
const press = (text, on, onclick) =>
  h("button", { type: "button", text, "aria-pressed": String(on), onclick });

/** One number an axis. */
function axes(lab, dims, name, key, low, high) {
  const values = per(lab.state[key], dims);
  const put = (a, v) => lab.set({ [key]: values.map((old, b) => (a === b ? v : old)), step: 0 });
  return h(
    "span",
    { class: "field" },
    h("span", { text: name }),
    ...values.map((v, a) =>
      whole(v, low, high, (n) => put(a, n), {
        class: "tiny",
        "aria-label": `${name}, ${AXES[dims][a]}`,
      }),
    ),
  );
}

export function operations(lab) {
  return h(
    "div",
    { class: "tabs", role: "group", "aria-label": "Operation" },
    ...OPS.map(([op, text]) =>
      press(text, lab.state.op === op, () => lab.set({ op, step: 0, cell: 0, t: 0 })),
    ),
  );
}

/** Where the numbers come from. */
export function numbers(lab) {
  const { state, card } = lab;
  const dims = dimsOf(state, card);
  const free = state.src !== "data";
  const shape = h(
    "div",
    { class: "tabs", role: "group", "aria-label": "Dimensions" },
    ...[1, 2, 3].map((d) => press(`${d}D`, dims === d, () => lab.set(afresh(d)))),
  );
  return [
    named(
      "numbers",
      select(SOURCES, state.src, (src) =>
        lab.set({ ...afresh(src === "data" && card ? card.shape.length - 1 : dims), src }),
      ),
    ),
    free ? shape : null,
    state.src === "random" ? axes(lab, dims, "size", "size", 1, 16) : null,
    state.src === "random"
      ? named(
          "seed",
          whole(state.seed, 0, 1e6, (seed) => lab.set({ seed }), { class: "tiny" }),
        )
      : null,
    !free && card ? regionControls(lab, dims) : null,
  ];
}

/** The row of controls that fits the operation. */
export function layerControls(lab) {
  const { state } = lab;
  const dims = dimsOf(state, lab.card);
  const pick = (text, key, options) =>
    named(
      text,
      select(options, state[key], (v) => lab.set({ [key]: v, step: 0 }), { class: "wide" }),
    );
  const windows = () => [
    axes(lab, dims, "window", "pk", 1, 9),
    axes(lab, dims, "stride", "ps", 1, 9),
  ];
  const sides = (lo, hi) => [
    axes(lab, dims, "before", lo, 0, 8),
    axes(lab, dims, "behind", hi, 0, 8),
  ];
  return {
    conv: () => [
      tick("turn the kernel", state.flip, (flip) => lab.set({ flip }), "true convolution; key f"),
      pick(
        "padding",
        "pad",
        PADDINGS.map(([name, text]) => [name, text]),
      ),
      ...(state.pad === "none" ? [] : sides("lo", "hi")),
      axes(lab, dims, "stride", "s", 1, 8),
      axes(lab, dims, "dilation", "dl", 1, 8),
    ],
    pool: () => [
      pick("of each window the", "pool", [
        ["max", "largest"],
        ["avg", "average"],
      ]),
      ...windows(),
      ...sides("plo", "phi"),
      state.pool === "max"
        ? axes(lab, dims, "dilation", "pd", 1, 4)
        : tick("padding counts", state.cp, (cp) => lab.set({ cp })),
    ],
    unpool: () => [
      pick("each value", "up", [
        ["nearest", "nearest: fills its window"],
        ["bed_of_nails", "bed of nails: first sample"],
        ["max", "back where the maximum was"],
      ]),
      ...(state.up === "max" ? windows() : [axes(lab, dims, "factor", "pk", 1, 9)]),
    ],
    relu: () => [h("span", { class: "muted", text: "max(0, I), sample by sample" })],
  }[state.op]();
}

/** What comes from above, and how it is read. */
export function gradientControls(lab, model) {
  const { state } = lab;
  const entries = [
    ["accumulate", "accumulate: output by output"],
    ["gather", "gather: entry by entry"],
  ];
  const ofs =
    state.op === "conv"
      ? [
          ["w", "∂L/∂w"],
          ["x", "∂L/∂I"],
          ["b", "∂L/∂b"],
        ]
      : [["x", "∂L/∂I"]];
  const at = state.g === "own" && model ? Math.min(state.hot, model.z.length - 1) : 0;
  const typed = () =>
    lab.set({
      own: Array.from(model.z, (_, i) =>
        i === at ? Number(box.value) || 0 : (model.up.own[i] ?? 0),
      ),
    });
  const box = h("input", {
    type: "number",
    step: "any",
    value: state.own[at] ?? 0,
    "aria-label": "G at the chosen output",
    onchange: typed,
  });
  return [
    named(
      "G comes from",
      select(UPSTREAM, state.g, (g) =>
        lab.set({ g, own: model && g === "own" ? Array.from(model.g) : state.own }),
      ),
      "The upstream gradient",
    ),
    state.g === "one-hot" || state.g === "own"
      ? named(
          "at output",
          whole(state.hot, 0, 1023, (hot) => lab.set({ hot }), { class: "tiny" }),
          "or click a cell of G",
        )
      : null,
    state.g === "own" ? named("G there", box) : null,
    state.g === "random" && state.src !== "random"
      ? named(
          "seed",
          whole(state.seed, 0, 1e6, (seed) => lab.set({ seed }), { class: "tiny" }),
        )
      : null,
    named(
      "read",
      select(entries, state.read, (read) => lab.set({ read, step: 0 })),
    ),
    h(
      "div",
      { class: "tabs", role: "group", "aria-label": "Gradient" },
      ...ofs.map(([of, text]) =>
        press(text, ofs.length === 1 || state.of === of, () =>
          lab.set({ of, cell: 0, step: state.read === "gather" ? 0 : state.step }),
        ),
      ),
    ),
  ];
}

// The controls of the bench: what is done, how it is padded, with which steps; and the region.

import { h, select, tick, whole } from "../../core/dom.js";
import { OPS, PADDINGS, per, region } from "./state.js";

export const REGIONS = [4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 512];
const AXES = { 1: ["t"], 2: ["row", "col"], 3: ["slice", "row", "col"] };

/** One number for all axes, or one an axis. */
function axes(lab, dims, name, key, low, high, title) {
  const values = per(lab.state[key], dims);
  const put = (a, v) =>
    lab.set({ [key]: per(lab.state[key], dims).map((old, b) => (a === b ? v : old)) });
  return h(
    "span",
    { class: "field", title },
    h("span", { text: name }),
    ...values.map((v, a) =>
      whole(v, low, high, (n) => put(a, n), {
        class: "tiny",
        "aria-label": `${name}, ${AXES[dims][a]}`,
      }),
    ),
  );
}

/** Before and behind, an axis. */
function sides(lab, dims, lo, hi, most) {
  const put = (key, a, v) =>
    lab.set({ [key]: per(lab.state[key], dims).map((old, b) => (a === b ? v : old)) });
  const each = (key, word) =>
    per(lab.state[key], dims).map((v, a) =>
      whole(v, 0, most, (n) => put(key, a, n), {
        class: "tiny",
        "aria-label": `padding ${word}, ${AXES[dims][a]}`,
      }),
    );
  return h(
    "span",
    { class: "field", title: "Samples added before and behind, an axis" },
    h("span", { text: "before" }),
    ...each(lo, "before"),
    h("span", { text: "behind" }),
    ...each(hi, "behind"),
  );
}

/** "Same": as many outputs as inputs, at stride 1; an odd one goes behind. */
function same(lab, dims, kernel) {
  const reach = per(lab.state.dl, dims).map((d, a) => d * (kernel[a] - 1));
  lab.set({
    lo: reach.map((r) => Math.floor(r / 2)),
    hi: reach.map((r) => r - Math.floor(r / 2)),
    pad: lab.state.pad === "none" ? "zeros" : lab.state.pad,
  });
}

export function tabs(lab) {
  const buttons = OPS.map(([name, title]) =>
    h("button", {
      type: "button",
      text: title,
      "aria-pressed": String(lab.state.op === name),
      onclick: () => lab.set({ op: name, step: 0 }),
    }),
  );
  return h("div", { class: "tabs", role: "group", "aria-label": "Operation" }, ...buttons);
}

/** The row of controls that fits the operation. */
export function controls(lab, dims, kernel) {
  const { state } = lab;
  const pick = (key, options, label, title) =>
    h(
      "label",
      { class: "field", title },
      h("span", { text: label }),
      select(options, state[key], (v) => lab.set({ [key]: v })),
    );
  const padding = [
    h(
      "label",
      { class: "field" },
      h("span", { text: "padding" }),
      select(
        PADDINGS.map(([name, title]) => [name, title]),
        state.pad,
        (v) => lab.set({ pad: v }),
        { class: "wide" },
      ),
    ),
    state.pad === "none" ? null : sides(lab, dims, "lo", "hi", 16),
    state.pad === "none"
      ? null
      : h("button", {
          type: "button",
          text: "same",
          title: "As many outputs as inputs, at stride 1",
          onclick: () => same(lab, dims, kernel),
        }),
  ];
  const bias = h(
    "label",
    { class: "field" },
    h("span", { text: "bias" }),
    h("input", {
      type: "number",
      step: 0.1,
      value: state.b,
      "aria-label": "bias",
      onchange: (e) => lab.set({ b: Number(e.target.value) || 0 }),
    }),
  );
  const windows = [axes(lab, dims, "window", "pk", 1, 9), axes(lab, dims, "stride", "ps", 1, 9)];
  const by = {
    conv: () => [
      tick(
        "turn the kernel (true convolution)",
        state.flip,
        (v) => lab.set({ flip: v }),
        "Off: cross-correlation, what layers of networks do. Key f",
      ),
      tick("compare both", state.cmp, (v) => lab.set({ cmp: v })),
      ...padding,
      axes(lab, dims, "stride", "s", 1, 8),
      axes(lab, dims, "dilation", "dl", 1, 8),
      bias,
    ],
    transposed: () => [
      pick(
        "read",
        [
          ["scatter", "every input paints the kernel"],
          ["zeros", "zeros inserted, kernel slides"],
        ],
        "reading",
      ),
      ...padding,
      axes(lab, dims, "stride", "s", 1, 8),
      axes(lab, dims, "dilation", "dl", 1, 8),
      axes(lab, dims, "output padding", "xo", 0, 7, "Samples added to the end; below the stride"),
      bias,
    ],
    pool: () => [
      pick(
        "pool",
        [
          ["max", "largest"],
          ["avg", "average"],
        ],
        "of each window the",
      ),
      ...windows,
      state.pool === "max"
        ? axes(lab, dims, "dilation", "pd", 1, 4)
        : tick(
            "padding counts",
            state.cp,
            (v) => lab.set({ cp: v }),
            "Divide by the whole window, or by the samples in it alone",
          ),
      sides(lab, dims, "plo", "phi", 8),
    ],
    unpool: () => [
      pick(
        "up",
        [
          ["nearest", "nearest: fills its window"],
          ["bed_of_nails", "bed of nails: first sample"],
          ["max", "back where the maximum was"],
        ],
        "each value",
      ),
      ...(state.up === "max"
        ? [
            ...windows,
            axes(lab, dims, "dilation", "pd", 1, 4),
            sides(lab, dims, "plo", "phi", 8),
            pick(
              "mid",
              [
                ["same", "the maxima"],
                ["count", "1, 2, 3 …"],
              ],
              "put back",
            ),
          ]
        : [axes(lab, dims, "factor", "pk", 1, 9)]),
    ],
  };
  return [
    ...by[state.op](),
    tick(
      "build up",
      state.build,
      (v) => lab.set({ build: v }),
      "Show outputs only as far as the step",
    ),
  ];
}

/** Which part of the array, and how large. */
export function regionControls(lab, dims) {
  const { at, n } = region(lab.state, lab.card);
  const put = (key, values, a, v) =>
    lab.set({ [key]: values.map((old, b) => (a === b ? v : old)), step: 0 });
  const size = lab.card.shape.slice(1);
  const rows = AXES[dims].map((axis, a) =>
    h(
      "div",
      { class: "field" },
      h("span", { text: axis, class: "axis" }),
      whole(at[a], 0, Math.max(0, size[a] - n[a]), (v) => put("at", at, a, v), {
        "aria-label": `region begins, ${axis}`,
      }),
      h("span", { text: "+" }),
      whole(n[a], 1, Math.min(512, size[a]), (v) => put("n", n, a, v), {
        "aria-label": `region size, ${axis}`,
      }),
      h("span", { text: `of ${size[a]}` }),
    ),
  );
  const channels = lab.card.shape[0];
  const names = Array.from({ length: Math.min(channels, 256) }, (_, i) => [
    String(i),
    lab.card.channels[i] ?? `channel ${i}`,
  ]);
  const channel =
    channels > 1
      ? h(
          "label",
          { class: "field" },
          h("span", { text: "channel" }),
          select(names, String(Math.min(lab.state.ch, channels - 1)), (v) =>
            lab.set({ ch: Number(v) }),
          ),
        )
      : null;
  return h("div", { class: "region" }, channel, ...rows);
}

/** A smaller (by < 0) or larger region around the same middle. */
export function zoomed(state, card, by) {
  const { at, n } = region(state, card);
  const size = card.shape.slice(1);
  const next = n.map((v, a) => {
    const place = REGIONS.findIndex((r) => r >= v);
    const wanted =
      REGIONS[
        Math.min(REGIONS.length - 1, Math.max(0, (place < 0 ? REGIONS.length - 1 : place) + by))
      ];
    return Math.min(size[a], wanted);
  });
  return {
    n: next,
    at: at.map((v, a) =>
      Math.min(size[a] - next[a], Math.max(0, v + Math.round((n[a] - next[a]) / 2))),
    ),
    step: 0,
  };
}

// The controls of the architecture: which network, used how, and the sliders over legal sizes.

import { field, fill, h, select, whole } from "../../core/dom.js";
import { AFRESH, choosing } from "./choosing.js";

const MODES = [
  ["train", "training"],
  ["infer", "inference"],
];
const PRECISIONS = [
  ["fp32", "float32"],
  ["bf16", "bfloat16"],
  ["fp16", "float16"],
];
const OPTIMIZERS = [
  ["momentum", "SGD, momentum"],
  ["sgd", "SGD"],
  ["adam", "Adam"],
  ["adamw", "AdamW"],
];
const AXES = { 1: ["length"], 2: ["rows", "columns"], 3: ["slices", "rows", "columns"] };

/**
 * @param lab the shell's; @param data data.Architecture; @param told (text) => void: an error
 * @returns {{element: HTMLElement, draw: Function, pick: Function, by: Function}}
 */
export function controls(lab, data, told) {
  const rows = [
    h("div", { class: "tools" }),
    h("div", { class: "tools" }),
    h("div", { class: "sizes" }),
  ];
  const element = h("div", {}, ...rows);
  let stops = [];
  let asked = null;
  let built = "";

  /** Controls are made anew when the network changes, so that one in use keeps its focus. */
  function draw(question, entry) {
    asked = question;
    const known = data.sizes(asked, entry.counted.samples_per_axis);
    stops = [...new Set([...known, ...asked.size])].sort((a, b) => a - b);
    const { state } = lab;
    const key = JSON.stringify({ ...state, step: 0, pin: 0, size: 0 }) + data.listed.runs.length;
    if (key !== built) {
      built = key;
      replace(rows[0], ...choosing(lab, data, asked, entry, told));
      use(state);
    }
    sliders();
    return known.length ? stops : [];
  }

  function use(state) {
    const own = { run: "" };
    replace(
      rows[1],
      field(
        "use",
        select(MODES, state.mode, (mode) => lab.set({ mode, step: 0, ...own })),
      ),
      field(
        "batch",
        whole(state.batch, 1, 65536, (batch) => lab.set({ batch, ...own })),
      ),
      field(
        "numbers",
        select(PRECISIONS, state.precision, (precision) => lab.set({ precision, step: 0, ...own })),
      ),
      state.mode === "train"
        ? field(
            "optimizer",
            select(OPTIMIZERS, state.optimizer, (optimizer) =>
              lab.set({ optimizer, step: 0, ...own }),
            ),
          )
        : null,
      ...(state.program ? [] : shapes(own)),
      lab.card
        ? h("button", {
            type: "button",
            text: "size of the open data",
            title:
              "channels and size of the data, each axis rounded up to a size that the network takes",
            onclick: fromData,
          })
        : null,
    );
  }

  /** What a program has fixed. */
  function shapes(own) {
    return [
      field(
        "channels in",
        whole(asked.channels, 1, 4096, (channels) => lab.set({ channels, ...own })),
      ),
      field(
        "outputs",
        whole(asked.classes, 1, 100000, (classes) => lab.set({ classes, ...own })),
      ),
    ];
  }

  function replace(row, ...parts) {
    const place = [...row.querySelectorAll("select, input, button")].indexOf(
      document.activeElement,
    );
    fill(row, ...parts);
    if (place >= 0) row.querySelectorAll("select, input, button")[place]?.focus();
  }

  /** One slider, or one an axis; each stops at legal sizes only. */
  function sliders() {
    const names = lab.state.lock ? ["size of each axis"] : AXES[asked.dims];
    if (rows[2].children.length !== names.length || rows[2].dataset.names !== names.join()) {
      rows[2].dataset.names = names.join();
      fill(rows[2], ...names.map((name, axis) => slider(name, axis)));
    }
    [...rows[2].children].forEach((row, axis) => {
      const [range, output] = [row.querySelector("input"), row.querySelector("output")];
      range.max = Math.max(0, stops.length - 1);
      range.value = stops.indexOf(asked.size[axis]);
      range.setAttribute("aria-valuetext", `${asked.size[axis]} samples`);
      output.textContent = lab.state.lock ? asked.size.join(" × ") : String(asked.size[axis]);
    });
  }

  function slider(name, axis) {
    const range = h("input", {
      type: "range",
      min: 0,
      step: 1,
      "aria-label": name,
      oninput: () => put(stops[Number(range.value)], axis),
    });
    return h("label", { class: "field size" }, h("span", { text: name }), range, h("output", {}));
  }

  function put(n, axis) {
    if (!n) return;
    const size = asked.size.map((old, a) => (lab.state.lock || a === axis ? n : old));
    lab.set({ size, axis: lab.state.lock ? lab.state.axis : axis, step: 0, run: "" });
  }

  function fromData() {
    const [channels, ...shape] = lab.card.shape;
    const fitting = shape.map((n) => stops.find((stop) => stop >= n) ?? stops[stops.length - 1]);
    const alike = new Set(fitting).size === 1;
    const sized = shape.length === asked.dims ? { size: fitting, lock: alike } : {};
    lab.set({ ...AFRESH, dims: shape.length, channels, ...sized });
  }

  /** The next larger or smaller size. */
  function by(step) {
    if (!asked) return false;
    const axis = lab.state.lock ? 0 : Math.min(lab.state.axis, asked.dims - 1);
    put(stops[stops.indexOf(asked.size[axis]) + step], axis);
    return true;
  }

  return { element, draw, by, pick: (n) => put(n, Math.min(lab.state.axis, asked.dims - 1)) };
}

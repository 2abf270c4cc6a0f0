// View 2, the backward pass: what a loss tells the kernel, the bias and the input of one layer.
//
// state (backward/state.js) + numbers -> model (backward/model.js) -> panels (backward/scene.js),
// terms, check and update (backward/inspector.js). This file puts them on the page and listens.

import { fill, h, refill } from "../core/dom.js";
import { short, trimmed } from "../core/numbers.js";
import { Panel } from "../core/panel.js";
import { flat, unflat } from "../ops/axes.js";
import { kernelEditor } from "./bench/kernel.js";
import { zoomed } from "./bench/controls.js";
import { kernelWidth } from "./bench/layout.js";
import { regions } from "./bench/source.js";
import { gradientControls, layerControls, numbers, operations } from "./backward/controls.js";
import { engineCheck } from "./backward/engine.js";
import { NAMES, inspector, placed } from "./backward/inspector.js";
import { UPPER, cellSize } from "./backward/layout.js";
import { build, countOf, numbersOf, ofNow, stepsOf, sumOf } from "./backward/model.js";
import { scene, sheetOf } from "./backward/scene.js";
import { dimsOf, kernelOf, schema, sheets } from "./backward/state.js";

export const view = {
  name: "backward",
  title: "Backward",
  key: "2",
  kinds: ["signal", "image", "volume"],
  schema,
  mount,
};

const FIRST = { signal: [24], image: [7, 7], volume: [3, 5, 5] };
const MOVES = {
  ArrowUp: [0, -1, 0],
  ArrowDown: [0, 1, 0],
  ArrowLeft: [0, 0, -1],
  ArrowRight: [0, 0, 1],
  PageUp: [-1, 0, 0],
  PageDown: [1, 0, 0],
};

const terms = ({ rows }) => `${rows.length} term${rows.length === 1 ? "" : "s"}`;

/** A state that fits newly opened data: a small region where something happens. */
function fitting(card) {
  const size = card.shape.slice(1);
  const n = FIRST[card.kind].map((v, a) => Math.min(v, size[a]));
  return {
    n,
    at: n.map((v, a) => Math.min(size[a] - v, Math.max(0, card.busy[a] - Math.floor(v / 2)))),
    ch: 0,
    step: 0,
    cell: 0,
    t: 0,
  };
}

function mount(lab) {
  const source = regions(lab);
  const there = lab.card?.id;
  const tools = [
    h("div", { class: "tools" }),
    h("div", { class: "tools" }),
    h("div", { class: "tools" }),
  ];
  const message = h("p", { class: "error", role: "alert" });
  const rows = [h("div", { class: "panels" }), h("div", { class: "panels" })];
  const doing = h("p", { class: "doing" });
  const root = h(
    "div",
    { class: "backward" },
    ...tools,
    message,
    h("h2", { text: "Forward, and what comes from above" }),
    rows[0],
    h("h2", { text: "Backward" }),
    doing,
    rows[1],
  );
  const drawn = new Map();
  let hover = {}; // what the pointer is over: {out} or {of, index}
  let memo = { key: "", model: null };
  let built = "";

  const point = (next) => {
    hover = next;
    lab.redraw();
  };
  const kernel = kernelEditor({
    kernel: shownKernel,
    change: (k) =>
      lab.set({
        k,
        t: 0,
        ...(k.values.length === kernelOf(lab.state, k.shape.length).values.length
          ? {}
          : { cell: 0, step: 0 }),
      }),
    hover: (tap) => point(tap === null ? {} : { of: "w", index: tap }),
    flip: () => lab.state.flip,
  });
  /** The kernel as it is by now: after the updates that were taken. */
  function shownKernel() {
    const k = kernelOf(lab.state, dimsOf(lab.state, lab.card));
    const w = lab.state.t ? memo.model?.w : null;
    return w?.length === k.values.length ? { ...k, values: Array.from(w) } : k;
  }

  const engine = engineCheck(lab);
  const side = inspector(lab, (row) => point(row ? { out: row.out } : {}));
  fill(lab.stage, root);

  function current() {
    const { step, all, tab, cell, ...rest } = lab.state;
    const region = lab.state.src === "data" ? source.now() : null;
    const given = numbersOf(lab.state, lab.card, region);
    if (!given) return null;
    const key = JSON.stringify([rest, region?.key]);
    if (memo.key !== key) memo = { key, model: { ...build(lab.state, given), key } };
    return memo.model;
  }

  /** What is looked at: an entry of a gradient, and an output. */
  function focusOf(model) {
    const step = Math.min(lab.state.step, Math.max(0, stepsOf(model) - 1));
    const gather = lab.state.read === "gather";
    const of = hover.of ?? ofNow(model);
    const index = hover.index ?? (gather ? step : Math.min(lab.state.cell, countOf(model, of) - 1));
    return {
      step,
      of,
      index,
      out: hover.out ?? (gather ? 0 : step),
      hoverOut: hover.out !== undefined,
    };
  }

  function draw() {
    const model = current();
    drawControls(model);
    root.dataset.settled = "false";
    if (!model) {
      message.textContent = lab.state.src === "data" && !lab.card ? "Open data first: key d." : "";
      return;
    }
    message.textContent = model.wrong ? `${model.wrong}.` : "";
    for (const row of rows) row.hidden = Boolean(model.wrong);
    if (model.wrong) {
      side.empty(model.wrong);
      root.dataset.settled = "true";
      return;
    }
    const focus = focusOf({ ...model, state: lab.state });
    drawScene({ ...model, state: lab.state }, focus);
  }

  function drawControls(model) {
    const { step, all, tab, cell, ...rest } = lab.state;
    const key = JSON.stringify([rest, lab.card?.id, model?.z?.length]);
    if (lab.state.op === "conv") kernel.draw(hover.of === "w" ? hover.index : null);
    if (key === built) return;
    built = key;
    kernel.element.style.width = `${kernelWidth(kernelOf(lab.state, dimsOf(lab.state, lab.card)).shape)}px`;
    refill(tools[0], operations(lab), ...numbers(lab));
    refill(tools[1], ...layerControls(lab));
    refill(tools[2], ...gradientControls(lab, model?.wrong ? null : model));
  }

  function drawScene(model, focus) {
    const items = scene(model, focus);
    const cell = cellSize(
      items,
      lab.stage.clientWidth - 34,
      model.layer.op === "conv" ? kernelWidth(model.layer.kernel) + 14 : 0,
    );
    arrange(items, model);
    for (const item of items) drawPanel(model, item, cell);
    doing.textContent = doingWords(model, focus);
    const found = engine.ask(model, focus.of, focus.index);
    side.draw(model, sumOf(model, focus.of, focus.index), focus, found);
    tell(found);
  }

  /** What this step does, in words. */
  function doingWords(model, { step, of, index, out, hoverOut }) {
    if (lab.state.read === "gather" && !hoverOut)
      return `Entry ${step + 1} of ${stepsOf(model)}: ${entryName(model, of, index)} gathers its ${terms(sumOf(model, of, index))}.`;
    const g = `G[${placed(out, model.out, model.dims)}] = ${trimmed(short(model.g[out]))}`;
    if (model.layer.op !== "conv")
      return `${g} goes back to the samples that this output was made from.`;
    return `${g}: times its patch of I it is added to ∂L/∂w, times w to ∂L/∂I, and by itself to ∂L/∂b.`;
  }

  const entrySize = (model, of) => ({ w: model.layer.kernel, x: model.layer.size, b: [1] })[of];
  const entryName = (model, of, index) =>
    of === "b" ? NAMES.b : `${NAMES[of]}[${placed(index, entrySize(model, of), model.dims)}]`;

  /** The foot: whether page and layer agree. */
  function tell(found) {
    root.dataset.settled = String(Boolean(found));
    if (!found) return lab.note("engine check …");
    root.dataset.good = String(Boolean(found.good));
    if (found.error) return lab.note(`${found.error.message}. ${found.error.hint ?? ""}`, "bad");
    const verdict = found.good ? "✓" : "✗ beyond rounding";
    return lab.note(
      `engine check ${verdict} max|Δ| = ${short(found.difference, 2)} · autograd through the layer · ${found.ms} ms`,
      found.good ? "good" : "bad",
    );
  }

  /** Panels that this operation has, in order; the kernel stands between input and output. */
  function arrange(items, model) {
    const ids = items.map((item) => item.id);
    for (const item of items)
      if (!drawn.has(item.id))
        drawn.set(item.id, new Panel(item.role, item.title, listeners(item.id)));
    for (const [id, panel] of drawn) panel.element.hidden = !ids.includes(id);
    const element = (id) => drawn.get(id).element;
    const upper = ids.filter((id) => UPPER.includes(id)).map(element);
    if (model.layer.op === "conv") upper.splice(1, 0, kernel.element);
    const lower = ids.filter((id) => !UPPER.includes(id)).map(element);
    [upper, lower].forEach((wanted, i) => {
      if (
        wanted.length !== rows[i].children.length ||
        wanted.some((e, j) => rows[i].children[j] !== e)
      )
        fill(rows[i], ...wanted);
      rows[i].classList.toggle("stacked", model.dims === 1);
    });
  }

  function drawPanel(model, item, cell) {
    const panel = drawn.get(item.id);
    panel.now = item;
    panel.caption.textContent = item.title;
    const parts = Array.from({ length: item.size[0] }, (_, z) => sheetOf(item, z));
    const pictures = parts.map((part) => ({
      ...part,
      scale: item.scale,
      cell: item.size[0] * item.size[1] * item.size[2] === 1 ? 44 : cell,
    }));
    const names =
      parts.length > 1
        ? parts.map((_, z) => `slice ${z - (item.inner?.lo[0] ?? 0)}`.replace("-", "−"))
        : [];
    const size = item.size.slice(3 - model.dims).join(" × ");
    panel.draw(
      pictures,
      parts.map((part) => part.marks),
      [size, item.detail].filter(Boolean).join(", "),
      names,
    );
  }

  function listeners(id) {
    const at = (cell, sheet) => flat([sheet, cell[0], cell[1]], drawn.get(id).now.size);
    return {
      hover: (cell, sheet) => point(cell ? meant(id, at(cell, sheet)) : {}),
      pin: (cell, sheet) => pin(id, at(cell, sheet)),
    };
  }

  /** What a cell of a panel stands for: an output, or an entry of a gradient. */
  function meant(id, at) {
    if (id === "z" || id === "g") return { out: at };
    if (id === "w" || id === "b") return { of: id, index: at };
    if (id === "x") return { of: "x", index: at };
    if (id !== "I" && id !== "p") return {};
    const item = drawn.get(id).now;
    if (!item.inner) return { of: "x", index: at };
    const place = unflat(at, item.size).map((p, a) => p - item.inner.lo[a]);
    return place.every((p, a) => p >= 0 && p < item.inner.size[a])
      ? { of: "x", index: flat(place, item.inner.size) }
      : {};
  }

  function pin(id, at) {
    const found = meant(id, at);
    hover = {};
    if (found.out !== undefined) {
      const chosen = lab.state.g === "one-hot" || lab.state.g === "own" ? { hot: found.out } : {};
      lab.set({ ...chosen, ...(lab.state.read === "accumulate" ? { step: found.out } : {}) });
    } else if (found.of) {
      lab.set({
        of: found.of,
        cell: found.index,
        ...(lab.state.read === "gather" ? { step: found.index } : {}),
      });
    }
  }

  function key(event) {
    const model = memo.model;
    const move = MOVES[event.key];
    if (move && model && !model.wrong)
      return moved({ ...model, state: lab.state }, move, event.shiftKey);
    const action = {
      f: () => lab.set({ flip: !lab.state.flip }),
      Escape: () => point({}),
      "+": () => zoom(-1),
      "=": () => zoom(-1),
      "-": () => zoom(1),
    }[event.key];
    action?.();
    return Boolean(action);
  }

  function zoom(by) {
    if (lab.state.src === "data" && lab.card) lab.set(zoomed(lab.state, lab.card, by));
  }

  /** The entry looked at moves; with Shift by the stride. */
  function moved(model, move, far) {
    const of = ofNow(model);
    const size = sheets({ w: model.layer.kernel, x: model.layer.size, b: [1] }[of]);
    const stride = sheets(model.layer.stride);
    const gather = lab.state.read === "gather";
    const now = unflat(
      Math.min(gather ? lab.state.step : lab.state.cell, countOf(model, of) - 1),
      size,
    );
    const next = flat(
      now.map((p, a) => Math.min(size[a] - 1, Math.max(0, p + move[a] * (far ? stride[a] : 1)))),
      size,
    );
    hover = {};
    lab.set(gather ? { step: next, cell: next } : { cell: next });
    return true;
  }

  function say() {
    const model = memo.model;
    if (!model || model.wrong) return model?.wrong ?? "";
    const shown = { ...model, state: lab.state };
    const focus = { ...focusOf(shown) };
    const held = hover;
    hover = {};
    const { of, index, step } = focusOf(shown);
    hover = held;
    const sum = sumOf(shown, of, index);
    const size = { w: model.layer.kernel, x: model.layer.size, b: [1] }[of];
    const entry = of === "b" ? NAMES.b : `${NAMES[of]} at ${placed(index, size, model.dims)}`;
    const before =
      lab.state.read === "accumulate"
        ? `output ${placed(step, model.out, model.dims)}, G ${short(model.g[step])}. `
        : "";
    return `${before}${entry}: ${short(sum.engine)}, ${terms(sum)}`;
  }

  return {
    draw,
    key,
    say,
    steps: () =>
      memo.model && !memo.model.wrong ? stepsOf({ ...memo.model, state: lab.state }) : 0,
    opened: (card) =>
      card.id === there && lab.state.src !== "data"
        ? fitting(card)
        : { ...fitting(card), src: "data" },
    unmount: () => engine.stop(),
  };
}

// View 1, the convolution bench: one operation on a region of the open data, every number of it.
//
// state (bench/state.js) + region (bench/source.js) -> model (bench/model.js) -> scene of panels
// (bench/scene.js) and arithmetic (bench/tables.js). This file puts them on the page and listens.

import { fill, h, refill } from "../core/dom.js";
import { Grid } from "../core/grid.js";
import { signedScale } from "../core/colour.js";
import { short } from "../core/numbers.js";
import { Panel } from "../core/panel.js";
import { flat, unflat } from "../ops/axes.js";
import * as conv from "../ops/conv.js";
import { controls, paddingStrip, regionControls, tabs, zoomed } from "./bench/controls.js";
import { engineCheck } from "./bench/engine.js";
import { sizeFormulas } from "./bench/formulas.js";
import { inspector } from "./bench/inspector.js";
import { kernelEditor } from "./bench/kernel.js";
import { cellSizes, kernelWidth } from "./bench/layout.js";
import { minimap } from "./bench/minimap.js";
import { build, cellOf, stepsOf, unread } from "./bench/model.js";
import { builtUp, productsOf, scene, slice } from "./bench/scene.js";
import { scoresCard } from "./bench/scores.js";
import { regions } from "./bench/source.js";
import { kernelFor, schema, wish } from "./bench/state.js";
import { outputOf, strokesOf, sumOf } from "./bench/tables.js";

const FIRST = { signal: [64], image: [10, 10], volume: [6, 8, 8] };

export const view = {
  name: "conv",
  title: "Convolve",
  key: "1",
  kinds: ["signal", "image", "volume"],
  sample: "cells",
  schema,
  mount,
};

/** A state that fits newly opened data: a region in its middle, a kernel of its dimensions. */
function fitting(state, card) {
  const size = card.shape.slice(1);
  const n = FIRST[card.kind].map((v, a) => Math.min(v, size[a]));
  const at = n.map((v, a) => Math.min(size[a] - v, Math.max(0, card.busy[a] - Math.floor(v / 2))));
  const k =
    state.k.shape.length === size.length
      ? state.k
      : {
          1: { shape: [3], values: [-0.5, 0, 0.5] },
          2: schema.k.initial,
          3: {
            shape: [3, 3, 3],
            values: Array(27)
              .fill(0)
              .map(
                (_, i) =>
                  [-1, 0, 1][i % 3] *
                  [1, 2, 1][Math.floor(i / 3) % 3] *
                  [1, 2, 1][Math.floor(i / 9)],
              ),
          },
        }[size.length];
  const middle = n.reduce((all, v) => all * v + Math.floor(v / 2), 0);
  return { n, at, k, ch: 0, step: middle };
}

function mount(lab) {
  const source = regions(lab);
  const tools = h("div", { class: "tools" });
  const message = h("p", { class: "error", role: "alert" });
  const panels = h("div", { class: "panels" });
  const size = h("div", { class: "side" });
  const strip = h("div", { class: "side" });
  const place = h("div", { class: "side" });
  const scores = scoresCard(lab);
  const drawnPanels = new Map();
  let hover = {}; // what the pointer is over: {out}, {step}, {input} or {tap}
  let memo = { key: "", model: null };
  let controlsKey = "";

  const point = (next) => {
    hover = next;
    lab.redraw();
  };
  const kernel = kernelEditor({
    kernel: () => kernelFor(lab.state, lab.card.shape.length - 1),
    change: (k) => lab.set({ k }),
    hover: (tap) => point(tap === null ? {} : { tap }),
    flip: () => lab.state.flip && lab.state.op === "conv",
  });
  let products = [];
  const productGrids = h("div", { class: "sheets" });
  const productsNote = h("p", { class: "muted small" });
  kernel.element.append(h("div", { class: "products" }, productsNote, productGrids));
  const map = minimap(lab, source);
  const engine = engineCheck(lab, () => lab.redraw());
  const side = inspector(lab, (row) => point(row ? lightOf(row) : {}));
  lab.inspector.append(scores.element);
  const foot = h(
    "div",
    { class: "panels below" },
    h("section", { class: "panel", "aria-label": "Size" }, h("h2", { text: "Output size" }), size),
    h("section", { class: "panel", "aria-label": "Padding" }, h("h2", { text: "Padding" }), strip),
    h(
      "section",
      { class: "panel", "aria-label": "Region" },
      h("h2", { text: "Region" }),
      h("div", { class: "where" }, map.element, place),
    ),
  );
  fill(lab.stage, tools, message, panels, foot);

  /** A row of the table lights its weight and its sample. */
  function lightOf(row) {
    const model = memo.model;
    if (model?.op === "conv" && row.from)
      return { tap: null, row: row.index, input: paddedOf(model, row) };
    return { row: row.index };
  }

  function paddedOf(model, row) {
    const tap = unflat(
      model.spec.flip ? model.w.length - 1 - row.index : row.index,
      model.spec.kernel,
    );
    return focusOut(model).map(
      (p, a) => p * model.spec.stride[a] + tap[a] * model.spec.dilation[a],
    );
  }

  function current() {
    const input = source.now();
    if (!input) return null;
    const { st, ...asked } = wish(lab.state, lab.card);
    const key = JSON.stringify([input.key, asked, lab.state.cmp, lab.state.read, lab.state.mid]);
    if (memo.key !== key) memo = { key, model: build(lab.state, input) };
    return memo.model;
  }

  const stepNow = (model) =>
    Math.min(hover.step ?? lab.state.step, Math.max(0, stepsOf(model) - 1));
  const focusOut = (model) => hover.out ?? outputOf(model, stepNow(model));

  function focusOf(model) {
    return {
      out: focusOut(model),
      cell: cellOf(model, stepNow(model)),
      gather: Boolean(hover.out) && model.walks === "in",
      input: hover.input ?? null,
      tap: hover.tap ?? null,
    };
  }

  function sumNow(model) {
    const painting = model.op === "transposed" && model.walks === "in" && !hover.out;
    return painting
      ? strokesOf(model, cellOf(model, stepNow(model)), stepNow(model))
      : sumOf(model, focusOut(model));
  }

  function draw() {
    if (!lab.card) return;
    const model = current();
    drawControls(model);
    scores.draw();
    map.draw();
    if (!model) return;
    engine.ask(model);
    message.textContent = model.wrong ? `${model.wrong}.` : note(model);
    message.classList.toggle("error", Boolean(model.wrong));
    message.classList.toggle("muted", !model.wrong);
    fill(size, sizeFormulas(model));
    fill(
      strip,
      paddingStrip(model) ??
        h("p", { class: "muted", text: "Minus infinity for the largest, zeros for an average." }),
    );
    if (model.wrong) {
      for (const p of drawnPanels.values()) p.element.hidden = true;
      side.empty(model.wrong);
    } else drawScene(model);
    lab.stage.dataset.region = source.now()?.key ?? "";
  }

  function drawControls(model) {
    const dims = lab.card.shape.length - 1;
    const { step, all, tab, z, ...rest } = lab.state;
    const key = JSON.stringify([rest, lab.card.id]);
    const weighs = lab.state.op === "conv" || lab.state.op === "transposed";
    kernel.element.hidden = !weighs || !model;
    kernel.element.style.width = `${kernelWidth(kernelFor(lab.state, dims).shape)}px`;
    if (weighs) kernel.draw(hover.row ?? hover.tap ?? null);
    if (key === controlsKey) return;
    controlsKey = key;
    const k = kernelFor(lab.state, dims);
    refill(tools, tabs(lab), ...controls(lab, dims, k.shape));
    refill(place, regionControls(lab, dims));
  }

  function drawScene(model) {
    const focus = focusOf(model);
    const { panels: list } = scene(model, focus);
    const sum = sumNow(model);
    const weighs = model.op === "conv" || model.op === "transposed";
    const cells = cellSizes(list, model, {
      width: lab.stage.clientWidth - 34,
      height: lab.stage.clientHeight,
      kernel: weighs,
    });
    const part = lab.state.build ? builtUp(model, stepNow(model)) : null;
    arrange(list, weighs);
    for (const item of list) drawPanel(model, item, cells.get(item.id), part);
    if (weighs) drawProducts(model, sum);
    side.draw(
      model,
      sum,
      sum.out && !sum.title.startsWith("in")
        ? engine.value(flat(sum.out, model.outSize))
        : undefined,
    );
  }

  /** Panels that this operation has, in order, the kernel behind the input. */
  function arrange(list, weighs) {
    const ids = list.map((item) => item.id);
    for (const item of list)
      if (!drawnPanels.has(item.id))
        drawnPanels.set(item.id, new Panel(item.role, item.title, listeners(item.id)));
    for (const [id, panel] of drawnPanels) panel.element.hidden = !ids.includes(id);
    const wanted = list.map((item) => drawnPanels.get(item.id).element);
    wanted.splice(memo.model.dims === 1 ? wanted.length : 1, 0, kernel.element);
    kernel.element.hidden = !weighs;
    if (wanted.some((element, i) => panels.children[i] !== element)) fill(panels, ...wanted);
    panels.classList.toggle("stacked", memo.model.dims === 1);
  }

  function drawPanel(model, item, cell, part) {
    const panel = drawnPanels.get(item.id);
    panel.now = item;
    panel.caption.textContent = item.title;
    const built = item.id === "output" && part;
    const grid = built ? { data: part.data, size: item.grid.size } : item.grid;
    const pictures = item.slices.map((z) => {
      const count = grid.size[1] * grid.size[2];
      const values = built
        ? part.data.subarray(z * count, (z + 1) * count)
        : slice(model, item.name, grid, z);
      const empty = built
        ? part.empty.subarray(z * count, (z + 1) * count)
        : item.empty
          ? slice(model, `${item.name} empty`, item.empty, z)
          : undefined;
      return {
        rows: grid.size[1],
        cols: grid.size[2],
        values,
        scale: item.scale,
        cell,
        inner: item.inner,
        read: item.read,
        empty,
        plot: model.dims === 1 ? 84 : 0,
      };
    });
    panel.draw(pictures, item.marks, item.detail, item.names);
  }

  function drawProducts(model, sum) {
    const painting = !sum.head.includes("w·x") || sum.head.includes("out so far");
    const values = productsOf(model, sum);
    const [d, r, c] = model.spec.kernel;
    const turned = model.spec.flip ? "turned by 180°, " : "";
    productsNote.textContent = painting
      ? "w · x painted by this input"
      : `${turned}w · x at this cell: Σ = ${short(sum.value - (model.bias ? Math.fround(model.bias) : 0))}`;
    if (products.length !== d) {
      products = Array.from(
        { length: d },
        (_, z) => new Grid(`products${d > 1 ? `, slice ${z}` : ""}`),
      );
      fill(productGrids, ...products.map((grid) => grid.element));
    }
    const scale = signedScale(values.map((v) => (Number.isNaN(v) ? 0 : v)));
    const cell = d > 1 || c > 5 ? 38 : 44;
    products.forEach((grid, z) =>
      grid.draw({
        rows: r,
        cols: c,
        values: values.subarray(z * r * c, (z + 1) * r * c),
        scale,
        cell,
      }),
    );
  }

  function listeners(id) {
    const at = (cell, sheet) => [drawnPanels.get(id).now.slices[sheet], cell[0], cell[1]];
    return {
      hover: (cell, sheet) => point(cell ? pointedAt(id, at(cell, sheet)) : {}),
      pin: (cell, sheet) => pin(id, at(cell, sheet)),
    };
  }

  function pointedAt(id, at) {
    const model = memo.model;
    if (id === "output" || id === "difference" || id === "count") return { out: at };
    const walked =
      (id === "input" && model.walks === "in") || (id === "mid" && model.walks === "mid");
    if (walked) return { step: flat(at, model.stepSize) };
    return id === "input" ? { input: at } : {};
  }

  function pin(id, at) {
    const model = memo.model;
    const found = pointedAt(id, at);
    if (found.step !== undefined) return lab.set({ step: found.step });
    if (found.input) return lab.set({ step: nearestOutput(model, at) });
    if (!found.out) return undefined;
    if (model.walks === "out") return lab.set({ step: flat(at, model.stepSize) });
    if (model.op === "unpool" && model.walks === "in")
      return lab.set({
        step: flat(
          at.map((p, a) => Math.floor(p / model.spec.kernel[a])),
          model.stepSize,
        ),
      });
    if (model.walks === "mid" && model.winners[flat(at, model.outSize)] >= 0)
      return lab.set({ step: model.winners[flat(at, model.outSize)] });
    return undefined;
  }

  /** The output whose window has this padded cell nearest its middle. */
  function nearestOutput(model, at) {
    const { reach } = conv.sizes(model.spec);
    const cell = at.map((p, a) =>
      Math.min(
        model.stepSize[a] - 1,
        Math.max(0, Math.round((p - (reach[a] - 1) / 2) / model.spec.stride[a])),
      ),
    );
    return flat(cell, model.stepSize);
  }

  const MOVES = {
    ArrowUp: [0, -1, 0],
    ArrowDown: [0, 1, 0],
    ArrowLeft: [0, 0, -1],
    ArrowRight: [0, 0, 1],
    PageUp: [-1, 0, 0],
    PageDown: [1, 0, 0],
  };

  function key(event) {
    const model = memo.model;
    const move = MOVES[event.key];
    if (move && model && !model.wrong) {
      const by = (a) =>
        event.shiftKey
          ? Math.max(1, Math.ceil(model.spec.kernel[a] / (model.spec.stride?.[a] ?? 1)))
          : 1;
      const cell = cellOf(model, Math.min(lab.state.step, stepsOf(model) - 1)).map((p, a) =>
        Math.min(model.stepSize[a] - 1, Math.max(0, p + move[a] * by(a))),
      );
      hover = {};
      lab.set({ step: flat(cell, model.stepSize) });
      return true;
    }
    const action = {
      f: () => lab.set({ flip: !lab.state.flip }),
      Escape: () => point({}),
      "+": () => lab.set(zoomed(lab.state, lab.card, -1)),
      "=": () => lab.set(zoomed(lab.state, lab.card, -1)),
      "-": () => lab.set(zoomed(lab.state, lab.card, 1)),
    }[event.key];
    action?.();
    return Boolean(action);
  }

  return {
    draw,
    key,
    steps: () => (memo.model ? stepsOf(memo.model) : 0),
    say() {
      const model = memo.model;
      if (!model || model.wrong) return model?.wrong ?? "";
      const held = hover;
      hover = {};
      const sum = sumNow(model);
      hover = held;
      return `${sum.text}, value ${short(sum.value)}`;
    },
    opened: (card) => fitting(lab.state, card),
    unmount: () => engine.stop(),
  };
}

/** What is worth knowing of this operation on this region. */
function note(model) {
  const left = unread(model)
    .map((n, a) =>
      n
        ? `the last ${n > 1 ? `${n} ` : ""}${["slice", "row", "column"][a]}${n > 1 ? "s are" : " is"} never read`
        : "",
    )
    .filter(Boolean);
  if (model.dims === 1) return left.join("").replace("column", "sample");
  return left.join(", ");
}

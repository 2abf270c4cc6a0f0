// View 1, the convolution bench: one operation on a region of the open data, every number of it.
//
// state (bench/state.js) + region (bench/source.js) -> model (bench/model.js) -> scene of panels
// (bench/scene.js) and arithmetic (bench/tables.js). bench/stage.js puts the panels on the page,
// bench/pointer.js says what a cell under the pointer means.

import { fill, h, refill } from "../core/dom.js";
import { short } from "../core/numbers.js";
import { flat } from "../ops/axes.js";
import { controls, regionControls, tabs, zoomed } from "./bench/controls.js";
import { engineCheck } from "./bench/engine.js";
import { sizeFormulas } from "./bench/formulas.js";
import { inspector } from "./bench/inspector.js";
import { kernelEditor } from "./bench/kernel.js";
import { minimap } from "./bench/minimap.js";
import { build, cellOf, note, stepsOf } from "./bench/model.js";
import { lightOf, movedStep, pinnedStep, pointedAt } from "./bench/pointer.js";
import { scene } from "./bench/scene.js";
import { scoresCard } from "./bench/scores.js";
import { sliceSlider } from "./bench/slices.js";
import { regions } from "./bench/source.js";
import { stage } from "./bench/stage.js";
import { paddingStrip } from "./bench/strip.js";
import { fitting, kernelFor, schema, wish } from "./bench/state.js";
import { outputOf, strokesOf, sumOf } from "./bench/tables.js";

export const view = {
  name: "conv",
  title: "Convolve",
  key: "1",
  kinds: ["signal", "image", "volume"],
  sample: "cells",
  schema,
  mount,
};

const weighs = new Set(["conv", "transposed"]);
const section = (title, ...children) =>
  h("section", { class: "panel fact", "aria-label": title }, h("h2", { text: title }), ...children);

function mount(lab) {
  let hover = {}; // what the pointer is over: {out}, {step}, {input}, {tap} or {row}
  let memo = { key: "", model: null };
  let controlsKey = "";
  let told = null; // the model that the facts below the panels speak of
  const point = (next) => {
    hover = next;
    lab.redraw();
  };

  const source = regions(lab);
  const kernel = kernelEditor({
    kernel: () => kernelFor(lab.state, lab.card.shape.length - 1),
    change: (k) => lab.set({ k }),
    hover: (tap) => point(tap === null ? {} : { tap }),
    flip: () => lab.state.flip && lab.state.op === "conv",
  });
  const map = minimap(lab, source);
  const engine = engineCheck(lab, () => lab.redraw());
  const side = inspector(lab, (row) => point(row ? lightOf(memo.model, row, focusOut()) : {}));
  const scores = scoresCard(lab);
  const [tools, size, strip, place] = ["tools", "", "", ""].map((c) => h("div", { class: c }));
  const message = h("p", { class: "error", role: "alert" });
  const slices = sliceSlider((slice) => {
    const { model } = memo;
    const [, row, col] = cellOf(model, stepNow());
    lab.set({ step: flat([slice, row, col], model.stepSize) });
  });
  const facts = [
    section("Output size", size),
    section("Padding", strip),
    section("Region", h("div", { class: "where" }, map.element, place)),
  ];
  const panels = stage(kernel, facts, {
    hover: (id, at) => point(at ? pointedAt(memo.model, id, at) : {}),
    pin(id, at) {
      const step = pinnedStep(memo.model, pointedAt(memo.model, id, at));
      if (step !== undefined) lab.set({ step });
    },
  });
  fill(lab.stage, tools, message, slices.element, panels.element);
  lab.inspector.append(scores.element);

  /** The model of state and region; null while the region is on its way. */
  function current() {
    const input = source.now();
    if (!input) return null;
    const { cmp, read, mid } = lab.state;
    const key = JSON.stringify([input.key, wish(lab.state, lab.card), cmp, read, mid]);
    if (memo.key !== key) memo = { key, model: build(lab.state, input) };
    return memo.model;
  }

  const stepNow = () =>
    Math.min(hover.step ?? lab.state.step, Math.max(0, stepsOf(memo.model) - 1));
  const focusOut = () => hover.out ?? outputOf(memo.model, stepNow());

  function focus() {
    const { model } = memo;
    return {
      out: focusOut(),
      cell: cellOf(model, stepNow()),
      gather: Boolean(hover.out) && model.walks === "in",
      input: hover.input ?? null,
      tap: hover.tap ?? null,
    };
  }

  function sumNow() {
    const { model } = memo;
    const painting = model.reading === "scatter" && !hover.out;
    if (painting) return strokesOf(model, cellOf(model, stepNow()), stepNow());
    return sumOf(model, focusOut());
  }

  function drawControls() {
    const dims = lab.card.shape.length - 1;
    const { step, all, tab, z, ...rest } = lab.state;
    const key = JSON.stringify([rest, lab.card.id]);
    kernel.draw(hover.row ?? hover.tap ?? null);
    if (key === controlsKey) return;
    controlsKey = key;
    refill(tools, tabs(lab), ...controls(lab, dims, kernelFor(lab.state, dims).shape));
    refill(place, regionControls(lab, dims));
  }

  function drawFacts(model) {
    if (told === model) return;
    told = model;
    message.textContent = model.wrong ? `${model.wrong}.` : note(model);
    message.className = model.wrong ? "error" : "muted";
    fill(size, sizeFormulas(model));
    fill(strip, paddingStrip(model));
  }

  function draw() {
    if (!lab.card) return;
    const model = current();
    drawControls();
    scores.draw();
    map.draw();
    if (!model) return;
    engine.ask(model);
    drawFacts(model);
    slices.draw(model, stepNow());
    if (model.wrong) {
      panels.clear(model);
      side.empty(model.wrong);
      return;
    }
    const sum = sumNow();
    const room = { width: lab.stage.clientWidth - 34, height: lab.stage.clientHeight };
    panels.draw(model, scene(model, focus()), sum, {
      room,
      built: lab.state.build,
      step: stepNow(),
    });
    side.draw(model, sum, sum.ofOutput ? engine.value(flat(sum.out, model.outSize)) : undefined);
    side.light(weighs.has(model.op) ? (hover.tap ?? null) : null);
  }

  function key(event) {
    const { model } = memo;
    const step = model && !model.wrong ? movedStep(model, lab.state.step, event) : undefined;
    const zoom = { "+": -1, "=": -1, "-": 1 }[event.key];
    if (step !== undefined) {
      hover = {};
      lab.set({ step });
    } else if (zoom) lab.set(zoomed(lab.state, lab.card, zoom));
    else if (event.key === "f") lab.set({ flip: !lab.state.flip });
    else if (event.key === "Escape") point({});
    else if (model && event.key === "Enter" && pinnedStep(model, hover) !== undefined) {
      lab.set({ step: pinnedStep(model, hover) });
    } else return false;
    return true;
  }

  return {
    draw,
    key,
    steps: () => (memo.model ? stepsOf(memo.model) : 0),
    say() {
      const { model } = memo;
      if (!model || model.wrong) return model?.wrong ?? "";
      const held = hover;
      hover = {}; // the step is told, not what the pointer happens to be over
      const sum = sumNow();
      hover = held;
      return `${sum.text}, value ${short(sum.value)}`;
    },
    opened: (card) => fitting(lab.state, card),
    unmount: () => engine.stop(),
  };
}

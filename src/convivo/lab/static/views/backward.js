// View 2, the backward pass: what a loss tells the kernel, the bias and the input of one layer.
//
// state (backward/state.js) + numbers -> model (backward/model.js) -> panels (backward/scene.js),
// terms, check and update (backward/inspector.js). This file puts them on the page and listens.

import { fill, h, refill } from "../core/dom.js";
import { MOVES } from "../core/keys.js";
import { short } from "../core/numbers.js";
import { kernelEditor } from "./bench/kernel.js";
import { zoomed } from "./bench/controls.js";
import { kernelWidth } from "./bench/layout.js";
import { regions } from "./bench/source.js";
import { gradientControls, layerControls, numbers, operations } from "./backward/controls.js";
import { engineCheck } from "./backward/engine.js";
import { inspector } from "./backward/inspector.js";
import { cellSize } from "./backward/layout.js";
import { build, countOf, numbersOf, ofNow, stepsOf, sumOf } from "./backward/model.js";
import { stagePanels } from "./backward/panels.js";
import { moved } from "./backward/pointer.js";
import { doing, said } from "./backward/saying.js";
import { scene } from "./backward/scene.js";
import { dimsOf, fitting, kernelOf, schema } from "./backward/state.js";

export const view = {
  name: "backward",
  title: "Backward",
  key: "2",
  kinds: ["signal", "image", "volume"],
  schema,
  mount,
};

function mount(lab) {
  const source = regions(lab);
  const there = lab.card?.id;
  const tools = [1, 2, 3].map(() => h("div", { class: "tools" }));
  const message = h("p", { class: "error", role: "alert" });
  const doingLine = h("p", { class: "doing" });
  const rows = [h("div", { class: "panels" }), h("div", { class: "panels" })];
  const above = h("h2", { text: "Forward, and what comes from above" });
  const below = h("h2", { text: "Backward" });
  const body = h("div", {}, above, rows[0], below, doingLine, rows[1]);
  const root = h("div", { class: "backward" }, ...tools, message, body);
  let hover = {}; // what the pointer is over: {out} or {of, index}
  let memo = { key: "", model: null };
  let built = "";

  const point = (next) => {
    hover = next;
    lab.redraw();
  };
  const kernel = kernelEditor({
    kernel: shownKernel,
    change: changeKernel,
    hover: (tap) => point(tap === null ? {} : { of: "w", index: tap }),
    flip: () => lab.state.flip,
  });
  const panels = stagePanels(rows, kernel.element, { point, pin });
  const engine = engineCheck(lab);
  const side = inspector(lab, (row) => point(row ? { out: row.out } : {}));
  fill(lab.stage, root);

  const ownKernel = () => kernelOf(lab.state, dimsOf(lab.state, lab.card));

  /** The kernel as it is by now: after the updates that were taken. */
  function shownKernel() {
    const k = ownKernel();
    const w = lab.state.t ? memo.model?.w : null;
    return w?.length === k.values.length ? { ...k, values: Array.from(w) } : k;
  }

  function changeKernel(k) {
    const alike = k.values.length === ownKernel().values.length;
    lab.set({ k, t: 0, ...(alike ? {} : { cell: 0, step: 0 }) });
  }

  /** The model of this state, made once; what only concerns the showing is told it anew. */
  function current() {
    const { step, all, tab, cell, of, read, ...rest } = lab.state;
    const region = lab.state.src === "data" ? source.now() : null;
    const given = numbersOf(lab.state, lab.card, region);
    if (!given) return null;
    const key = JSON.stringify([rest, region?.key]);
    if (memo.key !== key) memo = { key, model: build(lab.state, given) };
    memo.model.state = lab.state;
    return memo.model;
  }

  /** What is looked at: an entry of a gradient, and an output. */
  function focusOf(model, over = hover) {
    const step = Math.min(lab.state.step, Math.max(0, stepsOf(model) - 1));
    const gather = lab.state.read === "gather";
    const of = over.of ?? ofNow(model);
    const pinned = Math.min(lab.state.cell, countOf(model, of) - 1);
    const index = over.index ?? (gather ? step : pinned);
    return { step, of, index, out: over.out ?? (gather ? 0 : step), over: over.out !== undefined };
  }

  function draw() {
    const model = current();
    root.dataset.settled = "false";
    root.dataset.seed = lab.state.seed;
    drawControls(model);
    const missing = lab.state.src === "data" && !lab.card;
    const wrong = model?.wrong ?? (missing ? "open data first: key d" : "");
    message.textContent = wrong && `${wrong}.`;
    body.hidden = !model || Boolean(wrong);
    if (wrong) side.empty(wrong);
    else if (model) drawScene(model, focusOf(model));
    if (wrong) {
      root.dataset.settled = "true";
      lab.note("");
    }
  }

  function drawControls(model) {
    const { step, all, tab, cell, ...rest } = lab.state;
    if (lab.state.op === "conv") kernel.draw(hover.of === "w" ? hover.index : null);
    const key = JSON.stringify([rest, lab.card?.id, model?.z?.length]);
    if (key === built) return;
    built = key;
    kernel.element.style.width = `${kernelWidth(ownKernel().shape)}px`;
    refill(tools[0], operations(lab), ...numbers(lab));
    refill(tools[1], ...layerControls(lab));
    refill(tools[2], ...gradientControls(lab, model?.wrong ? null : model));
  }

  function drawScene(model, focus) {
    const items = scene(model, focus);
    const beside = model.layer.op === "conv" ? kernelWidth(model.layer.kernel) + 14 : 0;
    panels.draw(model, items, cellSize(items, lab.stage.clientWidth - 34, beside));
    doingLine.textContent = doing(model, focus);
    const found = engine.ask(model, focus.of, focus.index);
    side.draw(model, sumOf(model, focus.of, focus.index), focus, found);
    tell(found);
  }

  /** The foot: whether page and layer agree. */
  function tell(found) {
    root.dataset.settled = String(Boolean(found));
    root.dataset.good = String(Boolean(found?.good));
    const page = document.documentElement.dataset;
    if (found) page.checked = found.good ? "good" : "bad";
    else delete page.checked;
    if (!found) return lab.note("engine check …");
    if (found.error) return lab.note(`${found.error.message}. ${found.error.hint ?? ""}`, "bad");
    const verdict = found.good ? "✓" : "✗ beyond rounding";
    const size = `max|Δ| = ${short(found.difference, 2)}`;
    const text = `engine check ${verdict} ${size} · autograd through the layer · ${found.ms} ms`;
    return lab.note(text, found.good ? "good" : "bad");
  }

  function pin(found) {
    hover = {};
    const gather = lab.state.read === "gather";
    if (found.out !== undefined) {
      const chosen = ["one-hot", "own"].includes(lab.state.g) ? { hot: found.out } : {};
      lab.set({ ...chosen, ...(gather ? {} : { step: found.out }) });
    } else if (found.of) {
      lab.set({ of: found.of, cell: found.index, ...(gather ? { step: found.index } : {}) });
    }
  }

  function key(event) {
    const model = current(); // not that of the last frame: keys may come faster
    if (MOVES[event.key] && model && !model.wrong) {
      hover = {};
      lab.set(moved(model, MOVES[event.key], event.shiftKey));
      return true;
    }
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

  function say() {
    const model = memo.model;
    if (!model || model.wrong) return model?.wrong ?? "";
    return said(model, focusOf(model, {}));
  }

  return {
    draw,
    key,
    say,
    steps: () => (memo.model && !memo.model.wrong ? stepsOf(memo.model) : 0),
    opened: (card) => ({
      ...fitting(card),
      ...(card.id === there && lab.state.src !== "data" ? {} : { src: "data" }),
    }),
    unmount: () => engine.stop(),
  };
}

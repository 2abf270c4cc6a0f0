// View 3: a network from input to output, what it costs, and how that moves with the input's size.

import { fill, h } from "../core/dom.js";
import { choice, flag, integer, integers, number } from "../core/state.js";
import { at, drawCurve, drawTimeline, largestThatFits, totals } from "./architecture/charts.js";
import { controls } from "./architecture/controls.js";
import { Architecture, optionText, question } from "./architecture/data.js";
import { drawBars, drawGraph, kindsLegend, legend, light } from "./architecture/graph.js";
import { layout } from "./architecture/layout.js";
import { lectureCards } from "./architecture/lecture.js";
import {
  boxFacts,
  bytes,
  commas,
  comparison,
  csv,
  memoryTable,
  seconds,
  spoken,
} from "./architecture/words.js";
import { download, svgFile } from "./architecture/files.js";

const text = (pattern, initial) => ({
  initial,
  parse: (t) => (pattern.test(t) ? t : undefined),
  format: String,
});
const schema = {
  net: text(/^[a-z0-9_]{1,30}$/, "unet_2015"),
  dims: integer(1, 3, 2),
  size: integers(1, 3, 1, 131072, []),
  channels: integer(0, 4096, 0),
  classes: integer(0, 100000, 0),
  batch: integer(1, 65536, 1),
  mode: choice(["train", "infer"]),
  precision: choice(["fp32", "bf16", "fp16"]),
  optimizer: choice(["momentum", "sgd", "adam", "adamw"]),
  width: number(1 / 64, 16, 1),
  options: text(/^[a-z0-9_=.,;-]{0,200}$/, ""),
  detail: choice(["auto", "layers", "blocks"]),
  lock: flag(true),
  axis: integer(0, 2, 0),
  pin: integer(-1, 9999, -1),
  run: text(/^([0-9a-f]{24})?$/, ""),
};

export const view = { name: "arch", title: "Architecture", key: "3", kinds: [], schema, mount };

function mount(lab) {
  const data = new Architecture(lab.api, () => lab.redraw());
  const page = furnish(lab);
  const bar = controls(lab, data);
  fill(page.controls, bar.element);
  let run = null;
  let plan = null;
  let placed = null;
  let hovered = null;
  let drawn = "";
  data.start().catch((error) => lab.note(`${error.message}. ${error.hint ?? ""}`, "bad"));

  const on = {
    hover: (id) => {
      if (id !== hovered) {
        hovered = id;
        lab.redraw();
      }
    },
    pin: (id) => lab.set({ pin: pinned() === id ? -1 : placed.boxes[id].main.id }),
  };
  /** The box of the pinned call: a link holds the call, since boxes depend on the room there is. */
  const pinned = () =>
    placed ? placed.boxes.findIndex((box) => box.ids.includes(lab.state.pin)) : -1;
  const shown = () => hovered ?? pinned();

  function draw() {
    if (!data.listed) return;
    const entry = data.entry(lab.state.net);
    const asked = question(lab.state, entry);
    const found = data.plan(asked);
    const error = data.error(asked);
    plan = found ?? data.last;
    openRun();
    const stops = bar.draw(asked, entry);
    const curve = data.curve(asked, lab.state.lock ? -1 : lab.state.axis, stops);
    page.error.textContent = error ? `${error.message}. ${error.hint}.` : "";
    page.body.classList.toggle("stale", !found);
    page.body.hidden = !plan;
    page.root.dataset.settled = String(data.settled);
    if (!plan) return;
    drawNetwork();
    const memory = found?.memory ?? data.point(asked, asked.size)?.memory ?? plan.memory;
    drawFacts(asked, memory, curve);
    drawCharts(asked, curve);
    drawInspector(asked, memory);
    lab.note(
      error
        ? error.message
        : `one source of numbers: convivo plan · ${plan.nodes.length} calls · predicted, nothing allocated`,
      error ? "bad" : "good",
    );
  }

  function drawNetwork() {
    const width = Math.max(420, page.graph.clientWidth - 66);
    const key = [
      data.planKey,
      plan.question.net,
      JSON.stringify(plan.question),
      width,
      lab.state.detail,
    ].join();
    if (key !== drawn) {
      drawn = key;
      placed = layout(plan.nodes, plan.question.size, width, lab.state.detail);
      fill(
        page.graph,
        drawGraph(placed, on),
        kindsLegend(),
        drawBars(placed, plan.rows, bytes, on),
      );
      legend(placed.boxes, page.legend);
    }
    light(page.graph, shown());
  }

  function drawFacts(asked, memory, curve) {
    const largest = largestThatFits(curve, data.limit);
    const field = plan.receptive_field;
    const tiles = [
      ["parameters", commas(plan.parameters), ""],
      ["multiply-accumulates", spoken(plan.macs), `forward, batch ${asked.batch}`],
      [
        "receptive field",
        field ? field.join(" × ") : "all",
        field ? "of the last grid" : "each output sees the input whole",
      ],
      ["tensors at the peak", bytes(memory.tensors_peak), plan.peak_at],
      ["process, at most", bytes(memory.process_bound), fits(memory)],
      ["seconds a step", seconds(plan.seconds_per_step), "predicted"],
    ];
    fill(
      page.tiles,
      ...tiles.map(([name, value, more]) =>
        h(
          "div",
          { class: "tile", title: `${name}: ${value} ${more}` },
          h("span", { text: name }),
          h("b", { text: value }),
          h("small", { text: more }),
        ),
      ),
    );
    const words = largest
      ? `Largest that fits this machine: ${sizeWords(largest.at, asked)}, process at most ${bytes(largest.memory.process_bound)} of ${bytes(data.limit)}.`
      : "";
    const none = curve.length && data.limit && !largest ? "No size traced fits this machine." : "";
    page.fits.textContent = (words || none) + (data.curveDone ? "" : " Tracing other sizes …");
  }

  const fits = (memory) =>
    !data.limit
      ? ""
      : memory.process_bound <= data.limit
        ? "fits this machine"
        : `this machine has ${bytes(data.limit)}`;
  const sizeWords = (n, asked) =>
    lab.state.lock ? Array(asked.dims).fill(n).join(" × ") : `${n} on axis ${lab.state.axis + 1}`;

  function drawCharts(asked, curve) {
    const width = Math.max(260, page.timeline.clientWidth);
    fill(
      page.timeline,
      drawTimeline(
        plan.timeline,
        Math.min(lab.state.step, plan.timeline.moment.length - 1),
        width,
        170,
        (step) => lab.set({ step }),
      ),
    );
    const axis = lab.state.lock ? 0 : Math.min(lab.state.axis, asked.dims - 1);
    fill(
      page.curve,
      drawCurve(
        curve,
        data.limit,
        asked.size[axis],
        Math.max(260, page.curve.clientWidth),
        170,
        (n) => bar.pick(n),
      ),
    );
    page.moment.textContent = momentWords();
  }

  function momentWords() {
    const i = Math.min(lab.state.step, plan.timeline.moment.length - 1);
    const layer = at(plan.timeline.layer, i);
    return `${at(plan.timeline.phase, i)}${layer ? `, ${layer}` : ""}: ${bytes(totals(plan.timeline)[i])} live`;
  }

  function drawInspector(asked, memory) {
    const box = placed.boxes[shown()];
    const title = box ? `${box.name || box.word}` : "Hover a box, click to pin it";
    const facts = box
      ? [h("p", { class: "muted", text: box.word }), ...boxFacts(box, plan, asked.batch)]
      : [
          h("p", {
            class: "muted",
            text: "Height: size of the grid. Width: channels. Down: each level halves the grid.",
          }),
        ];
    fill(
      lab.inspector,
      h("h2", { text: title }),
      ...facts,
      h("h3", {
        text: `Memory, ${asked.mode === "train" ? "training" : "inference"}, batch ${asked.batch}`,
      }),
      memoryTable(memory),
      ...(run && run.entry === lab.state.run
        ? [h("h3", { text: `Run ${run.name}: predicted beside measured` }), comparison(run)]
        : []),
      h(
        "div",
        { class: "tools downloads" },
        h("button", {
          type: "button",
          text: "CSV",
          onclick: () => download(`${plan.question.net}.csv`, "text/csv", csv(plan)),
        }),
        h("button", {
          type: "button",
          text: "SVG",
          onclick: () =>
            download(
              `${plan.question.net}.svg`,
              "image/svg+xml",
              svgFile(page.graph.querySelector("svg.network")),
            ),
        }),
      ),
    );
  }

  /** The run of the state, asked for once. */
  function openRun() {
    const entry = lab.state.run;
    if (!entry || run?.entry === entry) return;
    run = { entry };
    lab.api
      .get(`arch/runs/${entry}`)
      .then((found) => {
        run = { entry, ...found };
        const q = found.question;
        lab.set({ ...q, options: optionText(q.options), run: entry });
      })
      .catch((error) => {
        run = null;
        lab.set({ run: "" });
        lab.note(`${error.message}. ${error.hint}`, "bad");
      });
  }

  function say() {
    if (!plan || !placed) return "";
    const box = placed.boxes[pinned()];
    return [momentWords(), box ? boxWords(box) : ""].filter(Boolean).join(". ");
  }

  function boxWords(box) {
    const field = box.main.field;
    const seen = field
      ? `, receptive field ${field.size.join(" by ")}, jump ${field.jump.join(" by ")}`
      : "";
    return `${box.name} ${box.word}: shape ${box.shape.join(" by ")}, ${commas(box.parameters)} parameters, ${commas(box.kept)} bytes kept${seen}`;
  }

  function key(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move && placed) return moved(move);
    if (event.key === "Escape") return lab.state.pin >= 0 && (lab.set({ pin: -1 }), true);
    if (event.key === "+" || event.key === "-") return bar.by(event.key === "+" ? 1 : -1);
    return false;
  }

  function moved(by) {
    const last = placed.boxes.length - 1;
    const now = pinned();
    const next = now < 0 ? (by > 0 ? 0 : last) : Math.min(last, Math.max(0, now + by));
    lab.set({ pin: placed.boxes[next].main.id });
    return true;
  }

  return { draw, say, key, steps: () => plan?.timeline.moment.length ?? 0 };
}

/** The empty places of the stage. */
function furnish(lab) {
  const place = (name) => h("div", { class: name });
  const page = Object.fromEntries(
    ["controls", "tiles", "graph", "legend", "timeline", "curve"].map((name) => [
      name,
      place(`arch-${name}`),
    ]),
  );
  page.error = h("p", { class: "error", role: "alert" });
  page.moment = h("small");
  page.fits = h("p", { class: "fits" });
  const panel = (title, detail, ...children) =>
    h("figure", { class: "panel" }, h("figcaption", {}, title, detail), ...children);
  page.body = h(
    "div",
    { class: "arch-body" },
    page.tiles,
    panel("Network, and below each layer its bytes at the peak", null, page.legend, page.graph),
    h(
      "div",
      { class: "charts" },
      panel("Live bytes over one step", page.moment, page.timeline),
      panel("Memory over the size of the input", null, page.curve, page.fits),
    ),
  );
  page.root = h(
    "div",
    { class: "arch" },
    page.controls,
    page.error,
    page.body,
    lectureCards((state) => lab.set({ ...state, step: 0 })),
  );
  fill(lab.stage, page.root);
  return page;
}

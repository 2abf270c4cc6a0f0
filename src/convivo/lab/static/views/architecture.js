// View 3: a network from input to output, what it costs, and how that moves with the input's size.
//
// state (architecture/state.js) -> question -> answers of the server (architecture/data.js) ->
// drawing (layout.js, graph.js, bars.js), charts (timeline.js, curve.js) and inspector.js.

import { fill } from "../core/dom.js";
import { drawBars, kindsLegend } from "./architecture/bars.js";
import { controls } from "./architecture/controls.js";
import { drawCurve, largestThatFits } from "./architecture/curve.js";
import { Architecture, optionText, question } from "./architecture/data.js";
import { drawGraph, legend, light } from "./architecture/graph.js";
import { inspector } from "./architecture/inspector.js";
import { layout } from "./architecture/layout.js";
import { furnish } from "./architecture/page.js";
import { schema } from "./architecture/state.js";
import { drawTiles } from "./architecture/tiles.js";
import { at, drawTimeline, totals } from "./architecture/timeline.js";
import { bytes, commas } from "./architecture/words.js";

const TALL = 170; // px of a chart
const NOTE = "one source of numbers: convivo plan · predicted, nothing allocated";

export const view = { name: "arch", title: "Architecture", key: "3", kinds: [], schema, mount };

function mount(lab) {
  const page = furnish(lab);
  const redraw = () => lab.redraw();
  const data = new Architecture(lab.api, redraw, (error) => {
    lab.set({ program: "", net: "unet_2015" });
    told(`this link needs your module: ${error.message}`);
  });
  const bar = controls(lab, data, told);
  fill(page.controls, bar.element);
  let run = null;
  let plan = null;
  let placed = null;
  let hovered = null;
  let trouble = null;
  const drawn = { network: "", charts: "" };
  const side = inspector(lab, {
    plan: () => plan,
    drawing: () => page.graph.querySelector("svg.network"),
  });
  data.start().catch((error) => lab.note(`${error.message}. ${error.hint ?? ""}`, "bad"));

  /** Something that went wrong, until the state is another. */
  function told(text) {
    trouble = { text, state: lab.state };
    lab.live(text);
    lab.redraw();
  }

  const on = {
    hover(id) {
      if (id === hovered) return;
      hovered = id;
      lab.redraw();
    },
    pin: (id) => lab.set({ pin: pinned() === id ? -1 : placed.boxes[id].main.id }),
  };
  /** The box of the pinned call: a link holds the call, since boxes depend on the room there is. */
  const pinned = () =>
    placed ? placed.boxes.findIndex((box) => box.ids.includes(lab.state.pin)) : -1;
  const moment = () => Math.min(lab.state.step, plan.timeline.moment.length - 1);

  function draw() {
    if (!data.listed) return;
    if (trouble?.state !== lab.state) trouble = null;
    const entry = data.entry(lab.state.net, lab.state.program);
    if (!entry) return; // a program whose card is on its way
    const asked = question(lab.state, entry);
    const found = data.plan(asked);
    const error = data.error(asked);
    plan = found ?? data.last;
    openRun();
    const stops = bar.draw(asked, entry);
    const curve = data.curve(asked, lab.state.lock ? -1 : lab.state.axis, stops);
    page.error.textContent = error ? `${error.message}. ${error.hint}.` : (trouble?.text ?? "");
    page.body.classList.toggle("stale", !found);
    page.body.hidden = !plan;
    page.root.dataset.settled = String(data.settled);
    if (data.settled)
      document.documentElement.dataset.checked = "none"; // all comes from there
    else delete document.documentElement.dataset.checked;
    page.root.dataset.net = entry.name;
    page.root.dataset.planned = String(Boolean(found));
    if (plan) drawPlan(asked, found?.memory ?? data.point(asked, asked.size)?.memory, curve);
    lab.note(error ? error.message : NOTE, error ? "bad" : "good");
  }

  function drawPlan(asked, memory, curve) {
    const known = memory ?? plan.memory;
    drawNetwork();
    drawCharts(asked, known, curve);
    side.draw({
      box: placed.boxes[hovered ?? pinned()],
      plan,
      asked,
      totals: known,
      opened: run?.entry === lab.state.run && run?.question ? run : null,
    });
  }

  function drawNetwork() {
    const width = Math.max(420, page.graph.clientWidth - 66);
    const key = JSON.stringify([plan.question, width, lab.state.detail]);
    if (key !== drawn.network) {
      drawn.network = key;
      placed = layout(plan.nodes, plan.question.size, width, lab.state.detail);
      const bars = drawBars(placed, plan.rows, bytes, on);
      fill(page.graph, drawGraph(placed, on), kindsLegend(), bars);
      legend(placed.boxes, page.legend);
    }
    light(page.graph, hovered ?? pinned());
  }

  /** Tiles and charts, which a pointer over the network leaves alone. */
  function drawCharts(asked, memory, curve) {
    const [left, right] = [page.timeline, page.curve].map((p) => Math.max(260, p.clientWidth));
    const key = [drawn.network, JSON.stringify(asked), moment(), left, right];
    key.push(curve.length, data.curveDone, memory.process_bound);
    if (key.join() === drawn.charts) return;
    drawn.charts = key.join();
    drawTiles(page.tiles, { plan, asked, totals: memory, limit: data.limit });
    const seek = (step) => lab.set({ step });
    fill(page.timeline, drawTimeline(plan.timeline, moment(), left, TALL, seek));
    const axis = lab.state.lock ? 0 : Math.min(lab.state.axis, asked.dims - 1);
    const now = asked.size[axis];
    fill(
      page.curve,
      drawCurve(curve, data.limit, now, right, TALL, (n) => bar.pick(n)),
    );
    page.moment.textContent = momentWords();
    page.fits.textContent = fittingWords(curve, asked);
  }

  function fittingWords(curve, asked) {
    const largest = largestThatFits(curve, data.limit);
    const more = data.curveDone ? "" : " Tracing other sizes …";
    if (!largest)
      return (curve.length && data.limit ? "No size traced fits this machine." : "") + more;
    const axis = `${largest.at} on axis ${lab.state.axis + 1}`;
    const size = lab.state.lock ? Array(asked.dims).fill(largest.at).join(" × ") : axis;
    const room = `process at most ${bytes(largest.memory.process_bound)} of ${bytes(data.limit)}`;
    return `Largest that fits this machine: ${size}, ${room}.${more}`;
  }

  function momentWords() {
    const layer = at(plan.timeline.layer, moment());
    const where = [at(plan.timeline.phase, moment()), layer].filter(Boolean).join(", ");
    return `${where}: ${bytes(totals(plan.timeline)[moment()])} live`;
  }

  /** The run of the state, asked for once. */
  function openRun() {
    const entry = lab.state.run;
    if (!entry || run?.entry === entry) return;
    run = { entry };
    const open = (found) => {
      run = { entry, ...found };
      const { options, ...asked } = found.question;
      lab.set({ ...asked, options: optionText(options), lock: new Set(asked.size).size === 1 });
    };
    const gone = (error) => {
      run = null;
      lab.set({ run: "" });
      told(`${error.message}. ${error.hint}.`);
    };
    lab.api.get(`arch/runs/${entry}`).then(open, gone);
  }

  function say() {
    if (!plan || !placed) return "";
    const box = placed.boxes[pinned()];
    return [momentWords(), box ? boxWords(box) : ""].filter(Boolean).join(". ");
  }

  function key(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move && placed) return moved(move);
    if (event.key === "Escape" && lab.state.pin >= 0) return (lab.set({ pin: -1 }), true);
    if (["+", "=", "-"].includes(event.key)) return bar.by(event.key === "-" ? -1 : 1);
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

/** A box for the live region. */
function boxWords(box) {
  const { field } = box.main;
  const numbers = `${commas(box.parameters)} parameters, ${commas(box.kept)} bytes kept`;
  const seen = field
    ? `, receptive field ${field.size.join(" by ")}, jump ${field.jump.join(" by ")}`
    : "";
  return `${box.name} ${box.word}: shape ${box.shape.join(" by ")}, ${numbers}${seen}`;
}

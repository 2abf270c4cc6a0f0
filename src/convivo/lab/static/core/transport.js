// The transport: first, back, play, on, last, and a slider. It owns no state but whether it plays.

import { fill, h, select, svg } from "./dom.js";

const SPEEDS = [
  ["0.5", "0.5×"],
  ["1", "1×"],
  ["2", "2×"],
  ["4", "4×"],
  ["8", "8×"],
];
const STEP_MS = 500;
const SHAPES = {
  first: "M3 3h2v10H3zM13 3v10L6 8z",
  back: "M11 3v10L4 8z",
  play: "M4 2.5v11L13 8z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  on: "M5 3v10l7-5z",
  last: "M11 3h2v10h-2zM3 3v10l7-5z",
};
const icon = (name) =>
  svg(
    "svg",
    { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" },
    svg("path", { d: SHAPES[name], fill: "currentColor" }),
  );

/**
 * @param {HTMLElement} element
 * @param {{step: () => number, steps: () => number, go: (step: number) => void}} host
 */
export function transport(element, host) {
  let speed = 1;
  let timer = 0;
  const button = (name, label, onclick) =>
    h("button", { type: "button", "aria-label": label, title: label, onclick }, icon(name));
  const play = button("play", "Play (Space)", () => toggle());
  const slider = h("input", {
    type: "range",
    min: 0,
    step: 1,
    "aria-label": "Step",
    oninput: () => host.go(Number(slider.value)),
  });
  const count = h("output", { class: "count" });
  const pace = select(
    SPEEDS,
    "1",
    (v) => {
      speed = Number(v);
      if (timer) restart();
    },
    { "aria-label": "Speed" },
  );
  const parts = [
    button("first", "First step (Home)", () => host.go(0)),
    button("back", "One step back (,)", () => by(-1)),
    play,
    button("on", "One step on (.)", () => by(1)),
    button("last", "Last step (End)", () => host.go(host.steps() - 1)),
    slider,
    count,
    pace,
  ];
  fill(element, ...parts);

  function by(step) {
    stop();
    host.go(Math.min(host.steps() - 1, Math.max(0, host.step() + step)));
  }

  function tickOn() {
    if (host.step() >= host.steps() - 1) return stop();
    host.go(host.step() + 1);
    return undefined;
  }

  function restart() {
    clearInterval(timer);
    timer = window.setInterval(tickOn, STEP_MS / speed);
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    fill(play, icon("play"));
    play.setAttribute("aria-label", "Play (Space)");
  }

  function toggle() {
    if (timer) return stop();
    if (host.step() >= host.steps() - 1) host.go(0);
    fill(play, icon("pause"));
    play.setAttribute("aria-label", "Pause (Space)");
    restart();
    return undefined;
  }

  return {
    toggle,
    by,
    stop,
    /** Show where we are. */
    show() {
      const steps = host.steps();
      element.hidden = steps < 2;
      slider.max = Math.max(0, steps - 1);
      slider.value = host.step();
      slider.setAttribute("aria-valuetext", `step ${host.step() + 1} of ${steps}`);
      count.textContent = `step ${host.step() + 1} / ${steps}`;
    },
  };
}

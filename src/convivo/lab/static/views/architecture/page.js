// The empty places of the architecture's stage.

import { fill, h } from "../../core/dom.js";
import { lectureCards } from "./lecture.js";

const PLACES = ["controls", "tiles", "graph", "legend", "timeline", "curve"];

/** @param lab */
export function furnish(lab) {
  const page = {};
  for (const name of PLACES) page[name] = h("div", { class: `arch-${name}` });
  // one stop of the keyboard: arrows move the pin, the live region tells where it is
  const walked = { tabindex: 0, role: "application", "aria-label": "Network, arrows move the pin" };
  for (const [name, value] of Object.entries(walked)) page.graph.setAttribute(name, value);
  page.error = h("p", { class: "error", role: "alert" });
  page.moment = h("small");
  page.fits = h("p", { class: "fits" });
  const panel = (title, detail, ...children) =>
    h("figure", { class: "panel" }, h("figcaption", {}, title, detail), ...children);
  const network = "Network, and below each layer its bytes at the peak";
  const lines = h("small", { text: "solid: process, at most; dashed: tensors" });
  const charts = [
    panel("Live bytes over one step", page.moment, page.timeline),
    panel("Memory over the size of the input", lines, page.curve, page.fits),
  ];
  page.body = h(
    "div",
    { class: "arch-body" },
    page.tiles,
    panel(network, null, page.legend, page.graph),
    h("div", { class: "charts" }, ...charts),
  );
  const lecture = lectureCards((state, view, sample) =>
    view ? lab.go(view, state, sample) : lab.set({ program: "", step: 0, ...state }),
  );
  page.root = h("div", { class: "arch" }, page.controls, page.error, page.body, lecture);
  fill(lab.stage, page.root);
  return page;
}
